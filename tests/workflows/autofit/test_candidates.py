"""Methods that enter the competition."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from da4dvar.baselines.solve_kernels import Analysis
from da4dvar.errors import Da4dvarWarning, DataError
from da4dvar.fields.bounds import Bounds
from da4dvar.workflows.autofit import candidates
from da4dvar.workflows.autofit.candidates import classical, mean_of, models_for
from da4dvar.workflows.autofit.character import Character

PLAIN = Character("day", ("station",), {"day": 99, "station": 3}, 0.5, 1, 1, False, False)


def test_a_long_tail_adds_a_logarithm():
    """With the offset of the variable; the others know the name of the time dimension."""
    found = {c.name: c for c in classical(replace(PLAIN, offset=0.4))}
    assert found["logarithmic"].method.offset == 0.4
    assert found["logarithmic"].table["method"] == found["gaussian_em"].table
    assert found["linear"].method.time == "day"
    assert "logarithmic" not in {c.name for c in classical(PLAIN)}


def sst(units: str = "degree_Celsius", step: str = "D", lat: float = -40.1) -> xr.DataArray:
    """A piece of sea where a shipped model was trained, or elsewhere."""
    values = 15 + np.random.default_rng(0).standard_normal((40, 33, 120))
    coords = {
        "time": xr.date_range("2019-01-01", periods=40, freq=step),
        "lat": ("lat", lat + 0.25 * np.arange(33), {"units": "degrees_north"}),
        "lon": ("lon", 146.1 + 0.25 * np.arange(120), {"units": "degrees_east"}),
    }
    attrs = {"units": units, "standard_name": "sea_surface_temperature"}
    return xr.DataArray(values.astype("float32"), coords, ("time", "lat", "lon"), "analysed_sst", attrs)


def test_a_shipped_model_enters_where_it_fits():
    """The same quantity under another name, daily; neither weekly, nor another quantity."""
    names = {c.name for c in models_for(sst())}
    assert "oisst-tasman" in names
    assert not models_for(sst(step="7D"))
    assert not models_for(sst(units="m s-1").assign_attrs(standard_name="eastward_wind"))


def test_a_model_that_does_not_fit_is_not_loaded(monkeypatch):
    """Neither one of a variable x with other dimensions or another time step, nor one of another place."""
    loaded: list[str] = []
    monkeypatch.setattr(candidates, "load", loaded.append)
    days, series = xr.date_range("2019-01-01", periods=9), np.zeros((9, 40))
    for coords, dims in (
        ({"time": days}, ("time", "station")),
        ({"time": days}, ("time", "component")),
        ({"time": 0.1 * np.arange(9), "component": np.arange(40)}, ("time", "component")),
    ):
        assert not models_for(xr.DataArray(series, coords, dims, "x"))
    assert not models_for(sst(step="7D"))
    assert not loaded
    fitting = {"time": 0.05 * np.arange(9), "component": np.arange(40)}
    names = [c.name for c in models_for(xr.DataArray(series, fitting, ("time", "component"), "x"))]
    assert names == loaded == ["lorenz96", "lorenz96-ode"]


def test_a_method_that_needs_an_extra_is_named(monkeypatch):
    """Where it suits the variable, a line says how to install it; the others are compared."""
    gauge = replace(PLAIN, space=())
    assert "kalman" in {c.name for c in classical(gauge)}
    monkeypatch.setattr(candidates, "find_spec", lambda name: None)
    with pytest.warns(Da4dvarWarning, match=r"kalman is not compared.*pip install 'da4dvar\[statsmodels\]'"):
        assert {"linear", "kalman"} & {c.name for c in classical(gauge)} == {"linear"}
    assert classical(PLAIN)  # for fields it is not missed


def test_a_mean_is_of_two_classical_methods():
    """A learned model has no table that could be written into a recipe."""
    first, second, *_ = classical(PLAIN)
    both = mean_of(first, second)
    assert both.table == {"kind": "combination", "methods": [first.table, second.table]}
    series = xr.DataArray([[1.0, 2.0], [np.nan, 3.0], [4.0, np.nan]] * 5, dims=("day", "station"), name="x")
    one, two, mean = (c.estimate(series, Bounds())[0] for c in (first, second, both))
    np.testing.assert_allclose(mean, (one + two) / 2)
    with pytest.raises(DataError, match="needs two classical methods"):
        mean_of(first, replace(second, table={}))


def test_estimates_lie_within_the_bounds():
    """Rain is not negative, and the mean of 350 and 10 degrees is north."""
    linear = classical(replace(PLAIN, space=()))[0]
    wind = xr.DataArray([350.0, np.nan, 10.0, 20.0], dims="day", name="wd")
    assert float(linear.estimate(wind, Bounds(circular=True))[0][1]) % 360 == pytest.approx(0, abs=1e-6)
    rain = xr.DataArray([4.0, 1.0, np.nan, 2.0], dims="day", name="pr")
    assert float(linear.estimate(rain, Bounds(1.7, None))[0][2]) == 1.7


def test_errors_that_are_not_wanted_take_no_time(monkeypatch):
    """Optimal interpolation computes no standard error unless it is asked for one, nor for directions."""
    candidate = {c.name: c for c in classical(PLAIN)}["optimal_interpolation"]
    values = 180 + 40 * np.random.default_rng(2).standard_normal(60).cumsum() / 8
    values[20:30] = np.nan
    array = xr.DataArray(values, {"day": xr.date_range("2019-01-01", periods=60)}, ("day",), "x")
    candidate = candidate.fitted(array, Bounds())
    expected, error = candidate.estimate(array, Bounds())
    assert error is not None

    def refused(*given):
        raise AssertionError("a standard error was computed")

    monkeypatch.setattr(Analysis, "standard_error", refused)
    found, error = candidate.estimate(array, Bounds(), error=False)
    assert error is None
    xr.testing.assert_identical(found, expected)
    assert candidate.fitted(array, Bounds(circular=True)).estimate(array, Bounds(circular=True))[1] is None
    with pytest.raises(AssertionError):
        candidate.estimate(array, Bounds())
