"""Models and data small enough for a property to be tested some hundred times."""

from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import xarray as xr
from examples import WINDOW, make_sst, tiny_interpolator
from hypothesis import settings
from hypothesis import strategies as st

import da4dvar
from da4dvar.baselines.linear import Linear
from da4dvar.fields.scaling.standard import Standard
from da4dvar.outofcore.schedulers import Scheduler
from da4dvar.testing import seeded
from da4dvar.variational.priors.unet import UNet
from da4dvar.variational.solvers.gradient_descent import GradientDescent
from da4dvar.variational.solvers.lstm import ConvLSTM

promise = [pytest.mark.guarantee, pytest.mark.filterwarnings("ignore::da4dvar.errors.Da4dvarWarning")]
FLAT = ("zero", "zero")
# Kinds of models that use only one window of a data set at a time.
LOCAL = ("learned", "linear start", "two variables", "stations", "circle")
KINDS = (*LOCAL, "first guess")

kinds = st.sampled_from(KINDS)
seeds = st.integers(0, 999)
parts = st.sampled_from([0.02, 0.2, 0.5, 0.9])
suffixes = st.tuples(*[st.sampled_from([".nc", ".zarr"])] * 2)


def examples(most: int) -> settings:
    """Limit the number of examples, also by the hypothesis profile."""
    return settings(deadline=None, max_examples=min(most, settings().max_examples))


often = examples(20)
seldom = examples(8)


def sea(days: int = 14, seed: int = 0, part: float = 0.4) -> xr.Dataset:
    """Return gappy temperature and salinity of the small sea, with at least one observed value each."""
    generator = np.random.default_rng(seed)
    ds = make_sst(days, seed=seed)
    salinity = (35 + 0.1 * np.roll(np.nan_to_num(ds.sst.values, nan=15.0), 3, axis=2)).astype("float32")
    ds["sss"] = (ds.sst.dims, salinity, {"units": "1e-3"})
    for name in ("sst", "sss"):
        seen = generator.random(ds.sst.shape) < part
        seen[generator.integers(days), 4, 4] = True
        ds[name] = ds[name].copy(data=np.where(seen, ds[name], np.float32(np.nan)))
    return ds


def data(kind: str, days: int = 14, seed: int = 0, part: float = 0.4) -> xr.Dataset:
    """Return a data set for a kind of model; the model of stations uses one row of the sea."""
    ds = sea(days, seed, part)
    return ds.isel(lat=4, drop=True).rename(lon="station") if kind == "stations" else ds


@cache
def model(kind: str) -> da4dvar.Interpolator:
    """Return an untrained model with a fitted scaling: a guarantee must not depend on good weights."""
    made = seeded(lambda: untrained(kind))
    return made.prepare(data(kind, days=70, seed=1, part=1.0))


def untrained(kind: str) -> da4dvar.Interpolator:
    """Return a model with windows of six days, and 4 × 5 cells if the map is divided; they overlap."""
    window = {"time": WINDOW, "lat": 5, "lon": 6}
    descent: dict[str, Any] = {"solver": GradientDescent(iterations=3, step=0.1), "scaling": Standard()}
    if kind in ("learned", "linear start"):
        return tiny_interpolator(initial="linear" if kind == "linear start" else "zero")
    if kind == "two variables":
        layout = da4dvar.Layout(["sst", "sss"], ["lat", "lon"], ["time"], window=window)
        solver = ConvLSTM(2 * WINDOW, FLAT, width=6, iterations=3)
        return da4dvar.Interpolator(UNet(2 * WINDOW, FLAT, width=4), solver, layout, Standard())
    if kind == "stations":
        layout = da4dvar.Layout(["sst"], ["time"], ["station"], window={"time": WINDOW})
        return da4dvar.Interpolator(UNet(8, ("zero",), width=4), layout=layout, **descent)
    if kind == "circle":
        layout = da4dvar.Layout(["sst"], ["time", "lon"], periodic=["lon"], window={"time": WINDOW})
        return da4dvar.Interpolator(UNet(1, ("zero", "periodic"), width=4), layout=layout, **descent)
    layout = da4dvar.Layout(["sst"], ["lat", "lon"], ["time"], window=window)
    return da4dvar.Interpolator(UNet(WINDOW, FLAT, width=4), layout=layout, first_guess=Linear(), **descent)


def names(kind: str) -> list[str]:
    """Return the variables that a kind of model estimates."""
    return list(model(kind).layout.variables)


def write(ds: xr.Dataset, path: Path, **options: Any) -> None:
    """Write a file or a store by xarray alone."""
    ds.to_netcdf(path) if path.suffix == ".nc" else ds.to_zarr(path, consolidated=False, **options)


def fill_file(
    source: Path | list[Path], output: Path, kind: str, by: Scheduler | None = None, **more: Any
) -> None:
    """Fill a file in memory, or in the regions of a scheduler."""
    more |= {} if by is None else {"scheduler": "any"}
    with patch("da4dvar.outofcore.interpolate_file.scheduler_of", lambda _: by):
        da4dvar.interpolate_file(source, output, model(kind), **more)


def assert_close(one: xr.Dataset, other: xr.Dataset) -> None:
    """Compare flags exactly, and numbers up to the rounding of single precision."""
    assert set(one.variables) == set(other.variables)
    for name in other.data_vars:
        here, there = one[name].transpose(*other[name].dims).values, other[name].values
        if here.dtype.kind == "f":
            np.testing.assert_allclose(here, there, rtol=1e-5, atol=1e-5, err_msg=str(name))
        else:
            np.testing.assert_array_equal(here, there, err_msg=str(name))
