"""Peak memory of `da4dvar interpolate --memory 700MB` with 1, 4 and 16 times as much data.

python recipes/speed/memory.py

The model is small and untrained, because memory does not depend on its weights. The peak is the high-water
mark of the resident memory that Linux keeps for the process.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr

import da4dvar
from da4dvar.fields.scaling.standard import Standard
from da4dvar.variational.priors.unet import UNet
from da4dvar.variational.solvers.fixed_point import FixedPoint

STEPS, CELLS, WINDOW = 2000, 64, 8
RUN = """
import sys
from da4dvar import interpolate_file
from da4dvar.cli.memory import keep_freed_memory
keep_freed_memory()
interpolate_file(sys.argv[1], sys.argv[2], sys.argv[3], memory=sys.argv[4])
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


def field(steps: int, seed: int) -> xr.Dataset:
    """Return noise of which three fifths are hidden."""
    generator = np.random.default_rng(seed)
    values = generator.standard_normal((steps, CELLS, CELLS), dtype="float32")
    values[generator.random(values.shape, dtype="float32") < 0.6] = np.nan
    return xr.Dataset({"x": (("time", "lat", "lon"), values)})


def small_model(path: Path) -> None:
    """Write a model that is solved quickly."""
    layout = da4dvar.Layout(["x"], ["lat", "lon"], ["time"], window={"time": WINDOW}, overlap={"time": 0.5})
    prior = UNet(WINDOW, ("zero", "zero"), width=2)
    model = da4dvar.Interpolator(prior, FixedPoint(iterations=1), layout, Standard())
    model.prepare(field(100, seed=0)).save(path)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--suffix", default=".zarr", choices=[".zarr", ".nc"])
    parser.add_argument("--memory", default="700MB")
    parser.add_argument("--times", type=int, nargs="*", default=[1, 4, 16])
    given = parser.parse_args()
    print("| times the data | values, MB | peak, MB | seconds |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        model, source = Path(folder, "model.safetensors"), Path(folder, f"gappy{given.suffix}")
        small_model(model)
        for times in given.times:
            # A separate process writes the file, because the memory of this one would count for its children.
            make = (
                "import sys; sys.path.insert(0, sys.argv[1]); import memory; "
                "memory.field(int(sys.argv[2]), 1).pipe(memory.write, sys.argv[3])"
            )
            here = str(Path(__file__).parent)
            subprocess.run([sys.executable, "-c", make, here, str(times * STEPS), str(source)], check=True)
            began = time.monotonic()
            command = [sys.executable, "-c", RUN, source, Path(folder, f"filled{times}{given.suffix}"), model]
            done = subprocess.run(
                [*map(str, command), given.memory], check=True, capture_output=True, text=True
            )
            peak, seconds = int(done.stdout) * 1024 / 1e6, time.monotonic() - began
            size = 4 * times * STEPS * CELLS**2 / 1e6
            print(f"| {times} | {size:.0f} | {peak:.0f} | {seconds:.0f} |", flush=True)


def write(ds: xr.Dataset, path: str) -> None:
    """Write a file in chunks of a hundred steps, as in a product that grows with time."""
    chunks = (100, CELLS, CELLS)
    if path.endswith(".nc"):
        ds.to_netcdf(path, encoding={"x": {"chunksizes": chunks}})
    else:
        ds.to_zarr(path, mode="w", encoding={"x": {"chunks": chunks}}, consolidated=False)


if __name__ == "__main__":
    main()
