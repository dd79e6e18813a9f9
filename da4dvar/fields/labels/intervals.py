"""Standard errors and intervals as ancillary variables of the estimates."""

from __future__ import annotations

from collections.abc import Mapping

import xarray as xr

from da4dvar.fields.labels.conform import Conformed
from da4dvar.fields.labels.output import like


def ends(name: str, level: float) -> tuple[str, str]:
    """Return the names of the lower and upper ends of an interval.

    Examples
    --------
    >>> ends("sst", 0.9)
    ('sst_lower_90', 'sst_upper_90')
    """
    percent = f"{100 * level:.6g}".replace(".", "_")
    return f"{name}_lower_{percent}", f"{name}_upper_{percent}"


def with_error_bars(
    filled: xr.Dataset, conformed: Conformed, std: xr.Dataset, halves: Mapping[float, xr.Dataset]
) -> xr.Dataset:
    """Add σ as ``<name>_std`` and x̂ ± h_p as ``<name>_lower_<p>`` and ``<name>_upper_<p>``, p in per cent.

    Parameters
    ----------
    filled : Dataset
        Estimates with the user's labels. The attribute ``ancillary_variables`` of each will list its new
        variables.
    conformed : Conformed
        Data that were interpolated.
    std : Dataset
        σ under the model's names, in the model's units.
    halves : mapping of float to Dataset
        Half-width of the interval of each level.

    Returns
    -------
    Dataset
        Copy of `filled` with the new variables.
    """
    out = filled.copy()
    for name, source in conformed.sources.items():
        estimate = filled[name]
        # An error is a difference: the offset between two temperature scales does not apply to it.
        factor, _ = conformed.to_user(name)
        title = str(estimate.attrs.get("long_name", name))
        new = {f"{name}_std": labelled(std[name] * abs(factor), source, conformed, estimate)}
        new[f"{name}_std"].attrs = error_attrs(estimate)
        for level, half in halves.items():
            width = labelled(half[name] * abs(factor), source, conformed, estimate)
            for end, sign, which in zip(ends(name, level), (-1, 1), ("lower", "upper"), strict=True):
                new[end] = width.copy(data=(estimate + sign * width).data)
                new[end].attrs["long_name"] = f"{which} end of the {100 * level:.6g} % interval of {title}"
        listed = [estimate.attrs.get("ancillary_variables", ""), *new]
        out[name] = estimate.assign_attrs(ancillary_variables=" ".join(filter(None, listed)))
        out[name].encoding = estimate.encoding
        out = out.assign(new)
    return out


def error_attrs(array: xr.DataArray) -> dict[str, str]:
    """Return the CF attributes of the standard error of a variable.

    Examples
    --------
    >>> error_attrs(xr.DataArray(280.0, name="t2m", attrs={"units": "K", "standard_name": "air_temperature"}))
    {'long_name': 'standard error of t2m', 'units': 'K', 'standard_name': 'air_temperature standard_error'}
    """
    attrs = {"long_name": f"standard error of {array.attrs.get('long_name', array.name)}"}
    if "units" in array.attrs:
        attrs["units"] = array.attrs["units"]
    if "units_metadata" in array.attrs:
        attrs["units_metadata"] = "temperature: difference"
    if "standard_name" in array.attrs:
        attrs["standard_name"] = f"{array.attrs['standard_name']} standard_error"
    return attrs


def labelled(
    values: xr.DataArray, source: xr.DataArray, conformed: Conformed, estimate: xr.DataArray
) -> xr.DataArray:
    """Return values with the user's labels and the units of the estimate, NaN where that is NaN."""
    shaped = like(source, conformed.restore(values), str(values.name))
    shaped = estimate.copy(data=shaped.where(estimate.notnull()).transpose(*estimate.dims).data)
    # The packing of the variable may not fit its error or the ends of an interval.
    shaped.encoding = {}
    shaped.attrs = {k: estimate.attrs[k] for k in ("units", "units_metadata") if k in estimate.attrs}
    return shaped
