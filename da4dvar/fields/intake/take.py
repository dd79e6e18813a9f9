"""The intake of a data set: the same preparation for every verb."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from da4dvar.errors import DataError, warn
from da4dvar.fields.intake.missing import with_gaps
from da4dvar.fields.intake.quality import levels_note, mask_name
from da4dvar.fields.intake.roles import fields_of, time_of, why_not
from da4dvar.fields.intake.structure import resolved
from da4dvar.fields.intake.times import decoded_times, regular_times
from da4dvar.fields.labels.conform import observed_by, pick
from da4dvar.fields.labels.given import checked
from da4dvar.fields.labels.samples import check_no_samples

# Largest number of names in a message.
LISTED = 6


@dataclass(frozen=True)
class Intake:
    """A data set that is ready to be filled.

    Attributes
    ----------
    data : Dataset
        The whole data set: fields are floating-point numbers with NaN in the gaps, at regular times; all
        other variables are as they were.
    fields : tuple of str
        Names of the fields.
    time : str
        Name of the time dimension.
    carried : dict of str to str
        Reason why it is not a field, for every other data variable.
    notes : tuple of str
        What was changed or found.
    """

    data: xr.Dataset
    fields: tuple[str, ...]
    time: str
    carried: dict[str, str]
    notes: tuple[str, ...]


def take_in(
    ds: xr.Dataset | xr.DataArray,
    *,
    variable: Mapping[str, str] | Sequence[str] | str | None = None,
    dim: Mapping[str, str] | None = None,
    mask: str | xr.DataArray | None = None,
    fill_value: str | float = "auto",
    times: str = "insert",
    say: Callable[[str], object] | None = None,
    timeless: bool = False,
    decode: bool = True,
) -> Intake:
    """Prepare a data set to be filled: structure, times, gaps, mask, and which variables are fields.

    Parameters
    ----------
    ds : Dataset or DataArray
        Data set as opened. A DataArray without a name is called ``data``.
    variable : mapping of str to str, sequence of str, or str, optional
        Names of the fields, or a mapping of new names to their names in `ds`. By default every variable that
        is a field; see :func:`da4dvar.fields.intake.roles.fields_of`.
    dim : mapping of str to str, optional
        Maps ``time`` to the name of the time dimension in `ds`.
    mask : str or DataArray, optional
        Variable that is non-zero, or condition such as ``quality_level>=4`` that is true, where there is an
        observation; or an array with the labels of the fields.
    fill_value : {"auto", "none"} or float, optional
        See :func:`da4dvar.fields.intake.missing.with_gaps`.
    times : {"insert", "keep", "sort"}, optional
        See :func:`da4dvar.fields.intake.times.regular_times`.
    say : callable, optional
        Function that is called with each note; by default they are issued as warnings.
    timeless : bool
        Whether the data may lack a time dimension.
    decode : bool
        Whether times that are text or numbers are decoded to dates if they can be.

    Returns
    -------
    Intake

    Raises
    ------
    DataError
        If there is nothing to fill, or the data cannot be used as they are.

    Examples
    --------
    >>> ds = xr.Dataset({"tas": ("time", [280.0, np.nan]), "tas_qc": ("time", [0, 1])})
    >>> taken = take_in(ds)
    >>> taken.fields, taken.carried
    (('tas',), {'tas_qc': 'a flag'})
    """
    if isinstance(ds, xr.DataArray):
        ds = ds.to_dataset(name="data" if ds.name is None or ds.name in ds.coords else ds.name)
    check_no_samples(checked(ds, ("time", "...")))
    ds, notes = resolved(ds, dim)
    time = time_of(ds, dim)
    if time is None and not timeless:
        raise DataError(no_time(ds))
    if time is not None and decode:
        ds, found = decoded_times(ds, time)
        notes += found
    chosen = names_of(ds, variable)
    fields, carried = fields_of(ds, time)
    if chosen:
        for name in chosen.values():
            check_chosen(ds, name, None if timeless else time)
        left_out = dict.fromkeys(fields, "it was not chosen")
        fields = list(chosen.values())
        carried = {n: why for n, why in (carried | left_out).items() if n not in fields}
    if isinstance(mask, str):
        name = mask_name(mask, ds.variables)
        fields = [n for n in fields if n != name]
        carried |= {name: "the mask"} if name in ds.data_vars else {}
    if not fields:
        raise DataError(no_fields(ds, carried))
    ds, found = with_gaps(ds, fill_value, fields)
    notes += found
    ds = ds.assign({n: as_float(ds[n]) for n in fields})
    if mask is not None:
        ds, found = masked(ds, fields, mask, bool(chosen))
        notes += found
    if not chosen and len(left := [n for n in fields if not is_empty(ds[n])]) < len(fields):
        # If all of them are empty, the caller says so.
        carried |= {n: "it holds no value" for n in fields if n not in left} if left else {}
        fields = left or fields
    if time is not None:
        ds, found = regular_times(ds, time, times)
        notes += found
    if renamed := {old: new for new, old in chosen.items() if new != old}:
        replaced = [n for n in renamed.values() if n in ds.variables and n not in renamed]
        notes += [
            f"{n!r} of the input is left out, because another variable takes its name" for n in replaced
        ]
        ds = ds.drop_vars(replaced).rename(renamed)
        fields = [renamed.get(n, n) for n in fields]
        carried = {n: why for n, why in carried.items() if n not in replaced}
    notes += not_filled(ds, carried, time)
    for note in notes:
        (say or warn)(note)
    return Intake(ds, tuple(fields), time or "time", carried, tuple(notes))


def names_of(ds: xr.Dataset, variable: Mapping[str, str] | Sequence[str] | str | None) -> dict[str, str]:
    """Return the chosen variables as a mapping of new names to names in the data set."""
    if isinstance(variable, str):
        variable = [variable]
    chosen = dict(variable) if isinstance(variable, Mapping) else {n: n for n in variable or ()}
    for name in chosen.values():
        pick(ds, name)
    return chosen


def check_chosen(ds: xr.Dataset, name: str, time: str | None) -> None:
    """Raise an error if a variable cannot be filled although it was chosen."""
    array = ds[name]
    if array.dtype.kind not in "iuf":
        raise DataError(f"variable {name!r} holds {array.dtype}, expected numbers")
    if len(set(array.dims)) < array.ndim:
        raise DataError(f"variable {name!r} cannot be filled: {why_not(array, None)}")
    if time is not None and time not in array.dims:
        raise DataError(
            f"variable {name!r} has no dimension {time!r} (it has {', '.join(map(str, array.dims))}); "
            "name the time dimension with --dim time=NAME"
        )


def no_time(ds: xr.Dataset) -> str:
    """Return the message for data without a time dimension."""
    return (
        f"there is no time dimension (there are: {', '.join(map(str, ds.dims)) or 'none'}); name it with "
        "--dim time=NAME, or add one, such as ds.expand_dims(time=[date]), and give the files of all dates"
    )


def no_fields(ds: xr.Dataset, carried: Mapping[str, str]) -> str:
    """Return the message for data without a field."""
    if not ds.data_vars:
        return "there is no variable in the data; check the file, and give --group NAME if it has groups"
    return f"there is no numeric variable to fill: {listed(carried)}; choose one with --variable NAME=NAME"


def listed(carried: Mapping[str, str]) -> str:
    """Format variables and the reasons why they are not filled."""
    said = [f"{n!r} ({why})" for n, why in carried.items()]
    more = [f"and {len(said) - LISTED} more"] if len(said) > LISTED else []
    return ", ".join([*said[:LISTED], *more])


def as_float(array: xr.DataArray) -> xr.DataArray:
    """Return a field as floating-point numbers, which can hold NaN, with its encoding."""
    if array.dtype.kind == "f":
        return array
    exact = array.astype("float32" if array.dtype.itemsize <= 2 else "float64")
    exact.encoding = dict(array.encoding)
    return exact


def masked(
    ds: xr.Dataset, fields: Sequence[str], mask: str | xr.DataArray, chosen: bool
) -> tuple[xr.Dataset, list[str]]:
    """Set the fields to NaN where a mask says that there is no observation."""
    notes = []
    array = ds.get(mask_name(mask, ds.variables)) if isinstance(mask, str) else mask
    is_plain = not isinstance(mask, str) or mask in ds.variables
    if isinstance(array, xr.DataArray) and is_plain and (note := levels_note(array)):
        notes.append(note)
    for name in fields:
        field = ds[name]
        if not chosen and isinstance(array, xr.DataArray) and not set(array.dims) <= set(field.dims):
            notes.append(f"the mask does not apply to {name!r}, which lacks one of its dimensions")
            continue
        seen = field.where(observed_by(ds, mask, field)).transpose(*field.dims)
        seen.encoding = dict(field.encoding)
        ds = ds.assign({name: seen})
    return ds, notes


def is_empty(array: xr.DataArray) -> bool:
    """Whether an array in memory holds no value at all."""
    return array.chunks is None and array.size > 0 and not bool(array.notnull().any())


def not_filled(ds: xr.Dataset, carried: Mapping[str, str], time: str | None) -> list[str]:
    """Return a note on variables with gaps that a user may expect to be filled."""
    known = {
        n: why
        for n, why in carried.items()
        if ds[n].dtype.kind == "f" and time in ds[n].dims and why not in ("it was not chosen", "the mask")
    }
    gappy = {n: why for n, why in known.items() if ds[n].chunks is None and np.isnan(ds[n].values).any()}
    return [f"not filled but kept as they are: {listed(gappy)}"] if gappy else []
