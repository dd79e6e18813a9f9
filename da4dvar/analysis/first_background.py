"""The background of the first window of an assimilation: a state with its error, or the climate."""

from __future__ import annotations

import torch
import xarray as xr
from torch import Tensor

from da4dvar.analysis.background import check_grid
from da4dvar.analysis.model import Model
from da4dvar.errors import DataError
from da4dvar.fields.channels import stack_variables
from da4dvar.fields.labels.conform import Conformed
from da4dvar.fields.labels.samples import REALIZATION, samples_name, samples_of
from da4dvar.variational.background import Background


def climate(model: Model, y: Tensor, mask: Tensor, error: float) -> Background:
    """Return a background without information: the mean and the standard deviation of the training.

    A model without a scaling does not know them. Those of the first observations of each sample, over all
    components, are then all that is known.

    Parameters
    ----------
    model : Model
        Fitted model.
    y, mask : Tensor, shape ``(batch, channel, *space, time)``
        Normalised observations and Ω.
    error : float
        Normalised observation error, the least standard deviation.

    Returns
    -------
    Background
    """
    if model.scaling.std:
        return Background.isotropic(torch.zeros_like(y[..., 0]), 1.0)
    first = mask.flatten(1, -2).any(1).to(torch.int8).argmax(-1)
    at = torch.arange(len(y), device=y.device)
    seen, values = (a.movedim(-1, 1)[at, first].flatten(1) for a in (mask, y))
    count = seen.sum(1, keepdim=True).clamp(min=1)
    mean = (values * seen).sum(1, keepdim=True) / count
    variance = ((values - mean).square() * seen).sum(1, keepdim=True) / count
    covariance = torch.diag_embed(variance.clamp(min=error**2).expand_as(values))
    return Background(mean.expand_as(values).reshape(y[..., 0].shape).clone(), covariance)


def stated(given: xr.Dataset, model: Model, conformed: Conformed, error: float | None) -> Background:
    """Return the background that a data set states: a state and its error.

    Parameters
    ----------
    given : Dataset
        State at one time, or at several, of which the last is taken, under the model's names and in its
        units. Its error is ``<name>_std``, or that of the members ``<name>_samples``.
    model : Model
        Fitted model.
    conformed : Conformed
        Observations to assimilate.
    error : float, optional
        Standard deviation of the error of all components, in place of the stated one.

    Returns
    -------
    Background

    Raises
    ------
    DataError
        If a variable or its error is missing, the grid is another one, or there are too few members.
    """
    names = list(model.layout.variables)
    for name in names:
        if name not in given:
            raise DataError(f"background: there is no variable {name!r}; give all variables of the model")
    time = conformed.data[model.time][:1] if model.time in conformed.data.coords else None
    given = given.isel({model.time: -1}, missing_dims="ignore").drop_vars(model.time, errors="ignore")
    check_grid(given, conformed, model)

    def flat(ds: xr.Dataset) -> Tensor:
        """Shape (batch, n), of a data set without times."""
        at = ds.expand_dims({model.time: 1 if time is None else time.values})
        stacked = stack_variables(at, model.layout)
        order = [d for d in stacked.dims if d not in ("variable", *model.layout.dims)]
        array = stacked.transpose(*order, ...).values.astype("float64")
        return torch.from_numpy(array.reshape(-1, array[(0,) * len(order)].size))

    def normalised(ds: xr.Dataset) -> Tensor:
        # An anomaly depends on the time of year.
        at = ds if time is None else ds.assign_coords({model.time: time.values[0]})
        return flat(model.scaling.normalise(at).drop_vars(model.time, errors="ignore"))

    mean = normalised(given[names])
    scales = {n: model.scaling.std.get(n, 1.0) for n in names}
    if error is None and (drawn := samples_of(given, names[0])) is not None:
        members, components = drawn.sizes[REALIZATION], mean.shape[1]
        if members <= components:
            raise DataError(
                f"background: there are {members} samples, expected more than the {components} components "
                "of the state; give more, or a standard error"
            )
        both = given[[samples_name(n) for n in names]].rename({samples_name(n): n for n in names})
        departure = torch.stack([normalised(both.isel({REALIZATION: k})) for k in range(members)], 1)
        departure = departure - departure.mean(1, keepdim=True)
        covariance = departure.mT @ departure / (members - 1)
    else:
        if error is None and (missing := [n for n in names if f"{n}_std" not in given]):
            raise DataError(
                f"background: there is neither {missing[0]}_std nor {missing[0]}_samples; give the standard "
                "error of the background, or one number for all of it (background_error)"
            )
        std = {
            n: (error if error is not None else given[f"{n}_std"]) / scales[n] + 0 * given[n] for n in names
        }
        covariance = torch.diag_embed(flat(xr.Dataset(std)).square())
    space = [conformed.data[names[0]].sizes[d] for d in model.layout.axes if d != model.time]
    return Background(mean.reshape(len(mean), -1, *space), covariance)
