"""A filled variable with its flag and its error bars, next to everything else in the data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from da4dvar.fields.bounds import Bounds, bounds_of, kept_within
from da4dvar.fields.gaps.limits import MaxGap, within_limits
from da4dvar.fields.labels.flags import in_scheme
from da4dvar.fields.labels.intervals import ends, error_attrs
from da4dvar.fields.labels.output import FLAGS
from da4dvar.fields.labels.samples import check_no_direction, samples_name, samples_of


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


def finished(
    filled: xr.Dataset,
    names: Sequence[str],
    time: str,
    *,
    bounds: Mapping[str, Bounds],
    max_gap: MaxGap | None = None,
    limit_area: str | None = None,
    scheme: str = "da4dvar",
    analysis: bool = False,
) -> xr.Dataset:
    """Apply bounds, limits and codes of flags to what a model has filled.

    Parameters
    ----------
    filled : Dataset
        Variables with their flags, as a model returns them.
    names : sequence of str
        Variables.
    time : str
        Name of the time dimension, along which gaps are measured.
    bounds : mapping of str to Bounds
        Bounds that were given; those of other variables are found.
    max_gap, limit_area
        See :func:`da4dvar.fields.gaps.limits.within_limits`.
    scheme : str
        Codes of the flags; see :func:`da4dvar.fields.labels.flags.in_scheme`.
    analysis : bool
        Whether observed values were replaced as well.

    Returns
    -------
    Dataset
    """
    for name in names:
        array, flag = filled[name], filled[f"{name}_flag"]
        observed = flag == FLAGS["observed"]
        found = bounds_of(array.where(observed), bounds)
        estimate = kept_within(array, found, array.where(observed))
        limits = [time] if time in array.dims and (max_gap is not None or limit_area is not None) else []
        allowed = within_limits(observed, limits, max_gap, limit_area) if limits else ~observed
        kept = observed if analysis else observed & False
        values = array.where(observed, estimate).where(allowed | observed)
        values = xr.where(kept, estimate, values)
        out = array.copy(data=values.transpose(*array.dims).data.astype(array.dtype))
        out.encoding = array.encoding
        flag = flag.where(out.notnull(), FLAGS["not_estimable"]).astype("int8")
        ends = [n for n in filled if str(n).startswith((f"{name}_std", f"{name}_lower_", f"{name}_upper_"))]
        new = {n: filled[n].where(out.notnull()) for n in ends}
        if (drawn := samples_of(filled, name)) is not None:
            check_no_direction(name, found.circular)
            possible = kept_within(drawn, found, array.where(observed))
            every = possible.where(~observed | kept, drawn).where(out.notnull())
            new[samples_name(name)] = drawn.copy(data=every.data.astype(drawn.dtype))
        filled = filled.assign({name: out, f"{name}_flag": in_scheme(flag, scheme)} | new)
    return filled


def _beside(source: xr.DataArray, values: xr.DataArray, there: xr.DataArray) -> xr.DataArray:
    """Return values with the labels and the units of a variable, NaN where the variable is."""
    shaped = values.transpose(*source.dims)
    out = source.copy(data=xr.where(there.data, shaped.data, np.nan).astype(source.dtype))
    out.attrs = {k: source.attrs[k] for k in ("units", "units_metadata") if k in source.attrs}
    out.encoding = {}
    return out
