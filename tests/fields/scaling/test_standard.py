"""Normalisation and its inverse, with the climatology checked against least squares."""

from typing import Any

import numpy as np
import pytest
import xarray as xr

from da4dvar.config.kinds import KINDS
from da4dvar.config.registry import build
from da4dvar.errors import DataError
from da4dvar.fields.scaling.anomaly import Anomaly
from da4dvar.fields.scaling.harmonics import harmonic_regression
from da4dvar.fields.scaling.standard import Scaling, Standard
from da4dvar.testing import ScalingContract

SIZES = {"time": 800, "lat": 3, "lon": 3}


def sea(seen: float = 1.0, seed: int = 0) -> xr.Dataset:
    """Return temperatures with a season that differs between cells, and salinities without one."""
    generator = np.random.default_rng(seed)
    angle = 2 * np.pi * (np.arange(SIZES["time"])[:, None, None] + 31) / 365.2425
    temperature = 285 + (1 + np.arange(9).reshape(3, 3)) * np.cos(angle - 0.5) + 0.3 * np.cos(2 * angle)
    errors = generator.standard_normal((2, *SIZES.values()))
    hidden = generator.random(errors.shape) >= seen
    values = np.where(hidden, np.nan, np.stack([temperature + 0.5 * errors[0], 35 + 0.1 * errors[1]]))
    coords = {
        "time": xr.date_range("2001-02-01", periods=SIZES["time"]),
        "lat": [-30.5, -30.25, -30.0],
        "lon": [10.0, 10.25, 10.5],
    }
    fields = dict(zip(("sst", "sss"), values.astype("float32"), strict=True))
    return xr.Dataset({n: (tuple(SIZES), v) for n, v in fields.items()}, coords)


class TestEvery(ScalingContract):
    """The contract holds for each kind of a recipe, on complete and on gappy data."""

    kind: str
    seen: float

    @pytest.fixture(
        autouse=True, params=[(k, seen) for k in KINDS["scaling"] for seen in (1.0, 0.3)], ids=str
    )
    def of_a_kind(self, request):
        self.kind, self.seen = request.param

    def make(self) -> Scaling:
        return build("scaling", {"kind": self.kind})

    def data(self) -> xr.Dataset:
        return sea(seen=self.seen)


def fitted(scaling: Scaling, ds: xr.Dataset) -> Any:
    """Fit a scaling to both variables."""
    return scaling.fit(ds, ["sst", "sss"], list(SIZES))


@pytest.mark.parametrize("make", [Standard, Anomaly])
def test_normalised_values_are_comparable(make):
    """Normalised values have mean 0 and standard deviation 1."""
    ds = sea(seen=0.7)
    normalised = fitted(make(), ds).normalise(ds)
    for name in ds.data_vars:
        assert float(normalised[name].mean()) == pytest.approx(0, abs=2e-3)
        assert float(normalised[name].std()) == pytest.approx(1, abs=2e-3)


def design(time: xr.DataArray) -> np.ndarray:
    """Return 1 and three harmonics of the year at each time."""
    angle = 2 * np.pi * (time.dt.dayofyear.values - 1) / 365.2425
    waves = [f(k * angle) for k in (1, 2, 3) for f in (np.cos, np.sin)]
    return np.stack([np.ones(time.size), *waves], axis=1)


@pytest.mark.parametrize("seen", [1.0, 0.5])
def test_the_climatology_is_that_of_least_squares(seen):
    """Without shrinkage, each cell has the least-squares fit to its own observations, lazily if asked."""
    ds = sea(seen=seen)
    scaling = fitted(Anomaly(shrinkage=0.0), ds)
    basis, values = design(ds.time), ds.sst.values.astype("float64").reshape(SIZES["time"], -1)
    known = np.isfinite(values)
    fits = [np.linalg.lstsq(basis[k], v[k], rcond=None)[0] for k, v in zip(known.T, values.T, strict=True)]
    expected = basis @ np.stack(fits, 1)
    lazy = scaling.climatology(ds.chunk(time=100), "sst")
    assert lazy.chunks is not None
    np.testing.assert_allclose(lazy.values.reshape(values.shape), expected, atol=2e-3)
    assert scaling.std["sst"] == pytest.approx(np.nanstd(values - expected), rel=1e-3)


@pytest.mark.parametrize("shrinkage", [0.0, 1e9])
def test_a_gappy_cell_takes_the_season_of_the_region(shrinkage):
    """A cell with few observations takes the season of the region but keeps its own mean."""
    generator = np.random.default_rng(0)
    time = xr.date_range("2001-01-01", periods=730)
    basis = design(xr.DataArray(time, dims="time"))
    season = 5 * basis[:, 1]
    values = np.stack([season, season, 10 + 0 * season], 1) + 0.1 * generator.standard_normal((730, 3))
    values[8:, 2] = np.nan
    fit = harmonic_regression(values, basis, shrinkage)
    if shrinkage:
        np.testing.assert_allclose(fit[1:, 2], [5, *[0] * 5], atol=0.15)
        assert fit[0, 2] == pytest.approx(10 - season[:8].mean(), abs=0.2)
    else:
        assert np.abs(fit[1:, 2] - [5, *[0] * 5]).max() > 1


@pytest.mark.parametrize("amplitude", [0.0, 5.0])
def test_cells_of_other_means_make_no_season(amplitude):
    """Cells of different means, seen in different seasons, do not create a season."""
    time = xr.date_range("2001-01-01", periods=1461)
    basis = design(xr.DataArray(time, dims="time"))
    truth = np.array([10.0, 30.0]) + amplitude * basis[:, 1:2]
    values = truth + 0.1 * np.random.default_rng(0).standard_normal((1461, 2))
    values[basis[:, 1] > 0, 0] = np.nan
    values[basis[:, 1] < 0, 1] = np.nan
    np.testing.assert_allclose(basis @ harmonic_regression(values, basis, 5.0), truth, atol=0.5)


def test_a_cell_that_is_never_observed_is_nan():
    """A cell without observations is NaN alone; a reversed part gets the climatology of its own cells."""
    ds = sea()
    land = ds.where((ds.lat != -30.25) | (ds.lon != 10.0))
    normalised = fitted(Anomaly(), land).normalise(ds)
    np.testing.assert_array_equal(np.isnan(normalised.sst.values).all(0), np.isnan(land.sst.values[0]))
    np.testing.assert_array_equal(np.isnan(normalised.sst.values).any(0), np.isnan(land.sst.values[0]))
    scaling = fitted(Anomaly(), ds)
    part = ds.isel(lat=[2, 1], lon=[1])
    part = part.assign_coords(lat=part.lat + 1e-6)
    expected = scaling.climatology(ds, "sst").isel(lat=[2, 1], lon=[1])
    np.testing.assert_array_equal(scaling.climatology(part, "sst").values, expected.values)


@pytest.mark.parametrize("coordinate", [None, ["b", "c", "a"], [7, 2, 5]])
def test_cells_need_no_numbers_in_order(coordinate):
    """Cells can have names, unordered numbers or no coordinate; a part of them can be used."""
    ds = sea().isel(lat=0, drop=True).drop_vars("lon").rename(lon="station")
    if coordinate:
        ds = ds.assign_coords(station=coordinate)
    scaling = Anomaly().fit(ds, ["sst"], ["time", "station"])
    scaling = Anomaly().load(scaling.arrays())
    whole = scaling.climatology(ds, "sst")
    assert whole.dims == ("time", "station")
    if coordinate:
        part = scaling.climatology(ds.isel(station=[2, 0]), "sst")
        xr.testing.assert_equal(part, whole.isel(station=[2, 0]))


@pytest.mark.parametrize("lat", [[-30.5, -30.25, 40.0], [-30.4, -30.25, -30.0]])
def test_cells_that_are_not_known_are_refused(lat):
    """The message names the first cell and the known range, and says what to do."""
    ds = sea()
    scaling = fitted(Anomaly(), ds)
    with pytest.raises(DataError, match=r"'lat' holds .*, which is not in the climatology of the model"):
        scaling.normalise(ds.assign_coords(lat=lat))


@pytest.mark.parametrize("time", [None, np.arange(800)])
def test_a_time_without_dates_is_refused(time):
    """The message says how to add dates."""
    ds = sea().drop_vars("time") if time is None else sea().assign_coords(time=time)
    with pytest.raises(DataError, match=r"needs dates along 'time'; give the time axis CF units"):
        fitted(Anomaly(), ds)


@pytest.mark.parametrize(("make", "value"), [(Standard, np.nan), (Standard, 35.0), (Anomaly, np.nan)])
def test_a_variable_that_does_not_vary_is_refused(make, value):
    """The message names a variable that is constant or never observed."""
    with pytest.raises(DataError, match="variable 'sss' has no spread"):
        fitted(make(), sea().assign(sss=xr.full_like(sea().sss, value)))


def test_members_share_one_climatology():
    """Members contribute to one common climatology."""
    ds = xr.concat([sea(seed=1), sea(seed=2)], "member")
    scaling = Anomaly(shrinkage=0.0).fit(ds, ["sst"], list(SIZES))
    assert scaling.coefficients["sst"].dims == ("harmonic", "lat", "lon")
    single = [fitted(Anomaly(shrinkage=0.0), ds.isel(member=k)).coefficients["sst"] for k in (0, 1)]
    np.testing.assert_allclose(scaling.coefficients["sst"], (single[0] + single[1]) / 2, atol=1e-3)
    assert scaling.normalise(ds).sst.dims == ds.sst.dims
