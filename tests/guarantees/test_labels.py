"""What comes in with labels goes out with them, in memory."""

from __future__ import annotations

import xarray as xr
from guarantees import classical
from guarantees.labelled import CALENDARS, assert_attributes, assert_coordinates, data_sets, times
from guarantees.small import assert_close, model, often, promise
from hypothesis import given
from hypothesis import strategies as st

pytestmark = promise
calendars = st.sampled_from(CALENDARS)
calendars = st.sampled_from(CALENDARS)
orders = st.permutations(["time", "lat", "lon"])


@often
@given(ds=data_sets(), keep=st.booleans(), lazy=st.booleans())
def test_a_model_keeps_every_label(ds, keep, lazy):
    """Order, type, coordinates, attributes and encoding: of the variable, its coordinates, the data set."""
    filled = model("learned").interpolate(ds.chunk(time=5) if lazy else ds, keep_observed=keep)
    for name in ("sst", "sst_flag"):
        assert filled[name].dims == ds.sst.dims
        assert_coordinates(filled[name], ds.sst)
    assert filled.sst.dtype == ds.sst.dtype
    assert filled.sst.attrs == ds.sst.attrs | {"ancillary_variables": "sst_flag"}
    for name in ("sst", *ds.sst.coords):
        assert filled[name].encoding == ds[name].encoding, name
    assert filled.encoding.get("unlimited_dims", set()) == ds.encoding["unlimited_dims"]
    assert_attributes(filled, ds)


@often
@given(ds=data_sets(), members=st.sampled_from([None, 2]))
def test_the_data_set_that_is_given_is_not_changed(ds, members):
    """Neither its values nor its labels, also where the result is written on."""
    before, encoding = ds.copy(deep=True), dict(ds.sst.encoding)
    filled = model("learned").interpolate(ds, members=members)
    filled.sst.values[:] = 0
    filled.sst.attrs["units"] = filled.time.attrs["axis"] = "other"
    filled.sst.encoding["dtype"] = "other"
    filled.attrs["title"] = "other"
    xr.testing.assert_identical(ds, before)
    assert ds.sst.encoding == encoding


@often
@given(name=classical.methods, calendar=calendars, year=st.sampled_from([900, 2000]), order=orders)
def test_a_classical_method_keeps_every_label(name, calendar, year, order):
    """In any calendar and any order of dimensions; its standard error is on the same cells."""
    ds = classical.gappy().transpose(*order, ...)
    ds = ds.assign_coords(time=("time", times(calendar, year, classical.DAYS), ds.time.attrs))
    ds.time.encoding = {"units": "days since 1850-01-01", "calendar": calendar}
    found = classical.METHODS[name]().interpolate(ds)
    assert (found.attrs, found.encoding) == (ds.attrs, ds.encoding)
    xr.testing.assert_identical(found.coords.to_dataset(), ds.coords.to_dataset())
    for one in ds.variables:
        assert (found[one].dims, found[one].dtype) == (ds[one].dims, ds[one].dtype)
        assert (found[one].attrs, found[one].encoding) == (ds[one].attrs, ds[one].encoding)
        if f"{one}_std" in found:
            assert found[f"{one}_std"].dims == ds[one].dims
            assert_coordinates(found[f"{one}_std"], ds[one])


@often
@given(name=classical.methods, seed=st.integers(0, 99), order=orders)
def test_the_order_of_dimensions_changes_the_rounding_of_a_classical_method_at_most(name, seed, order):
    """The same numbers, in the order that was given."""
    ds = classical.gappy(seed)
    found, expected = (classical.METHODS[name]().interpolate(d) for d in (ds.transpose(*order, ...), ds))
    assert_close(found, expected)
