"""Classes of gaps by their length, with a class of their own for gaps that are open at an end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Upper bounds of the classes of gap lengths, in steps; the last class has none.
CLASSES = (1, 3, 7, 14, 30)


def gap_classes(
    length: np.ndarray, ends: np.ndarray, longest: Sequence[int] = CLASSES
) -> dict[str, np.ndarray]:
    """Return where values lie in each class of gap lengths; gaps open at an end have their own class.

    Parameters
    ----------
    length : array of int
        Length of the gap that holds each value, in steps; 0 where observed.
    ends : array of bool
        Whether that gap is open at an end of the record.
    longest : sequence of int
        Longest gap of each class, ascending. A further class holds all longer ones.

    Returns
    -------
    dict of str to array of bool

    Examples
    --------
    >>> found = gap_classes(np.array([0, 1, 5, 5]), np.array([False, False, False, True]), [1, 4])
    >>> {name: np.flatnonzero(here).tolist() for name, here in found.items()}
    {'1': [1], '2-4': [], '5+': [2], 'open end': [3]}
    """
    out = {}
    for low, high in zip((0, *longest), (*longest, None), strict=True):
        out[class_of_gaps(low + 1, high)] = ~ends & (length > low) & (length <= (high or np.inf))
    return out | {"open end": ends}


def class_of_gaps(first: int, last: int | None) -> str:
    """Name a class of gap lengths, from `first` to `last` steps.

    Examples
    --------
    >>> class_of_gaps(1, 1), class_of_gaps(4, 7), class_of_gaps(31, None)
    ('1', '4-7', '31+')
    """
    if last == first:
        return str(first)
    return f"{first}+" if last is None else f"{first}-{last}"
