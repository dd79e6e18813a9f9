"""Forecasts from an analysis, by the dynamics of a model or from the end of its window."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from da4dvar.analysis.assimilate import dynamics_of, labelled_error, labelled_state
from da4dvar.analysis.background import Carried, check_grid, following, is_carried, label, same_labels
from da4dvar.analysis.first_background import stated
from da4dvar.analysis.model import Model
from da4dvar.analysis.taken import take_for
from da4dvar.errors import DataError
from da4dvar.fields.labels.cf import spacing
from da4dvar.fields.labels.conform import Conformed
from da4dvar.fields.labels.samples import REALIZATION, with_samples
from da4dvar.variational.device import device_of
from da4dvar.variational.priors.flow import Flow

MEMBERS = 50


def has_dynamics(model: Model) -> bool:
    """Whether the solver of a model minimises U with a flow as prior."""
    return isinstance(model.model.solver.minimised(model.model.cost).prior, Flow)


def check_forecast(steps: object, members: object) -> None:
    """Refuse numbers of steps and members that are out of range.

    Raises
    ------
    DataError
        If one is.
    """
    for name, value, least in (("steps", steps, 1), ("members", members, 2)):
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= least
        if not whole and (value is not None or name == "steps"):
            raise DataError(f"{name} is {value!r}, expected a whole number of {least} or more")


def forecast(
    model: Model,
    ds: xr.Dataset,
    steps: int,
    background: xr.Dataset | None = None,
    members: int | None = None,
    seed: int = 0,
    device: str = "auto",
) -> xr.Dataset:
    """Carry an analysis forward by the dynamics; see :meth:`da4dvar.Interpolator.forecast`."""
    network = model.frozen().to(device_of(device))
    cost = dynamics_of(model, network, "a forecast")
    taken, names = take_for(model, ds, fill_value="none", times="keep")
    conformed = model.conform(taken, variable=names)
    mean, covariance = last_state(model, conformed, taken, background)
    if members is not None and covariance is None:
        raise DataError(
            f"an ensemble needs the error of the analysis, but there is no {model.layout.variables[0]}_std "
            "and no background; give an analysis of da4dvar assimilate, or leave members out"
        )
    generator, noise = torch.Generator().manual_seed(seed), 0.0
    mean = mean.to(network.device)
    x = mean[None]
    if covariance is not None:
        # Eigenvectors, because rounding can make a covariance with small eigenvalues indefinite.
        values, vectors = torch.linalg.eigh(covariance.to(mean))
        root = vectors * values.clamp(min=0).sqrt()[:, None]
        drawn = normal((members or MEMBERS, *mean.shape), mean, generator)
        x = mean + torch.einsum("bij,mbj->mbi", root, drawn.flatten(2)).reshape(drawn.shape)
        noise = float(cost.log_weights[1].mul(-0.5).exp())
    assert isinstance(cost.prior, Flow)
    path = []
    with torch.no_grad():
        for step in range(1, steps + 1):
            x = cost.prior.forecast(x.flatten(0, 1)[..., None])[..., 0].reshape(x.shape)
            if not x.isfinite().all():
                raise DataError(
                    f"the dynamics diverge at step {step} of the forecast; use fewer steps, or a model "
                    "whose step is shorter or whose values are those of the data"
                )
            x = x + noise * normal(x.shape, x, generator) if noise else x
            path.append(x)
    return labelled_forecast(model, future(conformed, model, steps), torch.stack(path, -1))


def normal(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    """Return standard normal numbers, the same on every device, with the data type of a tensor."""
    return torch.randn(shape, generator=generator, dtype=like.dtype).to(like.device)


def last_state(
    model: Model, conformed: Conformed, taken: xr.Dataset, background: xr.Dataset | None
) -> tuple[Tensor, Tensor | None]:
    """Return the normalised last analysis, and the covariance of its error if it is known."""
    names, time = list(model.layout.variables), model.time
    last = conformed.data.isel({time: [-1]})
    if background is not None and is_carried(background):
        carried = Carried.of(background, model)
        check_grid(carried.observed, conformed, model)
        at = carried.observed[time]
        if not same_labels(last[time], at[-1:]):
            raise DataError(
                f"the background ends at {label(at, -1)}, but the analysis at {label(last[time], -1)}; give "
                "those of the same assimilation"
            )
        return carried.x[..., -1], carried.covariance
    for name in names:
        if missing := int(last[name].isnull().sum()):
            raise DataError(
                f"{name!r} has {missing} gaps at its last time, where a forecast begins; fill them first "
                "with da4dvar assimilate or da4dvar interpolate"
            )
    given, known = last[names], all(f"{n}_std" in taken for n in names)
    if known:
        own = {u: m for m, u in conformed.dims.items() if m != u}
        turn = {d: slice(None, None, -1) for d in conformed.flipped}
        stds = {f"{n}_std": taken[f"{n}_std"].rename(own).isel(turn) for n in names}
        factors = {f"{n}_std": abs(conformed.to_user(n)[0]) for n in names}
        given = given.assign({n: std.isel({time: [-1]}) / factors[n] for n, std in stds.items()})
    found = stated(given, model, replace(conformed, data=last), None if known else 1.0)
    return found.mean, found.covariance if known else None


def future(conformed: Conformed, model: Model, steps: int) -> Conformed:
    """Return data without observations at the times that follow."""
    time = model.time
    user = conformed.dims[time]

    def after(array: xr.DataArray, dim: str) -> xr.DataArray:
        found = array.isel({dim: [-1] * steps})
        if dim not in array.coords:
            return found
        step = model.fitted_signature().dims[time].spacing or spacing(array[dim])
        if step is None:
            raise DataError(f"{dim!r} has one time and the model no step; give an analysis of several times")
        return found.assign_coords({dim: following(array[dim], step, steps).variable})

    data = conformed.data.map(lambda array: after(array, time)).where(False)
    sources = {}
    for name, source in conformed.sources.items():
        sources[name] = after(source, user)
        sources[name].encoding = dict(source.encoding)
    return replace(conformed, data=data, sources=sources)


def labelled_forecast(model: Model, after: Conformed, members: Tensor) -> xr.Dataset:
    """Return the mean of the members, their standard deviation and the members themselves, labelled.

    Parameters
    ----------
    model : Model
        Fitted model.
    after : Conformed
        Times of the forecast.
    members : Tensor, shape ``(member, batch, channel, *space, time)``
        Normalised states.
    """
    field = model.states(after.data)
    out = labelled_state(model, after, field, members.mean(0))
    if len(members) == 1:
        return out
    std = members.std(0)
    each = [labelled_state(model, after, field, x) for x in members]
    for name in after.sources:
        long_name = f"standard deviation of the forecasts of {name}"
        out[f"{name}_std"] = labelled_error(model, after, field, std, name, long_name)
        joint = xr.concat([one[name] for one in each], REALIZATION, coords="minimal", compat="override")
        out = with_samples(out, name, joint)
    return out


def forecast_window(model: Model, ds: xr.Dataset, steps: int) -> xr.Dataset:
    """Forecast by leaving the end of the window unobserved; see :meth:`da4dvar.Interpolator.forecast`.

    Returns
    -------
    Dataset
        Observations, with the times of the forecast as gaps, to be interpolated.

    Raises
    ------
    DataError
        If the model has no time, or its window is not longer than the forecast.
    """
    time = model.time
    if time not in model.layout.dims:
        raise DataError(
            f"the model has neither dynamics nor a dimension {time!r}; use another model for a forecast"
        )
    window = model.layout.window.get(time)
    if window is not None and window <= steps:
        raise DataError(
            f"the model has no dynamics, and its window is {window} steps, expected more than the {steps} "
            f"steps of the forecast; ask for {window - 1} or fewer"
        )
    taken, names = take_for(model, ds)
    conformed = model.conform(taken, variable=names)
    after = future(conformed, model, steps)
    unseen = xr.Dataset({str(s.name): s.where(False) for s in after.sources.values()})
    seen = {}
    for source in conformed.sources.values():
        flag = taken.get(f"{source.name}_flag")
        # The estimates of an interpolation are no observations.
        seen[str(source.name)] = source if flag is None else source.where(flag == 0)
    return xr.concat([xr.Dataset(seen), unseen], conformed.dims[time], coords="minimal", compat="override")
