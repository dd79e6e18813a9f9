"""A filled variable with its flag and its error bars, next to everything else in the data set."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from da4dvar.fields.labels.flags import in_scheme
from da4dvar.fields.labels.intervals import ends, error_attrs
from da4dvar.fields.labels.output import FLAGS


def delivered(
    ds: xr.Dataset,
    name: str,
    estimate: xr.DataArray,
    *,
    allowed: xr.DataArray | None = None,
    beyond: xr.DataArray | None = None,
    std: xr.DataArray | None = None,
    intervals: Mapping[float, tuple[xr.DataArray, xr.DataArray]] | None = None,
    analysis: bool = False,
    scheme: str = "da4dvar",
) -> xr.Dataset:
    """Return a data set in which a variable is filled, with ``<name>_flag`` and error bars.

    Parameters
    ----------
    ds : Dataset
        Data with NaN in the gaps of the variable.
    name : str
        Name of the variable.
    estimate : DataArray
        Estimates; NaN where there is none.
    allowed : DataArray of bool, optional
        Where a gap may be filled; by default everywhere.
    beyond : DataArray of bool, optional
        Where an estimate lies beyond what was scored.
    std : DataArray, optional
        Standard error of the estimates.
    intervals : mapping of float to tuple of DataArray, optional
        Lower and upper ends of the interval of each level.
    analysis : bool
        Replace observed values by the estimates as well.
    scheme : str
        Codes of the flags; see :data:`da4dvar.fields.labels.flags.SCHEMES`.

    Returns
    -------
    Dataset
        `ds` with its variable filled. Observed values are the same to the last bit, unless `analysis` is set.

    Examples
    --------
    >>> ds = xr.Dataset({"t2m": ("time", [1.0, np.nan, 3.0])})
    >>> out = delivered(ds, "t2m", xr.DataArray([1.1, 2.1, 2.9], dims="time"))
    >>> out.t2m.values, out.t2m_flag.values
    (array([1. , 2.1, 3. ]), array([0, 1, 0], dtype=int8))
    """
    source = ds[name]
    observed = source.notnull()
    estimate = estimate.transpose(*source.dims)
    gaps = estimate if allowed is None else estimate.where(allowed | observed)
    # `where` on the data alone: alignment by labels could reorder or drop values.
    values = gaps if analysis else source.where(observed, gaps.drop_vars(list(gaps.coords), errors="ignore"))
    out = ds.copy()
    out[name] = source.copy(data=values.data.astype(source.dtype))
    flag = xr.where(observed, FLAGS["observed"], FLAGS["estimated"])
    if beyond is not None:
        flag = flag.where(observed | ~beyond.transpose(*source.dims), FLAGS["beyond_scored"])
    flag = flag.where(out[name].notnull(), FLAGS["not_estimable"]).astype("int8")
    flag = in_scheme(source.copy(data=flag.data).rename(f"{name}_flag"), scheme)
    flag.attrs["long_name"] = f"origin of each value of {name}"
    new = {f"{name}_flag": flag}
    there = out[name].notnull()
    title = str(source.attrs.get("long_name", name))
    if std is not None:
        new[f"{name}_std"] = _beside(source, std, there)
        new[f"{name}_std"].attrs = error_attrs(source)
    for level, pair in (intervals or {}).items():
        for end, which, bound in zip(ends(name, level), ("lower", "upper"), pair, strict=True):
            new[end] = _beside(source, bound, there)
            new[end].attrs["long_name"] = f"{which} end of the {100 * level:.6g} % interval of {title}"
    listed = [str(source.attrs.get("ancillary_variables", "")), *new]
    out[name].attrs["ancillary_variables"] = " ".join(filter(None, listed))
    out[name].encoding = source.encoding
    return out.assign(new)


def _beside(source: xr.DataArray, values: xr.DataArray, there: xr.DataArray) -> xr.DataArray:
    """Return values with the labels and the units of a variable, NaN where the variable is."""
    shaped = values.transpose(*source.dims)
    out = source.copy(data=xr.where(there.data, shaped.data, np.nan).astype(source.dtype))
    out.attrs = {k: source.attrs[k] for k in ("units", "units_metadata") if k in source.attrs}
    out.encoding = {}
    return out
