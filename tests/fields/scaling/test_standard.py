"""Normalisation and its inverse; the climatology against plain least squares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr

from da4dvar.config.kinds import KINDS
from da4dvar.config.registry import build
from da4dvar.errors import DataError
from da4dvar.fields.scaling.anomaly import Anomaly
from da4dvar.fields.scaling.harmonics import harmonic_regression
from da4dvar.fields.scaling.standard import Scaling, Standard, Unscaled
from da4dvar.testing import ScalingContract

SCALINGS: list[Callable[[], Scaling]] = [Unscaled, Standard, Anomaly]
SIZES = {"time": 800, "lat": 3, "lon": 3}


def sea(calendar: str = "standard", seen: float = 1.0, seed: int = 0, noise: float = 0.5) -> xr.Dataset:
    """Temperatures with a season that differs from cell to cell, and salinities without one."""
    generator = np.random.default_rng(seed)
    time = xr.date_range(
        "2001-02-01", periods=SIZES["time"], calendar=calendar, use_cftime=calendar != "standard"
    )
    year = {"360_day": 360, "noleap": 365}.get(calendar, 365.2425)
    angle = 2 * np.pi * (np.arange(SIZES["time"])[:, None, None] + 31) / year
    amplitude = 1 + np.arange(9).reshape(3, 3)
    temperature = 285 + amplitude * np.cos(angle - 0.5) + 0.3 * np.cos(2 * angle)
    errors = generator.standard_normal((2, *SIZES.values()))
    hidden = generator.random(errors.shape) >= seen
    values = np.where(hidden, np.nan, np.stack([temperature + noise * errors[0], 35 + 0.1 * errors[1]]))
    dims = tuple(SIZES)
    return xr.Dataset(
        {"sst": (dims, values[0].astype("float32")), "sss": (dims, values[1].astype("float32"))},
        coords={"time": time, "lat": [-30.5, -30.25, -30.0], "lon": [10.0, 10.25, 10.5]},
    )


class TestEvery(ScalingContract):
    """Each kind that a recipe may name, on complete and on gappy data."""

    kind: str
    seen: float

    @pytest.fixture(
        autouse=True, params=[(k, seen) for k in KINDS["scaling"] for seen in (1.0, 0.3)], ids=str
    )
    def of_a_kind(self, request: pytest.FixtureRequest) -> None:
        self.kind, self.seen = request.param

    def make(self) -> Scaling:
        return build("scaling", {"kind": self.kind})

    def data(self) -> xr.Dataset:
        return sea(seen=self.seen)


def test_a_climatology_is_as_lazy_as_its_data() -> None:
    """Its chunks are those of the times."""
    assert fitted(Anomaly(), sea()).climatology(sea().chunk(time=100), "sst").chunks is not None


def fitted(scaling: Scaling, ds: xr.Dataset) -> Any:
    """A scaling that knows both variables."""
    return scaling.fit(ds, ["sst", "sss"], list(SIZES))


@pytest.mark.parametrize("make", SCALINGS[1:])
def test_normalised_values_are_comparable(make: Callable[[], Scaling]) -> None:
    """Mean 0 and standard deviation 1, whatever the units."""
    ds = sea(seen=0.7)
    normalised = fitted(make(), ds).normalise(ds)
    for name in ds.data_vars:
        assert float(normalised[name].mean()) == pytest.approx(0, abs=2e-3)
        assert float(normalised[name].std()) == pytest.approx(1, abs=2e-3)


def test_standard_is_that_of_numpy() -> None:
    """(x − mean) / standard deviation over all that was observed."""
    ds = sea(seen=0.5)
    got = fitted(Standard(), ds).normalise(ds).sst.values
    values = ds.sst.values.astype("float64")
    np.testing.assert_allclose(got, (values - np.nanmean(values)) / np.nanstd(values), rtol=1e-4, atol=1e-4)


def design(time: xr.DataArray) -> np.ndarray:
    """1 and three harmonics of the year at each time."""
    angle = 2 * np.pi * (time.dt.dayofyear.values - 1) / 365.2425
    waves = [f(k * angle) for k in (1, 2, 3) for f in (np.cos, np.sin)]
    return np.stack([np.ones(time.size), *waves], axis=1)


def test_the_climatology_is_that_of_least_squares() -> None:
    """On complete series, without shrinkage, that of numpy's lstsq for each cell."""
    ds = sea()
    scaling = fitted(Anomaly(shrinkage=0.0), ds)
    basis, values = design(ds.time), ds.sst.values.astype("float64").reshape(SIZES["time"], -1)
    expected = basis @ np.linalg.lstsq(basis, values, rcond=None)[0]
    got = scaling.climatology(ds, "sst").values.reshape(values.shape)
    np.testing.assert_allclose(got, expected, atol=2e-3)
    assert scaling.std["sst"] == pytest.approx((values - expected).std(), rel=1e-3)


def test_gaps_leave_the_climatology_to_the_observed_times() -> None:
    """Least squares over the observed times of a cell, whatever the gaps of its neighbours."""
    ds = sea(seen=0.5)
    scaling = fitted(Anomaly(shrinkage=0.0), ds)
    line = ds.sst.values[:, 1, 2].astype("float64")
    basis, observed = design(ds.time), np.isfinite(line)
    expected = basis @ np.linalg.lstsq(basis[observed], line[observed], rcond=None)[0]
    np.testing.assert_allclose(scaling.climatology(ds, "sst").values[:, 1, 2], expected, atol=2e-3)


def test_the_season_is_removed() -> None:
    """What is left of a season of several degrees is its noise."""
    ds = sea()
    left = fitted(Anomaly(), ds).normalise(ds).sst.groupby("time.month").mean()
    assert float(np.abs(left).max()) < 0.5
    assert float(ds.sst.groupby("time.month").mean().std("month").min()) > 0.5


@pytest.mark.parametrize("shrinkage", [0.0, 1e9])
def test_a_gappy_cell_takes_the_season_of_the_region(shrinkage: float) -> None:
    """Few observations are not enough for harmonics of one's own; the mean stays the cell's."""
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
def test_cells_of_other_means_make_no_season(amplitude: float) -> None:
    """A cold cell seen in summer and a warm one seen in winter have the season there is, or none."""
    time = xr.date_range("2001-01-01", periods=1461)
    basis = design(xr.DataArray(time, dims="time"))
    truth = np.array([10.0, 30.0]) + amplitude * basis[:, 1:2]
    values = truth + 0.1 * np.random.default_rng(0).standard_normal((1461, 2))
    values[basis[:, 1] > 0, 0] = np.nan
    values[basis[:, 1] < 0, 1] = np.nan
    np.testing.assert_allclose(basis @ harmonic_regression(values, basis, 5.0), truth, atol=0.5)


def test_a_cell_that_is_never_observed_is_nan() -> None:
    """It has no climatology, and is not estimated; the others are what they would be without it."""
    ds = sea()
    land = ds.where((ds.lat != -30.25) | (ds.lon != 10.0))
    normalised = fitted(Anomaly(), land).normalise(ds)
    np.testing.assert_array_equal(np.isnan(normalised.sst.values).all(0), np.isnan(land.sst.values[0]))
    np.testing.assert_array_equal(np.isnan(normalised.sst.values).any(0), np.isnan(land.sst.values[0]))


@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day"])
def test_the_year_of_any_calendar(calendar: str) -> None:
    """A season of the calendar's year is removed, whether the year has 360 days or 365."""
    ds = sea(calendar, noise=0.0)
    left = ds.sst - fitted(Anomaly(shrinkage=0.0), ds).climatology(ds, "sst")
    assert float(np.abs(left).max()) < 0.05


def test_another_year_has_the_same_climatology() -> None:
    """The climatology is that of the day of the year, to an hour."""
    ds = sea()
    scaling = fitted(Anomaly(), ds)
    later = ds.isel(time=slice(10)).assign_coords(time=ds.time[:10] + np.timedelta64(365 * 4 + 1, "D"))
    np.testing.assert_allclose(
        scaling.climatology(later, "sst"), scaling.climatology(ds, "sst")[:10], atol=0.1
    )


@pytest.mark.parametrize("coordinate", [None, ["b", "c", "a"], [7, 2, 5]])
def test_cells_need_no_numbers_in_order(coordinate: list | None) -> None:
    """Stations with names, with numbers in any order, or without a coordinate; also a part of them."""
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


def test_cells_are_matched_by_their_coordinates() -> None:
    """A part of the region, turned round and with rounding errors, gets the climatology of its cells."""
    ds = sea()
    scaling = fitted(Anomaly(), ds)
    part = ds.isel(lat=[2, 1], lon=[1])
    part = part.assign_coords(lat=part.lat + 1e-6)
    expected = scaling.climatology(ds, "sst").isel(lat=[2, 1], lon=[1])
    np.testing.assert_array_equal(scaling.climatology(part, "sst").values, expected.values)


@pytest.mark.parametrize("lat", [[-30.5, -30.25, 40.0], [-30.4, -30.25, -30.0]])
def test_cells_that_are_not_known_are_refused(lat: list[float]) -> None:
    """The message names the first, the range that is known and the mend."""
    ds = sea()
    scaling = fitted(Anomaly(), ds)
    with pytest.raises(DataError, match=r"'lat' holds .*, which the model's climatology does not know \(it "):
        scaling.normalise(ds.assign_coords(lat=lat))


@pytest.mark.parametrize("time", [None, np.arange(800)])
def test_a_time_without_dates_is_refused(time: np.ndarray | None) -> None:
    """There is no season without dates; the message says how to give them."""
    ds = sea().drop_vars("time") if time is None else sea().assign_coords(time=time)
    with pytest.raises(DataError, match=r"needs dates along 'time' .* give the time axis CF units"):
        fitted(Anomaly(), ds)


@pytest.mark.parametrize("make", SCALINGS[1:])
def test_a_variable_that_holds_nothing_is_refused(make: Callable[[], Scaling]) -> None:
    """All NaN is nothing to learn from, and the message names the variable."""
    with pytest.raises(DataError, match="variable 'sss' has no spread"):
        fitted(make(), sea().assign(sss=sea().sss * np.nan))


def test_a_constant_variable_is_refused() -> None:
    """No spread cannot be divided by."""
    with pytest.raises(DataError, match="variable 'sss' has no spread"):
        fitted(Standard(), sea().assign(sss=xr.zeros_like(sea().sss) + 35))


def test_members_share_one_climatology() -> None:
    """A dimension that is not of the layout is a batch: all its members count, and none has its own."""
    ds = xr.concat([sea(seed=1), sea(seed=2)], "member")
    scaling = Anomaly(shrinkage=0.0).fit(ds, ["sst"], list(SIZES))
    assert scaling.coefficients["sst"].dims == ("harmonic", "lat", "lon")
    single = [fitted(Anomaly(shrinkage=0.0), ds.isel(member=k)).coefficients["sst"] for k in (0, 1)]
    np.testing.assert_allclose(scaling.coefficients["sst"], (single[0] + single[1]) / 2, atol=1e-3)
    assert scaling.normalise(ds).sst.dims == ds.sst.dims
