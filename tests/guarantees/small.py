"""Models and data small enough for a property to be tested some hundred times."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import xarray as xr
from examples import WINDOW, make_sst, tiny_interpolator
from hypothesis import settings
from hypothesis import strategies as st

import da4dvar
from da4dvar.baselines.linear import Linear
from da4dvar.fields.scaling.standard import Standard
from da4dvar.testing import seeded
from da4dvar.variational.priors.unet import UNet
from da4dvar.variational.solvers.gradient_descent import GradientDescent
from da4dvar.variational.solvers.lstm import ConvLSTM

FLAT = ("zero", "zero")
# Kinds of models that use only one window of a data set at a time.
LOCAL = ("learned", "linear start", "two variables", "stations", "circle")
KINDS = (*LOCAL, "first guess")

kinds = st.sampled_from(KINDS)
seeds = st.integers(0, 999)
parts = st.sampled_from([0.02, 0.2, 0.5, 0.9])


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
    if kind != "stations":
        return ds
    return ds.isel(lat=4, drop=True).rename(lon="station")


@cache
def model(kind: str) -> da4dvar.Interpolator:
    """Return an untrained model with a fitted scaling: a guarantee must not depend on good weights."""
    made = seeded(lambda: untrained(kind))
    return made.prepare(data(kind, days=70, seed=1, part=1.0))


def untrained(kind: str) -> da4dvar.Interpolator:
    """Return a model with windows of six days, and 4 × 5 cells if the map is divided; they overlap."""
    window = {"time": WINDOW, "lat": 5, "lon": 6}
    descent: dict[str, Any] = {"solver": GradientDescent(iterations=3, step=0.1), "scaling": Standard()}
    if kind == "learned":
        return tiny_interpolator()
    if kind == "linear start":
        return tiny_interpolator(initial="linear")
    if kind == "two variables":
        return da4dvar.Interpolator(
            UNet(2 * WINDOW, FLAT, width=4),
            ConvLSTM(2 * WINDOW, FLAT, width=6, iterations=3),
            da4dvar.Layout(["sst", "sss"], ["lat", "lon"], ["time"], window=window),
            Standard(),
        )
    if kind == "stations":
        layout = da4dvar.Layout(["sst"], ["time"], ["station"], window={"time": WINDOW})
        return da4dvar.Interpolator(UNet(8, ("zero",), width=4), layout=layout, **descent)
    if kind == "circle":
        layout = da4dvar.Layout(["sst"], ["time", "lon"], periodic=["lon"], window={"time": WINDOW})
        return da4dvar.Interpolator(UNet(1, ("zero", "periodic"), width=4), layout=layout, **descent)
    layout = da4dvar.Layout(["sst"], ["lat", "lon"], ["time"], window=window)
    prior = UNet(WINDOW, FLAT, width=4)
    return da4dvar.Interpolator(prior, layout=layout, first_guess=Linear(), **descent)


def names(kind: str) -> list[str]:
    """Return the variables that a kind of model estimates."""
    return list(model(kind).layout.variables)


def assert_close(one: xr.Dataset, other: xr.Dataset) -> None:
    """Compare flags exactly, and numbers up to the rounding of single precision."""
    assert set(one.variables) == set(other.variables)
    for name in other.data_vars:
        here, there = one[name].transpose(*other[name].dims).values, other[name].values
        if here.dtype.kind == "f":
            np.testing.assert_allclose(here, there, rtol=1e-5, atol=1e-5, err_msg=str(name))
        else:
            np.testing.assert_array_equal(here, there, err_msg=str(name))
