"""Gaps in the form of a fixed number of boxes per image."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from da4dvar.errors import RecipeError


class Squares:
    """A fixed number of hidden boxes, placed uniformly at random inside each image.

    Each entry of the dimensions that `size` does not name is an image with its own boxes. Boxes may overlap.
    The gaps of the paper's MNIST experiment are three squares of 9 × 9.

    Parameters
    ----------
    number : int
        Number of boxes in an image.
    size : mapping of str to int
        Number of cells of a box along each dimension of an image.

    Raises
    ------
    RecipeError
        If the number of boxes or a size is below 1, or no size is given.

    Examples
    --------
    >>> pattern = Squares(3, {"y": 9, "x": 9})
    >>> observed = pattern.draw(np.random.default_rng(0), {"sample": 100, "y": 28, "x": 28})
    >>> bool((~observed).sum((1, 2)).max() <= 3 * 81)
    True
    """

    def __init__(self, number: int, size: Mapping[str, int]) -> None:
        if number < 1:
            raise RecipeError(f"number of squares is {number}, expected 1 or more")
        if not size:
            raise RecipeError("squares have no size; give the cells along each dimension of an image")
        for dim, cells in size.items():
            if cells < 1:
                raise RecipeError(f"squares have {cells} cells along {dim!r}, expected 1 or more")
        self.number, self.size = number, dict(size)

    def draw(self, generator: np.random.Generator, sizes: Mapping[str, int]) -> np.ndarray:
        """Draw the observed cells, with one axis for each entry of `sizes`.

        Parameters
        ----------
        generator : numpy.random.Generator
            Source of random numbers.
        sizes : mapping of str to int
            Number of cells along each dimension, in the order of the axes.

        Returns
        -------
        array of bool
            True where observed.

        Raises
        ------
        RecipeError
            If a dimension is missing, or shorter than a box.
        """
        for dim, cells in self.size.items():
            if dim not in sizes:
                raise RecipeError(
                    f"gaps of kind 'squares' need a dimension {dim!r}; there are {', '.join(sizes)}"
                )
            if cells > sizes[dim]:
                raise RecipeError(f"squares have {cells} cells along {dim!r}, but the field has {sizes[dim]}")
        images = [d for d in sizes if d not in self.size]
        count = int(np.prod([sizes[d] for d in images], dtype=int))
        hidden: np.ndarray = np.ones((self.number, count, *[1] * len(self.size)), dtype=bool)
        for axis, (dim, cells) in enumerate(self.size.items()):
            start = generator.integers(sizes[dim] - cells + 1, size=(self.number, count, 1))
            at = np.arange(sizes[dim])
            within = (at >= start) & (at < start + cells)
            shape = [-1 if a == axis else 1 for a in range(len(self.size))]
            hidden = hidden & within.reshape(self.number, count, *shape)
        drawn = (*images, *self.size)
        seen = np.logical_not(hidden.any(axis=0, keepdims=True))
        observed = seen.reshape([sizes[d] for d in drawn])
        return observed.transpose([drawn.index(d) for d in sizes])
