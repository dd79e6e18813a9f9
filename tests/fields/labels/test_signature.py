"""Signatures of data sets."""

import json

import numpy as np
import pytest
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.labels.cf import axis_role, is_dates, spacing, steps
from da4dvar.fields.labels.signature import Dimension, Signature


def sea() -> xr.Dataset:
    """Return a variable on dates, a descending latitude and named stations."""
    return xr.Dataset(
        {"sst": (("time", "lat", "station"), np.zeros((4, 3, 2)), {"units": "degC", "comment": "rough"})},
        coords={
            "time": xr.date_range("2001-01-01", periods=4, freq="6h"),
            "lat": ("lat", [2.0, 1.0, 0.0], {"standard_name": "latitude"}),
            "station": ["a", "b"],
        },
    )


def test_a_signature_says_what_the_data_are():
    """It has attributes, roles, signed spacings and the sizes of fixed dimensions, also after JSON."""
    dims = ["station", "time", "lat"]
    signature = Signature.of(sea(), ["sst"], dims, fixed=["station"])
    assert (signature.variables, list(signature.dims)) == ({"sst": {"units": "degC"}}, dims)
    assert signature.dims["time"] == Dimension(role="T", spacing=6 * 3600.0, dates=True)
    assert signature.dims["lat"] == Dimension(role="Y", standard_name="latitude", spacing=-1.0)
    assert signature.dims["station"] == Dimension(size=2)
    assert Signature.of(sea().drop_vars("lat"), ["sst"], dims, fixed=[]).dims["lat"] == Dimension()
    with pytest.raises(DataError, match=r"no dimension 'latt'.*did you mean 'lat'"):
        Signature.of(sea(), ["sst"], ["time", "latt"], fixed=[])
    table = json.loads(json.dumps(signature.to_dict()))
    assert Signature.from_dict(table) == signature
    assert list(Signature.from_dict(table).dims) == list(signature.dims)


def test_the_axis_precedes_the_units():
    """The role comes from the axis, also if the units have another, and an unknown axis gives none."""
    for attrs, role in (({"axis": "Z", "units": "degrees_north"}, "Z"), ({"axis": "up"}, None), ({}, None)):
        assert axis_role(xr.DataArray([0.0], dims="d", attrs=attrs)) == role


@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day"])
def test_dates_of_any_calendar(calendar):
    """Dates of any calendar are a time axis with steps in seconds."""
    dates = xr.date_range("2001-02-27", periods=4, calendar=calendar, use_cftime=calendar != "standard")
    time = xr.DataArray(dates, dims="time", coords={"time": dates}).time
    assert is_dates(time)
    assert axis_role(time) == "T"
    np.testing.assert_array_equal(steps(time), [86400.0] * 3)
    assert spacing(time) == 86400.0


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0, 10, 20], 10.0), ([3.0, 2.5, 2.0], -0.5), ([0, 1, 2, 10], 1.0), ([4.0], None), (["a", "b"], None)],
)
def test_the_usual_step(values, expected):
    """The spacing is the signed median step, and None without numbers or for a single value."""
    coordinate = xr.DataArray(values, dims="d")
    assert spacing(coordinate) == expected
    assert not is_dates(coordinate)
