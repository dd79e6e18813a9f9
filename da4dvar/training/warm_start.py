"""The weights of one model in another, to start from."""

from __future__ import annotations

import re

from da4dvar.analysis.model import Model
from da4dvar.errors import RecipeError
from da4dvar.variational.solvers.chain import Chain


def take_weights(interpolator: Model, start: Model) -> None:
    """Put the weights of a model into another of the same prior and solver, or into a chain's first.

    Parameters
    ----------
    interpolator : Model
        Changed in place.
    start : Model
        Whose weights to start from.

    Raises
    ------
    RecipeError
        If they do not fit.
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
            "the model to start from has another prior or solver than the recipe; "
            "compare them with da4dvar inspect"
        ) from error
