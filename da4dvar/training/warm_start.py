"""Warm start: copy the weights of one model into another."""

from __future__ import annotations

import re

from da4dvar.analysis.model import Model
from da4dvar.errors import RecipeError


def take_weights(interpolator: Model, start: Model) -> None:
    """Start from the weights of a model of the same prior, and of the same solver or its learned part.

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
    learned = next(n for n, part in model.named_modules() if part is model.solver.learned_part)
    if learned != "solver" and start.model.solver.learned_part is start.model.solver:
        weights = {re.sub("^solver[.]", f"{learned}.", name): value for name, value in weights.items()}
        own = {n: v for n, v in model.state_dict().items() if n.startswith("solver.")}
        weights |= {n: v for n, v in own.items() if not n.startswith(f"{learned}.")}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise RecipeError(
            "the prior or the solver of the model to start from differs from that of the recipe; "
            "compare them with da4dvar inspect"
        ) from error
