"""A user's data set under a model's names: what is matched, turned, converted, and refused."""

from __future__ import annotations

from typing import Any

import dask
import numpy as np
import pytest
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.labels.conform import Conformed, check_same_cells, conform
from da4dvar.fields.labels.signature import Signature

DIMS = ("time", "lat", "lon")


def sea(calendar: str = "standard", start: str = "2001-01-01", freq: str = "D", days: int = 6) -> xr.Dataset:
    """What the model was trained on: temperatures and salinities, NaN in the gaps."""
    generator = np.random.default_rng(0)
    shape = (days, 4, 5)
    values = np.where(generator.random((2, *shape)) < 0.5, generator.standard_normal((2, *shape)), np.nan)
    time = xr.date_range(start, periods=days, freq=freq, calendar=calendar, use_cftime=calendar != "standard")
    return xr.Dataset(
        {
            "sst": (DIMS, 15 + values[0], {"units": "degC", "long_name": "temperature"}),
            "sss": (DIMS, 35 + values[1], {"units": "1e-3"}),
        },
        coords={
            "time": time,
            "lat": ("lat", -40 + 0.25 * np.arange(4), {"standard_name": "latitude"}),
            "lon": ("lon", 150 + 0.25 * np.arange(5), {"units": "degrees_east"}),
        },
        attrs={"title": "a small sea"},
    )


def signature(fixed: tuple[str, ...] = (), variables: tuple[str, ...] = ("sst", "sss")) -> Signature:
    """The signature of `sea`."""
    return Signature.of(sea(), variables, DIMS, fixed)


def conformed(ds: xr.Dataset, **arguments: Any) -> Conformed:
    """A data set under the names of the model of `sea`."""
    return conform(ds, signature(), **arguments)


def assert_is_sea(got: Conformed) -> None:
    """The data are those of `sea`, under its names."""
    expected = sea()
    for name in ("sst", "sss"):
        array = got.data[name].transpose(*DIMS)
        np.testing.assert_allclose(array.values, expected[name].values, rtol=1e-12, atol=1e-12)
    for dim in DIMS:
        np.testing.assert_array_equal(got.data[dim].values, expected[dim].values)


def test_a_data_set_that_fits_is_left_as_it_is() -> None:
    """No note, nothing turned; attributes and variables of the user are kept for the way back."""
    ds = sea()
    got = conformed(ds)
    assert_is_sea(got)
    assert (got.flipped, got.notes, got.attrs) == ([], [], ds.attrs)
    assert got.dims == {d: d for d in DIMS}
    xr.testing.assert_identical(got.sources["sst"], ds.sst)


@pytest.mark.parametrize(
    "attrs",
    [
        {"y": {"axis": "Y"}, "x": {"axis": "X"}},
        {"y": {"standard_name": "latitude"}, "x": {"standard_name": "longitude"}},
        {"y": {"units": "degrees_north"}, "x": {"units": "degreeE"}},
    ],
)
def test_dimensions_are_found_by_their_role(attrs: dict[str, dict[str, str]]) -> None:
    """By CF axis, standard name or units; time by its dates."""
    ds = sea().rename(lat="y", lon="x", time="date")
    for dim, given in attrs.items():
        ds[dim].attrs = given
    got = conformed(ds)
    assert got.dims == {"time": "date", "lat": "y", "lon": "x"}
    assert_is_sea(got)


def test_dimensions_and_variables_are_found_as_told() -> None:
    """Names that say nothing are given."""
    ds = sea().rename(lat="a", lon="b", sst="analysed")
    ds = ds.drop_vars(["a", "b"])
    got = conformed(ds, variable={"sst": "analysed"}, dim={"lat": "a", "lon": "b"})
    assert got.dims == {"time": "time", "lat": "a", "lon": "b"}
    np.testing.assert_array_equal(got.data.sst.values, sea().sst.values)
    assert got.sources["sst"].name == "analysed"


def test_an_error_without_a_message_is_told_by_its_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even a message of xarray's that is empty ends in an IndexError."""

    def fail(*_: Any, **__: Any) -> None:
        raise ValueError

    monkeypatch.setattr(xr, "align", fail)
    with pytest.raises(DataError, match=r"not of the same cells \(ValueError\)"):
        check_same_cells(sea(), sea())


def test_names_may_be_exchanged() -> None:
    """A data set whose `lat` runs along the longitudes can be told so."""
    ds = sea().rename(lat="lon", lon="lat")
    assert_is_sea(conformed(ds, dim={"lat": "lon", "lon": "lat"}))


def test_two_dimensional_coordinates_do_not_stand_in_the_way() -> None:
    """A curvilinear grid has coordinates called as the model's dimensions are."""
    ds = sea().rename(lat="y", lon="x").drop_vars(["y", "x"])
    ds = ds.assign_coords(lat=(("y", "x"), np.ones((4, 5))), lon=(("y", "x"), np.ones((4, 5))))
    got = conformed(ds, dim={"lat": "y", "lon": "x"})
    np.testing.assert_array_equal(got.data.sst.values, sea().sst.values)
    assert set(got.data.coords) == {"time"}


def test_any_order_of_dimensions() -> None:
    """A transposed data set conforms, and comes back in its own order."""
    ds = sea().transpose("lon", "time", "lat")
    got = conformed(ds)
    assert_is_sea(got)
    assert got.restore(got.data.sst).dims == ds.sst.dims


@pytest.mark.parametrize("turned", [["lat"], ["lat", "lon"], ["time"]])
def test_an_axis_that_runs_the_other_way_is_turned_and_turned_back(turned: list[str]) -> None:
    """A descending latitude does for a model of an ascending one."""
    ds = sea().isel({d: slice(None, None, -1) for d in turned})
    got = conformed(ds)
    assert got.flipped == turned
    assert_is_sea(got)
    xr.testing.assert_equal(got.restore(got.data.sst), ds.sst)


def test_the_way_back_has_the_users_names() -> None:
    """An estimate over the model's dimensions returns to the user's, in the user's direction."""
    ds = sea().rename(lat="y", time="date").isel(y=slice(None, None, -1))
    got = conformed(ds)
    xr.testing.assert_equal(got.restore(got.data.sst), ds.sst)


def test_units_are_converted_and_it_is_said() -> None:
    """Kelvin become degrees Celsius, with a note."""
    ds = sea().assign(sst=(sea().sst + 273.15).assign_attrs(units="K"))
    got = conformed(ds)
    assert_is_sea(got)
    assert got.notes == ["sst: converted from K to degC"]
    assert got.data.sst.attrs["units"] == "degC"
    assert ds.sst.attrs["units"] == "K"


def test_units_that_do_not_convert_are_refused() -> None:
    """Metres are no temperature."""
    ds = sea()
    ds.sst.attrs["units"] = "m"
    with pytest.raises(DataError, match="'sst' is in 'm', which cannot be converted to the model's 'degC'"):
        conformed(ds)


@pytest.mark.parametrize("kind", ["bool", "int8", "float32"])
def test_a_mask_says_where_there_are_observations(kind: str) -> None:
    """Non-zero or true is observed; zero, false and missing are not."""
    seen = np.random.default_rng(1).random((6, 4, 5)) < 0.5
    flags = seen.astype(kind)
    if kind == "float32":
        flags = np.where(seen, 2, np.where(np.arange(5) < 2, np.nan, 0)).astype(kind)
    got = conformed(sea().assign(flag=(DIMS, flags)), mask="flag")
    np.testing.assert_array_equal(got.data.sst.values, np.where(seen, sea().sst.values, np.nan))


def test_a_mask_of_the_map_holds_at_all_times() -> None:
    """A mask without time, such as that of land."""
    land = np.zeros((4, 5), bool)
    land[0, 0] = True
    got = conformed(sea().assign(sea=(("lat", "lon"), ~land)), mask="sea")
    assert got.data.sst.dims == DIMS
    assert got.data.sst.isel(lat=0, lon=0).isnull().all()
    np.testing.assert_array_equal(got.data.sst.values[:, 1:], sea().sst.values[:, 1:])


@pytest.mark.parametrize("calendar", ["noleap", "360_day"])
def test_any_calendar(calendar: str) -> None:
    """Dates that numpy does not have are a day apart all the same."""
    got = conformed(sea(calendar))
    assert got.dims["time"] == "time"
    assert got.data.time.values[0].calendar == calendar
    with pytest.raises(DataError, match="steps of 6 hours, but the model was trained on 1 days"):
        conformed(sea(calendar, freq="6h"))


def test_months_are_an_even_step() -> None:
    """Monthly data are 28 to 31 days apart, which is what the model was trained on."""
    monthly = sea(freq="MS", days=12)
    known = Signature.of(monthly, ["sst"], DIMS, [])
    assert conform(sea(freq="MS", days=10, start="2002-03-01"), known).notes == []
    assert conform(sea(freq="MS", days=2, start="2002-02-01"), known).notes == []
    with pytest.raises(DataError, match="steps from 28 days to 61 days, expected 31 days throughout"):
        conform(monthly.isel(time=[0, 1, 2, 4, 5]), known)
    with pytest.raises(DataError, match="steps of 1 days"):
        conform(sea(), known)


def test_a_batch_dimension_is_kept() -> None:
    """A dimension that the model does not know is a batch, for it to solve member by member."""
    ds = xr.concat([sea(), sea()], "member").transpose("time", "member", "lat", "lon")
    assert conformed(ds).data.sst.dims == ("time", "member", "lat", "lon")


def test_integers_are_numbers() -> None:
    """All of an integer variable is observed."""
    got = conformed(sea().fillna(0).astype("int16"))
    assert got.data.sst.notnull().all()


def test_a_single_time_has_no_step_to_check() -> None:
    """One field is a data set too."""
    assert conformed(sea().isel(time=[0])).flipped == []


def test_nothing_is_computed_and_the_input_is_not_changed() -> None:
    """A lazy data set stays lazy, with units to convert, a mask and an axis to turn."""

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
    """`sea` with other coordinates, attributes kept."""
    return sea().assign_coords({dim: (dim, values, sea()[dim].attrs)})


DAYS = np.arange("2001-01-01", "2001-01-07", dtype="datetime64[D]").astype("datetime64[ns]")


@pytest.mark.parametrize(
    ("ds", "text"),
    [
        (
            sea(freq="6h"),
            "'time' has steps of 6 hours, but the model was trained on 1 days; resample",
        ),
        (sea(freq="2D"), "'time' has steps of 2 days, but the model was trained on 1 days"),
        (
            spaced("lat", np.arange(4.0)),
            "'lat' has steps of 1, but the model was trained on 0.25; .* --fit",
        ),
        (
            spaced("time", DAYS[[0, 1, 2, 2, 3, 4]]),
            r"'time' is not monotonic or has duplicates, first at index 3 \(2001-01-03.*\); sort it",
        ),
        (
            spaced("time", DAYS[[0, 2, 1, 3, 4, 5]]),
            "'time' is not monotonic or has duplicates, first at index 2 .*sortby",
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
        (sea().isel(time=slice(0)), "dimension 'time' has no entries; there is nothing to interpolate"),
        (sea().rename(sst="sts"), "there is no variable 'sst': did you mean 'sts'?"),
        (sea().rename(lon="x").drop_vars("x"), "no dimension 'lon' .*; say which one it is with --dim lon=N"),
        (sea().isel(lon=0), r"variable 'sst' has no dimension 'lon' \(it has time, lat\)"),
        (sea().assign(sss=sea().sss.isel(lat=0)), "variable 'sss' has no dimension 'lat'; it has time, lon"),
        (sea().assign(sst=sea().sst.astype(str)), "variable 'sst' holds <U.*, expected numbers"),
    ],
)
def test_a_data_set_that_does_not_fit_is_refused(ds: xr.Dataset, text: str) -> None:
    """The message says what was got, what was expected and what to do."""
    with pytest.raises(DataError, match=text):
        conformed(ds)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"variable": {"sat": "sst"}}, "the model has no variable 'sat': did you mean 'sst'?"),
        ({"dim": {"lan": "lat"}}, "the model has no dimension 'lan': did you mean 'l"),
        ({"variable": {"sst": "tos"}}, "there is no variable 'tos'"),
        ({"dim": {"lat": "latitude"}}, "variable 'sst' has no dimension 'latitude': did you mean 'lat'?"),
        ({"mask": "flags"}, "there is no variable 'flags'"),
    ],
)
def test_names_that_are_not_there_are_refused(arguments: dict[str, Any], text: str) -> None:
    """The nearest name is offered."""
    with pytest.raises(DataError, match=text):
        conformed(sea(), **arguments)


def test_a_dimension_of_two_candidates_is_not_guessed() -> None:
    """Two axes of latitude: the user says which."""
    ds = sea().rename(lat="y").expand_dims(z=[0.0])
    ds["z"].attrs = {"axis": "Y"}
    with pytest.raises(DataError, match=r"has no dimension 'lat' .*--dim lat=NAME"):
        conformed(ds)


def test_a_dimension_that_the_model_holds_whole_must_be_of_its_size() -> None:
    """A model of five stations cannot do with four."""
    with pytest.raises(DataError, match="'lon' has 4 entries, but the model was trained on 5; select"):
        conform(sea().isel(lon=slice(4)), signature(fixed=("lon",)))
    conform(sea().isel(lon=slice(4)), signature())


def test_a_dimension_without_a_coordinate_takes_any() -> None:
    """Nothing was known of its steps, so none are refused."""
    known = Signature.of(sea().drop_vars("lat"), ["sst"], DIMS, [])
    assert conform(spaced("lat", [0.0, 3.0, 7.0, 9.0]), known).flipped == []
