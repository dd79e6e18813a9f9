"""Data sets under the names of a model: matching, conversion and errors."""

from typing import Any

import dask
import numpy as np
import pytest
import xarray as xr
from examples import gappy_sst

from da4dvar.errors import DataError
from da4dvar.fields.labels.conform import Conformed, check_same_cells, conform
from da4dvar.fields.labels.signature import Signature

DIMS = ("time", "lat", "lon")


def sea(start: str = "2001-01-01", freq: str = "D", days: int = 6) -> xr.Dataset:
    """Return the training data: temperature and salinity, NaN in the gaps."""
    ds = gappy_sst(days, part=0.5).isel(lat=slice(3, 7), lon=slice(3, None)).drop_encoding()
    ds["sss"] = (ds.sst + 20).assign_attrs(units="1e-3")
    return ds.assign_coords(time=xr.date_range(start, periods=days, freq=freq))


def signature(fixed: tuple[str, ...] = (), variables: tuple[str, ...] = ("sst", "sss")) -> Signature:
    """Return the signature of `sea`."""
    return Signature.of(sea(), variables, DIMS, fixed)


def conformed(ds: xr.Dataset, **arguments: Any) -> Conformed:
    """Return a data set under the names of the model of `sea`."""
    return conform(ds, signature(), **arguments)


def assert_is_sea(got: Conformed) -> None:
    """Check that the data are those of `sea`, under its names."""
    expected = sea()
    for name in ("sst", "sss"):
        array = got.data[name].transpose(*DIMS)
        np.testing.assert_allclose(array.values, expected[name].values, rtol=1e-5)
    for dim in DIMS:
        np.testing.assert_array_equal(got.data[dim].values, expected[dim].values)


@pytest.mark.parametrize("attrs", [
    {"y": {"axis": "Y"}, "x": {"axis": "X"}},
    {"y": {"standard_name": "latitude"}, "x": {"standard_name": "longitude"}},
    {"y": {"units": "degrees_north"}, "x": {"units": "degreeE"}},
])  # fmt: skip
def test_dimensions_are_found_by_their_role(attrs):
    """Dimensions are found by CF axis, standard name, units or dates."""
    ds = sea().rename(lat="y", lon="x", time="date")
    for dim, given in attrs.items():
        ds[dim].attrs = given
    got = conformed(ds)
    assert got.dims == {"time": "date", "lat": "y", "lon": "x"}
    assert_is_sea(got)


def test_dimensions_and_variables_are_found_as_told():
    """Names can be given, exchanged, and used by two-dimensional coordinates; other dimensions are kept."""
    ds = sea().rename(lat="a", lon="b", sst="analysed").drop_vars(["a", "b"]).expand_dims(member=2)
    ds = ds.assign_coords(lat=(("a", "b"), np.ones((4, 5))), lon=(("a", "b"), np.ones((4, 5))))
    got = conformed(ds, variable={"sst": "analysed"}, dim={"lat": "a", "lon": "b"})
    assert (got.dims, got.data.sst.dims) == ({"time": "time", "lat": "a", "lon": "b"}, ("member", *DIMS))
    assert set(got.data.coords) == {"time"}
    np.testing.assert_array_equal(got.data.sst[1], sea().sst)
    assert got.sources["sst"].name == "analysed"
    assert_is_sea(conformed(sea().rename(lat="lon", lon="lat"), dim={"lat": "lon", "lon": "lat"}))


def test_an_error_without_a_message_is_told_by_its_type(monkeypatch):
    """An xarray error without a message is reported by its type."""

    def fail(*_: Any, **__: Any) -> None:
        raise ValueError

    monkeypatch.setattr(xr, "align", fail)
    with pytest.raises(DataError, match=r"not on the same cells \(ValueError\)"):
        check_same_cells(sea(), sea())


@pytest.mark.parametrize("turned", [[], ["lat"], ["lat", "lon"], ["time"]])
@pytest.mark.parametrize("order", [DIMS, ("lon", "time", "lat")])
def test_order_direction_and_names_are_restored(turned, order):
    """Transposed and reversed data with other names are matched, and results are restored to them."""
    ds = sea().isel({d: slice(None, None, -1) for d in turned}).transpose(*order)
    ds = ds.rename(time="date", lat="y")
    got = conformed(ds)
    assert (got.flipped, got.notes, got.attrs) == (turned, [], ds.attrs)
    assert_is_sea(got)
    xr.testing.assert_equal(got.restore(got.data.sst), ds.sst)


def test_units_are_converted_and_it_is_said():
    """Units are converted with a note."""
    ds = sea().assign(sst=(sea().sst + 273.15).assign_attrs(units="K"))
    got = conformed(ds)
    assert_is_sea(got)
    assert got.notes == ["sst: converted from K to degC for the model; the result is in K"]
    assert got.data.sst.attrs["units"] == "degC"
    assert ds.sst.attrs["units"] == "K"


@pytest.mark.parametrize("kind", ["bool", "int8", "float32", "map"])
def test_a_mask_says_where_there_are_observations(kind):
    """Non-zero or true is observed; zero, false and missing are not. A mask of a map holds at all times."""
    seen = np.random.default_rng(1).random((6, 4, 5)) < 0.5
    dims, flags = DIMS, seen.astype("bool" if kind == "map" else kind)
    if kind == "map":
        seen, dims, flags = np.broadcast_to(seen[0], seen.shape), DIMS[1:], flags[0]
    if kind == "float32":
        flags = np.where(seen, 2, np.where(np.arange(5) < 2, np.nan, 0)).astype(kind)
    got = conformed(sea().assign(flag=(dims, flags)), mask="flag")
    np.testing.assert_array_equal(got.data.sst.values, np.where(seen, sea().sst.values, np.nan))


def test_months_are_an_even_step():
    """Monthly data with steps of 28 to 31 days are accepted, gaps in them are not."""
    monthly = sea(freq="MS", days=12)
    known = Signature.of(monthly, ["sst"], DIMS, [])
    assert conform(sea(freq="MS", days=10, start="2002-03-01"), known).notes == []
    assert conform(sea(freq="MS", days=2, start="2002-02-01"), known).notes == []
    with pytest.raises(DataError, match="steps from 28 days to 61 days, expected 31 days throughout"):
        conform(monthly.isel(time=[0, 1, 2, 4, 5]), known)
    with pytest.raises(DataError, match="steps of 1 days"):
        conform(sea(), known)


def test_nothing_is_computed_and_the_input_is_not_changed():
    """Lazy data stay lazy under unit conversion, a mask and reversal of an axis."""

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("computed too early")

    ds = sea().assign(sst=(sea().sst + 273.15).assign_attrs(units="K"), flag=(DIMS, np.ones((6, 4, 5))))
    ds = ds.isel(lat=slice(None, None, -1)).chunk(time=2)
    before = ds.copy(deep=True)
    with dask.config.set(scheduler=never):
        got = conformed(ds, mask="flag")
    assert got.data.sst.chunks is not None
    assert_is_sea(got)
    xr.testing.assert_identical(ds, before)


def spaced(dim: str, values: Any) -> xr.Dataset:
    """Return `sea` with other coordinate values, with the same attributes."""
    return sea().assign_coords({dim: (dim, values, sea()[dim].attrs)})


DAYS = np.arange("2001-01-01", "2001-01-07", dtype="datetime64[D]").astype("datetime64[ns]")


@pytest.mark.parametrize(("ds", "text"), [
    (sea(freq="6h"), "'time' has steps of 6 hours, but the model was trained on 1 days; resample"),
    (sea(freq="2D"), "'time' has steps of 2 days, but the model was trained on 1 days"),
    (spaced("lat", np.arange(4.0)), "'lat' has steps of 1, but the model was trained on 0.25; .* --model"),
    (
        spaced("time", DAYS[[0, 1, 2, 2, 3, 4]]),
        r"'time' is not monotonic or has duplicates, first at index 3 \(2001-01-03.*\); sort it",
    ),
    (
        spaced("time", np.append(DAYS[:5], DAYS[5] + np.timedelta64(3, "D"))),
        "'time' has steps from 1 days to 4 days, expected 1 days throughout; reindex",
    ),
    (
        spaced("time", np.arange(6)),
        "'time' holds int64, but the model was trained on dates, 86400 s apart; give it CF units",
    ),
    (
        spaced("lat", list("abcd")),
        r"'lat' holds <U1, but the model was trained on numbers, 0.25 apart; .*drop_vars\('lat'\)",
    ),
    (spaced("lat", DAYS[:4]), "'lat' holds datetime64.*, but the model was trained on numbers"),
    (sea().rename(lon="x").drop_vars("x"), "no dimension 'lon' .*; choose one with --dim lon=NAME"),
    (
        sea().rename(lat="y").expand_dims(z=1).assign_coords(z=("z", [0.0], {"axis": "Y"})),
        "no dimension 'lat' .*--dim lat=NAME",
    ),
    (sea().isel(lon=0), r"variable 'sst' has no dimension 'lon' \(it has time, lat\)"),
    (sea().assign(sss=sea().sss.isel(lat=0)), "variable 'sss' has no dimension 'lat'; it has time, lon"),
])  # fmt: skip
def test_a_data_set_that_does_not_fit_is_refused(ds, text):
    """The message states what was found and expected, and what to do."""
    with pytest.raises(DataError, match=text):
        conformed(ds)


@pytest.mark.parametrize(("arguments", "text"), [
    ({"variable": {"sat": "sst"}}, "the model has no variable 'sat': did you mean 'sst'?"),
    ({"dim": {"lan": "lat"}}, "the model has no dimension 'lan': did you mean 'l"),
    ({"variable": {"sst": "tos"}}, "there is no variable 'tos'"),
    ({"dim": {"lat": "latitude"}}, "variable 'sst' has no dimension 'latitude': did you mean 'lat'?"),
    ({"mask": "flags"}, "there is no variable 'flags'"),
])  # fmt: skip
def test_names_that_are_not_there_are_refused(arguments, text):
    """The message suggests the nearest name."""
    with pytest.raises(DataError, match=text):
        conformed(sea(), **arguments)


def test_a_dimension_that_the_model_holds_whole_must_be_of_its_size():
    """A dimension that is fixed has its size; one without a coordinate in training accepts any steps."""
    with pytest.raises(DataError, match="'lon' has 4 entries, but the model was trained on 5; select"):
        conform(sea().isel(lon=slice(4)), signature(fixed=("lon",)))
    conform(sea().isel(lon=slice(4)), signature())
    known = Signature.of(sea().drop_vars("lat"), ["sst"], DIMS, [])
    assert conform(spaced("lat", [0.0, 3.0, 7.0, 9.0]), known).flipped == []
