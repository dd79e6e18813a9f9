"""Data sets with everything that a file may contain: calendars, attributes, encoding, coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from guarantees.small import data
from hypothesis import strategies as st

CALENDARS = ("standard", "proleptic_gregorian", "noleap", "all_leap", "360_day", "julian")
UNITS = ("days since 1850-01-01", "hours since 1990-01-01 12:00:00", "seconds since 2001-01-01")
PACKINGS: tuple[dict[str, Any], ...] = (
    {},
    {"dtype": np.dtype("float64"), "_FillValue": -999.0},
    {"dtype": np.dtype("int16"), "scale_factor": 0.01, "_FillValue": np.int16(-32768)},
    {"dtype": np.dtype("int16"), "scale_factor": 0.01, "missing_value": np.int16(-32768)},
    {"dtype": np.dtype("int32"), "scale_factor": 1e-4, "add_offset": 10.0, "_FillValue": np.int32(-1)},
)
ATTRIBUTES: tuple[dict[str, Any], ...] = (
    {},
    {"comment": "å, ε and 海"},
    {"cell_methods": "time: mean", "valid_min": np.float32(-5), "observation_error_std": 0.3},
)


def times(calendar: str, year: int, days: int) -> Any:
    """Return days around the end of February, including calendars that numpy does not support."""
    known = calendar in ("standard", "proleptic_gregorian") and 1700 < year < 2200
    return xr.date_range(f"{year:04d}-02-20", periods=days, calendar=calendar, use_cftime=not known)


@st.composite
def data_sets(draw: st.DrawFn) -> xr.Dataset:
    """Draw a gappy data set with arbitrary labels."""
    days = draw(st.integers(8, 14))
    calendar, year = draw(st.sampled_from(CALENDARS)), draw(st.sampled_from([900, 1999, 2000, 2400]))
    ds = data("learned", days, draw(st.integers(0, 99)), draw(st.sampled_from([0.05, 0.5])))[["sst"]]
    ds = ds.astype(draw(st.sampled_from(["float32", "float64"])))
    ds.sst.attrs = {
        "units": "degC",
        "standard_name": "sea_surface_temperature",
        **draw(st.sampled_from(ATTRIBUTES)),
    }
    ds.sst.encoding = dict(draw(st.sampled_from(PACKINGS)))
    ds = ds.assign_coords(
        time=("time", times(calendar, year, days), {"axis": "T", "long_name": "day"}),
        area=(("lat", "lon"), np.ones((9, 8), "float32"), {"units": "km2"}),
        row=("lat", [f"row {k}" for k in range(9)]),
        depth=((), np.float32(0.5), {"positive": "down", "units": "m"}),
        month=("time", np.arange(days, dtype="int8")),
    )
    ds.time.encoding = {
        "units": draw(st.sampled_from(UNITS)),
        "calendar": calendar,
        "dtype": np.dtype("float64"),
        "_FillValue": None,
    }
    for name in ("lat", "lon", "area"):
        ds[name].encoding = {"_FillValue": None}
    ds.attrs = {"title": "a small sea", "history": "made by hand", "Conventions": "CF-1.11"}
    ds.encoding = {"unlimited_dims": draw(st.sampled_from([set(), {"time"}]))}
    turned = draw(st.sets(st.sampled_from(["time", "lat", "lon"])))
    return ds.isel({d: slice(None, None, -1) for d in sorted(turned)}).transpose(
        *draw(st.permutations(["time", "lat", "lon"]))
    )


def assert_coordinates(found: xr.DataArray, given: xr.DataArray) -> None:
    """Compare the names, values, types and attributes of coordinates."""
    xr.testing.assert_identical(
        found.coords.to_dataset().drop_encoding(), given.coords.to_dataset().drop_encoding()
    )
    for name in given.coords:
        assert found[name].dtype == given[name].dtype, name
