"""Joint samples of a filled variable, ``<name>_samples`` along the dimension ``realization``."""

from __future__ import annotations

import numpy as np
import xarray as xr

from da4dvar.errors import DataError

REALIZATION = "realization"


def samples_name(name: str) -> str:
    """Return the name of the samples of a variable.

    Examples
    --------
    >>> samples_name("sst")
    'sst_samples'
    """
    return f"{name}_samples"


def samples_of(ds: xr.Dataset, name: str) -> xr.DataArray | None:
    """Return the samples of a variable, with ``realization`` first; None if the data set has none."""
    found = ds.get(samples_name(name))
    if found is None or REALIZATION not in found.dims:
        return None
    return found.transpose(REALIZATION, ...)


def with_samples(ds: xr.Dataset, name: str, samples: xr.DataArray) -> xr.Dataset:
    """Add the samples of a filled variable to a data set, with the attributes that CF defines.

    Parameters
    ----------
    ds : Dataset
        Data set with the filled variable.
    name : str
        Name of the variable.
    samples : DataArray
        Samples, with ``realization`` as the first dimension; NaN where the variable is.

    Returns
    -------
    Dataset

    Examples
    --------
    >>> ds = xr.Dataset({"sst": ("time", [10.0, 11.0], {"units": "degC"})})
    >>> both = xr.DataArray([[10.0, 11.2], [10.0, 10.9]], dims=("realization", "time"))
    >>> out = with_samples(ds, "sst", both)
    >>> out.sst_samples.dims, out.realization.attrs["standard_name"], out.sst_samples.attrs["units"]
    (('realization', 'time'), 'realization', 'degC')
    """
    source = ds[name]
    kept = ("units", "units_metadata", "standard_name", "grid_mapping", "cell_measures")
    attrs = {k: source.attrs[k] for k in kept if k in source.attrs}
    attrs["long_name"] = f"joint samples of {source.attrs.get('long_name', name)}"
    out = ds.assign({samples_name(name): (samples.dims, samples.data, attrs)})
    number = np.arange(samples.sizes[REALIZATION], dtype="int32")
    about = {"standard_name": "realization", "long_name": "number of the sample", "units": "1"}
    return out.assign_coords({REALIZATION: (REALIZATION, number, about)})


def check_no_direction(name: str, circular: bool) -> None:
    """Refuse samples of a direction.

    Raises
    ------
    DataError
        If `circular` is set.
    """
    if circular:
        raise DataError(f"variable {name!r} is a direction, which has no samples; leave it out")


def check_no_samples(ds: xr.Dataset) -> None:
    """Refuse a data set that was filled with samples.

    Raises
    ------
    DataError
        If a variable holds samples of another one.
    """
    for name in map(str, ds.data_vars):
        source = name.removesuffix("_samples")
        if name != source and source in ds and samples_of(ds, source) is not None:
            raise DataError(
                f"{name!r} holds joint samples of {source!r}, which is filled already; give the data set "
                f"with the gaps, or drop {name!r}"
            )
