"""Reading of points from tables: a pandas DataFrame, or a CSV file with a header."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from da4dvar.errors import DataError, first_line
from da4dvar.fields.intake.roles import TIMES
from da4dvar.fields.points.geometries import PLATFORMS, TABLES, Say, from_dataset
from da4dvar.fields.points.record import OBS, Points

UNITS = re.compile(r"(?P<name>.*?)\s*[\[(](?P<units>[^\])]*)[\])]\s*")
COLUMNS = {
    "time": ("time", *TIMES),
    "lat": ("lat", "latitude", "y"),
    "lon": ("lon", "longitude", "long", "lng", "x"),
    "depth": ("depth", "pressure", "pres", "height", "altitude", "z"),
    "error": ("error", "err", "std", "sigma", "uncertainty", "stderr", "standard_error"),
    "platform": (*PLATFORMS, *(f"{p}_{t}" for p in PLATFORMS for t in sorted(TABLES)), "id"),
}
AXES = {
    "lat": {"standard_name": "latitude", "units": "degrees_north"},
    "lon": {"standard_name": "longitude", "units": "degrees_east"},
    "depth": {"axis": "Z"},
    "time": {"standard_name": "time"},
}


def from_frame(
    frame: pd.DataFrame,
    variable: Mapping[str, str] | Sequence[str] | str | None = None,
    *,
    mask: str | None = None,
    fill_value: str | float = "auto",
    say: Say | None = None,
) -> dict[str, Points]:
    """Return the points of each variable of a table with one row per observation.

    Parameters
    ----------
    frame : DataFrame
        Columns are recognised by their names, in any case: ``time`` or ``date``; ``lat`` or ``latitude``;
        ``lon`` or ``longitude``; ``depth`` or ``pressure``; ``error`` or ``std``; ``platform``, ``station``,
        ``satellite`` or the like. All other columns of numbers are variables. Units may stand in the name,
        as in ``sla [m]``. An index with a name is a column.
    variable, mask, fill_value, say
        See :func:`da4dvar.fields.points.from_dataset`.

    Returns
    -------
    dict of str to Points

    Raises
    ------
    DataError
        If the columns of the position or of a variable are missing.

    Examples
    --------
    >>> rows = {"date": ["2020-01-01", "2020-01-02"], "Lat": [40, 41], "Lon": [5, 6], "sla [cm]": [3.0, 4.0]}
    >>> points = from_frame(pd.DataFrame(rows))["sla"]
    >>> points.time.astype("M8[D]"), points.attrs["units"]
    (array(['2020-01-01', '2020-01-02'], dtype='datetime64[D]'), 'cm')
    """
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    units = {}
    columns: dict[str, pd.Series] = {}
    for name in frame.columns:
        found = UNITS.fullmatch(str(name))
        plain = (found["name"] if found else str(name)).strip()
        units[plain] = found["units"] if found else ""
        columns[plain] = frame[name]
    roles = {role: column for role, names in COLUMNS.items() if (column := named(columns, names))}
    if missing := [role for role in ("lat", "lon") if role not in roles]:
        raise DataError(
            f"there is no column {' and no column '.join(map(repr, missing))} "
            f"(there are: {', '.join(columns) or 'none'}); expected time, lat, lon and a value in each row"
        )
    by_column = {column: role for role, column in roles.items()}
    ds = xr.Dataset()
    for name, series in columns.items():
        role = by_column.get(name, name)
        values = series.to_numpy()
        if role == "platform" or role not in COLUMNS:
            attrs: dict[str, str] = {"units": units[name]} if units[name] else {}
        else:
            attrs = AXES.get(role, {}) | ({"units": units[name]} if units[name] and role not in AXES else {})
        if role == "time":
            values = as_times(series)
        elif role == "platform":
            values = series.astype(str).to_numpy(dtype=str)
        elif role in COLUMNS and values.dtype.kind not in "iuf":
            values = as_numbers(series, name)
        elif values.dtype.kind == "O" or isinstance(series.dtype, pd.StringDtype):
            values = series.astype(str).to_numpy(dtype=str)
        ds[role] = (OBS, values, attrs)
    if "depth" in roles:
        ds["depth"].attrs["long_name"] = roles["depth"]
    ds = ds.set_coords([r for r in ("time", "lat", "lon", "depth", "platform") if r in roles])
    if ds.sizes.get(OBS, 0) == 0:
        raise DataError("the table has no rows; give one row for each observation")
    return from_dataset(ds, variable, mask=mask, fill_value=fill_value, say=say)


def from_csv(
    path: str | Path,
    variable: Mapping[str, str] | Sequence[str] | str | None = None,
    *,
    mask: str | None = None,
    fill_value: str | float = "auto",
    say: Say | None = None,
) -> dict[str, Points]:
    """Return the points of each variable of a CSV file with a header; see :func:`from_frame`.

    Commas, semicolons, tabs and blanks are recognised as separators, and lines that begin with # are skipped.
    A second line of units, as ERDDAP writes it, is read as such.

    Parameters
    ----------
    path : path
        File.
    variable, mask, fill_value, say
        See :func:`da4dvar.fields.points.from_dataset`.

    Returns
    -------
    dict of str to Points

    Raises
    ------
    DataError
        If the file cannot be read, or columns are missing.

    Examples
    --------
    >>> from_csv("nowhere.csv")
    Traceback (most recent call last):
    ...
    da4dvar.errors.DataError: nowhere.csv: no such file; give the path of a CSV file with a header
    """
    if not Path(path).is_file():
        raise DataError(f"{path}: no such file; give the path of a CSV file with a header")
    try:
        frame = pd.read_csv(path, sep=None, engine="python", comment="#", skipinitialspace=True)
    except Exception as error:  # damaged files raise many kinds of errors
        raise DataError(f"{path}: not a readable CSV file ({first_line(error)})") from error
    if len(frame) and "degrees_north" in [str(v) for v in frame.iloc[0]]:
        said = {n: str(u) for n, u in zip(frame.columns, frame.iloc[0], strict=True)}
        frame = frame.iloc[1:].reset_index(drop=True)
        texts = {n: pd.to_numeric(frame[n], errors="coerce") for n in frame.columns}
        for name, numbers in texts.items():
            if numbers.notna().any() or not frame[name].notna().any():
                frame[name] = numbers
        frame = frame.rename(columns={n: f"{n} [{u}]" for n, u in said.items() if u not in ("nan", "UTC")})
    try:
        return from_frame(frame, variable, mask=mask, fill_value=fill_value, say=say)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def named(columns: Mapping[str, object], names: Sequence[str]) -> str | None:
    """Return the first column with one of some names, in any case."""
    lower = {name.lower().replace(" ", "_"): name for name in reversed(list(columns))}
    return next((lower[name] for name in names if name in lower), None)


def as_times(series: pd.Series) -> np.ndarray:
    """Return times as dates without a time zone; numbers and text of digits are left to be decoded."""
    values: np.ndarray = series.to_numpy()
    if values.dtype.kind in "iufM" and not isinstance(series.dtype, pd.DatetimeTZDtype):
        return values
    try:
        dates = pd.to_datetime(series, utc=True, format="ISO8601")
    except (ValueError, TypeError):
        try:
            dates = pd.to_datetime(series, utc=True, format="mixed")
        except (ValueError, TypeError) as error:
            raise DataError(
                f"column {series.name!r} holds {series.iloc[0]!r}, expected dates such as 2020-01-31T12:00 "
                f"({first_line(error)})"
            ) from error
    out: np.ndarray = dates.dt.tz_localize(None).to_numpy().astype("M8[ns]")
    return out


def as_numbers(series: pd.Series, name: str) -> np.ndarray:
    """Return a column as numbers."""
    try:
        out: np.ndarray = pd.to_numeric(series).to_numpy(dtype="float64")
    except (ValueError, TypeError) as error:
        raise DataError(f"column {name!r}: expected numbers ({first_line(error)})") from error
    return out
