"""Quantiles of what a model was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

PROBABILITIES = (0.0, 0.001, 0.01, 0.5, 0.99, 0.999, 1.0)
SAMPLE = 1_000_000


@dataclass(frozen=True)
class Known:
    """Quantiles of what a model was trained on, for the probabilities 0, 0.001, 0.01, 0.5, 0.99, 0.999 and 1.

    Attributes
    ----------
    values : mapping of str to tuple of float
        Quantiles of each observed variable, in the model's units.
    standardised : mapping of str to tuple of float
        Quantiles of its normalised values.
    costs : tuple of float
        Quantiles of the cost of windows: the observation term per observation and the prior term per cell,
        summed. Empty if there are none.
    """

    values: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    standardised: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    costs: tuple[float, ...] = ()


def quantiles(values: np.ndarray) -> tuple[float, ...]:
    """Return the quantiles of the finite values of an array; empty if there are none.

    Examples
    --------
    >>> quantiles(np.array([0.0, np.nan, 10.0]))[3]
    5.0
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return ()
    inner = np.quantile(finite[:: max(1, finite.size // SAMPLE)].astype("float64"), PROBABILITIES[1:-1])
    return (float(finite.min()), *map(float, inner), float(finite.max()))
