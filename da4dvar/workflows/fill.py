"""Filling of whole data sets by a classical method."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr

from da4dvar.config.kinds import class_of
from da4dvar.config.registry import arguments_of
from da4dvar.errors import DataError, warn
from da4dvar.fields.bounds import bounds_given, bounds_of
from da4dvar.fields.files.store import load_dataset
from da4dvar.fields.gaps.limits import MaxGap, within_limits
from da4dvar.fields.intake.missing import with_gaps
from da4dvar.fields.intake.take import take_in
from da4dvar.fields.labels.cf import steps, uneven
from da4dvar.fields.labels.conform import check_finite, pick
from da4dvar.fields.labels.filled import delivered
from da4dvar.fields.labels.flags import scheme_of
from da4dvar.fields.labels.units import converted
from da4dvar.workflows.candidate import Candidate

# Arguments that the caller provides; a method with other required arguments needs the table of a recipe.
GIVEN = ("time", "history")
REQUIRED = inspect.Parameter.empty


def fill_classically(
    ds: xr.Dataset,
    method: str,
    variable: Mapping[str, str],
    dim: Mapping[str, str],
    history: str | None = None,
    *,
    mask: str | None = None,
    fill_value: str = "auto",
    times: str = "insert",
    bounds: Sequence[str] = (),
    circular: Sequence[str] = (),
    max_gap: MaxGap | None = None,
    limit_area: str | None = None,
    analysis: bool = False,
    flags: str = "da4dvar",
) -> xr.Dataset:
    """Fill the fields of a data set with a baseline.

    Parameters
    ----------
    ds : Dataset
        Data as opened.
    method : str
        Kind of a baseline. It is given `time` and `history` if it has arguments of these names.
    variable : mapping of str to str
        Maps names in the result to names in `ds`; if empty, every field is filled.
    dim : mapping of str to str
        Maps ``time`` to the name of the time dimension in `ds`, if it is different.
    history : str, optional
        Path of a file with other years, for the climatology and the EOFs, or with complete images.
    mask, fill_value, times
        See :func:`da4dvar.fields.intake.take.take_in`.
    bounds, circular
        See :func:`da4dvar.fields.bounds.bounds_given`.
    max_gap, limit_area
        See :func:`da4dvar.fields.gaps.limits.within_limits`.
    analysis : bool
        Replace observed values by the analysis as well.
    flags : str
        Codes of the flags; see :func:`da4dvar.fields.labels.flags.in_scheme`.

    Returns
    -------
    Dataset
        `ds` with its fields filled, their flags and, if the method provides them, their standard errors.

    Raises
    ------
    DataError
        If the data cannot be filled, or the method needs other arguments.
    RecipeError
        If there is no such method.
    """
    cls = class_of("baseline", method)
    parameters = inspect.signature(cls).parameters
    missing = [n for n in arguments_of(cls) if n not in GIVEN and parameters[n].default is REQUIRED]
    if missing:
        raise DataError(f"{method} requires {', '.join(missing)}; use the method in the table of a recipe")
    timeless = "time" not in parameters
    taken = take_in(
        ds, variable=variable, dim=dim, mask=mask, fill_value=fill_value, times=times, timeless=timeless
    )
    ds, names, time = taken.data, list(taken.fields), taken.time
    for name in names:
        if not ds[name].size:
            raise DataError(f"variable {name!r} has no entries; there is nothing to fill")
        check_finite(ds[name], name)
    if not timeless:
        check_times(ds[names[0]], time, None if getattr(cls, "reads_times", False) else method)
    arguments: dict[str, Any] = {} if timeless else {"time": time}
    if history is not None:
        if "history" not in parameters:
            raise DataError(f"{method} does not use data of other years; leave --history out")
        arguments["history"] = alike(with_gaps(load_dataset(history), fill_value)[0], ds, names)
    elif "history" in parameters and parameters["history"].default is REQUIRED:
        raise DataError(f"{method} learns from complete images; give a file of them with --history")
    candidate, given = Candidate(method, cls(**arguments), {}), bounds_given(bounds, circular)
    for name in names:
        array, found = ds[name], bounds_of(ds[name], given)
        if found and (line := found.line(name)):
            warn(line)
        estimate, std = candidate.estimate(array, found)
        # A method without a time dimension measures no gaps.
        along = [time] if time in array.dims else []
        allowed = within_limits(array.notnull(), along, max_gap, limit_area)
        ds = delivered(
            ds, name, estimate, allowed=allowed, std=std, analysis=analysis, scheme=scheme_of(flags)
        )
        if array.isnull().any() and not (array.isnull() & ds[name].notnull()).any():
            warn(f"{name}: nothing was filled; the missing values stay empty (flag 2)")
    return ds


def check_times(array: xr.DataArray, time: str, counting: str | None) -> None:
    """Reject times that are not monotonic, and warn if they are uneven and the method counts steps.

    Parameters
    ----------
    array : DataArray
        Variable whose times are checked.
    time : str
        Name of the time dimension.
    counting : str, optional
        Name of the method, if it counts steps and ignores the time coordinate.

    Raises
    ------
    DataError
        If the times are not strictly increasing or decreasing.
    """
    apart = steps(array[time]) if time in array.coords else None
    if apart is None or not apart.size:
        return
    if not ((apart > 0).all() or (apart < 0).all()):
        raise DataError(
            f"{time!r} is not monotonic or has duplicates; sort it and drop duplicates "
            f"(ds.sortby({time!r}).drop_duplicates({time!r}))"
        )
    if counting is not None and uneven(array[time]):
        warn(
            f"steps of {time!r} are uneven, and {counting} counts steps; reindex the data set so that "
            "missing times are NaN"
        )


def alike(history: xr.Dataset, ds: xr.Dataset, names: list[str]) -> xr.Dataset:
    """Return the variables `names` of a history, converted to the units of a data set.

    Raises
    ------
    DataError
        If a variable is missing, or its units cannot be converted.
    """
    return xr.Dataset({n: converted(pick(history, n), ds[n].attrs.get("units"))[0] for n in names})
