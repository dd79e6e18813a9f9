"""Tests of padding and convolution, against numpy.pad and scipy.signal."""

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
from da4dvar.variational.convolution import MODES, Convolution, cropped, pad, per_axis, whole_blocks

NUMPY = {"zero": "constant", "reflect": "reflect", "periodic": "wrap"}
AXES = st.lists(st.tuples(st.sampled_from(list(MODES)), st.integers(1, 6)), min_size=1, max_size=3)


def numpy_pad(x: np.ndarray, width: int, boundary: Sequence[str]) -> np.ndarray:
    """Pad the last axes of `x` with numpy, one after the other."""
    for axis, rule in enumerate(boundary, start=x.ndim - len(boundary)):
        x = np.pad(x, [(width * (a == axis),) * 2 for a in range(x.ndim)], mode=NUMPY[rule])
    return x


@settings(max_examples=150, deadline=None)
@given(AXES, st.integers(0, 4))
def test_pad_is_that_of_numpy(axes, width):
    """Padding agrees with numpy for any rules, corners included; an axis that is too short is refused."""
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
def test_convolution_is_that_of_scipy(boundary, kernel):
    """The convolution preserves the shape and pads each axis according to its rule, as in scipy."""
    sizes = [5, 6, 4][: len(boundary)]
    convolution = seeded(lambda: Convolution(1, 1, kernel, boundary)).double()
    x = normal(1, 1, *sizes).double()
    weight = convolution.convolution.weight.detach()[0, 0].numpy()
    bias = convolution.convolution.bias.item()
    padded = numpy_pad(x[0, 0].numpy(), kernel // 2, boundary)
    expected = correlate(padded, weight, mode="valid", method="direct") + bias
    assert_close(convolution(x)[0, 0].detach(), torch.as_tensor(expected))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=3))
def test_one_number_stands_for_every_axis(cells):
    """One number per axis is returned unchanged, and a single number is repeated."""
    assert per_axis(tuple(cells), len(cells), "block") == cells
    assert per_axis(cells[0], len(cells), "block") == [cells[0]] * len(cells)


@given(st.lists(st.tuples(st.integers(1, 7), st.integers(1, 5)), min_size=1, max_size=3))
def test_whole_blocks_are_as_few_as_hold_the_field(axes):
    """The fewest possible zeros are appended to each axis, and cropping restores the field."""
    sizes, blocks = [n for n, _ in axes], [b for _, b in axes]
    x = normal(2, 2, *sizes)
    behind = [(0, -(-n // b) * b - n) for n, b in axes]
    whole = whole_blocks(x, blocks)
    assert_close(whole, torch.as_tensor(np.pad(x.numpy(), [(0, 0), (0, 0), *behind])))
    assert torch.equal(cropped(whole, sizes), x)
