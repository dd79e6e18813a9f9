"""Labels are preserved in memory."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from guarantees import classical
from guarantees.labelled import CALENDARS, assert_coordinates, data_sets, times
from guarantees.small import model, often
from hypothesis import given
from hypothesis import strategies as st

pytestmark = [
    pytest.mark.guarantee,
    pytest.mark.filterwarnings("ignore::da4dvar.errors.Da4dvarWarning"),
]


@often
@given(ds=data_sets(), keep=st.booleans(), lazy=st.booleans())
def test_a_model_keeps_every_label(ds, keep, lazy):
    """Order, type, coordinates, attributes and encoding are kept."""
    filled = model("learned").interpolate(ds.chunk(time=5) if lazy else ds, keep_observed=keep)
    for name in ("sst", "sst_flag"):
        assert filled[name].dims == ds.sst.dims
        assert_coordinates(filled[name], ds.sst)
    assert filled.sst.dtype == ds.sst.dtype
    assert filled.sst.attrs == ds.sst.attrs | {"ancillary_variables": "sst_flag"}
    for name in ("sst", *ds.sst.coords):
        assert filled[name].encoding == ds[name].encoding, name
    assert filled.encoding.get("unlimited_dims", set()) == ds.encoding["unlimited_dims"]
    history = filled.attrs.pop("history").split("\n")
    assert history[1:] == [ds.attrs["history"]]
    assert filled.attrs == {k: v for k, v in ds.attrs.items() if k != "history"}


@often
@given(ds=data_sets(), members=st.sampled_from([0, 2]))
def test_the_data_set_that_is_given_is_not_changed(ds, members):
    """Neither the call nor later changes of its result modify the input."""
    before, encoding = ds.copy(deep=True), dict(ds.sst.encoding)
    filled = model("learned").interpolate(ds, members=members)
    filled.sst.values[:] = 0
    filled.sst.attrs["units"] = filled.time.attrs["axis"] = "other"
    filled.sst.encoding["dtype"] = "other"
    filled.attrs["title"] = "other"
    xr.testing.assert_identical(ds, before)
    assert ds.sst.encoding == encoding


@often
@given(
    name=classical.methods,
    calendar=st.sampled_from(CALENDARS),
    year=st.sampled_from([900, 2000]),
    order=st.permutations(["time", "lat", "lon"]),
)
def test_a_classical_method_keeps_every_label(name, calendar, year, order):
    """Labels are kept in any calendar and order, also by standard errors."""
    ds = classical.gappy().transpose(*order, ...)
    ds = ds.assign_coords(time=("time", times(calendar, year, classical.DAYS), ds.time.attrs))
    ds.time.encoding = {"units": "days since 1850-01-01", "calendar": calendar}
    found = classical.METHODS[name]().interpolate(ds)
    assert (found.attrs, found.encoding) == (ds.attrs, ds.encoding)
    xr.testing.assert_identical(found.coords.to_dataset(), ds.coords.to_dataset())
    for one in ds.variables:
        assert found[one].dims == ds[one].dims
        assert found[one].dtype == ds[one].dtype
        assert found[one].attrs == ds[one].attrs
        assert found[one].encoding == ds[one].encoding
    for one in ds.data_vars:
        if f"{one}_std" in found:
            assert found[f"{one}_std"].dims == ds[one].dims
            assert_coordinates(found[f"{one}_std"], ds[one])


@often
@given(name=classical.methods, seed=st.integers(0, 99), order=st.permutations(["time", "lat", "lon"]))
def test_the_order_of_dimensions_changes_the_rounding_of_a_classical_method_at_most(name, seed, order):
    """Results are equal up to rounding."""
    ds = classical.gappy(seed)
    found, expected = (classical.METHODS[name]().interpolate(d) for d in (ds.transpose(*order, ...), ds))
    for one in expected.data_vars:
        again = found[one].transpose(*expected[one].dims).values
        np.testing.assert_allclose(again, expected[one].values, rtol=1e-5, atol=1e-5, err_msg=str(one))
