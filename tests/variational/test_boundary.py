"""Boundaries against numpy.pad and scipy.signal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate
from torch.testing import assert_close
from variational.problems import BOUNDARIES

from da4dvar.testing import normal, seeded
from da4dvar.variational.boundary import MODES, Convolution, pad

NUMPY = {"zero": "constant", "reflect": "reflect", "periodic": "wrap"}
AXES = st.lists(st.tuples(st.sampled_from(list(MODES)), st.integers(1, 6)), min_size=1, max_size=3)


def numpy_pad(x: np.ndarray, width: int, boundary: Sequence[str]) -> np.ndarray:
    """The last axes of `x` extended by their rules, one after the other."""
    for axis, rule in enumerate(boundary, start=x.ndim - len(boundary)):
        x = np.pad(x, [(width * (a == axis),) * 2 for a in range(x.ndim)], mode=NUMPY[rule])
    return x


@settings(max_examples=150, deadline=None)
@given(AXES, st.integers(0, 4))
def test_pad_is_that_of_numpy(axes: list[tuple[str, int]], width: int) -> None:
    """Any rule on any axis, corners included; an axis too short for its rule is refused."""
    boundary, sizes = [b for b, _ in axes], [n for _, n in axes]
    x = normal(2, 2, *sizes)
    needed = {"zero": 0, "reflect": width + 1, "periodic": width}
    if width and any(n < needed[b] for b, n in axes):
        with pytest.raises(ValueError, match="use a smaller kernel or a longer axis"):
            pad(x, width, boundary)
        return
    assert_close(pad(x, width, boundary), torch.as_tensor(numpy_pad(x.numpy(), width, boundary)))


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("boundary", BOUNDARIES, ids=str)
def test_convolution_is_that_of_scipy(boundary: tuple[str, ...], kernel: int) -> None:
    """It keeps the shape, and goes on past each edge as the rule of its axis says."""
    sizes = [5, 6, 4][: len(boundary)]
    convolution = seeded(lambda: Convolution(1, 1, kernel, boundary)).double()
    x = normal(1, 1, *sizes).double()
    weight = convolution.convolution.weight.detach()[0, 0].numpy()
    bias = convolution.convolution.bias.item()
    padded = numpy_pad(x[0, 0].numpy(), kernel // 2, boundary)
    expected = correlate(padded, weight, mode="valid", method="direct") + bias
    assert_close(convolution(x)[0, 0].detach(), torch.as_tensor(expected))


def test_periodic_convolution_has_no_edge() -> None:
    """On a circle, it commutes with a turn of the circle."""
    convolution, x = seeded(lambda: Convolution(2, 3, 5, ("zero", "periodic"))), normal(2, 2, 4, 7)
    assert_close(convolution(torch.roll(x, 3, -1)), torch.roll(convolution(x), 3, -1))


def test_unknown_boundary_is_refused() -> None:
    """The message lists those that there are."""
    with pytest.raises(ValueError, match="'wrap' is not one of zero, reflect, periodic"):
        Convolution(1, 1, 3, ("zero", "wrap"))


def test_even_kernel_is_refused() -> None:
    """An even kernel cannot keep the shape."""
    with pytest.raises(ValueError, match="expected an odd number"):
        Convolution(1, 1, 4, ("zero",))
