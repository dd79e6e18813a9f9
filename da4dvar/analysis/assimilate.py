"""Assimilation of observations as they arrive, in overlapping windows that hand on a background."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from da4dvar.analysis.background import (
    Carried,
    check_grid,
    continued,
    is_carried,
    label,
    too_long,
    window_of,
)
from da4dvar.analysis.first_background import climate, stated
from da4dvar.analysis.known import check_known
from da4dvar.analysis.model import Model
from da4dvar.analysis.problem import Problem, physical, pose
from da4dvar.analysis.taken import take_for
from da4dvar.errors import DataError, warn
from da4dvar.fields.initial import start
from da4dvar.fields.labels.conform import Conformed, check_finite, check_values
from da4dvar.fields.labels.output import bare, labelled_values, like
from da4dvar.progress import Progress
from da4dvar.variational.cost import Cost, VariationalCost
from da4dvar.variational.cycle import Cycle, Window
from da4dvar.variational.model import VariationalModel
from da4dvar.variational.observation import Identity
from da4dvar.variational.priors.flow import Flow

LAG = 40


class Assimilated(NamedTuple):
    """Result of :meth:`da4dvar.Interpolator.assimilate`.

    Attributes
    ----------
    analysis : Dataset
        Each variable, analysed with the observations up to `lag` steps later, with its standard error
        ``<name>_std`` and its flag; and ``<name>_filter`` and ``<name>_filter_std``, analysed with the
        observations up to its own time only. It begins with the times of the previous window, whose analyses
        have changed.
    background : Dataset
        All that a later call needs in order to go on.
    """

    analysis: xr.Dataset
    background: xr.Dataset


def dynamics_of(model: Model, network: VariationalModel, what: str) -> VariationalCost:
    """Return the cost with the dynamics of a model.

    Parameters
    ----------
    model : Model
        Fitted model.
    network : VariationalModel
        Its network, or a copy with another observation error.
    what : str
        What needs the dynamics, for the message.

    Raises
    ------
    DataError
        If the model has none, or its observations are not those of the state itself.
    """
    cost = network.solver.minimised(network.cost)
    if not isinstance(cost.prior, Flow) or model.layout.axes[-1] != model.time:
        raise DataError(
            f"{what} needs a model with dynamics, but its solver minimises U with a prior of kind "
            f"{type(cost.prior).__name__}; use a model with a prior of kind 'flow', such as lorenz96-ode"
        )
    if not isinstance(cost.observation, Identity) or model.sensors or model.covariates.names:
        raise DataError(
            f"{what} needs observations of the state itself, and no covariates; use a model without sensors, "
            "another observation operator and covariates"
        )
    return cost


def assimilate(
    model: Model,
    ds: xr.Dataset | xr.DataArray,
    background: xr.Dataset | None = None,
    *,
    lag: int | None = None,
    background_error: float | None = None,
    inflation: float = 1.0,
    variable: Mapping[str, str] | str | None = None,
    mask: str | xr.DataArray | None = None,
    dim: Mapping[str, str] | None = None,
    fill_value: str | float = "auto",
    times: str = "insert",
    observation_error: float | None = None,
    progress: Progress | None = None,
    force: bool = False,
) -> Assimilated:
    """Assimilate observations; see :meth:`da4dvar.Interpolator.assimilate`."""
    check_numbers(lag, background_error, inflation)
    taken, names = take_for(
        model, ds, variable=variable, dim=dim, mask=mask, fill_value=fill_value, times=times
    )
    conformed = model.conform(taken, variable=names, dim=dim)
    carried = None
    if background is not None and is_carried(background):
        carried = Carried.of(background, model)
        if lag is not None and lag != carried.lag:
            raise DataError(
                f"lag is {lag}, but the background is of a lag of {carried.lag}; give the same, or none"
            )
        lag = carried.lag
        check_grid(carried.observed, conformed, model)
        conformed = joined(conformed, carried.observed, model, lag)
    lag = LAG if lag is None else lag
    problem, y, seen = posed(model, conformed, observation_error, carried is None, force)
    cost = copy.deepcopy(dynamics_of(model, problem.solve.network, "an assimilation"))
    error = float(cost.log_weights[0].mul(-0.5).exp())
    check_gaps(seen, conformed, model, lag)
    static = scaled(model, background_error)
    cycle = Cycle(cost, lag, y[..., 0], inflation, static, restart(model, problem))
    if carried is None:
        if background is None:
            first = climate(model, y, seen, error)
        else:
            first = stated(background, model, conformed, background_error)
        window, found = cycle.begun(first), Found.empty(y)
    else:
        if abs(error / carried.observation_error - 1) > 1e-6:
            raise DataError(
                f"the observation error is {error:g}, but that of the background is "
                f"{carried.observation_error:g} (normalised); give the same"
            )
        window, found = window_of(carried, y, seen), Found.empty(y)
        found.filtered[..., : window.times] = carried.filtered
        found.filtered_std[..., : window.times] = carried.filtered_std
    window = run(cycle, window, y, seen, found, conformed, model, progress)
    analysis = outputs(model, conformed, problem.y, found)
    last = conformed.data[list(model.layout.variables)].isel({model.time: slice(-window.times, None)})
    here = slice(-window.times, None)
    handed = Carried(
        last,
        window.background,
        window.x,
        cycle.covariance(window)[:, -1],
        found.filtered[..., here],
        found.filtered_std[..., here],
        lag,
        error,
    )
    return Assimilated(analysis, handed.to_dataset(model))


def check_numbers(lag: int | None, background_error: float | None, inflation: float) -> None:
    """Refuse settings that are out of range.

    Raises
    ------
    DataError
        If one is.
    """
    if lag is not None and (isinstance(lag, bool) or not isinstance(lag, int | np.integer) or lag < 0):
        raise DataError(f"lag is {lag!r}, expected a number of steps, 0 or more")
    if background_error is not None and not 0 < background_error < np.inf:
        raise DataError(f"background_error is {background_error!r}, expected a standard deviation above 0")
    if not 0 < inflation < np.inf:
        raise DataError(f"inflation is {inflation!r}, expected a factor above 0, such as 1.02")


def scaled(model: Model, error: float | None) -> float | None:
    """Return a standard error in normalised units.

    Raises
    ------
    DataError
        If the variables have different scales.
    """
    if error is None:
        return None
    scales = {model.scaling.std.get(n, 1.0) for n in model.layout.variables}
    if len(scales) > 1:
        raise DataError(
            "background_error is one number, but the variables of the model have different scales; "
            "leave it out"
        )
    return error / scales.pop()


def joined(conformed: Conformed, kept: xr.Dataset, model: Model, lag: int) -> Conformed:
    """Return observations that follow those of the previous window, with the labels of the new ones."""
    data = continued(kept, conformed.data[list(model.layout.variables)], model, lag)
    whole = replace(conformed, data=data)
    sources = {}
    for name, source in conformed.sources.items():
        array = whole.restore(data[name]).transpose(*source.dims).astype(source.dtype)
        array = array.rename(source.name).assign_attrs(source.attrs)
        array.encoding = dict(source.encoding)
        sources[name] = array
    return replace(whole, sources=sources)


def posed(
    model: Model, conformed: Conformed, observation_error: float | None, first: bool, force: bool
) -> tuple[Problem, Tensor, Tensor]:
    """Return the problem, and normalised observations and Ω, shape ``(batch, channel, *space, time)``."""
    field = model.observations(conformed.data)
    if field.chunks is not None:
        field = field.compute()
    if first:
        check_values(field, conformed)
    for name, source in conformed.sources.items():
        check_finite(conformed.data[name], str(source.name))
    if not force:
        check_known(model, [conformed], [field])
    problem = pose(model, conformed, field, observation_error)
    for note in conformed.notes:
        warn(note)
    shape = (field.shape[0], -1, *field.shape[field.ndim - len(model.layout.dims) :])
    y, seen, *_ = problem.solve.inputs(field.values.reshape(shape).swapaxes(0, 1))
    return problem, torch.from_numpy(y).double(), torch.from_numpy(seen)


def check_gaps(seen: Tensor, conformed: Conformed, model: Model, lag: int) -> None:
    """Refuse a run of times without observations that is longer than the window, before the last one.

    Raises
    ------
    DataError
        If there is one.
    """
    at = seen.flatten(0, -2).any(0).nonzero().squeeze(1)
    for i, k in zip(at[:-1].tolist(), at[1:].tolist(), strict=True):
        if k - i - 1 > lag:
            time = conformed.data[model.time]
            raise DataError(too_long(time, i, time, k, k - i - 1, lag))


def restart(model: Model, problem: Problem) -> Callable[[Cost], Tensor]:
    """Return a function that solves windows by the whole solver of the model, from its own x(0)."""

    def solved(cost: Cost) -> Tensor:
        y = torch.where(cost.mask, cost.y, torch.nan).float()
        x0 = torch.from_numpy(start(y.numpy(), model.initial, y.ndim - 1))
        assert cost.background is not None
        background = cost.background.to(x0)
        return problem.solve.network(cost.y.float(), cost.mask, x0, background=background).x

    return solved


class Found(NamedTuple):
    """Analyses and standard errors, each of shape ``(batch, channel, *space, time)``, normalised."""

    x: Tensor
    std: Tensor
    filtered: Tensor
    filtered_std: Tensor

    @classmethod
    def empty(cls, like: Tensor) -> Found:
        """Return arrays of NaN with the shape of `like`."""
        return cls(*(torch.full_like(like, torch.nan) for _ in cls._fields))


def run(
    cycle: Cycle,
    window: Window,
    y: Tensor,
    seen: Tensor,
    found: Found,
    conformed: Conformed,
    model: Model,
    progress: Progress | None,
) -> Window:
    """Advance the window to the last time, and write the analyses into `found`.

    Raises
    ------
    DataError
        If the dynamics diverge.
    """
    times, begin = y.shape[-1], window.times
    with torch.no_grad():
        for t in range(begin, times):
            try:
                window = cycle.advanced(window, y[..., t], seen[..., t])
                std = cycle.covariance(window).diagonal(dim1=-2, dim2=-1).sqrt()
            except torch.linalg.LinAlgError:
                std = torch.full_like(y[..., :1], torch.nan)
            if not (window.x.isfinite().all() and std.isfinite().all()):
                at = f"step {t + 1}, {label(conformed.data[model.time], t)}"
                raise DataError(
                    f"the dynamics diverge at {at}; use a model whose step is shorter or whose values are "
                    "those of the data"
                )
            std = std.movedim(1, -1).reshape(window.x.shape)
            here = slice(t + 1 - window.times, t + 1)
            found.x[..., here], found.std[..., here] = window.x, std
            found.filtered[..., t], found.filtered_std[..., t] = window.x[..., -1], std[..., -1]
            if progress is not None:
                progress(t + 1 - begin, times - begin)
    return window


def outputs(model: Model, conformed: Conformed, field: xr.DataArray, found: Found) -> xr.Dataset:
    """Return the analyses with the user's labels and units."""
    out, filtered = (labelled_state(model, conformed, field, x) for x in (found.x, found.filtered))
    for name, source in conformed.sources.items():
        about = str(source.attrs.get("long_name", name))
        early = f"{about}, analysed with the observations up to its own time"
        one = filtered[name].rename(f"{name}_filter").assign_attrs(long_name=early)
        del one.attrs["ancillary_variables"]
        errors = (
            labelled_error(model, conformed, field, found.std, name, f"standard error of {about}"),
            labelled_error(model, conformed, field, found.filtered_std, name, f"standard error of {early}"),
        )
        out = out.assign({f"{name}_std": errors[0], one.name: one, f"{one.name}_std": errors[1]})
    return out


def labelled_state(model: Model, conformed: Conformed, field: xr.DataArray, x: Tensor) -> xr.Dataset:
    """Return states, shape ``(batch, channel, *space, time)``, and their flags with the user's labels.

    `field` has the dims of the normalised observations.
    """
    weight = xr.ones_like(field.isel(variable=0, drop=True))
    estimates = physical(model, conformed, as_field(model, x, field))
    return labelled_values(conformed, estimates, weight, analysis=True)


def labelled_error(
    model: Model, conformed: Conformed, field: xr.DataArray, std: Tensor, name: str, long_name: str
) -> xr.DataArray:
    """Return the standard errors of a variable with the user's labels; see :func:`labelled_state`."""
    source, number = conformed.sources[name], model.layout.variables.index(name)
    factor = abs(conformed.to_user(name)[0]) * model.scaling.std.get(name, 1.0)
    values = as_field(model, std, field).isel(variable=number) * factor
    found = like(source, bare(conformed.restore(values)), name)
    found.attrs = {k: v for k, v in source.attrs.items() if k == "units"} | {"long_name": long_name}
    found.encoding = {}
    return found


def as_field(model: Model, x: Tensor, field: xr.DataArray) -> xr.DataArray:
    """Convert states, shape ``(batch, channel, *space, time)``, to the dims of normalised observations."""
    cells = field.shape[field.ndim - len(model.layout.dims) :]
    moved = x.numpy().reshape(len(x), field.shape[0], *cells).swapaxes(0, 1)
    return field.copy(data=moved.reshape(field.shape))
