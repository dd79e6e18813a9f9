"""Every verb that writes, with its arguments and outputs, on small data."""

from pathlib import Path

import xarray as xr
from examples import RECIPE, make_sst

from da4dvar.workflows.twin import hide

# Output of each verb, except checkpoints.
OUTPUTS = {
    "interpolate": "out.nc", "interpolate to zarr": "out.zarr", "baseline": "out.nc", "gaps": "out.zarr",
    "simulate": "out.nc", "train": "out.safetensors", "evaluate": "out.html",
}  # fmt: skip


def arguments(verb: str, model: Path) -> list[str]:
    """Return the command line of a verb."""
    output = OUTPUTS[verb]
    return {
        "interpolate": ["interpolate", "gappy.nc", output, "--model", str(model)],
        "interpolate to zarr": ["interpolate", "gappy.nc", output, "--model", str(model)],
        "baseline": ["baseline", "gappy.nc", output],
        "gaps": ["gaps", "truth.nc", output, "--kind", "random", "--fraction", "0.5"],
        "simulate": ["simulate", "lorenz63", output, "--series", "20", "--steps", "50"],
        "train": ["train", "recipe.toml", "-o", output],
        "evaluate": ["evaluate", "gappy.nc", "truth.nc", "--report", output],
    }[verb]


def prepare(folder: Path) -> None:
    """Write gappy.nc, truth.nc and recipe.toml."""
    truth = make_sst(70)
    truth.to_netcdf(folder / "truth.nc")
    hide(truth, "random", 0.4, seed=3).to_netcdf(folder / "gappy.nc")
    (folder / "recipe.toml").write_text(RECIPE.format(steps=2))


def gappy(days: int = 12) -> xr.Dataset:
    """A small sea with gaps, without packing."""
    return hide(make_sst(days), "random", 0.4, seed=3).drop_encoding()
