"""Covariates: normalised, complete, folded without redundant channels, and derived from coordinates."""

import numpy as np
import pytest
import xarray as xr

from da4dvar.errors import DataError, RecipeError
from da4dvar.fields.channels import fold, stack_variables
from da4dvar.fields.covariates import Covariates, beside
from da4dvar.fields.derived import derived
from da4dvar.layout import Layout
from da4dvar.training.samples import Samples

LAYOUT = Layout(["sst"], ["lat", "lon"], ["time"], window={"time": 4, "lat": 3})
SIZES = {"time": 7, "lat": 5, "lon": 6}


def sea(seed: int = 0) -> xr.Dataset:
    """Return a field with a topography, an index in time and a complete field."""
    generator = np.random.default_rng(seed)
    dims = {
        "sst": ("time", "lat", "lon"),
        "topography": ("lon", "lat"),
        "index": ("time",),
        "wind": (*SIZES,),
    }
    ds = xr.Dataset({n: (d, generator.normal(3, 2, [SIZES[k] for k in d])) for n, d in dims.items()})
    return ds.assign_coords(time=xr.date_range("2001-01-01", periods=7), lat=np.arange(5))


def made(*names: str, more: tuple[str, ...] = ()) -> Covariates:
    """Return covariates of the test layout, and derived ones."""
    return Covariates(names, more, LAYOUT, "time")


def test_each_is_standardised_by_its_own_mean_and_spread():
    """Training data get mean 0 and deviation 1, other data the same numbers; seasons are not scaled."""
    ds = sea()
    covariates = made("topography", "index").fit(ds)
    found = covariates.normalised(ds)
    for name in ("topography", "index"):
        assert (found[name].dims, float(found[name].mean())) == (ds[name].dims, pytest.approx(0, abs=1e-6))
        assert float(found[name].std()) == pytest.approx(1, abs=1e-5)
    other = covariates.normalised(ds.assign(index=ds["index"] + 2 * ds["index"].std()))
    np.testing.assert_allclose(other["index"], found["index"] + 2, rtol=1e-5)
    found = made(more=("day_of_year",)).fit(sea()).normalised(sea())
    assert float(found.day_of_year_cos.min()) > 0.99


def test_one_without_the_folded_time_is_one_channel():
    """A covariate without time is one channel, others are one for each day of the window."""
    ds = sea()
    assert made("topography").channels(ds, SIZES) == 1
    assert made("topography", "index", "wind").channels(ds, SIZES) == 9
    window = list(np.random.default_rng(0).normal(size=(3, 4, 3, 6)))
    folded = fold(window, [("lat", "lon"), ("time",), ("time", "lat", "lon")], LAYOUT)
    np.testing.assert_array_equal(folded, np.concatenate([window[0][:1], window[1], window[2]]))


@pytest.mark.parametrize("lazy", [False, True])
def test_they_stand_beside_the_observations_on_the_same_cells(lazy):
    """Covariates are broadcast to the cells of the observations and padded with edge values."""
    ds = sea()
    y = stack_variables(ds, LAYOUT).pad(time=(0, 2))
    given = made("topography", "index").fit(ds).normalised(ds)
    if lazy:
        y = y.chunk(time=3)
    joined = beside(y, given, {"time": (0, 2)})
    assert joined.dims == y.dims
    assert (joined.chunks is not None) == lazy
    topography = given.topography.transpose("lat", "lon").values
    np.testing.assert_array_equal(joined[1], np.broadcast_to(topography, (9, 5, 6)))
    np.testing.assert_array_equal(
        joined[2, :, 2, 3], [*given["index"].values, *[given["index"].values[-1]] * 2]
    )


@pytest.mark.parametrize(("change", "message"), [
    (lambda ds: ds.drop_vars("topography"), "no covariate 'topography'"),
    (lambda ds: ds.where(ds.lat != 2), r"'topography' has 6 missing values; .* fill it first"),
    (lambda ds: ds / (ds.lat > 1), r"'topography' has 12 missing values"),
    (lambda ds: ds.assign(topography=ds.topography.astype(str)), "expected numbers"),
    (lambda ds: ds.assign(topography=ds.topography.rename(lat="y")), r"dimension 'y', which 'sst' \("),
    (lambda ds: ds.assign(topography=xr.zeros_like(ds.topography)), "no spread"),
])  # fmt: skip
def test_what_is_no_covariate_is_refused(change, message):
    """Covariates that are missing, incomplete, text, constant or on another grid are refused."""
    with pytest.raises(DataError, match=message):
        made("topography").fit(change(sea()))


@pytest.mark.parametrize(("names", "more", "message"), [
    (["sst"], [], "'sst' is also a variable of the layout"),
    (["wind", "wind"], [], "contains 'wind' twice"), ("wind", [], "expected a list"),
    ([], ["latitud"], "did you mean 'latitude'"),
])  # fmt: skip
def test_names_that_make_no_sense_are_refused(names, more, message):
    """Invalid names are refused before any data are read."""
    with pytest.raises(RecipeError, match=message):
        Covariates(names, more, LAYOUT, "time")


def test_samples_have_the_covariates_of_their_window():
    """The covariates of a drawn window are those of its cells and times."""
    ds = sea()
    ds["wind"] = ds.sst * 2
    given = made("wind", "topography").fit(ds).normalised(ds)
    y = stack_variables(ds, LAYOUT)
    source, generator = Samples(y, y, None, LAYOUT, covariates=given), np.random.default_rng(2)
    for _ in range(5):
        sample = source.draw(generator)
        expected = (2 * sample["target"] - float(ds.wind.mean())) / float(ds.wind.std())
        assert (sample["covariates"].shape, sample["covariates"].dtype) == ((5, 3, 6), np.float32)
        np.testing.assert_allclose(sample["covariates"][:4], expected, atol=1e-5)


def axes(calendar: str = "standard", start: str = "2001-01-01", days: int = 400) -> xr.Dataset:
    """Return coordinates of a small sea."""
    time = xr.date_range(start, periods=days, calendar=calendar, use_cftime=calendar != "standard")
    coords = {
        "time": time,
        "lat": ("lat", [-40.0, -39.0], {"units": "degrees_north"}),
        "lon": ("lon", [150.0, 200.0, 250.0], {"standard_name": "longitude"}),
    }
    return xr.Dataset(coords=coords)


@pytest.mark.parametrize(("calendar", "year"), [("standard", 365.2425), ("noleap", 365), ("360_day", 360)])
def test_day_of_year_goes_round_a_circle_once_a_year(calendar, year):
    """The angle is 2π times the fraction of the year of the calendar."""
    found = derived(axes(calendar, days=300), ["day_of_year"], "time")
    angle = np.arctan2(found.day_of_year_sin, found.day_of_year_cos).values % (2 * np.pi)
    np.testing.assert_allclose(angle, 2 * np.pi * np.arange(300) / year, atol=1e-9)


def test_hours_and_longitudes_go_round_a_circle():
    """The sine is 1 at six and the cosine −1 at noon; both conventions of longitude give the same."""
    ds = xr.Dataset(coords={"time": xr.date_range("2001-01-01", periods=8, freq="6h")})
    found = derived(ds, ["hour_of_day"], "time")
    np.testing.assert_allclose(found.hour_of_day_sin, [0, 1, 0, -1] * 2, atol=1e-9)
    np.testing.assert_allclose(found.hour_of_day_cos, [1, 0, -1, 0] * 2, atol=1e-9)
    ds = axes()
    turned = ds.assign_coords(lon=("lon", ds.lon.values - 360, ds.lon.attrs))
    a, b = (derived(d, ["longitude"], "time").drop_vars("lon") for d in (ds, turned))
    xr.testing.assert_allclose(a, b, atol=1e-12)
    np.testing.assert_allclose(a.longitude_cos, np.cos(np.deg2rad([150, 200, 250])))


@pytest.mark.parametrize(
    "attrs", [{"units": "degrees_north"}, {"standard_name": "latitude"}, {"axis": "Y"}, {}], ids=str
)
def test_latitude_is_known_by_attributes_or_by_its_name(attrs):
    """The latitude is found by CF attributes or, without any, by its name."""
    name = "somewhere" if attrs else "LAT"
    ds = axes().drop_vars("lat").assign_coords({name: ("station", [1.0, 2.0], attrs)})
    found = derived(ds, ["latitude"], "time").latitude
    assert (found.dims, found.values.tolist()) == (("station",), [1.0, 2.0])


@pytest.mark.parametrize(("ds", "name", "message"), [
    (axes().drop_vars("time").assign_coords(time=np.arange(3)), "day_of_year", "needs dates along 'time'"),
    (axes().drop_vars("time"), "day_of_year", "needs dates along 'time'"),
    (axes().drop_vars("lat"), "latitude", "has none"),
    (axes().assign_coords(y=("y", [1.0], {"units": "degrees_north"})), "latitude", r"has 2 \(lat, y\)"),
])  # fmt: skip
def test_a_coordinate_that_is_not_there_is_named(ds, name, message):
    """The message names the derived covariate and what it needs."""
    with pytest.raises(DataError, match=message):
        derived(ds, [name], "time")
