"""Conversion of a data set to the names, units and directions of the training data of a model."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from da4dvar.errors import DataError, first_line, nearest
from da4dvar.fields.intake.quality import mask_name, where
from da4dvar.fields.labels.cf import axis_role, is_dates, spacing, standard_name, steps
from da4dvar.fields.labels.given import as_dataset, mapping_of
from da4dvar.fields.labels.signature import Dimension, Signature
from da4dvar.fields.labels.units import conversion, converted


def check_same_cells(seen: xr.Dataset, truth: xr.Dataset | None) -> None:
    """Raise an error if observations and truth do not have the same coordinates.

    Raises
    ------
    DataError
        If the coordinates differ.
    """
    try:
        xr.align(seen, seen if truth is None else truth, join="exact", copy=False)
    except ValueError as error:
        raise DataError(
            f"observations and truth are not on the same cells ({first_line(error)}); select the same ones"
        ) from error


@dataclass
class Conformed:
    """A data set under the names of a model, with what is needed to restore the user's labels.

    Attributes
    ----------
    data : Dataset
        Variables of the model, NaN where not observed, and covariates, with the model's dimension names.
    sources : dict of str to DataArray
        User's variable for each variable of the model.
    dims : dict of str to str
        User's name of each dimension of the model.
    attrs : dict
        Attributes of the user's data set.
    flipped : list of str
        Dimensions of the model that run in the opposite direction in the user's data.
    notes : list of str
        Messages to the user about conversions.
    unlimited : set of str
        User's dimensions that are unlimited in a NetCDF file.
    """

    data: xr.Dataset
    sources: dict[str, xr.DataArray]
    dims: dict[str, str]
    attrs: dict[Hashable, Any] = field(default_factory=dict)
    flipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unlimited: set[str] = field(default_factory=set)

    def to_user(self, name: str) -> tuple[float, float]:
        """Return the factor and the offset that convert a variable from the model's to the user's units."""
        used, wanted = self.data[name].attrs.get("units"), self.sources[name].attrs.get("units")
        return (1.0, 0.0) if used is None or wanted is None else conversion(str(used), str(wanted))

    def restore(self, array: xr.DataArray) -> xr.DataArray:
        """Convert an array from the model's dimensions to the user's names and directions."""
        back = array.isel({d: slice(None, None, -1) for d in self.flipped if d in array.dims})
        return back.rename({m: u for m, u in self.dims.items() if m in back.dims and m != u})


def conform(
    ds: xr.Dataset | xr.DataArray,
    signature: Signature,
    variable: Mapping[str, str] | str | None = None,
    mask: str | xr.DataArray | None = None,
    dim: Mapping[str, str] | None = None,
) -> Conformed:
    """Match variables and dimensions, convert units, reverse axes, and check the rest.

    Parameters
    ----------
    ds : Dataset or DataArray
        User's data.
    signature : Signature
        Signature of the training data of the model.
    variable : mapping of str to str, or str, optional
        Names in `ds` of variables and covariates of the model, where they differ.
    mask : str or DataArray, optional
        Variable of `ds`, or array with its labels, that is non-zero or true where there is an observation.
    dim : mapping of str to str, optional
        Names in `ds` of dimensions of the model, where they differ.

    Returns
    -------
    Conformed
        Data set under the names of the model.

    Raises
    ------
    DataError
        If `ds` does not fit the model. The message states what was found and expected, and what to do.
    """
    ds, variable = as_dataset(ds, signature, variable)
    dim = mapping_of("dim", dim)
    for given, known, what in (
        (variable, signature.variables | signature.covariates, "variable"),
        (dim, signature.dims, "dimension"),
    ):
        for name in given:
            if name not in known:
                raise DataError(f"the model has no {what} {name!r}: {nearest(name, known)}")
    for name in signature.variables:
        if name not in variable and name not in ds.variables:
            raise DataError(
                f"there is no variable {name!r}: {nearest(name, map(str, ds.data_vars))}; "
                f"choose one with --variable {name}=NAME"
            )
    sources = {name: pick(ds, variable.get(name, name)) for name in signature.variables}
    names = match_dims(next(iter(sources.values())), signature.dims, dim)
    notes: list[str] = []
    arrays, flipped = {}, []
    for name, source in sources.items():
        missing = [u for u in names.values() if u not in source.dims]
        if missing:
            raise DataError(
                f"variable {source.name!r} has no dimension {missing[0]!r}; "
                f"it has {', '.join(map(str, source.dims))}"
            )
        arrays[name], note = under_model_names(ds, source, name, mask, signature, names)
        notes += [note] if note else []
    for model_dim, expected in signature.dims.items():
        if check_dim(next(iter(arrays.values())), model_dim, names[model_dim], expected):
            flipped.append(model_dim)
    for name in signature.covariates:
        arrays[name], note = covariate(ds, name, variable, signature, names)
        notes += [note] if note else []
    turn = {d: slice(None, None, -1) for d in flipped}
    data = xr.Dataset({n: a.isel(turn, missing_dims="ignore") for n, a in arrays.items()})
    kept = {str(d) for source in sources.values() for d in source.dims}
    unlimited = kept & set(map(str, ds.encoding.get("unlimited_dims", ())))
    return Conformed(data, sources, names, dict(ds.attrs), flipped, notes, unlimited)


def under_model_names(
    ds: xr.Dataset,
    source: xr.DataArray,
    name: str,
    mask: str | xr.DataArray | None,
    signature: Signature,
    dims: Mapping[str, str],
) -> tuple[xr.DataArray, str | None]:
    """Convert a variable to the model's names and units; return it with a note if values changed."""
    if source.dtype.kind not in "fiu":
        raise DataError(f"variable {source.name!r} holds {source.dtype}, expected numbers")
    array = source if mask is None else source.where(observed_by(ds, mask, source))
    array, note = converted(array, signature.variables[name].get("units"))
    note = note and f"{note} for the model; the result is in {source.attrs['units']}"
    # Keep the coordinates of stations: a classical method may need them.
    array = array.drop_vars([c for c in array.coords if c not in array.dims and array[c].ndim != 1])
    return array.rename({u: m for m, u in dims.items() if m != u}).rename(name), note


def observed_by(ds: xr.Dataset, mask: str | xr.DataArray, of: xr.DataArray) -> xr.DataArray:
    """Return true where a mask marks a variable as observed; see :func:`da4dvar.fields.intake.quality.where`.

    Raises
    ------
    DataError
        If the mask is neither a name, a condition nor an array, does not hold numbers, or does not have the
        labels of the variable.
    """
    if not isinstance(mask, str | xr.DataArray):
        raise DataError(
            f"mask is of type {type(mask).__name__}, expected the name of a variable, or a DataArray with "
            f"the labels of {of.name!r}"
        )
    array = pick(ds, mask_name(mask, ds.variables)) if isinstance(mask, str) else mask
    observed = where(mask if isinstance(mask, str) else str(array.name), array)
    if strange := [str(d) for d in array.dims if d not in of.dims]:
        raise DataError(
            f"mask {array.name!r} has a dimension {strange[0]!r}, which {of.name!r} lacks; "
            "select one of its entries"
        )
    return observed if isinstance(mask, str) else on_cells_of(of, observed)


def on_cells_of(of: xr.DataArray, mask: xr.DataArray) -> xr.DataArray:
    """The entries of a mask at the labels of a variable, in its order.

    Raises
    ------
    DataError
        If there is no entry for a label.
    """
    both = [d for d in mask.dims if d in mask.indexes and d in of.indexes]
    labels = {d: of[d] for d in both if not mask.indexes[d].equals(of.indexes[d])}
    try:
        return xr.align(of, mask.sel(labels).reset_coords(drop=True), join="exact", copy=False)[1]
    except (KeyError, ValueError) as error:
        raise DataError(
            f"mask {mask.name!r} is not of the cells of {of.name!r} ({first_line(error)}); "
            "give it the same labels, as by mask.reindex_like(data, method='nearest')"
        ) from error


def covariate(
    ds: xr.Dataset, name: str, given: Mapping[str, str], signature: Signature, dims: Mapping[str, str]
) -> tuple[xr.DataArray, str | None]:
    """Convert a covariate to the model's names and units; return it with a note if values changed."""
    source = given.get(name, name)
    if source not in ds.variables:
        raise DataError(
            f"the model needs the covariate {name!r}, but there is no {source!r}: "
            f"{nearest(source, map(str, ds.data_vars))}; choose one with --variable {name}=NAME"
        )
    if ds[source].dtype.kind not in "fiub":
        raise DataError(f"covariate {source!r} holds {ds[source].dtype}, expected numbers")
    array, note = converted(ds[source], signature.covariates[name].get("units"))
    array = array.drop_vars([c for c in array.coords if c not in array.dims])
    return array.rename({u: m for m, u in dims.items() if m != u and u in array.dims}).rename(name), note


def check_values(y: xr.DataArray, conformed: Conformed) -> None:
    """Raise an error for infinite values, or if nothing is observed. Lazy data are not checked."""
    if y.chunks is not None:
        return
    for name, source in conformed.sources.items():
        check_finite(conformed.data[name], str(source.name))
    if not np.isfinite(y.values).any():
        raise DataError(
            f"variable {', '.join(str(s.name) for s in conformed.sources.values())!r} holds no "
            "observation at all; check the variable, its fill value and the mask"
        )


def check_finite(array: xr.DataArray, name: str) -> None:
    """Raise an error if an array has infinite values; gaps must be NaN.

    Raises
    ------
    DataError
        If there are infinite values.
    """
    if array.dtype.kind == "f" and (count := int(np.isinf(array.values).sum())):
        raise DataError(
            f"variable {name!r} has {count} infinite values; replace them by NaN where nothing was observed"
        )


def pick(ds: xr.Dataset, name: str) -> xr.DataArray:
    """Return a variable of a data set, or raise a DataError that suggests the nearest name."""
    if name not in ds.variables:
        raise DataError(f"there is no variable {name!r}: {nearest(name, map(str, ds.data_vars))}")
    return ds[name]


def match_dims(
    array: xr.DataArray, expected: Mapping[str, Dimension], given: Mapping[str, str]
) -> dict[str, str]:
    """Map each expected dimension to one of an array: as given, by the same name, or by CF role."""
    names: dict[str, str] = {}
    free = [str(d) for d in array.dims if d not in given.values()]
    for wanted in expected:
        if wanted in given:
            if given[wanted] not in array.dims:
                raise DataError(
                    f"variable {array.name!r} has no dimension {given[wanted]!r}: "
                    f"{nearest(given[wanted], map(str, array.dims))}"
                )
            names[wanted] = given[wanted]
        elif wanted in free:
            names[wanted] = wanted
            free.remove(wanted)
    for wanted, entry in expected.items():
        if wanted in names:
            continue
        alike = [d for d in free if d in array.coords and same_axis(array[d], entry)]
        if len(alike) != 1:
            raise DataError(
                f"variable {array.name!r} has no dimension {wanted!r} "
                f"(it has {', '.join(map(str, array.dims))}); "
                f"choose one with --dim {wanted}=NAME"
            )
        names[wanted] = alike[0]
        free.remove(alike[0])
    return names


def same_axis(coordinate: xr.DataArray, entry: Dimension) -> bool:
    """Whether a coordinate has the standard name or CF axis of a dimension of the model."""
    name = standard_name(coordinate)
    if name is not None and name == entry.standard_name:
        return True
    return entry.role is not None and axis_role(coordinate) == entry.role


def check_dim(array: xr.DataArray, dim: str, user_dim: str, expected: Dimension) -> bool:
    """Check a dimension against the model's; return true if it runs in the opposite direction."""
    size = array.sizes[dim]
    if size == 0:
        raise DataError(f"dimension {user_dim!r} has no entries; there is nothing to interpolate")
    if expected.size is not None and size != expected.size:
        raise DataError(
            f"dimension {user_dim!r} has {size} entries, but the model was trained on "
            f"{expected.size}; select the same ones, or fill it without --model"
        )
    if dim not in array.coords or expected.spacing is None:
        return False
    coordinate = array[dim]
    differences = steps(coordinate)
    if differences is None or is_dates(coordinate) != expected.dates:
        wanted = "dates" if expected.dates else "numbers"
        raise DataError(
            f"{user_dim!r} holds {coordinate.dtype}, but the model was trained on {wanted}, "
            f"{expected.spacing:g}{' s' if expected.dates else ''} apart; "
            + (
                "give it CF units such as 'days since 2000-01-01'"
                if expected.dates
                else f"give it such a coordinate, or remove it (ds.drop_vars({user_dim!r}))"
            )
        )
    if not differences.size:
        return False
    if (differences == 0).any() or (np.sign(differences) != np.sign(differences[0])).any():
        where = int(np.argmax(np.sign(differences) != np.sign(np.median(differences)))) + 1
        raise DataError(
            f"{user_dim!r} is not monotonic or has duplicates, first at index {where} "
            f"({coordinate.values[where]}); sort it and drop duplicates "
            f"(ds.sortby({user_dim!r}).drop_duplicates({user_dim!r}))"
        )
    got, usual = abs(spacing(coordinate) or 0.0), abs(expected.spacing)
    if np.abs(np.abs(differences) - got).max() > 0.1 * got:
        raise DataError(
            f"{user_dim!r} has steps from {readable(np.abs(differences).min(), coordinate)} to "
            f"{readable(np.abs(differences).max(), coordinate)}, expected "
            f"{readable(usual, coordinate)} throughout; reindex the data set so that missing "
            "entries are NaN"
        )
    if abs(got - usual) > (0.1 if expected.dates and monthly(usual) else 0.05) * usual:
        raise DataError(
            f"{user_dim!r} has steps of {readable(got, coordinate)}, but the model was trained on "
            f"{readable(usual, coordinate)}; resample the data set, or fill it "
            "without --model"
        )
    return bool(np.sign(differences[0]) != np.sign(expected.spacing))


def monthly(seconds: float) -> bool:
    """Whether a step is a month or more; the median step of a few months may be 28 or 31 days."""
    return seconds > 27 * 86400


def readable(step: float, coordinate: xr.DataArray) -> str:
    """Format a step for messages, with a unit of time for dates."""
    if not is_dates(coordinate):
        return f"{step:.4g}"
    for name, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if step >= length:
            return f"{step / length:.4g} {name}"
    return f"{step:.4g} s"
