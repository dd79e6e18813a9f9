"""Fill whole data sets with a classical method."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import xarray as xr

from da4dvar.baselines import Baseline
from da4dvar.baselines.climatology import Climatology
from da4dvar.baselines.eof_interpolation import EofInterpolation
from da4dvar.baselines.eof_iteration import EofIteration
from da4dvar.baselines.linear import Linear
from da4dvar.baselines.nearest_stations import NearestStations
from da4dvar.baselines.optimal_interpolation import OptimalInterpolation
from da4dvar.baselines.sparse_coding import SparseCoding
from da4dvar.errors import DataError, nearest, warn
from da4dvar.fields.files.store import load_dataset
from da4dvar.fields.labels.cf import dims_by_role, numeric, steps, uneven
from da4dvar.fields.labels.conform import check_finite, pick
from da4dvar.fields.labels.units import converted

METHODS: dict[str, Callable[..., Baseline]] = {
    "linear": Linear,
    "climatology": Climatology,
    "optimal_interpolation": OptimalInterpolation,
    "eof_iteration": EofIteration,
    "eof_interpolation": EofInterpolation,
    "nearest_stations": NearestStations,
    "sparse_coding": SparseCoding,
}
# Methods that look at the times themselves, where others count steps.
BY_TIME = ("climatology", "optimal_interpolation")
WITH_HISTORY = ("climatology", "eof_interpolation", "sparse_coding")


def fill_classically(
    ds: xr.Dataset,
    method: str,
    variable: Mapping[str, str],
    dim: Mapping[str, str],
    history: str | None = None,
) -> xr.Dataset:
    """Fill the variables of a data set with a baseline.

    Parameters
    ----------
    ds : Dataset
        Data with NaN in the gaps.
    method : str
        Name of a baseline; see :mod:`da4dvar.baselines`.
    variable : mapping of str to str
        Maps names in the result to names in `ds`; if empty, every numeric variable is filled.
    dim : mapping of str to str
        Maps ``time`` to the name of the time dimension in `ds`, if it is different.
    history : str, optional
        Path of a file with other years, for the climatology and the EOFs, or with complete images.

    Raises
    ------
    DataError
        If the method is unknown or cannot fill such data, or a history is required or not supported.
    """
    if method not in METHODS:
        raise DataError(f"there is no method {method!r}: {nearest(method, METHODS)}")
    if variable:
        ds = xr.Dataset({n: pick(ds, s).rename(n) for n, s in variable.items()}, attrs=ds.attrs)
    names = numeric(ds)
    if not names:
        raise DataError("there is no variable of numbers to fill")
    time = dims_by_role(ds[names[0]], dim).get("time", "time")
    timeless = "time" not in inspect.signature(METHODS[method]).parameters
    for name in names:
        if not ds[name].size:
            raise DataError(f"variable {name!r} has no entries; there is nothing to fill")
        check_finite(ds[name], name)
        if not timeless and time not in ds[name].dims:
            raise DataError(
                f"variable {name!r} has no dimension {time!r} (it has "
                f"{', '.join(map(str, ds[name].dims))}); say which is time with --dim time=NAME"
            )
    if not timeless:
        check_times(ds[names[0]], time, method)
    arguments: dict[str, Any] = {} if timeless else {"time": time}
    if history is not None:
        if method not in WITH_HISTORY:
            raise DataError(f"--history is for {' and '.join(WITH_HISTORY)}, not for {method}; leave it out")
        arguments["history"] = alike(load_dataset(history), ds, names)
    elif timeless:
        raise DataError(f"{method} learns from complete images; name a file of them with --history")
    filled = METHODS[method](**arguments).interpolate(ds[names])
    for name in (n for n in names if f"{n}_std" in filled):
        packing = filled[name].encoding
        filled[name] = filled[name].assign_attrs(ancillary_variables=f"{name}_std")
        filled[name].encoding = packing
    return ds.assign(filled.data_vars)


def check_times(array: xr.DataArray, time: str, method: str) -> None:
    """Check that times are monotonic, and warn about uneven steps if the method counts steps.

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
    if method not in BY_TIME and uneven(array[time]):
        warn(
            f"steps of {time!r} are uneven, and {method} counts steps; reindex the data set so that what is "
            "missing is NaN"
        )


def alike(history: xr.Dataset, ds: xr.Dataset, names: list[str]) -> xr.Dataset:
    """Return the variables `names` of a history, converted to the units of a data set.

    Raises
    ------
    DataError
        If a variable is missing, or its units cannot be converted.
    """
    return xr.Dataset({n: converted(pick(history, n), ds[n].attrs.get("units"))[0] for n in names})
