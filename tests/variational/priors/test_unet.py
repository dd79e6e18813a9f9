"""Tests of the two-scale U-Net: its contract, scales and symmetry."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from da4dvar.testing import normal, seeded
from da4dvar.variational.priors.unet import Branch, UNet, fold, unfold

BLOCKS = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3)), min_size=1, max_size=3)


@pytest.mark.parametrize(("boundary", "downsampling", "folded", "shift"), [
    (("periodic",), 2, 1, (4,)), (("periodic",), 4, 1, (-4,)), (("periodic", "periodic"), 2, 1, (2, 6)),
    (("zero", "periodic"), (2, 1), 1, (0, 3)), (("periodic", "zero", "periodic"), (2, 2, 4), 1, (2, 0, 4)),
    (("periodic", "zero"), 1, (1, 4), (3, 0)), (("periodic", "periodic"), 1, (1, 4), (3, 4)),
    (("periodic", "periodic"), (1, 2), (1, 2), (5, -4)),
])  # fmt: skip
def test_periodic_axes_commute_with_a_shift(boundary, downsampling, folded, shift):
    """On a circle, a shift of x by whole blocks shifts Φ(x)."""
    axes = len(boundary)
    prior = seeded(lambda: UNet(2, boundary, width=3, downsampling=downsampling, fold=folded))
    x, dims = normal(2, 2, *[8] * axes), tuple(range(2, 2 + axes))
    assert_close(prior(torch.roll(x, shift, dims)), torch.roll(prior(x), shift, dims))


@settings(max_examples=30, deadline=None)
@example([1, 3, 5], 2)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=3), st.integers(1, 4))
def test_coarse_branch_sees_the_means_of_blocks(sizes, block):
    """With Dw and Up alone, each cell is the mean of its block, which may be cut at the end."""
    prior = UNet(1, ("zero",) * len(sizes), downsampling=block)
    prior.coarse, prior.fine = nn.Identity(), nn.Identity()
    nn.init.ones_(prior.up.weight)
    nn.init.zeros_(prior.up.bias)
    x = normal(1, 1, *sizes)
    cells, means = x[0, 0].numpy(), np.empty(sizes, dtype="float32")
    for corner in np.ndindex(*(-(-n // block) for n in sizes)):
        at = tuple(slice(c * block, (c + 1) * block) for c in corner)
        means[at] = cells[at].mean()
    assert_close(prior(x)[0, 0] - x[0, 0], torch.as_tensor(means))


@settings(max_examples=50, deadline=None)
@given(BLOCKS)
def test_unfold_inverts_fold(axes):
    """Each folded channel holds one cell of each block, and unfolding restores the field."""
    counts, blocks = [n for n, _ in axes], [b for _, b in axes]
    x = normal(2, 2, *(n * b for n, b in axes))
    folded = fold(x, blocks)
    assert folded.shape == (2, 2 * np.prod(blocks), *counts)
    places = list(np.ndindex(*blocks))
    for channel, part in enumerate(folded.unbind(1)):
        kept, place = divmod(channel, len(places))
        cells = tuple(slice(at, None, b) for at, b in zip(places[place], blocks, strict=True))
        assert torch.equal(part, x[(slice(None), kept, *cells)])
    assert torch.equal(unfold(folded, blocks), x)


@settings(max_examples=30, deadline=None)
@example([(1, 3), (5, 2)])
@given(BLOCKS)
def test_folding_leaves_each_cell_in_its_place(axes):
    """If the network is the identity, folding leaves every cell in place for any size."""
    prior = UNet(2, ("zero",) * len(axes), fold=[b for _, b in axes])
    prior.coarse, prior.fine = nn.Identity(), nn.Identity()
    nn.init.zeros_(prior.up.weight)
    nn.init.zeros_(prior.up.bias)
    x = normal(2, 2, *(n for n, _ in axes))
    assert torch.equal(prior(x), x)


def test_the_last_folded_block_is_padded_with_zeros():
    """Six cells in blocks of four are eight with trailing zeros; a cell depends on its whole block."""
    prior, x = seeded(lambda: UNet(2, ("periodic", "zero"), width=3, fold=(1, 4))), normal(2, 2, 4, 8)
    x[..., 6:] = 0
    assert_close(prior(x[..., :6]), prior(x)[..., :6])
    prior, x = seeded(lambda: UNet(1, ("zero",), width=8, kernel=1, fold=4)), normal(1, 1, 12)
    nn.init.zeros_(prior.up.weight)
    reach = torch.autograd.functional.jacobian(prior, x).squeeze() != 0
    assert torch.equal(reach, torch.block_diag(*[torch.ones(4, 4)] * 3).bool())


def test_a_branch_can_hold_a_product():
    """With suitable weights, Φ(x) = x² exactly, so that a branch can represent a flow."""
    branch = Branch(1, 2, 1, ("zero",))
    for parameter in branch.parameters():
        nn.init.zeros_(parameter)
    branch.lift.convolution.weight.data[:, 0, 0] = torch.tensor([1.0, -1.0])  # r = (x⁺, x⁻)
    branch.maps.convolution.weight.data[[2, 4], :, 0] = 1.0  # both factors are |x|
    branch.project.convolution.weight.data[0, 2, 0] = 1.0
    x = normal(2, 1, 7)
    assert_close(branch(x), x.square())
