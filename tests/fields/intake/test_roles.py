"""Roles: fields are told from bounds, positions, flags, counters and errors."""

import numpy as np
import pytest
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.intake.roles import fields_of, time_of

N = 6


def series(dtype="float32", attrs=None, values=None, dims=("time",)):
    """A variable of some values."""
    return dims, np.arange(N) * 0.5 + 1 if values is None else np.asarray(values, dtype), attrs or {}


FIELD = series()
OTHERS = {
    "bounds by attribute": (
        {"time": ("time", np.arange(N), {"bounds": "limits"})},
        "limits",
        "bounds of 'time'",
    ),
    "bounds by name": ({}, "lat_bnds", "bounds"),
    "flag by attribute": ({}, "code", "a flag"),
    "flag by name": ({}, "tas_qc", "a flag"),
    "position": ({}, "lat", "a position"),
    "text": ({}, "site", "text"),
    "dates": ({}, "observed_at", "dates"),
    "no time": ({}, "area", "it has no dimension 'time'"),
    "twice": ({}, "kernel", "it has the dimension 'level' twice"),
    "scalar": ({}, "crs", "a single number"),
    "error": ({}, "tas_uncertainty", "the error of 'tas'"),
    "count": ({}, "tas_count", "a count of observations"),
    "label": ({}, "orbit", "a label or counter"),
    "counter": ({}, "serial", "a counter"),
    "weather code": ({}, "present_weather_code", "a code"),
    "dive": ({}, "profile_num", "a label or counter"),
    "mission of a float": ({}, "CONFIG_MISSION_NUMBER", "a label or counter"),
}
VALUES = {
    "limits": series(values=np.zeros((N, 2)), dims=("time", "two")),
    "lat_bnds": series(values=np.zeros((N, 2)), dims=("time", "two")),
    "code": series(values=[0, 1, 8, 8, 1, 0], attrs={"flag_values": [0, 1, 8]}),
    "tas_qc": series(values=[0, 1, 2, np.nan, 1, 0]),
    "lat": series(attrs={"units": "degrees_north"}),
    "site": series("U3", values=list("abcdef")),
    "observed_at": series("M8[ns]", values=["2001-01-01"] * N),
    "area": series(values=[1.5, 2.5], dims=("basin",)),
    "kernel": series(values=np.eye(3), dims=("level", "level")),
    "crs": ((), 0),
    "tas_uncertainty": series(),
    "tas_count": series("int16", values=[3, 4, 4, 3, 0, 1]),
    "orbit": series("int32", values=[7, 7, 9, 9, 11, 11]),
    "serial": series("int32", values=range(N)),
    "present_weather_code": series(values=[0, 0, 61, 61, np.nan, 71]),
    "profile_num": series(values=[1, 1, 2, 2, 3, 3]),
    "CONFIG_MISSION_NUMBER": series(values=[1, 1, 2, 3, 3, 3]),
}


@pytest.mark.parametrize(("coords", "name", "why"), OTHERS.values(), ids=OTHERS)
def test_what_is_no_field_is_told_with_its_reason(coords, name, why):
    """Next to a field, which stays the only one."""
    ds = xr.Dataset({"tas": FIELD, name: VALUES[name]}, coords)
    assert fields_of(ds, "time") == (["tas"], {name: why})


def test_the_error_of_a_depth_is_no_field():
    """As the pressures of an Argo float have one; the pressures themselves are positions."""
    pressure = series(attrs={"axis": "Z", "units": "decibar"})
    ds = xr.Dataset({"TEMP": FIELD, "PRES_ADJUSTED": pressure, "PRES_ADJUSTED_ERROR": series()})
    fields, others = fields_of(ds, None)
    assert fields == ["TEMP"]
    assert others["PRES_ADJUSTED_ERROR"] == "the error of 'PRES_ADJUSTED'"


FIELDS = {
    "whole numbers": series("int16", values=[300, -20, 4, 4, 17, 1200]),
    "with special values": series(values=[10, 90, 254, 30, 40, 254], attrs={"flag_values": [254]}),
    "downward flux": series(attrs={"positive": "down"}),
    "particles": series("int32", values=[12000, 900, 4, 80, 6, 77]),
}


@pytest.mark.parametrize("variable", FIELDS.values(), ids=FIELDS)
def test_measurements_are_fields_whatever_their_form(variable):
    """Integers, and variables in which a few codes stand among measurements."""
    assert fields_of(xr.Dataset({"particle_count": variable, "tas": FIELD}), "time")[0] == [
        "particle_count",
        "tas",
    ]


def test_a_guess_yields_where_nothing_else_is_left():
    """A count alone in a file is what its owner wants to be filled."""
    assert fields_of(xr.Dataset({"count": VALUES["tas_count"]}), "time")[0] == ["count"]


@pytest.mark.parametrize(
    ("variables", "dim", "expected"),
    [
        ({"x": ("time", [1.0])}, {}, "time"),
        ({"x": (("basin", "date"), [[1.0]])}, {}, "date"),
        ({"x": ("valid", [1.0]), "valid": ("valid", [0], {"axis": "T"})}, {}, "valid"),
        ({"x": ("line", [1.0]), "at": ("line", [0], {"units": "days since 2000-01-01"})}, {}, "line"),
        ({"x": (("time", "step"), [[1.0]])}, {"time": "step"}, "step"),
        ({"x": (("lat", "lon"), [[1.0]])}, {}, None),
    ],
)
def test_the_time_dimension_is_found(variables, dim, expected):
    """As given, by its name, by its coordinate, or by times along it."""
    assert time_of(xr.Dataset(variables), dim) == expected


def test_a_choice_of_times_is_left_to_the_user():
    """Several, or one that is not there."""
    ds = xr.Dataset({n: (n, [0.0], {"standard_name": "time"}) for n in ("time1", "time2")})
    with pytest.raises(DataError, match=r"several time dimensions .time1, time2.; choose one with --dim"):
        time_of(ds)
    with pytest.raises(DataError, match="no dimension 'time3': did you mean"):
        time_of(ds, {"time": "time3"})
