"""Values of a file against the annotations of what they are for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from da4dvar.config.types import check_types, fits, words


@pytest.mark.parametrize(
    ("hint", "right", "wrong"),
    [
        (int, [0, -3], [1.0, "1", True, None, 2**70, math.nan]),
        (float, [1, 1.5, math.inf], ["1", True, math.nan, None, [1.0], 10**400]),
        (str, ["", "a"], [1, None, ["a"]]),
        (bool, [True], [1, "true", None]),
        (float | None, [None, 1.0], ["1"]),
        (int | Sequence[int], [1, [1, 2], (1,)], [1.5, [1.5], "1"]),
        (Sequence[str], [[], ["a"]], ["a", [1], {}]),
        (tuple[float, float], [[1, 2], (1.0, 2.0)], [[1], [1, 2, 3], 1]),
        (tuple[float, ...], [[], [1.0, 2.0]], [["a"]]),
        (Mapping[str, int], [{}, {"a": 1}], [{"a": "1"}, [], "a"]),
        (dict[str, dict[str, str]], [{"a": {"b": "c"}}], [{"a": "c"}, {"a": {"b": 1}}]),
        (Any, [1, "a", None, []], []),
        (object, [1, "a"], []),
    ],
)
def test_what_fits_a_type_and_what_does_not(hint: Any, right: list, wrong: list) -> None:
    """A whole number does for a number; a truth value, a text and NaN do not."""
    assert all(fits(value, hint) for value in right)
    assert not any(fits(value, hint) for value in wrong)


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        (int, "a whole number"),
        (float | None, "a number"),
        (int | Sequence[int], "a whole number or a list of whole numbers"),
        (Sequence[str], "a list"),
        (Mapping[str, int], "a table"),
    ],
)
def test_a_type_in_words(hint: Any, said: str) -> None:
    """As a message says it."""
    assert words(hint) == said


class Thing:
    """A class that is made of a number and a list."""

    def __init__(self, width: int, names: Sequence[str] = (), other: Any = None) -> None:
        self.width = width


def test_the_argument_is_named() -> None:
    """With what was got, shortened, and what was expected; of a class and of a function."""
    check_types(Thing, {"width": 3, "names": ["a"], "other": object()})
    with pytest.raises(ValueError, match=r"width is '3', expected a whole number"):
        check_types(Thing, {"width": "3"})
    with pytest.raises(ValueError, match=r"names is 'ab', expected a list: \['ab'\]"):
        check_types(Thing, {"names": "ab"})
    with pytest.raises(ValueError, match="…, expected a whole number"):
        check_types(Thing, {"width": "9" * 1000})
