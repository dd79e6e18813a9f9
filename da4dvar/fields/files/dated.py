"""Files of one date each, without a time dimension, as daily maps of satellites are often given."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from da4dvar.errors import DataError, warn
from da4dvar.fields.intake.roles import BOUNDS, is_time, references, time_of

# Attributes of a file with the date of its data, the most reliable first.
ATTRIBUTES = ("time_coverage_start", "start_time", "start_date", "date", "RangeBeginningDate")
# Formats of a date in a file name, by its number of digits.
FORMATS = {14: "%Y%m%d%H%M%S", 12: "%Y%m%d%H%M", 10: "%Y%m%d%H", 8: "%Y%m%d", 7: "%Y%j", 6: "%Y%m", 4: "%Y"}
YEARS = range(1800, 2200)


def with_dates(opened: Sequence[xr.Dataset], files: Sequence[str]) -> list[xr.Dataset]:
    """Give data sets without a time dimension one, with the date that each states.

    Parameters
    ----------
    opened : sequence of Dataset
        Data sets to be joined.
    files : sequence of str
        Their files.

    Returns
    -------
    list of Dataset
        The data sets unchanged if any of them has a time dimension, otherwise with a dimension ``time`` of
        one entry, from a scalar variable of the time, an attribute such as ``time_coverage_start``, or the
        name of the file.

    Raises
    ------
    DataError
        If the files do not state different dates.

    Warns
    -----
    Da4dvarWarning
        If dates were added.
    """
    if any(time_of(ds) is not None for ds in opened) or not any(ds.dims for ds in opened):
        return list(opened)
    if (found := dates_of(opened, files)) is None:
        raise DataError(
            f"the {len(files)} files have no time dimension, and neither their attributes (such as "
            "time_coverage_start) nor their names state a different date for each; add one with "
            "ds.expand_dims(time=[date])"
        )
    dates, where = found
    warn(
        f"the {len(files)} files have no time dimension; they are joined along 'time' by the date in "
        f"{where} ({min(dates):%Y-%m-%d} to {max(dates):%Y-%m-%d})"
    )
    return [expanded(ds, date) for ds, date in zip(opened, dates, strict=True)]


def dates_of(opened: Sequence[xr.Dataset], files: Sequence[str]) -> tuple[list[datetime], str] | None:
    """Return a date for each data set, all different, and where they were found; None if there are none."""
    scalars = [n for n, v in opened[0].variables.items() if not v.ndim and is_time(opened[0][n])]
    for name in map(str, scalars):
        values = [ds[name].values for ds in opened if name in ds.variables]
        if all(np.issubdtype(v.dtype, np.datetime64) for v in values):
            dates = [pd.Timestamp(v[()]).to_pydatetime() for v in values]
            if complete(dates, files):
                return dates, f"their variable {name!r}"
    for name in ATTRIBUTES:
        if complete(dates := [_parsed(ds.attrs.get(name)) for ds in opened], files):
            return [d for d in dates if d], f"their attribute {name}"
    if complete(dates := [date_in(Path(file).name) for file in files], files):
        return [d for d in dates if d], "their names"
    return None


def complete(dates: Sequence[datetime | None], files: Sequence[str]) -> bool:
    """Whether every file has a date, and no two have the same."""
    return None not in dates and len(set(dates)) == len(files)


def _parsed(text: object) -> datetime | None:
    """Return the date in an attribute, or None."""
    try:
        date = pd.Timestamp(str(text)) if text is not None else pd.NaT
    except ValueError:
        return None
    if date is pd.NaT:
        return None
    naive: datetime = date.tz_localize(None).to_pydatetime()
    return naive


def date_in(name: str) -> datetime | None:
    """Return the first date in a file name, or None.

    Examples
    --------
    >>> date_in("A2008032.L3m_DAY_CHL.nc"), date_in("sst-2001-02-03.nc")
    (datetime.datetime(2008, 2, 1, 0, 0), datetime.datetime(2001, 2, 3, 0, 0))
    """
    joined = re.sub(r"(\d{4})[-_.](\d{2})[-_.](\d{2})(?!\d)", r"\1\2\3", name)
    joined = re.sub(r"(\d{8})T(\d{4,6})(?!\d)", r"\1\2", joined)
    for digits in sorted(re.findall(r"\d+", joined), key=len, reverse=True):
        # Two days of the year in a row are the first and the last of a period.
        for text in (digits, digits[:7] if len(digits) == 14 else digits):
            try:
                date = datetime.strptime(text, FORMATS.get(len(text), " "))
            except ValueError:
                continue
            if date.year in YEARS:
                return date
    return None


def expanded(ds: xr.Dataset, date: datetime) -> xr.Dataset:
    """Add a time dimension to the variables on the grid of a data set."""
    ds = ds.drop_vars("time", errors="ignore")
    grid = {d for c in ds.coords.values() for d in c.dims}
    fixed = references(ds)
    on_grid = [
        str(n)
        for n, v in ds.data_vars.items()
        if v.ndim and n not in fixed and not BOUNDS.fullmatch(str(n)) and (set(v.dims) <= grid or not grid)
    ]
    dates = np.array([date], dtype="datetime64[ns]")
    out = ds.assign({n: _with_time(ds[n]) for n in on_grid})
    return out.assign_coords(time=("time", dates, {"standard_name": "time", "axis": "T"}))


def _with_time(array: xr.DataArray) -> xr.DataArray:
    """Add a time dimension of one entry, keeping the encoding."""
    longer = array.expand_dims("time")
    longer.encoding = {k: v for k, v in array.encoding.items() if "chunk" not in k}
    return longer
