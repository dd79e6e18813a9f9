"""Means, sums, trends and days above a threshold over areas and periods, with intervals from samples."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from da4dvar.errors import DataError, nearest, warn
from da4dvar.fields.areas import Area, area_of
from da4dvar.fields.intake.roles import time_of
from da4dvar.fields.labels.cf import is_dates, spacing, steps
from da4dvar.fields.labels.companions import companions
from da4dvar.fields.labels.flags import observed_code
from da4dvar.fields.labels.given import data_set, list_of
from da4dvar.fields.labels.intervals import ends
from da4dvar.fields.labels.samples import REALIZATION, samples_of, with_samples
from da4dvar.fields.labels.units import conversion

# Names of periods, and their frequencies in pandas.
PERIODS = {"day": "D", "week": "7D", "month": "MS", "season": "QS-DEC", "year": "YS"}
STATISTICS = ("mean", "sum", "trend", "days-above=VALUE", "days-below=VALUE")
DAYS = re.compile(r"days-(above|below)=\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*(\S.*)?")
YEAR, DAY = 365.2425 * 86400, 86400.0


@dataclass(frozen=True)
class Statistic:
    """A statistic of the values over an area and a period.

    Attributes
    ----------
    kind : {"mean", "sum", "trend", "above", "below"}
        What is computed.
    threshold : float
        Of "above" and "below", in the units of the variable.
    title : str
        In words, such as "mean".
    """

    kind: str
    threshold: float = 0.0
    title: str = ""


def aggregate(
    ds: xr.Dataset | xr.DataArray,
    over: str | Sequence[str] | None = None,
    period: str | None = None,
    stat: str = "mean",
    *,
    level: float = 0.9,
    variable: str | Sequence[str] | None = None,
) -> xr.Dataset:
    """Aggregate variables over an area and over periods, with an interval from their joint samples.

    The statistic is computed of the estimate and of each sample. The interval lies between quantiles of those
    of the samples. It accounts for the correlation of errors, which intervals of single cells do not.

    Parameters
    ----------
    ds : Dataset or DataArray
        Filled data, with ``<name>_samples`` for an interval, and ``<name>_flag`` for the share observed.
    over : str or sequence of str, optional
        Dimensions to aggregate over, besides time; by default all.
    period : str, optional
        day, week, month, season, year, or a frequency of pandas such as ``10D``; by default the whole record.
    stat : str
        ``mean``, weighted by cell area. ``sum``, of value times cell area if the area is known, and over all
        times. ``trend``, the slope of the area mean, per year for dates. ``days-above=25`` or
        ``days-below=0 degC``, the time in days that a cell is above or below a threshold, averaged over the
        cells. A threshold without units has those of the variable. With samples, the number of days is the
        mean over these, because an estimate is smoother than the truth. The interval contains it.
    level : float
        Level of the interval.
    variable : str or sequence of str, optional
        Names of the variables; by default all numeric variables that have the dimensions.

    Returns
    -------
    Dataset
        For each variable its statistic; ``<name>_observed``, the share of the values that were observed;
        ``<name>_lower_90`` and ``<name>_upper_90``; and ``<name>_samples``, the statistic of each sample.
        Times are the beginnings of the periods.

    Raises
    ------
    DataError
        If a dimension, a variable or a statistic does not exist, the units of a threshold cannot be
        converted, or there are too few samples for the level.

    Warns
    -----
    Da4dvarWarning
        If a variable was filled without samples, so that there is no interval.

    Examples
    --------
    >>> sst = xr.DataArray([[1.0, 3.0], [2.0, 4.0]], dims=("time", "lat"), name="sst")
    >>> round(float(aggregate(sst.assign_coords(lat=[0.0, 60.0])).sst), 2)
    2.17
    """
    ds = data_set(ds)
    time = time_of(ds)
    dims = None if over is None else [d for d in list_of("over", over) if d != time]
    for dim in dims or ():
        if dim not in ds.dims or dim == REALIZATION:
            known = [str(d) for d in ds.dims if d not in (time, REALIZATION)]
            raise DataError(f"there is no dimension {dim!r} to aggregate over: {nearest(dim, known)}")
    if not 0 < level < 1:
        raise DataError(f"a level is {level}, expected a number between 0 and 1")
    out = xr.Dataset(attrs=ds.attrs)
    for name in chosen(ds, dims, variable):
        array = ds[name]
        statistic = statistic_of(stat, array, time)
        own = [str(d) for d in array.dims if d != time] if dims is None else dims
        groups = groups_of(array, time, period)
        area = area_of(ds, array, own)
        one = _of(array, statistic, own, time, groups, area)
        out[name] = one.assign_attrs(_attributes(array, statistic, area, time))
        out = _with_share(out, ds, name, own, time, groups, area)
        samples = samples_of(ds, name)
        if samples is None:
            if f"{name}_flag" in ds:
                warn(f"{name} has no samples, so that its {stat} has no interval; fill it with --samples 50")
            continue
        drawn = [_of(s.compute(), statistic, own, time, groups, area) for s in samples]
        out = _with_interval(out, name, xr.concat(drawn, REALIZATION), statistic, level)
    return out


def chosen(ds: xr.Dataset, dims: Sequence[str] | None, variable: str | Sequence[str] | None) -> list[str]:
    """Return the variables to aggregate.

    Raises
    ------
    DataError
        If there are none, or one lacks a dimension.
    """
    others = companions(ds)
    numeric = [
        str(n) for n, a in ds.data_vars.items() if a.dtype.kind in "fiu" and n not in others and a.ndim
    ]
    if variable is None:
        names = [n for n in numeric if set(dims or ()) <= set(ds[n].dims)]
        if not names:
            given = ", ".join(dims or ()) or "to aggregate over"
            raise DataError(f"no variable has the dimensions {given}; choose others with over")
        # Those with most dimensions, not a map of cell areas next to them.
        most = max(ds[n].ndim for n in names)
        return [n for n in names if ds[n].ndim == most]
    names = list_of("variable", variable)
    for name in names:
        if name not in numeric:
            raise DataError(f"there is no variable {name!r} to aggregate: {nearest(name, numeric)}")
        for dim in dims or ():
            if dim not in ds[name].dims:
                raise DataError(f"{name!r} has no dimension {dim!r}: {nearest(dim, map(str, ds[name].dims))}")
    return names


def statistic_of(stat: str, array: xr.DataArray, time: str | None) -> Statistic:
    """Return the statistic that a text describes, for a variable.

    Raises
    ------
    DataError
        If there is no such statistic, it needs times, or its threshold has other units.

    Examples
    --------
    >>> sst = xr.DataArray([280.0], dims="time", name="sst", attrs={"units": "K"})
    >>> statistic_of("days-above=20 degC", sst, "time").threshold
    293.15
    """
    match = DAYS.fullmatch(stat.strip())
    if match is None and stat not in ("mean", "sum", "trend"):
        raise DataError(f"stat {stat!r}: {nearest(stat, STATISTICS)}")
    if (match or stat == "trend") and (time is None or time not in array.dims):
        raise DataError(f"{array.name!r} has no time dimension, which {stat} needs; use mean or sum")
    if match is None:
        return Statistic(stat, title=stat)
    kind, value, units = match[1], float(match[2]), match[3]
    own = array.attrs.get("units")
    title = f"days {kind} {value:g} {units or own or ''}".rstrip()
    if units is None:
        return Statistic(kind, value, title)
    if own is None:
        raise DataError(f"{array.name!r} has no units, so that {units!r} cannot be converted; omit the units")
    try:
        factor, offset = conversion(units, str(own))
    except ValueError as error:
        raise DataError(
            f"the threshold is in {units!r}, expected units that can be converted to {own!r}, those of "
            f"{array.name!r}"
        ) from error
    return Statistic(kind, factor * value + offset, title)


def groups_of(array: xr.DataArray, time: str | None, period: str | None) -> list[tuple[Any, Any]] | None:
    """Return the beginning and the range of each period; None for the whole record.

    Raises
    ------
    DataError
        If there are no dates, or no such period.
    """
    if period is None:
        return None
    if time is None or time not in array.coords or not is_dates(array[time]):
        raise DataError(f"{array.name!r} has no dates, which a period of a {period} needs; omit the period")
    number = xr.DataArray(np.arange(array.sizes[time]), {time: array[time]}, dims=time)
    try:
        groups = number.resample({time: PERIODS.get(period, period)}).groups
    except (ValueError, TypeError) as error:
        raise DataError(
            f"period {period!r}: {nearest(period, PERIODS)}, or a frequency such as 10D"
        ) from error
    # Periods without any time are left out.
    return [(begin, part) for begin, part in groups.items() if len(number[part])]


def _of(
    array: xr.DataArray,
    statistic: Statistic,
    over: Sequence[str],
    time: str | None,
    groups: list[tuple[Any, Any]] | None,
    area: Area,
) -> xr.DataArray:
    """Return a statistic of one field, with the beginnings of the periods as times."""
    known = array.notnull()
    weight = known * area.weight
    values = array
    if statistic.kind in ("above", "below"):
        far = array > statistic.threshold if statistic.kind == "above" else array < statistic.threshold
        values = far.astype("float64").where(known)
    total, whole = (values.fillna(0) * weight).sum(over), weight.sum(over)
    if time is None or time not in array.dims:
        return total if statistic.kind == "sum" else total / whole.where(whole > 0)
    length = _step(array, time)
    parts = [(None, slice(None))] if groups is None else groups
    found = []
    for _, part in parts:
        here = {time: part}
        if statistic.kind == "trend":
            found.append(_slope((total / whole.where(whole > 0)).isel(here), time))
        elif statistic.kind == "sum":
            found.append(total.isel(here).sum(time).where(whole.isel(here).sum(time) > 0))
        elif statistic.kind == "mean":
            found.append(total.isel(here).sum(time) / (w := whole.isel(here).sum(time)).where(w > 0))
        else:
            found.append(length * (total / whole.where(whole > 0)).isel(here).sum(time, min_count=1))
    if groups is None:
        return found[0]
    begins = xr.DataArray([begin for begin, _ in groups], dims=time, attrs=array[time].attrs)
    joined: xr.DataArray = xr.concat(found, time).assign_coords({time: begins})
    joined[time].encoding = array[time].encoding
    return joined


def _step(array: xr.DataArray, time: str) -> float:
    """Return the usual step in days, or 1 without dates."""
    apart = spacing(array[time]) if time in array.coords and is_dates(array[time]) else None
    return 1.0 if apart is None else abs(apart) / DAY


def _slope(series: xr.DataArray, time: str) -> xr.DataArray:
    """Return the slope of least squares, per year for dates; NaN for fewer than three values."""
    apart = steps(series[time]) if time in series.coords else None
    clock = np.arange(float(series.sizes[time])) if apart is None else np.append(0.0, np.cumsum(apart))
    if time in series.coords and is_dates(series[time]):
        clock = clock / YEAR
    known = series.notnull()
    t = xr.DataArray(clock, dims=time).where(known)
    t = t - t.mean(time)
    slope: xr.DataArray = (t * series.drop_vars(time, errors="ignore")).sum(time) / (t * t).sum(time)
    return slope.where(known.sum(time) > 2)


def _attributes(array: xr.DataArray, statistic: Statistic, area: Area, time: str | None) -> dict[str, str]:
    """Return the title and the units of a statistic."""
    units = str(array.attrs.get("units", ""))
    if statistic.kind in ("above", "below"):
        units = "days" if time is not None and time in array.coords and is_dates(array[time]) else "1"
    elif statistic.kind == "trend" and time is not None:
        dated = time in array.coords and is_dates(array[time])
        units = f"{units} year-1" if dated else units
    elif statistic.kind == "sum" and area.units:
        units = f"{units} {area.units}"
    title = array.attrs.get("long_name", array.name)
    attrs = {"long_name": f"{statistic.title} of {title}"}
    return attrs | ({"units": units.strip()} if units.strip() else {})


def _with_share(
    out: xr.Dataset,
    ds: xr.Dataset,
    name: str,
    over: Sequence[str],
    time: str | None,
    groups: list[tuple[Any, Any]] | None,
    area: Area,
) -> xr.Dataset:
    """Add the share of the values that were observed, if the variable has a flag."""
    flag = ds.get(f"{name}_flag")
    code = None if flag is None else observed_code(flag)
    if flag is None or code is None:
        return out
    seen = (flag == code).astype("float64").where(ds[name].notnull())
    share = _of(seen, Statistic("mean"), over, time, groups, area)
    share.attrs = {"long_name": f"share of {name} that was observed", "units": "1"}
    return out.assign({f"{name}_observed": share})


def _with_interval(
    out: xr.Dataset, name: str, drawn: xr.DataArray, statistic: Statistic, level: float
) -> xr.Dataset:
    """Add the interval of the statistics of samples, and these statistics."""
    number, one = drawn.sizes[REALIZATION], out[name]
    least = int(np.ceil(2 / (1 - level) - 1 - 1e-9))
    if number < least:
        raise DataError(
            f"{name}: {number} samples are too few for an interval of {100 * level:g} %, expected {least} or "
            "more; fill with more samples, or lower the level"
        )
    days = statistic.kind in ("above", "below")
    if days:
        out[name] = drawn.mean(REALIZATION).assign_attrs(one.attrs)
    for end, which, p in zip(ends(name, level), ("lower", "upper"), (1 - level, 1 + level), strict=True):
        # With the quantiles of Weibull, an interval of few samples is not too narrow.
        bound = drawn.quantile(p / 2, REALIZATION, method="weibull").drop_vars("quantile")
        if days:
            # Where few samples pass the threshold, their mean may lie beyond the quantiles.
            bound = bound.clip(max=out[name]) if which == "lower" else bound.clip(min=out[name])
        bound.attrs = {k: v for k, v in one.attrs.items() if k == "units"}
        bound.attrs["long_name"] = (
            f"{which} end of the {100 * level:g} % interval of {one.attrs['long_name']}"
        )
        out[end] = bound
    return with_samples(out, name, drawn.transpose(REALIZATION, *one.dims))
