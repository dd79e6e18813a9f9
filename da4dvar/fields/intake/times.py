"""Times: decoding of those that xarray leaves as text or numbers, and a regular axis."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import cftime
import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr
from netCDF4 import default_fillvals

from da4dvar.errors import DataError, first_line
from da4dvar.fields.intake.axis import absent_steps, as_date, check_order, inserted, sorted_times
from da4dvar.fields.labels.cf import is_dates

Values = npt.NDArray[Any]
# Calendars without the dates that numpy has.
OTHER_CALENDARS = ("noleap", "365_day", "360_day", "all_leap", "366_day", "julian")
# Formats of dates that are only digits, by their number.
DIGITS = {4: "%Y", 6: "%Y%m", 7: "%Y%j", 8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
# Numbers without units that are dates: lowest, highest, zero in days from 1970, days per unit, and name.
SERIALS = (
    (657438.0, 767011.0, -719529.0, 1.0, "MATLAB datenum"),
    (2415020.0, 2488070.0, -2440587.5, 1.0, "Julian days"),
    (3e8, 4.1e9, 0.0, 1 / 86400, "seconds since 1970"),
    (3e11, 4.1e12, 0.0, 1 / 86400e3, "milliseconds since 1970"),
)
# Years between which numbers without units are read as dates.
YEARS = (1700, 2200)


def decoded_times(ds: xr.Dataset, time: str) -> tuple[xr.Dataset, list[str]]:
    """Decode a time coordinate of text, of digits of dates, or in units that xarray does not know.

    Parameters
    ----------
    ds : Dataset
        Data set whose times may be undecoded.
    time : str
        Name of the time dimension.

    Returns
    -------
    Dataset
        Copy with dates, of the same calendar if there is one; `ds` if there is nothing to decode. The bounds
        of the coordinate are decoded with it.
    list of str
        What was decoded.

    Raises
    ------
    DataError
        If the times are text or have units that cannot be read as dates.

    Examples
    --------
    >>> days = xr.Dataset({"x": ("time", [1.0, 2.0])}, {"time": [20200131, 20200201]})
    >>> data, notes = decoded_times(days, "time")
    >>> data.time.values.astype("M8[D]").tolist()
    [datetime.date(2020, 1, 31), datetime.date(2020, 2, 1)]
    >>> notes
    ["'time' is read as digits YYYYMMDD and becomes dates, from 2020-01-31 to 2020-02-01"]
    """
    if time not in ds.coords or is_dates(ds[time]) or not ds[time].size:
        return ds, []
    coordinate = without_fills(ds[time])
    found = decoder(coordinate)
    if found is None:
        never = coordinate.isnull().all()
        return (ds.assign_coords({time: coordinate}) if never else ds), []
    decode, name = found
    out = ds.copy()
    bounds = [b for key in ("bounds", "climatology") if (b := coordinate.attrs.get(key)) in ds.variables]
    for each in (time, *bounds):
        old = without_fills(ds[each])
        if each != time and (is_dates(old) or old.dtype.kind not in "iuf"):
            continue
        try:
            values = decode(old.values)
        except (ValueError, TypeError, OverflowError) as error:
            raise DataError(
                f"{each!r} cannot be read as {name} ({first_line(error)}); give it CF units such as "
                "'days since 2000-01-01'"
            ) from error
        new = old.copy(data=values)
        new.attrs = {k: v for k, v in old.attrs.items() if k not in ("units", "calendar")}
        # Bounds share the units of their coordinate.
        new.encoding = {"units": "days since 1970-01-01", "dtype": "float64"} if bounds else {}
        out = (
            out.assign_coords({each: new.variable}) if each in ds.coords else out.assign({each: new.variable})
        )
    ends = out[time].values[out[time].notnull().values][[0, -1]]
    return out, [
        f"{time!r} is read as {name} and becomes dates, from {as_date(ends[0])} to {as_date(ends[1])}"
    ]


def regular_times(ds: xr.Dataset, time: str, times: str = "insert") -> tuple[xr.Dataset, list[str]]:
    """Insert the steps that are absent from a time axis as gaps.

    Parameters
    ----------
    ds : Dataset
        Data set with decoded times.
    time : str
        Name of the time dimension.
    times : {"insert", "keep", "sort"}
        ``"insert"`` inserts absent steps, ``"keep"`` leaves the axis as it is, and ``"sort"`` sorts it, drops
        entries without a time, merges duplicates and then inserts absent steps.

    Returns
    -------
    Dataset
        Copy with a regular axis, or `ds`. At inserted steps floats are NaN and text is empty; integers have
        a fill value that their encoding declares.
    list of str
        What was changed, or why nothing was inserted.

    Raises
    ------
    DataError
        If entries have no time, are not in order or have the same time, unless `times` is ``"sort"``.

    Notes
    -----
    Nothing is inserted if steps are no multiples of a usual step, if more steps would be inserted than there
    are, for seasons that are absent each year, and for the 29 February if it is always absent.

    Examples
    --------
    >>> days = np.array(["2020-01-01", "2020-01-02", "2020-01-03", "2020-01-05"], "M8[ns]")
    >>> data, notes = regular_times(xr.Dataset({"x": ("time", np.ones(4))}, {"time": days}), "time")
    >>> data.x.values
    array([ 1.,  1.,  1., nan,  1.])
    >>> print(notes[0].partition(";")[0])
    1 step of 1 day is absent from 'time' and is inserted as a gap (2020-01-04)
    """
    if times not in ("insert", "keep", "sort"):
        raise DataError(f"times {times!r}: expected 'insert', 'keep' or 'sort'")
    if time not in ds.coords or not (is_dates(ds[time]) or ds[time].dtype.kind in "iuf"):
        return ds, []
    notes: list[str] = []
    if times == "sort":
        ds, notes = sorted_times(ds, time)
    check_order(ds[time])
    if times == "keep" or ds.sizes[time] < 3:
        return ds, notes
    multiples, why = absent_steps(ds[time])
    if multiples is None:
        return ds, notes + why
    return inserted(ds, time, multiples), [*notes, *why]


def without_fills(array: xr.DataArray) -> xr.DataArray:
    """Return times with NaN in place of what the NetCDF library writes where nothing was written."""
    fill = default_fillvals.get(array.dtype.str[1:]) if array.dtype.kind == "f" else None
    return array if fill is None or not (array == fill).any() else array.where(array != fill)


def decoder(coordinate: xr.DataArray) -> tuple[Callable[[Values], Values], str] | None:
    """Return the function that decodes the values of a coordinate and the name of their form.

    None is returned if they are numbers that are no dates.
    """
    values, units = coordinate.values, str(coordinate.attrs.get("units", "")).strip()
    calendar = str(coordinate.attrs.get("calendar", "standard")).lower()
    calendar = "360_day" if calendar in ("360", "360 day") else calendar
    if values.dtype.kind in "SUO":
        return from_text, "text"
    if values.dtype.kind not in "iuf" or np.isnan(values.astype("f8")).all():
        return None
    if " since " in units:
        unit = units.split()[0].lower().rstrip("s")
        if unit in ("month", "mon", "year", "yr", "common_year"):
            months = 1 if unit.startswith("mon") else 12
            decode = partial(from_months, months=months, units=units, calendar=calendar)
            return decode, f"calendar {unit}s of {units!r}"
        return partial(from_cf, units=units, calendar=calendar), repr(units)
    numbers = values.astype("f8")
    numbers = numbers[np.isfinite(numbers)]
    whole = bool((numbers == np.floor(numbers)).all())
    digits = len(str(int(abs(numbers[0]))))
    if "%Y%m%d" in units or (
        (whole or digits == 8) and digits in DIGITS and digits > 4 and looks_dated(numbers, digits)
    ):
        form = {7: "YYYYDDD"}.get(digits, "YYYYMMDDHHMMSS"[:digits])
        return from_digits, f"digits {form}"
    yearly = not units or re.fullmatch(
        r"(decimal|fractional)?[ _]?(years?|yrs?|a)( a\.?d\.?| c\.?e\.?)?", units.lower()
    )
    inside = YEARS[0] <= numbers.min() and numbers.max() < YEARS[1]
    if yearly and inside and not whole and np.median(np.abs(np.diff(numbers))) <= 1:
        return from_years, "decimal years"
    if not units or re.search(r"julian|matlab|datenum|^days?$|^s$|^sec|^ms$|unix|epoch", units.lower()):
        for low, high, zero, per, name in SERIALS:
            if low <= numbers.min() and numbers.max() <= high:
                return partial(from_days, zero=zero, per=per), name
    return None


def looks_dated(numbers: Values, digits: int) -> bool:
    """Whether all numbers are valid dates between 1700 and 2200 in the format of their digits."""
    if any(len(str(int(v))) != digits for v in (numbers.min(), numbers.max())):
        return False
    try:
        dates = from_digits(numbers)
    except ValueError:
        return False
    years = dates.astype("M8[Y]").astype(int) + 1970
    return bool(YEARS[0] <= years.min() and years.max() <= YEARS[1])


def from_text(values: Values) -> Values:
    """Decode text: ISO dates, also with an underscore for the T, or digits such as YYYYMMDD."""
    texts = [t.decode() if isinstance(t, bytes) else str(t) for t in values.ravel()]
    texts = [t.strip().removesuffix("Z").replace("_", "T") for t in texts]
    lengths = {len(t) for t in texts}
    if all(t.isdigit() for t in texts) and len(lengths) == 1 and (n := lengths.pop()) in DIGITS:
        dates = pd.to_datetime(texts, format=DIGITS[n])
    elif all(re.match(r"\d{4}-\d\d", t) for t in texts):
        dates = pd.to_datetime(texts, format="ISO8601", utc=True).tz_localize(None)
    else:
        strange = next(t for t in texts if not re.match(r"\d{4}-\d\d", t))
        raise ValueError(f"got {strange!r}, expected dates such as 2020-01-31 or 20200131")
    out: Values = dates.to_numpy().reshape(values.shape)
    return out


def from_digits(values: Values) -> Values:
    """Decode numbers of the digits of a date, of which a fraction is a part of the day."""
    numbers = values.astype("f8").ravel()
    whole = np.floor(numbers)
    texts = [f"{v:.0f}" for v in whole]
    dates = pd.to_datetime(texts, format=DIGITS[len(texts[0])]).to_numpy()
    seconds = np.round((numbers - whole) * 86400).astype("m8[s]")
    out: Values = (dates + seconds).reshape(values.shape)
    return out


def from_days(values: Values, zero: float, per: float) -> Values:
    """Decode numbers of `per` days that begin `zero` days after 1970, rounded to milliseconds."""
    days = values.astype("f8") * per + zero
    decoded: Values = np.datetime64("1970-01-01", "ms") + np.round(days * 86_400_000).astype("m8[ms]")
    return decoded


def from_years(values: Values) -> Values:
    """Decode decimal years; the fraction is that of the days of the year, rounded to minutes."""
    numbers = values.astype("f8")
    whole = np.floor(numbers).astype(int)
    starts = (whole - 1970).astype("M8[Y]").astype("M8[m]")
    lengths = (whole - 1969).astype("M8[Y]").astype("M8[m]") - starts
    out: Values = starts + np.round(lengths.astype("f8") * (numbers - whole)).astype("m8[m]")
    return out


def from_cf(values: Values, units: str, calendar: str) -> Values:
    """Decode numbers in CF units, also those that count from the year 0."""
    if calendar == "standard" and (zero := re.fullmatch(r"(\w+)\s+since\s+0{1,4}-0?1-0?[01]\b.*", units)):
        first = 1 if units.split()[2].split("T")[0].endswith("1") else 0
        per = {"d": 1.0, "h": 1 / 24, "m": 1 / 1440, "s": 1 / 86400}[zero[1][0].lower()]
        return from_days(values, first - 719529, per)
    coded = xr.Variable(("t",), values.ravel(), {"units": units, "calendar": calendar})
    decoded = xr.conventions.decode_cf_variable("t", coded, decode_timedelta=False)
    return np.asarray(decoded.values).reshape(values.shape)


def from_months(values: Values, months: int, units: str, calendar: str) -> Values:
    """Decode calendar months, or years (`months` is 12), since a date; a fraction is a part of one."""
    start = cftime.num2date(0, f"days {units.strip().partition(' ')[2]}", calendar)
    within = start - start.replace(day=1, hour=0, minute=0, second=0, microsecond=0)

    def first(number: int) -> Any:
        year, month = divmod(start.year * 12 + start.month - 1 + number * months, 12)
        return cftime.datetime(year, month + 1, 1, calendar=calendar)

    dates = []
    for value in values.ravel().astype("f8"):
        number = int(np.floor(value))
        length = first(number + 1) - first(number)
        dates.append(first(number) + within + length * round(value - number, 6))
    out = np.array(dates, dtype=object)
    if calendar not in OTHER_CALENDARS:
        out = np.array([np.datetime64(d.isoformat(), "s") for d in dates])
    return out.reshape(values.shape)
