"""Tests of optimal interpolation in space and time."""

import numpy as np
import pytest
import xarray as xr

from da4dvar.baselines import solve_kernels
from da4dvar.baselines.optimal_interpolation import OptimalInterpolation
from da4dvar.baselines.places import instants, places
from da4dvar.errors import Da4dvarWarning, DataError
from da4dvar.variational.kernels import Separable, SumOfSeparable

KERNEL = SumOfSeparable((Separable(2.0, 60.0, 4.0, "matern52", "matern32"),), nugget=0.01)
SCALES = {"length": 60.0, "duration": 4.0, "error": 0.2}


def sea(days: int = 30, seen: float = 0.4) -> xr.Dataset:
    """A smooth field on a latitude-longitude grid, with gaps and land in a corner."""
    generator = np.random.default_rng(1)
    t, y, x = np.arange(days)[:, None, None], np.arange(5)[:, None], np.arange(6)
    values = 15 + np.sin(t / 5 + x / 3) + np.cos(y / 2 + t / 7)
    values = np.where(generator.random(values.shape) < seen, values, np.nan)
    values[:, 0, 0] = np.nan
    return xr.Dataset(
        {"sst": (("time", "lat", "lon"), values, {"units": "degC"})},
        coords={
            "time": xr.date_range("2001-01-01", periods=days),
            "lat": ("lat", 40 + 0.25 * np.arange(5), {"units": "degrees_north"}),
            "lon": ("lon", 5 + 0.25 * np.arange(6), {"units": "degrees_east"}),
        },
    )


def test_it_beats_the_mean_on_hidden_cells_by_far():
    """With estimated scales, the error on hidden cells is below 0.15 of the spread."""
    hidden = sea().sst.isnull() & sea(seen=1.0).sst.notnull()
    out = OptimalInterpolation().interpolate(sea())
    error = (out.sst - sea(seen=1.0).sst).where(hidden)
    assert float(error.std()) < 0.15 * float(sea().sst.std())


@pytest.mark.parametrize(
    ("ds", "options"), [(sea(12), SCALES), (sea(12).drop_vars(["lat", "lon"]), {"neighbours": 5})]
)
def test_the_order_of_cells_does_not_matter(ds, options):
    """The order of dimensions and latitudes has no effect, even if neighbours are equidistant."""
    solve = OptimalInterpolation(**options).interpolate
    expected = solve(ds)
    others = [solve(ds.transpose("lon", "time", "lat")).transpose(*ds.sst.dims)]
    if "lat" in ds.coords:
        others.append(solve(ds.isel(lat=slice(None, None, -1))).sortby("lat"))
    for other in others:
        xr.testing.assert_allclose(other, expected, rtol=1e-5)


def test_longitudes_may_be_counted_from_anywhere():
    """Longitudes of 5 and 365 degrees east are equivalent."""
    east = sea().assign_coords(lon=("lon", sea().lon.values + 360, sea().lon.attrs))
    both = (places(ds.sst, ["lat", "lon"]) for ds in (sea(), east))
    np.testing.assert_allclose(*both, atol=1e-6)


def test_one_observation_is_its_cell_and_nothing_else():
    """A single observation fills its cell at all times, with an unknown error; without any, all is NaN."""
    ds = sea() * np.nan
    assert OptimalInterpolation().interpolate(ds).sst.isnull().all()
    ds.sst[3, 2, 2] = 17.0
    out = OptimalInterpolation().interpolate(ds)
    np.testing.assert_allclose(out.sst[:, 2, 2], 17.0)
    assert int(out.sst.notnull().sum()) == ds.sizes["time"]
    assert out.sst_std.isnull().all()


def test_stations_are_as_far_apart_as_on_the_globe():
    """Distances are those on the sphere: at 60 degrees north, across the date line too."""
    y = xr.DataArray(np.zeros((2, 4)), dims=("time", "station")).assign_coords(
        lat=("station", [60.0, 61.0, 60.0, 60.0]), lon=("station", [179.5, 179.5, -179.5, 179.5])
    )
    place = places(y, ["station"])
    apart = np.linalg.norm(place - place[0], axis=1)
    np.testing.assert_allclose(apart, [0, 111.2, 55.6, 0], atol=0.05)


def test_the_unit_of_distance_is_that_of_the_coordinates():
    """Distances are in km for coordinates in metres, and in cells without coordinates."""
    y = xr.DataArray(np.zeros((2, 3, 2)), dims=("time", "y", "x"))
    np.testing.assert_array_equal(places(y, ["y", "x"])[:3], [[0, 0], [0, 1], [1, 0]])
    metres = y.assign_coords({d: (d, 500.0 * np.arange(y.sizes[d]), {"units": "m"}) for d in ("y", "x")})
    np.testing.assert_array_equal(places(metres, ["y", "x"])[:3], [[0, 0], [0, 0.5], [0.5, 0]])


@pytest.mark.parametrize("calendar", [None, "noleap"])
def test_time_is_in_days(calendar):
    """Time is in days for dates, in its own units for numbers, and in steps without a coordinate."""
    y = xr.DataArray(np.zeros(3), dims="time")
    np.testing.assert_array_equal(instants(y, "time"), [0, 1, 2])
    np.testing.assert_array_equal(instants(y.assign_coords(time=[1.0, 2.5, 9.0]), "time"), [0, 1.5, 8])
    dates = xr.date_range("2001-06-01", periods=400, calendar=calendar or "standard")[[0, 16, 365]]
    np.testing.assert_allclose(instants(y.assign_coords(time=dates), "time"), [0, 16, 365])


def test_a_plain_series_is_filled():
    """A series without space dimensions is filled from its neighbours in time, about its mean."""
    y = np.array([1.0, np.nan, 3.0, 2.0, np.nan, 0.5])
    out = OptimalInterpolation(duration=1.5, error=0.3).interpolate(xr.Dataset({"x": ("time", y)}))
    assert 1.0 < float(out.x[1]) < 3.0
    assert 0.5 < float(out.x[4]) < 2.0


def test_space_is_found_or_asked_for():
    """Up to two other dimensions are space by default, three are ambiguous, and `()` means none."""
    ds = sea().drop_vars(["lat", "lon"]).rename(lat="row", lon="column")
    by_cells = {"covariance": SumOfSeparable((Separable(2.0, 2.0, 4.0),), nugget=0.01)}
    alone = OptimalInterpolation(space=(), **by_cells).interpolate(ds).sst
    assert not np.allclose(alone, OptimalInterpolation(**by_cells).interpolate(ds).sst, equal_nan=True)
    deep = ds.expand_dims(level=2)
    with pytest.raises(DataError, match="name those of space"):
        OptimalInterpolation().interpolate(deep)
    told = OptimalInterpolation(space=("row", "column"), **by_cells).interpolate(deep)
    np.testing.assert_allclose(told.sst[1], OptimalInterpolation(**by_cells).interpolate(ds).sst)


def test_a_season_is_the_background():
    """Half a year without observations gets the season of the other years."""
    time = xr.DataArray(xr.date_range("2001-01-01", periods=1461), dims="time")
    season = 10 + 5 * np.cos(2 * np.pi * (time.dt.dayofyear.values - 1) / 365.2425)
    noisy = season + np.random.default_rng(0).normal(0, 0.3, season.size)
    noisy[500:680] = np.nan
    ds = xr.Dataset({"t2m": ("time", noisy)}, coords={"time": time.values})
    out = OptimalInterpolation(duration=3.0, error=0.3).interpolate(ds)
    assert np.abs(out.t2m.values - season)[510:670].max() < 0.5


def test_what_cannot_be_placed_is_refused():
    """Unknown dimensions and stations without a position are refused."""
    with pytest.raises(DataError, match="variable 'sst' has no dimension 'x'"):
        OptimalInterpolation(space=("x",)).interpolate(sea())
    stations = sea().stack(station=("lat", "lon")).reset_index("station")
    stations = stations.assign_coords(lat=stations.lat.where(stations.lat > 40.1))
    with pytest.raises(DataError, match="variable 'sst': a position is missing"):
        OptimalInterpolation().interpolate(stations)


def test_a_time_without_observations_is_filled_and_land_stays_empty():
    """NaN never spreads, neither into the estimate nor into its standard error."""
    ds = sea(12)
    ds.sst[10] = np.nan
    out = OptimalInterpolation().interpolate(ds)
    for name in ("sst", "sst_std"):
        assert out[name].isel(lat=0, lon=0).isnull().all()
        assert int(out[name].isnull().sum()) == ds.sizes["time"]


def test_a_solve_that_does_not_converge_gives_way_to_neighbours(monkeypatch):
    """A warning says so, and the estimate is still close to that of all observations."""
    method = OptimalInterpolation(covariance=KERNEL)
    expected = method.interpolate(sea())
    monkeypatch.setattr(solve_kernels, "FEW", 0)
    monkeypatch.setattr(solve_kernels, "IN_DOUBLE", 0)
    with pytest.warns(Da4dvarWarning, match="left a residual of .* from the 60 nearest observations instead"):
        found = OptimalInterpolation(covariance=KERNEL, iterations=1).interpolate(sea())
    assert float(np.abs(found.sst - expected.sst).max()) < 0.2


@pytest.mark.parametrize("seen", ["none", "one"])
def test_a_background_of_zero_needs_no_data(seen):
    """With a given covariance, anomalies are estimated in all cells, with σ = s far from the observations."""
    ds = sea().where(False)
    if seen == "one":
        ds["sst"][0, 2, 2] = 2.0
    method = OptimalInterpolation(background="zero", covariance=KERNEL)
    out = method.interpolate(ds)
    assert out.sst.notnull().all()
    assert float(out.sst_std[-1].min()) == pytest.approx(2**0.5, rel=1e-3)
    assert float(out.sst[0, 2, 2]) == pytest.approx(2 * 2 / 2.01 if seen == "one" else 0, rel=1e-3)
    assert method.samples(ds, 2).sst.notnull().all()
    assert method.fitted(sea()).background == "zero"
    with pytest.raises(DataError, match="expected 'estimated', or 'zero' without a history"):
        OptimalInterpolation(background="zero", history=sea())
