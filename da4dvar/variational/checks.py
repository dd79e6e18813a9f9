"""Whether the parts of a model take what they are given: covariates, and several observations."""

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
    """Refuse covariates that no network reads, and networks made for another number of them.

    Parameters
    ----------
    model : nn.Module
        Every part of it that reads covariates says how many channels of them in an attribute `covariates`.
    channels : int
        Channels of the covariates that there are.

    Raises
    ------
    RecipeError

    Examples
    --------
    >>> from da4dvar.variational.priors.unet import UNet
    >>> check_channels(UNet(1, ("zero",), covariates=2), 2)
    """
    taken = {type(m).__name__: m.covariates for m in model.modules() if getattr(m, "covariates", 0)}
    if channels and not taken:
        raise RecipeError(
            f"data: there are {channels} channels of covariates, but neither the prior nor the solver takes "
            "any; use a prior of kind 'unet' or a solver of kind 'lstm' or 'direct', or leave them out"
        )
    for name, count in taken.items():
        if count != channels:
            raise RecipeError(
                f"{name}: covariates is {count}, but the data have {channels} channels of them; "
                "leave the number out of a recipe, or name the covariates in [data]"
            )


def fixed(model: VariationalModel, layout: Layout) -> list[str]:
    """The dimensions that must be as long as in training: those folded, and all for a prior of one size."""
    return list(layout.dims if hasattr(model.cost.prior, "space") else layout.channels)


def check_space(model: VariationalModel, layout: Layout, windows: Sequence[int]) -> None:
    """Refuse windows, cells along each dimension of the layout, that a prior of one size cannot see.

    Raises
    ------
    DataError
    """
    space = getattr(model.cost.prior, "space", None)
    got = list(windows[len(layout.channels) :])
    if space is not None and got != list(space):
        raise DataError(
            f"windows have {got} cells along {', '.join(layout.axes)}, but the prior was made for "
            f"{list(space)}; give data of that size, or a model with a prior of another kind"
        )


def check_operators(model: VariationalModel, of: Sequence[int]) -> None:
    """Refuse an H that is not of the sensors that there are, and solvers that take y for a state.

    Parameters
    ----------
    model : VariationalModel
    of : sequence of int
        The variable of the state that each sensor sees; empty without sensors.

    Raises
    ------
    RecipeError
    """
    costs = [m for m in model.modules() if isinstance(m, VariationalCost)]
    for cost in costs:
        has = list(cost.observation.of) if isinstance(cost.observation, Observation) else []
        if has != list(of):
            raise RecipeError(
                f"observations: there are {len(of)} sensors, of the variables {list(of)}, but the "
                f"observation operator of {'the' if cost is model.cost else 'a second'} cost has {len(has)}, "
                f"of {has}; give an operator to each"
            )
    for part in model.modules():
        if of and isinstance(part, Solver) and part.takes_y_as_state:
            raise RecipeError(
                f"observations: the solver {type(part).__name__} takes observations for a state; "
                "with several sensors use another, such as kind 'lstm'"
            )
