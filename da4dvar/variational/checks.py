"""Checks that the parts of a model support the given covariates, window sizes and sensors."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from da4dvar.errors import DataError, RecipeError
from da4dvar.layout import Layout
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.model import VariationalModel
from da4dvar.variational.observation import Observation
from da4dvar.variational.solvers.base import Solver


def check_channels(model: nn.Module, channels: int) -> None:
    """Check that the networks of a model read as many channels of covariates as the data have.

    Parameters
    ----------
    model : nn.Module
        The model. Each part that reads covariates holds their number of channels in an attribute
        `covariates`.
    channels : int
        Number of channels of the covariates in the data.

    Raises
    ------
    RecipeError
        If there are covariates but no network reads any, or if a network expects a different number of
        channels.

    Examples
    --------
    >>> from da4dvar.variational.priors.unet import UNet
    >>> check_channels(UNet(1, ("zero",), covariates=2), 2)
    """
    taken = {type(m).__name__: m.covariates for m in model.modules() if getattr(m, "covariates", 0)}
    if channels and not taken:
        raise RecipeError(
            f"data: there are {channels} channels of covariates, but neither the prior nor the solver uses "
            "any; use a prior of kind 'unet' or a solver of kind 'lstm' or 'direct', or leave them out"
        )
    for name, count in taken.items():
        if count != channels:
            raise RecipeError(
                f"{name}: covariates is {count}, but the data have {channels} channels of covariates; "
                "leave the number out of a recipe, or name the covariates in [data]"
            )


def fixed(model: VariationalModel, layout: Layout) -> list[str]:
    """Return the dimensions whose length must be that of training: folded ones, or all for a fixed-size Φ."""
    return list(layout.dims if hasattr(model.cost.prior, "space") else layout.channels)


def check_space(model: VariationalModel, layout: Layout, windows: Sequence[int]) -> None:
    """Check that a prior of fixed size fits the windows.

    Parameters
    ----------
    model : VariationalModel
        The model whose prior is checked.
    layout : Layout
        The layout of the tensors.
    windows : sequence of int
        Number of cells of a window along each dimension of the layout.

    Raises
    ------
    DataError
        If the prior requires windows of a different size.
    """
    space = getattr(model.cost.prior, "space", None)
    got = list(windows[len(layout.channels) :])
    if space is not None and got != list(space):
        raise DataError(
            f"windows have {got} cells along {', '.join(layout.axes)}, but the prior requires "
            f"{list(space)}; use data of that size, or a model with a prior of another kind"
        )


def check_operators(model: VariationalModel, of: Sequence[int]) -> None:
    """Check that the observation operators and the solvers of a model fit the sensors.

    Parameters
    ----------
    model : VariationalModel
        The model to check.
    of : sequence of int
        Index of the state variable that each sensor observes; empty without sensors.

    Raises
    ------
    RecipeError
        If an observation operator is for other sensors, or if there are sensors and a solver requires
        observations of the state itself.
    """
    costs = [m for m in model.modules() if isinstance(m, VariationalCost)]
    for cost in costs:
        has = list(cost.observation.of) if isinstance(cost.observation, Observation) else []
        if has != list(of):
            raise RecipeError(
                f"observations: there are {len(of)} sensors, of the variables {list(of)}, but the "
                f"observation operator of {'the' if cost is model.cost else 'a second'} cost has {len(has)}, "
                f"of {has}; define one operator for each sensor"
            )
    for part in model.modules():
        if of and isinstance(part, Solver) and part.takes_y_as_state:
            raise RecipeError(
                f"observations: the solver {type(part).__name__} requires observations of the state itself; "
                "with several sensors use another solver, such as kind 'lstm'"
            )
