"""Tests of twin experiments: the truth obeys its equations, and the observations are as documented."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy.integrate import solve_ivp

from da4dvar.errors import Da4dvarError
from da4dvar.simulate import SYSTEMS, lorenz63, lorenz96


def tendency96(_: float, x: np.ndarray) -> np.ndarray:
    """Lorenz (1996), eq. (1)."""
    return (np.roll(x, -1) - np.roll(x, 2)) * np.roll(x, 1) - x + 8


def tendency63(_: float, x: np.ndarray) -> np.ndarray:
    """Lorenz (1963), eqs. (25)-(27)."""
    return np.array([10 * (x[1] - x[0]), x[0] * (28 - x[2]) - x[1], x[0] * x[1] - 8 / 3 * x[2]])


def after(tendency: Callable, x: np.ndarray, step: float) -> np.ndarray:
    """Return the state one step later, by scipy's integrator."""
    return solve_ivp(tendency, (0, step), x.astype("float64"), rtol=1e-9, atol=1e-9).y[:, -1]


@cache
def example(name: str) -> xr.Dataset:
    """A twin experiment for each system, computed once."""
    return lorenz96(series=4, steps=81, seed=3) if name == "lorenz96" else lorenz63(3, 101, 3, step=0.04)


every = pytest.mark.parametrize("name", ["lorenz96", "lorenz63"])


@pytest.mark.parametrize(("name", "tendency"), {"lorenz96": tendency96, "lorenz63": tendency63}.items())
def test_the_truth_obeys_its_equations(name, tendency):
    """From each state, scipy's integrator reaches the next one."""
    ds = example(name)
    step = float(ds.time[1] - ds.time[0])
    for k in (0, 40, 79):
        np.testing.assert_allclose(ds.x[1, k + 1], after(tendency, ds.x.values[1, k], step), atol=1e-3)


@every
def test_series_are_on_the_attractor_each_at_a_place_of_its_own(name):
    """After the spin-up, the statistics are those of the attractor, and all series differ."""
    x = example(name).x
    mean, std = {"lorenz96": (2.3, 3.6), "lorenz63": (23.5, 8.6)}[name]
    x = x if name == "lorenz96" else x.isel(component=2)
    assert (float(x.mean()), float(x.std())) == (pytest.approx(mean, abs=1.5), pytest.approx(std, rel=0.2))
    first = x.isel(time=0).values.reshape(x.sizes["series"], -1)
    assert all(np.abs(first[i] - first[j]).max() > 0.1 for i in range(len(first)) for j in range(i))


def test_observations_are_regular():
    """20 components of Lorenz-96 every 4 steps, all of Lorenz-63 every 8; without noise, the truth."""
    ds = example("lorenz96")
    seen = ds.x_observed.notnull()
    assert (seen[:, ::4].sum("component") == 20).all()
    assert int(seen.sum()) == 4 * 21 * 20
    assert (seen.isel(time=0) != seen.isel(time=4)).any()
    assert (seen.isel(series=0) != seen.isel(series=1)).any()
    seen = example("lorenz63").x_observed.notnull().values
    assert seen[:, ::8].all()
    assert seen.sum() == seen[:, ::8].size
    ds = lorenz96(1, 9, noise_variance=0.0, components=8, number=3)
    xr.testing.assert_equal(ds.x_observed, ds.x.where(ds.x_observed.notnull()).rename("x_observed"))
    assert int(ds.x_observed.count()) == 9


@every
def test_noise_and_labels(name):
    """The noise has variance 2 and no bias; data are named, with units, in single precision."""
    ds = example(name)
    errors = (ds.x_observed - ds.x).values.astype("float64")
    errors = errors[np.isfinite(errors)]
    assert errors.var() == pytest.approx(2, abs=5 * 2 * np.sqrt(2 / errors.size))
    assert errors.mean() == pytest.approx(0, abs=5 * np.sqrt(2 / errors.size))
    assert ds.x_observed.attrs["observation_error_std"] == pytest.approx(np.sqrt(2))
    assert ds.x.dims == ds.x_observed.dims == ("series", "time", "component")
    assert ds.x.dtype == ds.x_observed.dtype == np.float32
    np.testing.assert_allclose(np.diff(ds.time), 0.05 if name == "lorenz96" else 0.04)
    assert (ds.time.attrs["axis"], ds.x.attrs["units"]) == ("T", "1")
    assert "Lorenz-" in ds.x.attrs["long_name"]
    assert "seed 3" in ds.attrs["source"]


@every
def test_the_seed_decides_all(name):
    """Equal seeds give identical data and other seeds different data, regardless of numpy's global state."""
    small: dict[str, Any] = {"series": 1, "steps": 5, "step": 0.05}
    first = SYSTEMS[name](seed=1, **small)
    np.random.seed(7)  # noqa: NPY002
    xr.testing.assert_identical(SYSTEMS[name](seed=1, **small), first)
    assert (SYSTEMS[name](seed=2, **small).x != first.x).all()


@pytest.mark.parametrize(("name", "spin_up"), [("lorenz96", 4000), ("lorenz63", 1000)])
def test_progress_is_told_of_every_step(name, spin_up):
    """Progress counts every step, the spin-up included, and does not change the data."""
    told: list[tuple[int, int]] = []
    ds = SYSTEMS[name](1, 5, 1, step=0.05, progress=lambda *counts: told.append(counts))
    total = spin_up + 4 * 10
    assert told == [(k, total) for k in range(1, total + 1)]
    xr.testing.assert_identical(ds, SYSTEMS[name](1, 5, 1, step=0.05))


def test_the_published_series_are_pieces_of_one_trajectory():
    """The pieces overlap and share a mask, and progress follows the time of the integrator."""
    told: list[tuple[int, int]] = []
    pieces = {"first": 100, "last": 170, "progress": lambda *counts: told.append(counts)}
    ds = SYSTEMS["lorenz96_published"](3, 60, 1, **pieces)
    assert {total for _, total in told} == {10_000 + 400 - 1}
    assert max(told) == (10_399, 10_399)
    x, seen = ds.x.values, np.isfinite(ds.x_observed.values)
    assert (seen == seen[:1]).all()
    assert seen[0].sum() == 15 * 20
    assert (x[0][:, None] == x[1][None]).all(-1).sum() >= 60 - 11
    np.testing.assert_allclose(x[0, 1], after(tendency96, x[0, 0], 0.05), atol=0.05)


TOO_LONG = "diverges at a time step of 2.0; use a shorter one"


@pytest.mark.parametrize(
    ("name", "change", "text"),
    [("lorenz96_published", {n: v}, "expected a range within 0 to 10000")
     for n, v in (("first", -1), ("last", 10_001), ("first", 7000), ("steps", 8000))]
    + [(name, {"step": 2.0}, TOO_LONG) for name in ("lorenz96", "lorenz63")]
    + [("lorenz96", {"components": 8}, "number is 20, but 'component' has only 8")],
)  # fmt: skip
def test_what_cannot_be_simulated_is_refused(name, change, text):
    """Pieces outside of the trajectory, a step that diverges, more observed components than there are."""
    with pytest.raises(Da4dvarError, match=text):
        SYSTEMS[name](**({"series": 1, "steps": 10} | change))
