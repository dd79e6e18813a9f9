"""Reading of points from the discrete sampling geometries of the CF conventions, chapter 9."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import xarray as xr

from da4dvar.errors import DataError, warn
from da4dvar.fields.intake.missing import with_gaps
from da4dvar.fields.intake.roles import fields_of, is_time, tokens
from da4dvar.fields.intake.structure import LEVEL_NAMES
from da4dvar.fields.intake.take import as_float, check_chosen, listed, masked, names_of
from da4dvar.fields.intake.times import decoded_times
from da4dvar.fields.labels.cf import DEGREES, axis_role, is_dates, states
from da4dvar.fields.labels.conform import check_finite
from da4dvar.fields.labels.units import conversion, same_units
from da4dvar.fields.points.record import Points

Say = Callable[[str], object]
# Identifiers of platforms, in the order in which they are preferred. A profile is no platform.
ROLES = ("trajectory_id", "timeseries_id")
PLATFORMS = (
    *("platform", "mission", "satellite", "sensor", "instrument", "station", "buoy", "mooring", "float"),
    *("cruise", "ship", "trajectory", "track", "drifter", "glider"),
)
TABLES = {"id", "name", "number", "code"}


def from_dataset(
    ds: xr.Dataset,
    variable: Mapping[str, str] | Sequence[str] | str | None = None,
    *,
    mask: str | None = None,
    fill_value: str | float = "auto",
    say: Say | None = None,
) -> dict[str, Points]:
    """Return the points of each variable of a data set.

    All feature types of the CF conventions are read: point, time series, trajectory and profile, and time
    series and trajectories of profiles, as arrays padded to the same length and as contiguous and indexed
    ragged arrays. The values of a grid are points as well, at the centres of their cells.

    Parameters
    ----------
    ds : Dataset
        Data set as opened.
    variable : mapping of str to str, sequence of str, or str, optional
        Names of the variables, or a mapping of new names to their names in `ds`. By default all that are
        measurements.
    mask : str, optional
        Variable that is non-zero, or condition such as ``TEMP_QC==1,2`` that is true, where there is an
        observation.
    fill_value : str or float
        See :func:`da4dvar.fields.intake.missing.with_gaps`.
    say : callable, optional
        Function that is called with each note; by default they are issued as warnings.

    Returns
    -------
    dict of str to Points
        Errors are taken from a variable of the same name with ``error``, ``std`` or the like, or with the
        standard name of a standard error.

    Raises
    ------
    DataError
        If there is no variable, or a variable has neither a time nor a place.

    Examples
    --------
    >>> buoys = xr.Dataset(
    ...     {"sst": ("obs", [10.0, 11.0, 20.0]), "count": ("buoy", [2, 1], {"sample_dimension": "obs"})},
    ...     {"time": ("obs", [0.0, 1.0, 0.0]), "lat": ("buoy", [40.0, 41.0]), "lon": ("buoy", [5.0, 6.0])},
    ... )
    >>> points = from_dataset(buoys)["sst"]
    >>> points.lat, points.value
    (array([40., 40., 41.]), array([10., 11., 20.]))
    """
    say = say or warn
    ds = unravelled(ds)
    for name in [str(n) for n in ds.variables if is_time(ds[n]) and ds[n].ndim and not is_dates(ds[n])]:
        ds, notes = decoded_times(ds.set_coords(name), name)
        for note in notes:
            say(note)
    chosen = names_of(ds, variable)
    fields, others = fields_of(ds, None)
    fields = [n for n in fields if not is_vertical(ds[n]) and n not in others]
    for name in chosen.values():
        check_chosen(ds, name, None)
    names = chosen or {n: n for n in fields}
    if not names:
        raise DataError(
            f"there is no variable of measurements: {listed(others)}; choose one with --variable NAME=NAME"
        )
    ds, notes = with_gaps(ds, fill_value, list(names.values()))
    ds = ds.assign({n: as_float(ds[n]) for n in names.values()})
    if mask is not None:
        ds, found = masked(ds, list(names.values()), mask, bool(chosen))
        notes += found
    for note in notes:
        say(note)
    for name in names.values():
        check_finite(ds[name], name)
    out = {new: flattened(ds, old, error_of(ds, old), say) for new, old in names.items()}
    empty = [n for n, points in out.items() if not len(points)]
    if len(empty) == len(out):
        raise DataError(f"{', '.join(empty)}: there is no value at a known time and place; check the file")
    return {n: Points(**vars(p) | {"name": n}) for n, p in out.items() if n not in empty}


def unravelled(ds: xr.Dataset) -> xr.Dataset:
    """Return a data set whose ragged arrays have their instance variables repeated for every sample.

    Parameters
    ----------
    ds : Dataset
        Data set with variables that have the attribute ``sample_dimension`` (contiguous ragged arrays) or
        ``instance_dimension`` (indexed ones).

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        If counts or indices do not match the sizes of the dimensions.
    """
    while True:
        index = next((n for n, v in ds.variables.items() if "instance_dimension" in v.attrs), None)
        count = next((n for n, v in ds.variables.items() if "sample_dimension" in v.attrs), None)
        name = index if index is not None else count
        if name is None:
            return ds
        numbers = ds[name].fillna(-1 if index is not None else 0).values.astype(int)
        if index is not None:
            samples, instances = str(ds[name].dims[0]), str(ds[name].attrs["instance_dimension"])
            which = numbers
        else:
            samples, instances = str(ds[name].attrs["sample_dimension"]), str(ds[name].dims[0])
            which = np.repeat(np.arange(numbers.size), np.clip(numbers, 0, None))
        size = ds.sizes.get(instances, int(which.max(initial=-1)) + 1)
        if which.size != ds.sizes.get(samples) or (numbers < 0).any() or which.max(initial=0) >= size:
            raise DataError(
                f"the ragged array of {name!r} has {which.size} samples of {size} instances, expected "
                f"{ds.sizes.get(samples)} along {samples!r}; check its counts or indices"
            )
        ds = ds.drop_vars([name])
        along = {n: v for n, v in ds.variables.items() if instances in v.dims}
        spread = {n: v.isel({instances: xr.Variable(samples, which)}) for n, v in along.items()}
        coords = {n for n in along if n in ds.coords}
        ds = ds.drop_vars(list(along)).assign(spread).set_coords(coords - {instances})
        if instances in ds.variables:
            ds = ds.rename({instances: f"{instances}_id"})


def flattened(ds: xr.Dataset, name: str, error: str | None, say: Say) -> Points:
    """Return the values of a variable, with the coordinates of each."""
    array = ds[name]
    own = {str(n): ds[n].reset_coords(drop=True) for n in ds.variables if fits(ds[n], array) and n != name}
    found = {
        "time": first(own, lambda a: is_dates(a) or is_time(a)),
        "lat": first(own, lambda a: is_degrees(a, "Y")),
        "lon": first(own, lambda a: is_degrees(a, "X")),
        "depth": first(own, is_vertical),
        "error": own.get(error) if error else None,
        "platform": platform_of(own),
    }
    if (found["lat"] is None) != (found["lon"] is None) or all(
        found[n] is None for n in ("time", "lat", "depth")
    ):
        raise DataError(
            f"variable {name!r} has no position: expected a latitude and a longitude along "
            f"{', '.join(map(str, array.dims)) or 'its dimensions'}, found {', '.join(own) or 'nothing'}"
        )
    values = array.values.ravel()
    columns = {
        n: a.variable.set_dims(dict(zip(array.dims, array.shape, strict=True)))
        .transpose(*array.dims)
        .values.ravel()
        for n, a in found.items()
        if a is not None
    }
    if found["error"] is not None:
        own_units, units = found["error"].attrs.get("units"), array.attrs.get("units")
        if own_units and units and not same_units(own_units, units):
            columns["error"] = columns["error"] * factor(own_units, units, f"the error of {name!r}")[0]
    known = np.isfinite(values)
    kept = known.copy()
    for n in ("time", "lat", "lon", "depth"):
        if n in columns:
            kept &= ~np.asarray(xr.DataArray(columns[n]).isnull())
    if lost := int((known & ~kept).sum()):
        say(f"{name}: {lost} of {known.sum()} values have no time or no place and are left out")
    columns = {n: column[kept] for n, column in columns.items()}
    if "time" in columns and columns["time"].dtype == object:
        raise DataError(
            f"the times of {name!r} are dates of the calendar {columns['time'][0].calendar}, expected the "
            "standard calendar; convert them with ds.convert_calendar('standard')"
        )
    if "platform" in columns:
        columns["platform"] = np.array([as_text(p) for p in columns["platform"]])
    for n in ("lat", "lon", "depth", "error"):
        if n in columns:
            columns[n] = columns[n].astype("float64")
    vertical = found["depth"]
    return Points(
        name,
        values[kept].astype("float64"),
        **columns,
        attrs=dict(array.attrs),
        depth_attrs={} if vertical is None else {"name": str(vertical.name), **vertical.attrs},
    )


def factor(got: object, wanted: object, what: str) -> tuple[float, float]:
    """Return the factor and the offset between two units.

    Raises
    ------
    DataError
        If one cannot be converted to the other.
    """
    try:
        return conversion(str(got), str(wanted))
    except ValueError as error:
        raise DataError(
            f"{what} is in {got}, which cannot be converted to {wanted}; check the units"
        ) from error


def fits(one: xr.DataArray, array: xr.DataArray) -> bool:
    """Whether a variable has an entry for every value of another."""
    return set(one.dims) <= set(array.dims) and len(set(one.dims)) == one.ndim


def first(own: Mapping[str, xr.DataArray], test: Callable[[xr.DataArray], bool]) -> xr.DataArray | None:
    """Return the first variable that meets a test, of those with most dimensions."""
    found = [a for a in own.values() if test(a)]
    return max(found, key=lambda a: a.ndim) if found else None


def is_degrees(array: xr.DataArray, role: str) -> bool:
    """Whether a variable holds latitudes (`role` Y) or longitudes (X)."""
    named = str(array.name).lower() in (*DEGREES[role], "lng", "long")[: 5 if role == "X" else 3]
    stated = states(array, {"Y": "latitude", "X": "longitude"}[role])
    return array.dtype.kind in "iuf" and (stated or (named and axis_role(array) in (None, role)))


def is_vertical(array: xr.DataArray) -> bool:
    """Whether a variable holds depths, heights or pressures of its points."""
    if array.dtype.kind not in "iuf":
        return False
    role = axis_role(array)
    return role == "Z" or (role is None and str(array.name).lower() in LEVEL_NAMES)


def platform_of(own: Mapping[str, xr.DataArray]) -> xr.DataArray | None:
    """Return the variable that names platforms: by its CF role, or by its name."""
    for role in ROLES:
        if found := [a for a in own.values() if a.attrs.get("cf_role") == role]:
            return found[0]
    for word in PLATFORMS:
        for name, array in own.items():
            if word in (words := tokens(name)) and words <= {word} | TABLES and array.dtype.kind in "SUOiu":
                return array
    return None


def error_of(ds: xr.Dataset, name: str) -> str | None:
    """Return the variable that holds the errors of another, or None."""
    others = fields_of(ds, None)[1]
    exact = [n for n, why in others.items() if why == f"the error of {name!r}"]
    named = [n for n in map(str, ds[name].attrs.get("ancillary_variables", "").split()) if n in ds.variables]
    stated = [n for n in named if str(ds[n].attrs.get("standard_name", "")).endswith("standard_error")]
    alone = [
        n for n, why in others.items() if why == "the error of another variable" and fits(ds[n], ds[name])
    ]
    found = stated or exact or (alone if len(alone) == 1 else [])
    return found[0] if found else None


def as_text(label: object) -> str:
    """Return the name of a platform as text without blanks at its ends."""
    return (label.decode("utf-8", "replace") if isinstance(label, bytes) else str(label)).strip()
