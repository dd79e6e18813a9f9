"""Structures other than a grid or stations over time: resolved, or refused with advice."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.intake.roles import is_position, is_time, time_of
from da4dvar.fields.labels.cf import axis_role, steps

# A platform has moved if its latitude or longitude changes by more than this, in degrees.
MOVED = 0.2
RECORDS = ("rec", "recnum", "record", "records", "recordnum")
LEVEL_NAMES = {"pres", "pressure", "depth", "altitude", "height", "z"}
PROFILES = {"profile", "trajectoryprofile"}


def resolved(ds: xr.Dataset, dim: Mapping[str, str] | None = None) -> tuple[xr.Dataset, list[str]]:
    """Merge what is split along a dimension that is no axis, and refuse what is neither grid nor stations.

    Parameters
    ----------
    ds : Dataset
        Data set.
    dim : mapping of str to str, optional
        Maps ``time`` to the name of the time dimension. A track is accepted if its dimension is given.

    Returns
    -------
    ds : Dataset
        Data set with a usual structure.
    notes : list of str
        What was changed.

    Raises
    ------
    DataError
        For ragged arrays, records of many stations, profiles with padding, tracks and swaths.

    Examples
    --------
    >>> ds = xr.Dataset({"t2m": (("time", "expver"), [[280.0, np.nan], [np.nan, 281.0]])}, {"expver": [1, 5]})
    >>> merged, notes = resolved(ds)
    >>> merged.t2m.values
    array([280., 281.])
    """
    refuse_ragged(ds)
    ds, notes = without_expver(ds)
    refuse_profiles(ds)
    if (time := time_of(ds, dim)) is not None:
        refuse_rows(ds, time, bool((dim or {}).get("time")))
    return ds, notes


def refuse_ragged(ds: xr.Dataset) -> None:
    """Refuse ragged arrays, in which several series follow each other along one dimension.

    Raises
    ------
    DataError
        If a variable has the attribute ``sample_dimension`` or ``instance_dimension``.
    """
    for name, variable in ds.variables.items():
        if "sample_dimension" in variable.attrs:
            number, along = f"{variable.size} series", repr(variable.attrs["sample_dimension"])
        elif "instance_dimension" in variable.attrs:
            number, along = "several series", repr(str(variable.dims[0]))
        else:
            continue
        raise DataError(
            f"a ragged array holds {number} one after another along {along} (see {name!r}), and gaps between "
            "them are not gaps in time; map the points to a grid with --resolution or --grid, or give each "
            "series a row of its own, as an array (station, time)"
        )


def without_expver(ds: xr.Dataset) -> tuple[xr.Dataset, list[str]]:
    """Merge ERA5 and preliminary ERA5T data, which Copernicus files keep apart along ``expver``."""
    if "expver" not in ds.dims:
        return ds, []
    if "expver" in ds.coords:
        # The lower number is the final version.
        ds = ds.sortby("expver")
    merged = ds.isel(expver=0, drop=True)
    for name in (n for n, v in ds.variables.items() if "expver" in v.dims and n != "expver"):
        array = ds[name].isel(expver=0, drop=True)
        for k in range(1, ds.sizes["expver"]):
            array = array.combine_first(ds[name].isel(expver=k, drop=True))
        merged[name] = array.assign_attrs(ds[name].attrs)
        merged[name].encoding = {k: v for k, v in ds[name].encoding.items() if "chunk" not in k}
    versions = ", ".join(map(str, ds["expver"].values))
    return merged, [f"merged the versions {versions} along 'expver', the final one (ERA5) first"]


def refuse_profiles(ds: xr.Dataset) -> None:
    """Refuse profiles, each with its own levels, whose arrays are padded to the same length.

    Raises
    ------
    DataError
        If levels depend on the profile, and the feature type says profile or the levels end in padding.
    """
    kind = str(ds.attrs.get("featureType", "")).lower()
    for name, variable in ds.variables.items():
        if variable.ndim != 2 or variable.dtype.kind not in "iuf" or variable.dims[1] in ds.indexes:
            continue
        role = axis_role(xr.DataArray(variable))
        if role != "Z" and not (role is None and str(name).lower() in LEVEL_NAMES):
            continue
        padded = is_padded(np.asarray(variable.values, dtype="float64"))
        if padded or kind in PROFILES:
            profile, level = map(str, variable.dims)
            raise DataError(
                f"{name!r} gives every entry of {profile!r} levels of its own along {level!r} (profiles"
                f"{', padded at the end' if padded else ''}), and padding is not a gap; interpolate the "
                "profiles to common levels first"
            )
    if kind in PROFILES:
        raise DataError(
            f"the file holds profiles (featureType {ds.attrs['featureType']}); interpolate them to common "
            "levels and give the file dimensions such as (time, depth)"
        )


def is_padded(levels: np.ndarray) -> bool:
    """Whether rows hold levels in order, and some end early.

    Examples
    --------
    >>> is_padded(np.array([[5.0, 10.0, 20.0], [5.0, 12.0, np.nan]]))
    True
    """
    known = np.isfinite(levels)
    apart = np.diff(levels, axis=1)
    apart = apart[np.isfinite(apart)]
    in_order = apart.size > 0 and ((apart > 0).all() or (apart < 0).all())
    early = known[:, 0] & ~known[:, -1] & (np.diff(known.astype("int8"), axis=1) <= 0).all(axis=1)
    return bool(in_order and early.any())


def refuse_rows(ds: xr.Dataset, time: str, given: bool) -> None:
    """Refuse records, tracks and swaths, in which a step of the time dimension is also a step in space.

    Parameters
    ----------
    ds : Dataset
        Data set.
    time : str
        Name of the time dimension.
    given : bool
        Whether the user chose the dimension. Tracks are then accepted, records are not.

    Raises
    ------
    DataError
        If the entries along the time dimension are reports of different stations, or, unless `given`, lie
        on a track or a swath.
    """
    place = [
        v
        for n, v in ds.variables.items()
        if v.dims[:1] == (time,) and v.ndim <= 2 and v.dtype.kind in "iuf" and is_position(ds[n])
    ]
    labels = [str(n) for n, v in ds.variables.items() if is_label(v, time)]
    several = next((n for n in labels if changes(ds[n])), None)
    moving = [v for v in place if moved(v)]
    # With an identifier for every entry, at one place, labels name records and not stations.
    of_records = not moving and any(all_differ(ds[n]) and "cf_role" not in ds[n].attrs for n in labels)
    if (several and not of_records and out_of_order(ds, time)) or (
        time.lower() in RECORDS and (several or moving)
    ):
        what = f"{several!r} and " if several else ""
        raise DataError(
            f"the entries along {time!r} are records of several stations one after another ({what}the times "
            "change from one to the next); give each station a row of its own, as an array (station, time)"
        )
    if moving and not given:
        kind = "a track" if moving[0].ndim == 1 else "a swath"
        raise DataError(
            f"the data lie on {kind}: the position changes along {time!r}; map them to a grid with "
            f"--resolution or --grid, or fill along {kind} with --dim time={time}"
        )


def is_label(variable: xr.Variable, time: str) -> bool:
    """Whether a variable may name the station of each entry: text or identifiers along time only."""
    text = variable.dtype.kind in "SU" or (variable.dtype == object and not is_time(xr.DataArray(variable)))
    return variable.dims == (time,) and (text or "cf_role" in variable.attrs)


def changes(array: xr.DataArray) -> bool:
    """Whether an array has different entries."""
    return len(set(array.values.tolist())) > 1


def all_differ(array: xr.DataArray) -> bool:
    """Whether every entry of an array occurs once."""
    return len(set(array.values.tolist())) == array.size


def moved(variable: xr.Variable) -> bool:
    """Whether a position changes along its first dimension."""
    values = np.asarray(variable.values, dtype="float64")
    if not np.isfinite(values).any():
        return False
    lowest, highest = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
    return bool(np.nanmax(highest - lowest) > MOVED)


def out_of_order(ds: xr.Dataset, time: str) -> bool:
    """Whether the times along a dimension, in whichever variable they are, are not increasing."""
    times = [v for v in ds.variables.values() if v.dims == (time,) and is_time(xr.DataArray(v))]
    if not times:
        return False
    differences = steps(xr.DataArray(times[0]))
    return differences is not None and not bool((differences > 0).all())
