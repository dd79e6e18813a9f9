"""Order of a time axis, and steps that are absent from it."""

from __future__ import annotations

from typing import Any

import cftime
import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.labels.cf import is_dates

Values = npt.NDArray[Any]
DAY = 86_400_000_000  # microseconds, in which dates are counted
COUNTED = "microseconds since 1970-01-01"
# Deviation of a step from a multiple of the usual one that is tolerated, in usual steps and per step.
JITTER, DRIFT = 0.25, 0.002
# Steps of at least so many days may be calendar months.
MONTH = 27
# A hole of so many days that recurs at the same time of the year, within so many days, is a season.
SEASON, ALIKE = 45, 20


def as_date(value: Any) -> str:
    """Return a time as text, without the part of the day if that is zero."""
    text = str(value)[:19].replace("T", " ")
    return text.removesuffix(" 00:00:00")


def check_order(coordinate: xr.DataArray) -> None:
    """Raise an error if times are missing, not in order, or duplicated."""
    name, values = coordinate.name, coordinate.values
    if (empty := pd.isnull(values)).any():
        raise DataError(
            f"{name!r} has no time at {empty.sum()} of {empty.size} entries, first at index "
            f"{np.argmax(empty)}; drop them, or use --times sort, which does it"
        )
    apart = np.diff(counted(values))
    if (apart > 0).all() or (apart < 0).all():
        return
    same, direction = int((apart == 0).sum()), 1 if (apart > 0).sum() >= (apart < 0).sum() else -1
    wrong = apart * direction <= 0
    back = int(wrong.sum()) - same
    first = int(np.argmax(wrong)) + 1
    what = [f"{verb} {times(n)}" for n, verb in ((back, "goes back"), (same, "repeats itself")) if n]
    raise DataError(
        f"{name!r} {' and '.join(what)}, first at index {first} ({as_date(values[first])}); "
        "use --times sort, which sorts and merges duplicates, or "
        f"ds.sortby({name!r}).drop_duplicates({name!r})"
    )


def times(number: int) -> str:
    """Return a number of occurrences as text."""
    return "once" if number == 1 else f"{number} times"


def sorted_times(ds: xr.Dataset, time: str) -> tuple[xr.Dataset, list[str]]:
    """Sort a time axis, drop entries without a time, and keep the first observed value of each time."""
    notes = []
    if (empty := pd.isnull(ds[time].values)).any():
        ds = ds.isel({time: np.flatnonzero(~empty)})
        notes.append(f"{empty.sum()} of {empty.size} entries of {time!r} have no time and are dropped")
    numbers = counted(ds[time].values)
    apart = np.diff(numbers)
    if (apart > 0).all() or (apart < 0).all():
        return ds, notes
    ds = ds.isel({time: np.argsort(numbers, kind="stable")})
    if back := int((apart < 0).sum()):
        notes.append(f"{time!r} goes back {times(back)} and is sorted")
    numbers = np.sort(numbers)
    firsts = np.flatnonzero(np.r_[True, np.diff(numbers) > 0])
    ends = np.r_[firsts[1:], numbers.size] - 1
    if not (duplicates := numbers.size - firsts.size):
        return ds, notes
    merged = ds.isel({time: firsts})
    differ = np.zeros(firsts.size, bool)
    for later in range(1, int((ends - firsts).max()) + 1):
        others = ds.isel({time: np.minimum(firsts + later, ends)})
        for name, array in merged.data_vars.items():
            if array.dtype.kind == "f" and time in array.dims:
                other = others[name].variable
                if array.chunks is None:
                    apart_from = (array.variable - other).notnull() & (array.variable != other)
                    differ |= apart_from.any([d for d in array.dims if d != time]).values
                filled = array.copy(data=array.variable.fillna(other).data)
                filled.encoding = array.encoding
                merged[name] = filled
    notes.append(
        f"{time!r} repeats itself {times(duplicates)}; the first observed value of each time is kept"
        + (f" (at {differ.sum()} times the values differ)" if differ.any() else "")
    )
    return merged, notes


def counted(values: Values) -> Values:
    """Return dates as microseconds, and numbers as they are."""
    if values.dtype.kind == "M":
        return values.astype("M8[us]").astype("int64")
    if values.dtype == object:
        return np.asarray(cftime.date2num(values, COUNTED, values.flat[0].calendar), dtype="int64")
    return values if values.dtype.kind == "i" else values.astype("float64")


def labels(numbers: Values, like: Values) -> Values:
    """Return numbers as times of the type of others; the inverse of :func:`counted`."""
    if like.dtype.kind == "M":
        return np.round(numbers).astype("int64").astype("M8[us]").astype(like.dtype)
    if like.dtype == object:
        first = like.flat[0]
        dates = cftime.num2date(np.round(numbers).astype("int64"), COUNTED, first.calendar)
        return np.array([d.replace(has_year_zero=first.has_year_zero) for d in np.ravel(dates)], dtype=object)
    return (np.round(numbers) if like.dtype.kind in "iu" else numbers).astype(like.dtype)


def months(values: Values) -> Values:
    """Return the number of the month of each date, from the year 0."""
    if values.dtype.kind == "M":
        return values.astype("M8[M]").astype("int64") + 1970 * 12
    return np.array([d.year * 12 + d.month - 1 for d in values])


def starts(numbers: Values, like: Values) -> Values:
    """Return the microseconds at which months begin, in the calendar of `like`."""
    if like.dtype.kind == "M":
        return counted((numbers - 1970 * 12).astype("M8[M]"))
    calendar = like.flat[0].calendar
    return counted(np.array([cftime.datetime(m // 12, m % 12 + 1, 1, calendar=calendar) for m in numbers]))


def absent_steps(coordinate: xr.DataArray) -> tuple[Values | None, list[str]]:
    """Return the length of each step in usual steps, or None if nothing is to be inserted, and notes."""
    name, values = coordinate.name, coordinate.values
    apart = np.abs(np.diff(counted(values)).astype("float64"))
    low = np.quantile(apart, 0.05)
    usual = float(np.median(apart[apart <= 1.5 * low])) if low else 0.0
    for _ in range(3):
        multiples = np.maximum(np.round(apart / usual), 1).astype(int)
        usual = apart.sum() / multiples.sum()
    dates = is_dates(coordinate)
    monthly = dates and usual >= MONTH * DAY
    if not (np.abs(apart - multiples * usual) <= (JITTER + DRIFT * multiples) * usual).all():
        elapsed = np.abs(np.diff(months(values))) if monthly else np.zeros(1, int)
        if not elapsed.all():
            return None, [f"steps of {name!r} are uneven, so that no absent ones can be inserted"]
        multiples = elapsed // np.gcd.reduce(elapsed)
    notes = []
    if dates and abs(usual - DAY) < 0.1 * DAY and (leap := without_leap_days(coordinate, multiples)).any():
        multiples = np.where(leap, 1, multiples)
        notes = [f"{name!r} never has a 29 February, and none is inserted"]
    absent = int((multiples - 1).sum())
    step = step_text(usual, dates)
    if not absent:
        return None, notes
    holes = np.flatnonzero(multiples > 1)
    if absent > values.size or (dates and seasonal(values, apart, holes)):
        why = "more than there are" if absent > values.size else "in seasons that are absent each year"
        return None, [*notes, f"{absent} steps of {step} are absent from {name!r}, {why}; none is inserted"]
    longest = holes[np.argmax(multiples[holes])]
    new = labels(between(values, multiples), values)
    position = int(multiples[:longest].sum())
    first, last = new[position + 1], new[position + multiples[longest] - 1]
    where = as_date(first) if first == last else f"{as_date(first)} to {as_date(last)}"
    if holes.size > 1:
        where = f"in {holes.size} places, the longest {where}"
    one = absent == 1
    return multiples, [
        *notes,
        f"{absent} step{'' if one else 's'} of {step} {'is' if one else 'are'} absent from {name!r} and "
        f"{'is inserted as a gap' if one else 'are inserted as gaps'} ({where}); --times keep leaves "
        f"{'it' if one else 'them'} out",
    ]


def step_text(usual: float, dates: bool) -> str:
    """Return a step as text, in months, days, hours, minutes or seconds for dates.

    Examples
    --------
    >>> step_text(30.4 * DAY, True), step_text(DAY / 4, True), step_text(2.0, False)
    ('1 month', '6 hours', '2')
    """
    if not dates:
        return f"{usual:.6g}"
    lengths = {"year": 365.25 * DAY, "month": 30.44 * DAY, "day": DAY, "hour": DAY / 24, "minute": DAY / 1440}
    unit, length = next(((u, x) for u, x in lengths.items() if usual >= 0.9 * x), ("second", 1e6))
    number = usual / length
    number = round(number) if abs(number - round(number)) < 0.05 else round(number, 1)
    return f"{number} {unit}{'' if number == 1 else 's'}"


def without_leap_days(coordinate: xr.DataArray, multiples: Values) -> Values:
    """Return the steps from 28 February to 1 March in leap years, if the axis never has a 29 February."""
    month, day = coordinate.dt.month.values, coordinate.dt.day.values
    if ((month == 2) & (day == 29)).any():
        return np.zeros(multiples.shape, bool)
    last, first = (month == 2) & (day == 28), (month == 3) & (day == 1)
    leap: Values = (multiples == 2) & ((last[:-1] & first[1:]) | (first[:-1] & last[1:]))
    return leap


def seasonal(values: Values, apart: Values, holes: Values) -> bool:
    """Whether there is a long hole each year, at the same time of the year, as in records without winters."""
    long = holes[apart[holes] >= SEASON * DAY]
    year = 365.25 * DAY
    if long.size < max(2, int(apart.sum() / year) - 1):
        return False
    for ends in (long, long + 1):
        angle = np.exp(2j * np.pi * counted(values)[ends] / year)
        off = np.abs(np.angle(angle / angle.mean())) / (2 * np.pi) * 365.25
        if off.max() > ALIKE:
            return False
    return True


def between(values: Values, multiples: Values) -> Values:
    """Return the numbers of all times with the absent ones, which divide a step, or follow the calendar."""
    numbers = counted(values)
    whole = np.concatenate([[0], np.cumsum(multiples)])
    # The difference keeps microseconds of early years exact in double precision.
    out: Values = np.interp(np.arange(whole[-1] + 1), whole, (numbers - numbers[0]).astype("float64"))
    out = numbers[0] + (np.round(out).astype("int64") if numbers.dtype.kind == "i" else out)
    dates = values.dtype.kind == "M" or values.dtype == object
    if dates and np.median(np.abs(np.diff(numbers))) >= MONTH * DAY:
        month = months(values)
        base = np.diff(month) / multiples
        if (base == base[0]).all() and base[0] == round(base[0]):
            out = on_calendar(values, month[0] + int(base[0]) * np.arange(whole[-1] + 1))
    out[whole] = numbers
    return out


def on_calendar(values: Values, month: Values) -> Values:
    """Return the microseconds of one time in each month: at its usual place."""
    numbers, own = counted(values), months(values)
    begin, end = starts(own, values), starts(own + 1, values)
    first, last = starts(month, values), starts(month + 1, values)
    found: Values
    if np.ptp(numbers - begin) == 0:
        found = np.minimum(first + (numbers - begin)[0], last - 1)
    elif np.ptp(end - numbers) == 0:
        found = last - (end - numbers)[0]
    else:
        part = float(np.median((numbers - begin) / (end - begin)))
        found = first + np.round((last - first) * part / DAY * 2).astype("int64") * (DAY // 2)
    return found


def complete(values: Values, multiples: Values) -> Values:
    """Return all times with the absent ones; those that are there stay as they are, to the nanosecond."""
    out = labels(between(values, multiples), values)
    out[np.concatenate([[0], np.cumsum(multiples)])] = values
    return out


def inserted(ds: xr.Dataset, time: str, multiples: Values) -> xr.Dataset:
    """Return a data set with the absent steps of its time axis, at which nothing is observed."""
    new = complete(ds[time].values, multiples)
    fills: dict[Any, Any] = {}
    for name, variable in ds.variables.items():
        if time in variable.dims and name != time:
            kind = variable.dtype.kind
            if kind in "iu":
                fills[name] = unused(variable)
            elif kind in "SUb" or (kind == "O" and not is_dates(ds[name])):
                # Objects may be text or, from character arrays with a fill value, bytes.
                like = variable.dtype.type if kind != "O" else type(variable.values.flat[0])
                fills[name] = b"" if like is bytes else "" if kind == "O" else like()
    out = ds.reindex({time: new}, fill_value=fills)
    bounds = [b for k in ("bounds", "climatology") if (b := ds[time].attrs.get(k)) in ds.variables]
    for name in bounds:
        if ds[name].dims[:1] == (time,) and ds[name].ndim == 2:
            columns = [complete(c, multiples) for c in ds[name].values.T]
            out[name] = out[name].copy(data=np.stack(columns, axis=1))
    for name, variable in ds.variables.items():
        out[name].attrs, out[name].encoding = variable.attrs, dict(variable.encoding)
        if variable.dtype.kind in "iu" and name in fills:
            out[name].encoding["_FillValue"] = fills[name]
    return out


def unused(variable: xr.Variable) -> Any:
    """Return an integer that stands for no value: the declared one, or the lowest or highest of the type."""
    declared = variable.encoding.get("_FillValue")
    if declared is not None and np.dtype(variable.encoding.get("dtype", variable.dtype)) == variable.dtype:
        return variable.dtype.type(declared)
    info = np.iinfo(variable.dtype)
    return variable.dtype.type(info.min if variable.dtype.kind == "i" else info.max)
