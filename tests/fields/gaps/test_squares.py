"""Squares: how many, where, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import label

from da4dvar.errors import RecipeError
from da4dvar.fields.gaps.squares import Squares

SIZES = {"sample": 300, "y": 28, "x": 28}


def test_every_image_has_boxes_of_its_own() -> None:
    """One box each: as large as it should be, in one piece, and rarely where another image has it."""
    hidden = ~Squares(1, {"y": 9, "x": 5}).draw(np.random.default_rng(0), SIZES)
    assert (hidden.sum((1, 2)) == 45).all()
    for image in hidden:
        rows, columns = image.any(1), image.any(0)
        assert (label(rows)[1], label(columns)[1]) == (1, 1)
        assert (rows.sum(), columns.sum()) == (9, 5)
    assert len(np.unique(hidden.reshape(300, -1), axis=0)) > 200


def test_every_place_is_as_likely() -> None:
    """First rows of boxes are uniform from the edge on, to where the box ends at the other edge."""
    sizes = {"sample": 20_000, "y": 28, "x": 9}
    hidden = ~Squares(1, {"y": 9, "x": 9}).draw(np.random.default_rng(1), sizes)
    count = np.bincount(hidden[:, :, 0].argmax(1), minlength=20)
    assert len(count) == 20
    assert np.abs(count / 1000 - 1).max() < 6 * np.sqrt(1 / 1000)


def test_three_squares_hide_a_quarter_of_a_digit() -> None:
    """The share of the paper's experiment, from the chance that a cell is missed by all three."""
    hidden = ~Squares(3, {"y": 9, "x": 9}).draw(np.random.default_rng(2), SIZES)
    starts = np.arange(28)[:, None] - np.arange(20)
    within = ((starts >= 0) & (starts < 9)).mean(1)
    expected = 1 - (1 - np.outer(within, within)) ** 3
    assert hidden.mean() == pytest.approx(expected.mean(), abs=0.01)


@pytest.mark.parametrize(
    ("number", "size", "text"),
    [
        (0, {"y": 2}, "number of squares is 0, expected 1 or more"),
        (1, {}, "squares have no size"),
        (1, {"y": 0}, "0 cells along 'y', expected 1 or more"),
        (1, {"y": 9}, "9 cells along 'y', but there are 8"),
    ],
)
def test_mistakes_are_refused(number: int, size: dict[str, int], text: str) -> None:
    """The message says what was got and what was expected."""
    with pytest.raises(RecipeError, match=text):
        Squares(number, size).draw(np.random.default_rng(0), {"y": 8, "x": 8})
