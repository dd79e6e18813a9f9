"""Warm start: copy the weights of one model into another."""

from __future__ import annotations

import re

from da4dvar.analysis.model import Model
from da4dvar.errors import RecipeError
from da4dvar.variational.solvers.chain import Chain


def take_weights(interpolator: Model, start: Model) -> None:
    """Copy the weights of a model into one with the same prior and solver, or with it first in a chain.

    Parameters
    ----------
    interpolator : Model
        Model to change in place.
    start : Model
        Model whose weights are copied.

    Raises
    ------
    RecipeError
        If the prior or the solver differ.
    """
    weights = start.model.state_dict()
    model = interpolator.model
    if isinstance(model.solver, Chain) and not isinstance(start.model.solver, Chain):
        weights = {re.sub("^solver[.]", "solver.first.", name): value for name, value in weights.items()}
        others = ("solver.cost.", "solver.second.")
        weights |= {n: v for n, v in model.state_dict().items() if n.startswith(others)}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise RecipeError(
            "the prior or the solver of the model to start from differs from that of the recipe; "
            "compare them with da4dvar inspect"
        ) from error
