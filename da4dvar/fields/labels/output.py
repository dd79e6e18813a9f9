"""Output data sets: estimates with the labels of the input data."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import xarray as xr

from da4dvar.fields.files.encoding import CALENDAR
from da4dvar.fields.gaps.geometry import missing_run
from da4dvar.fields.labels.conform import Conformed
from da4dvar.fields.windows.grid import WindowGrid
from da4dvar.layout import Layout

FLAGS = {"observed": 0, "estimated": 1, "not_estimable": 2, "beyond_scored": 3}


def labelled(
    conformed: Conformed,
    estimates: xr.Dataset,
    weight: xr.DataArray,
    terms: xr.DataArray,
    grid: WindowGrid,
    layout: Layout,
    analysis: bool,
) -> xr.Dataset:
    """Return the output data set: estimates, flags, and the cost terms of each window.

    Parameters
    ----------
    conformed : Conformed
        Data that were interpolated.
    estimates : Dataset
        Variables of the model in the model's units, NaN where nothing could be estimated.
    weight : DataArray
        Sum of window weights; zero in cells that no window with observations covers.
    terms : DataArray, dims (term, ..., window_<dim>...)
        Observation and prior terms of each window.
    grid : WindowGrid
        Grid of the windows.
    layout : Layout
        Layout of the model.
    analysis : bool
        Whether observed cells hold the analysis in place of their observed values.

    Returns
    -------
    Dataset
        Data set with the user's labels and units.
    """
    out = labelled_values(conformed, estimates, weight, analysis)
    return out.merge(window_terms(conformed, terms, grid, layout), compat="no_conflicts")


def labelled_values(
    conformed: Conformed, estimates: xr.Dataset, weight: xr.DataArray, analysis: bool
) -> xr.Dataset:
    """Return estimates and flags with the user's labels, without the cost terms of the windows."""
    out = xr.Dataset(attrs=conformed.attrs)
    out.encoding = {"unlimited_dims": set(conformed.unlimited)}
    for name, source in conformed.sources.items():
        factor, offset = conformed.to_user(name)
        observed = bare(conformed.restore(conformed.data[name].notnull()))
        # Infinite values, and values out of range of the user's dtype, are not estimates.
        kind = source.dtype if source.dtype.kind == "f" else np.dtype("float32")
        given = estimates[name].where(weight > 0)
        estimate = bare(conformed.restore(given))
        if (factor, offset) != (1.0, 0.0):
            estimate = estimate.astype(kind) * factor + offset
        estimate = estimate.where(abs(estimate) <= np.finfo(kind).max)
        if not analysis:
            estimate = estimate.where(~observed, bare(source))
        flag = xr.where(observed, FLAGS["observed"], FLAGS["estimated"])
        flag = flag.where(estimate.notnull(), FLAGS["not_estimable"]).astype("int8")
        out[name] = like(source, estimate, name)
        shaped = like(source, flag, f"{name}_flag")
        shaped.encoding = {}
        shaped.attrs = {
            "long_name": f"how each value of {name} came about",
            "standard_name": "status_flag",
            "flag_values": np.array(list(FLAGS.values()), dtype="int8"),
            "flag_meanings": " ".join(FLAGS),
        }
        out[f"{name}_flag"] = shaped
        out[name].attrs["ancillary_variables"] = f"{name}_flag"
    return out


def unreached(flags: xr.DataArray, time: str) -> tuple[int, int]:
    """Count the values that are not estimable in cells that are at other times, and their longest run.

    Parameters
    ----------
    flags : DataArray of int
        Variable ``<name>_flag`` of an output data set.
    time : str
        Name of the time dimension.

    Returns
    -------
    count, longest : int
        Number of values, and length of the longest run in steps.

    Examples
    --------
    >>> unreached(xr.DataArray([[0, 2], [2, 2], [2, 2], [1, 2]], dims=("time", "place")), "time")
    (2, 2)
    """
    return missing_run(flags, time, FLAGS["not_estimable"], max(1, flags.sizes[time]))


def bare(array: xr.DataArray) -> xr.DataArray:
    """Return an array without its coordinates, to be combined with others cell by cell."""
    return array.drop_vars(list(array.coords))


def like(source: xr.DataArray, values: xr.DataArray, name: str) -> xr.DataArray:
    """Return `values` with the dimension order, coordinates, attributes and encoding of `source`."""
    values = values.transpose(*source.dims)
    data = values.data
    if source.dtype.kind == "f" and data.dtype.kind == "f":
        data = data.astype(source.dtype)
    copied = source.copy(data=data).rename(name)
    # An integer encoding cannot represent estimates.
    copied.encoding = dict(source.encoding) if source.dtype.kind == "f" else {}
    return copied


def window_terms(conformed: Conformed, terms: xr.DataArray, grid: WindowGrid, layout: Layout) -> xr.Dataset:
    """Return both cost terms of each window, on the coordinates of the window centres."""
    coords: dict[Hashable, Any] = {}
    names: dict[str, str] = {}
    for dim, starts, window in zip(layout.dims, grid.starts, grid.windows, strict=True):
        names[f"window_{dim}"] = f"window_{conformed.dims[dim]}"
        if dim in conformed.data.coords:
            known = conformed.data[dim]
            # The middle cell instead of a mean, because the coordinate may hold dates of any calendar.
            centre = np.array(starts) + window // 2
            centre = centre % known.size if dim in layout.periodic else centre.clip(max=known.size - 1)
            values = known.isel({dim: centre})
            attrs = {**known.attrs, "long_name": f"{conformed.dims[dim]} at the centre of a window"}
            attrs.pop("axis", None)
            encoded = known.encoding
            dated = (
                {k: encoded[k] for k in (*CALENDAR, "dtype") if k in encoded} if "calendar" in encoded else {}
            )
            coords[f"window_{dim}"] = (f"window_{dim}", values.values, attrs, dated)
    batch = [d for d in terms.dims if d in conformed.data.coords]
    coords |= {d: conformed.data[d] for d in batch}
    terms = terms.assign_coords(coords).rename(names)
    described = {
        "observation_term": "observation term of the variational cost at the estimate",
        "prior_term": "prior term of the variational cost at the estimate",
    }
    out = {}
    for k, (name, long_name) in enumerate(described.items()):
        out[name] = terms.isel(term=k)
        out[name].attrs = {"long_name": long_name, "units": "1"}
    return xr.Dataset(out)
