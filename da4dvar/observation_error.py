"""Observations that are better or worse than those a model was trained on: λ_o follows their error."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import xarray as xr

from da4dvar.errors import DataError
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.model import VariationalModel
from da4dvar.variational.solvers.chain import Chain

ATTRIBUTE = "observation_error_std"


# An error of more standard deviations of the data than this is in another unit, or leaves nothing to learn.
LARGEST = 10.0


def stated_error(
    sources: Mapping[str, xr.DataArray],
    given: float | None,
    trained: float | None,
    spread: float = math.inf,
) -> float | None:
    """The standard deviation of the observation error, where it counts.

    Parameters
    ----------
    sources : mapping of str to DataArray
        What is observed; the attribute ``observation_error_std`` says its error.
    given : float, optional
        What the user says, which comes before any attribute.
    trained : float, optional
        That of the model's training; without it there is nothing to compare with.
    spread : float
        Standard deviation of the data.

    Returns
    -------
    float or None

    Raises
    ------
    DataError
        If an error is not positive, over ten times the spread of the data, or is given for a model that was
        trained without.
    """
    if given is not None and not 0 < given < math.inf:
        raise DataError(f"the observation error is {given:g}, expected a standard deviation above 0")
    if given is None and trained is not None:
        said = [source.attrs[ATTRIBUTE] for source in sources.values() if ATTRIBUTE in source.attrs]
        try:
            errors = {float(error) for error in said}
        except (TypeError, ValueError):
            raise DataError(f"the attribute {ATTRIBUTE} is {said[0]!r}, expected a number above 0") from None
        given = errors.pop() if len(errors) == 1 else None
        if given is not None and not 0 < given < math.inf:
            raise DataError(f"the attribute {ATTRIBUTE} is {given:g}, expected a number above 0")
    elif given is not None and trained is None:
        raise DataError(
            "the model was trained without a stated observation error, so that no other can be given; "
            "leave the observation error out"
        )
    if given is not None and given > LARGEST * spread:
        units = {str(source.attrs["units"]) for source in sources.values() if "units" in source.attrs}
        raise DataError(
            f"the observation error is {given:g}, over ten times the standard deviation {spread:.3g} of the "
            f"data; give it in the units of the data{', ' * bool(units)}{', '.join(sorted(units))}"
        )
    return given


def reweighted(model: VariationalModel, factor: float) -> VariationalModel:
    """A copy of a model whose λ_o is `factor` times as large, in every cost that its solver minimises."""
    model = copy.deepcopy(model)
    for part in model.modules():
        if isinstance(part, VariationalCost):
            part.log_weights.data[0] += math.log(factor)
        if isinstance(part, Chain) and part.weights is not None:
            part.weights = (factor * part.weights[0], part.weights[1])
    return model
