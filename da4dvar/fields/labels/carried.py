"""Variables that are carried along from the input to the output, and attributes that name variables."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import xarray as xr

# Attributes whose names can be removed one by one, and those that are meaningless without all of theirs.
LISTS = ("coordinates", "ancillary_variables")
WHOLE = ("bounds", "climatology", "grid_mapping", "formula_terms")


def carry(out: xr.Dataset, ds: xr.Dataset, taken: Collection[str] = ()) -> xr.Dataset:
    """Add the variables of the input that an output lacks.

    Parameters
    ----------
    out : Dataset
        Output, with the dimensions of the input.
    ds : Dataset
        Input.
    taken : collection of str
        Variables of the input that the output holds under another name.

    Returns
    -------
    Dataset
        `out` with all other variables of `ds`, without attributes that name a missing variable.

    Examples
    --------
    >>> ds = xr.Dataset({"tas": ("time", [1.0]), "name": ((), "Alert")})
    >>> list(carry(ds[["tas"]], ds).data_vars)
    ['tas', 'name']
    """
    more = [n for n in ds.variables if n not in out.variables and n not in taken]
    coords = {n: ds.variables[n] for n in more if n in ds.coords}
    data = {n: ds.variables[n] for n in more if n not in ds.coords}
    return without_dangling(out.assign_coords(coords).assign(data))


def without_dangling(ds: xr.Dataset) -> xr.Dataset:
    """Remove the names of missing variables from the attributes that CF defines for names.

    Examples
    --------
    >>> lat = ("lat", [1.0], {"bounds": "lat_bnds", "units": "degrees_north"})
    >>> without_dangling(xr.Dataset(coords={"lat": lat})).lat.attrs
    {'units': 'degrees_north'}
    """
    out = ds.copy()
    for name, variable in ds.variables.items():
        out[name].attrs, out[name].encoding = _pruned(variable.attrs, ds), _pruned(variable.encoding, ds)
    return out


def _pruned(given: Mapping[Any, Any], ds: xr.Dataset) -> dict[Any, Any]:
    """Return the attributes of a variable without names that are not in a data set."""
    attributes = dict(given)
    for key in LISTS:
        if isinstance(names := attributes.get(key), str):
            attributes[key] = " ".join(n for n in names.split() if n in ds.variables)
            if attributes[key] == "":
                del attributes[key]
    for key in WHOLE:
        if isinstance(names := attributes.get(key), str):
            # The extended forms are "crs: x y" and "a: ap b: b"; the keys of formula terms are not names.
            words = [w.rstrip(":") for w in names.split() if key != "formula_terms" or not w.endswith(":")]
            if not all(w in ds.variables for w in words):
                del attributes[key]
    return attributes
