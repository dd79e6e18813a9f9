"""Assimilation of observations as they arrive, in overlapping windows that hand on a background."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import torch
import xarray as xr
from torch import Tensor

from da4dvar.analysis.background import (
    Carried,
    Settings,
    check_grid,
    continued,
    is_carried,
    label,
    too_long,
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
from da4dvar.variational.device import exactly
from da4dvar.variational.model import VariationalModel
from da4dvar.variational.observation import Identity
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.solvers.base import Solution


class Assimilated(NamedTuple):
    """Result of :meth:`da4dvar.Interpolator.assimilate`.

    Parameters
    ----------
    analysis : Dataset
        Each variable, analysed with the observations up to `lag` steps later, with its standard error
        ``<name>_std`` and its flag; and ``<name>_filter`` and ``<name>_filter_std``, analysed with the
        observations up to its own time only. It begins with the times of the previous window, whose analyses
        have changed.
    background : Dataset
        All that a later call needs in order to go on.

    Examples
    --------
    >>> Assimilated(xr.Dataset(), xr.Dataset(attrs={"lag": 40})).background.attrs
    {'lag': 40}
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
    model_error: float | None = None,
    inflation: float | None = None,
    observation_error: float | None = None,
    variable: Mapping[str, str] | str | None = None,
    mask: str | xr.DataArray | None = None,
    dim: Mapping[str, str] | None = None,
    fill_value: str | float = "auto",
    times: str = "insert",
    progress: Progress | None = None,
    force: bool = False,
    device: str = "auto",
) -> Assimilated:
    """Assimilate observations; see :meth:`da4dvar.Interpolator.assimilate`."""
    carried = Carried.of(background, model) if background is not None and is_carried(background) else None
    given = Settings(lag, inflation, background_error, model_error, observation_error)
    settings = given.completed(None if carried is None else carried.settings)
    assert settings.lag is not None
    taken, names = take_for(
        model, ds, variable=variable, dim=dim, mask=mask, fill_value=fill_value, times=times
    )
    conformed = model.conform(taken, variable=names, dim=dim)
    if carried is not None:
        check_grid(carried.observed, conformed, model)
        conformed = joined(conformed, carried.observed, model, settings.lag)
    problem, y, seen = posed(model, conformed, settings.observation_error, carried is None, force, device)
    check_gaps(seen, conformed, model, settings.lag, carried is not None)
    cost = copy.deepcopy(dynamics_of(model, problem.solve.network, "an assimilation"))
    if settings.model_error is not None:
        cost.log_weights.data[1] = -2 * math.log(scaled(model, "model_error", settings.model_error))
    error, static = float(cost.log_weights[0].mul(-0.5).exp()), None
    if settings.background_error is not None:
        static = scaled(model, "background_error", settings.background_error)
    cycle = Cycle(cost, settings.lag, y[..., 0], settings.inflation or 1.0, static, restart(model, problem))
    found = Found.empty(y)
    if carried is not None:
        carried = carried.to(y)
        window = Window(carried.background, carried.x, *(a[..., : carried.x.shape[-1]] for a in (y, seen)))
        found.filtered[..., : window.times] = carried.filtered
        found.filtered_std[..., : window.times] = carried.filtered_std
        # The first time leaves the window before the next analysis.
        found.x[..., : window.times], found.std[..., : window.times] = window.x, errors_of(cycle, window)
    elif background is not None:
        window = cycle.begun(stated(background, model, conformed, settings.background_error).to(y))
    else:
        window = cycle.begun(climate(model, y, seen, error))
    window = run(cycle, window, y, seen, found, conformed, model, progress)
    here = slice(-window.times, None)
    handed = Carried(
        conformed.data[list(model.layout.variables)].isel({model.time: here}),
        window.background,
        window.x,
        cycle.covariance(window)[:, -1],
        found.filtered[..., here],
        found.filtered_std[..., here],
        settings,
    )
    return Assimilated(outputs(model, conformed, problem.y, found), handed.to_dataset(model))


def scaled(model: Model, name: str, error: float) -> float:
    """Return a standard error in normalised units.

    Raises
    ------
    DataError
        If the variables have different scales.
    """
    scales = {model.scaling.std.get(n, 1.0) for n in model.layout.variables}
    if len(scales) > 1:
        raise DataError(
            f"{name} is one number, but the variables of the model have different scales; leave it out"
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
    model: Model,
    conformed: Conformed,
    observation_error: float | None,
    first: bool,
    force: bool,
    device: str,
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
    problem = pose(model, conformed, field, observation_error, device=device)
    for note in conformed.notes:
        warn(note)
    shape = (field.shape[0], -1, *field.shape[field.ndim - len(model.layout.dims) :])
    y, seen, *_ = problem.solve.inputs(field.values.reshape(shape).swapaxes(0, 1))
    there = problem.solve.network.device
    return problem, torch.from_numpy(y).to(there).double(), torch.from_numpy(seen).to(there)


def check_gaps(seen: Tensor, conformed: Conformed, model: Model, lag: int, later: bool) -> None:
    """Refuse a run of times without observations that is longer than the window, before the last one.

    Parameters
    ----------
    seen : Tensor of bool, shape ``(batch, channel, *space, time)``
        Ω.
    conformed, model, lag
        As for :func:`assimilate`.
    later : bool
        Whether there are observations before the first time.

    Raises
    ------
    DataError
        If there is one.
    """
    at = seen.flatten(0, -2).any(0).nonzero().squeeze(1).tolist()
    if later and at and at[0] > lag:
        # No time of the previous window is observed, so that the last observation is before it.
        at.insert(0, -1)
    for i, k in itertools.pairwise(at):
        if k - i - 1 > lag:
            raise DataError(too_long(conformed.data[model.time], max(i, 0), k, k - i - 1, lag))


def restart(model: Model, problem: Problem) -> Callable[[Cost], Tensor]:
    """Return a function that solves windows by the whole solver of the model, from its own x(0)."""

    def solved(cost: Cost) -> Tensor:
        y = torch.where(cost.mask, cost.y, torch.nan).float()
        x0 = torch.from_numpy(start(y.cpu().numpy(), model.initial, y.ndim - 1)).to(y)
        assert cost.background is not None
        background = cost.background.to(x0)
        with exactly(y.device):
            found: Solution = problem.solve.network(cost.y.float(), cost.mask, x0, background=background)
        return found.x

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
                std = errors_of(cycle, window)
            except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
                std = torch.full_like(window.x, torch.nan)
            if not (window.x.isfinite().all() and std.isfinite().all()):
                at = f"step {t + 1}, {label(conformed.data[model.time], t)}"
                raise DataError(
                    f"the dynamics diverge at {at}; use a model whose step is shorter or whose values are "
                    "those of the data"
                )
            here = slice(t + 1 - window.times, t + 1)
            found.x[..., here], found.std[..., here] = window.x, std
            found.filtered[..., t], found.filtered_std[..., t] = window.x[..., -1], std[..., -1]
            if progress is not None:
                progress(t + 1 - begin, times - begin)
    return window


def errors_of(cycle: Cycle, window: Window) -> Tensor:
    """Return the standard errors of the analyses of a window, with their shape."""
    variance = cycle.covariance(window).diagonal(dim1=-2, dim2=-1)
    return variance.sqrt().movedim(1, -1).reshape(window.x.shape)


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
    moved = x.cpu().numpy().reshape(len(x), field.shape[0], *cells).swapaxes(0, 1)
    return field.copy(data=moved.reshape(field.shape))
