"""Data and names as a user gives them: a DataArray for a Dataset, one name for a mapping."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.labels.signature import Dimension, Signature


def as_dataset(
    data: object, signature: Signature, variable: Mapping[str, str] | str | None = None
) -> tuple[xr.Dataset, dict[str, str]]:
    """A data set, and the names in it of the model's variables that have another name there.

    Parameters
    ----------
    data : Dataset or DataArray
        A DataArray, whatever its name, is the model's only variable.
    signature : Signature
        Of the data that the model was trained on.
    variable : mapping of str to str, or str, optional
        See :class:`da4dvar.analysis.options.Options`.

    Raises
    ------
    DataError
        If `data` is something else, or a single name or array is given for a model of several variables.
    """
    names = names_of(signature, variable)
    if isinstance(data, xr.DataArray):
        only = only_variable(signature, "got a DataArray", "give a Dataset of them")
        name = only if data.name is None or data.name in data.coords else str(data.name)
        return data.to_dataset(name=name), {only: name, **names}
    return checked(data, list(signature.dims)), names


def checked(data: object, dims: Sequence[str]) -> xr.Dataset:
    """Return a data set, and refuse everything else.

    Parameters
    ----------
    data : Dataset
        What was given as data.
    dims : sequence of str
        Names of dimensions, for the advice in the message.

    Raises
    ------
    DataError
        If it is something else; the message says how to make a data set of it.
    """
    if not isinstance(data, xr.Dataset):
        raise DataError(f"got {got(data)}, expected a Dataset or a DataArray; {remedy(data, dims)}")
    return data


def data_set(data: object) -> xr.Dataset:
    """Return a data set as it is, and a DataArray as a data set of one variable.

    Raises
    ------
    DataError
        If `data` is something else, or a DataArray without a name.

    Examples
    --------
    >>> sorted(data_set(xr.DataArray([1.0], dims="time", name="sst")))
    ['sst']
    """
    if isinstance(data, xr.Dataset):
        return data
    if not isinstance(data, xr.DataArray):
        raise DataError(f"got {got(data)}, expected a Dataset or a DataArray; {remedy(data)}")
    if data.name is None or data.name in data.coords:
        raise DataError("got a DataArray without a name of its own; give it one with array.rename('sst')")
    return data.to_dataset()


def under_own_names(data: object, names: Sequence[str], dims: Sequence[str]) -> xr.Dataset:
    """Return training data as a data set; a DataArray, whatever its name, is the only variable.

    Parameters
    ----------
    data : Dataset or DataArray
        Training data.
    names, dims : sequence of str
        Variables and dimensions of the model.

    Raises
    ------
    DataError
        See :func:`as_dataset`.
    """
    expected = Signature({name: {} for name in names}, {dim: Dimension() for dim in dims})
    ds, given = as_dataset(data, expected)
    return ds.rename({theirs: ours for ours, theirs in given.items() if ours != theirs})


def names_of(signature: Signature, variable: Mapping[str, str] | str | None) -> dict[str, str]:
    """The mapping that the option `variable` stands for.

    Raises
    ------
    DataError
        If it is neither a mapping nor a name, or a single name for a model of several variables.
    """
    if isinstance(variable, str):
        example = ", ".join(f"{name!r}: ..." for name in signature.variables)
        mapping = f"name each of them: variable={{{example}}}"
        return {only_variable(signature, f"variable is {variable!r}", mapping): variable}
    return mapping_of("variable", variable, "a name, or a mapping such as {'sst': 'analysed_sst'}")


def mapping_of(
    option: str, given: object, expected: str = "a mapping such as {'time': 'day'}"
) -> dict[str, str]:
    """An option that maps names to names; empty if it is not given.

    Raises
    ------
    DataError
        If it is something else.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(n, str) for n in [*given, *given.values()]):
        raise DataError(f"{option} is {given!r:.60}, expected {expected}")
    return dict(given)


def list_of(option: str, given: object, expected: str = "a name, or a list of names") -> list[str]:
    """Return an option that is a text or a list of texts as a list.

    Raises
    ------
    DataError
        If it is something else.

    Examples
    --------
    >>> list_of("dim", "time"), list_of("dim", ("lat", "lon"))
    (['time'], ['lat', 'lon'])
    """
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, Sequence) or not all(isinstance(t, str) for t in texts):
        raise DataError(f"{option} is {given!r:.60}, expected {expected}")
    return list(texts)


def only_variable(signature: Signature, got: str, remedy: str) -> str:
    """The name of the only variable of a model.

    Raises
    ------
    DataError
        If there are several.
    """
    first, *others = signature.variables
    if others:
        names = ", ".join(signature.variables)
        raise DataError(f"{got}, but the model has {1 + len(others)} variables ({names}); {remedy}")
    return first


def got(data: object) -> str:
    """What was given in place of a data set, in words."""
    if isinstance(data, str | os.PathLike):
        return f"the path {os.fspath(data)!r}"
    shape = getattr(data, "shape", None)
    return type(data).__name__ + (f" of shape {tuple(shape)}" if isinstance(shape, tuple) else "")


def remedy(data: object, dims: Sequence[str] = ("time", "...")) -> str:
    """Say how a data set is made of something else."""
    named = ", ".join(map(repr, dims)).replace("'...'", "...")
    if isinstance(data, str | os.PathLike):
        return "open it with da4dvar.open_dataset, or fill the file with da4dvar.interpolate_file"
    if hasattr(data, "to_xarray"):
        return f"convert it with its method to_xarray(), with an index of {named}"
    if hasattr(data, "shape"):
        return f"name its dimensions with xarray.DataArray(values, dims=[{named}])"
    return "open a file with da4dvar.open_dataset, or make one with xarray.Dataset"
