"""The intake of a data set for a model, which names its variables and dimensions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import xarray as xr

from da4dvar.fields.intake.missing import with_gaps
from da4dvar.fields.intake.take import take_in
from da4dvar.fields.labels.conform import match_dims
from da4dvar.fields.labels.given import as_dataset, mapping_of

if TYPE_CHECKING:
    from da4dvar.analysis.model import Model


def take_for(
    model: Model,
    data: xr.Dataset | xr.DataArray,
    *,
    variable: Mapping[str, str] | str | None = None,
    dim: Mapping[str, str] | None = None,
    mask: str | xr.DataArray | None = None,
    fill_value: str | float = "auto",
    times: str = "insert",
    say: Callable[[str], object] | None = None,
) -> tuple[xr.Dataset, dict[str, str]]:
    """Prepare a data set for a model: gaps become NaN, and absent time steps are inserted.

    Parameters
    ----------
    model : Model
        Fitted model.
    data : Dataset or DataArray
        User's data.
    variable, dim, mask
        See :meth:`da4dvar.Interpolator.interpolate`.
    fill_value, times, say
        See :func:`da4dvar.fields.intake.take.take_in`.

    Returns
    -------
    ds : Dataset
        The whole data set, under the user's names.
    names : dict of str to str
        Names in `ds` of variables of the model that have another name there.

    Raises
    ------
    DataError
        See :func:`da4dvar.fields.intake.take.take_in`. What does not fit the model is left to
        :func:`da4dvar.fields.labels.conform.conform`, whose messages name what the model expects.
    """
    signature = model.fitted_signature()
    ds, names = as_dataset(data, signature, variable)
    fields = [n for v in signature.variables if (n := names.get(v, v)) in ds.data_vars]
    fields = [n for n in fields if ds[n].dtype.kind in "iuf"]
    if len(fields) < len(signature.variables):
        return ds, names
    expected = signature.dims.get(model.time)
    if expected is None:
        return with_gaps(ds, fill_value, fields)[0], names
    dims = match_dims(ds[fields[0]], signature.dims, mapping_of("dim", dim))
    taken = take_in(
        ds,
        variable=fields,
        dim={"time": dims[model.time]},
        mask=mask,
        fill_value=fill_value,
        times=times,
        say=say,
        decode=expected.dates,
    )
    return taken.data, names
