"""Values from a file, checked against annotations."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from da4dvar.config.types import check_types, fits


@pytest.mark.parametrize(("hint", "right", "wrong"), [
    (int, [0, -3], [1.0, "1", True, None, 2**70, math.nan]),
    (float, [1, 1.5, math.inf], ["1", True, math.nan, None, [1.0], 10**400]),
    (str, ["", "a"], [1, None, ["a"]]), (bool, [True], [1, "true", None]), (float | None, [None, 1.0], ["1"]),
    (int | Sequence[int], [1, [1, 2], (1,)], [1.5, [1.5], "1"]),
    (Sequence[str], [[], ["a"]], ["a", [1], {}]),
    (tuple[float, float], [[1, 2], (1.0, 2.0)], [[1], [1, 2, 3], 1]),
    (tuple[float, ...], [[], [1.0, 2.0]], [["a"]]),
    (Mapping[str, int], [{}, {"a": 1}], [{"a": "1"}, [], "a"]),
    (dict[str, dict[str, str]], [{"a": {"b": "c"}}], [{"a": "c"}, {"a": {"b": 1}}]),
    (Any, [1, "a", None, []], []), (object, [1, "a"], []),
])  # fmt: skip
def test_values_of_a_type(hint, right, wrong):
    """Whole numbers are accepted as numbers; booleans, text and NaN are not."""
    assert all(fits(value, hint) for value in right)
    assert not any(fits(value, hint) for value in wrong)


Table = dict[str, int]


class Thing:
    """Class with arguments of several types."""

    def __init__(
        self, width: int, names: Sequence[str] = (), rate: float | None = 1, size: int | Table | list[int] = 3
    ) -> None: ...


@pytest.mark.parametrize(("wrong", "message"), [
    ({"width": "3"}, "width is '3', expected a whole number"),
    ({"names": "ab"}, r"names is 'ab', expected a list: \['ab'\]"),
    ({"width": "9" * 1000}, "…, expected a whole number"),
    ({"rate": "3"}, "expected a number$"),
    ({"size": 1.5}, "expected a whole number or a table or a list of whole numbers"),
])  # fmt: skip
def test_the_message_names_the_argument(wrong, message):
    """It says what was found, shortened, and what was expected, in words."""
    check_types(Thing, {"width": 3, "names": ["a"]})
    with pytest.raises(ValueError, match=message):
        check_types(Thing, wrong)
