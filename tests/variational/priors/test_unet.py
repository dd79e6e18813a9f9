"""The two-scale U-Net: its contract, its scales and its symmetry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from da4dvar.testing import PriorContract, normal, seeded
from da4dvar.variational.priors.unet import Branch, UNet, fold, unfold

BLOCKS = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3)), min_size=1, max_size=3)


class TestZero(PriorContract):
    """A line that ends in zeros."""

    shape = (2, 9)
    boundary: tuple[str, ...] = ("zero",)

    def make(self) -> UNet:
        return UNet(self.shape[0], self.boundary, width=3)


class TestReflect(TestZero):
    """A line that is mirrored at its ends."""

    boundary = ("reflect",)


class TestPeriodic(TestZero):
    """A circle."""

    boundary = ("periodic",)


class TestPlane(TestZero):
    """A plane that is periodic one way."""

    shape = (2, 5, 6)
    boundary = ("zero", "periodic")


class TestVolume(TestZero):
    """Three dimensions, with a boundary of each kind, of sizes that are no multiples of the block."""

    shape = (1, 4, 5, 3)
    boundary = ("periodic", "reflect", "zero")


class TestCovariates(TestPlane):
    """Φ(x, c), with two covariates beside the state."""

    covariates = 2

    def make(self) -> UNet:
        return UNet(self.shape[0], self.boundary, width=3, covariates=2)


class TestFoldedCovariates(TestCovariates):
    """The same on folded blocks, of sizes that are no multiples."""

    def make(self) -> UNet:
        return UNet(self.shape[0], self.boundary, width=3, fold=[2, 3], covariates=2)


class TestUnequalBlocks(TestPlane):
    """A plane that is averaged along one axis alone."""

    def make(self) -> UNet:
        return UNet(2, self.boundary, width=3, kernel=5, downsampling=(1, 2))


class TestFolded(TestPlane):
    """A plane with blocks folded along one axis, of a size that is no multiple of them."""

    def make(self) -> UNet:
        return UNet(2, self.boundary, width=3, fold=(1, 4))


@pytest.mark.parametrize(
    ("boundary", "downsampling", "folded", "shift"),
    [
        (("periodic",), 2, 1, (4,)),
        (("periodic",), 4, 1, (-4,)),
        (("periodic", "periodic"), 2, 1, (2, 6)),
        (("zero", "periodic"), (2, 1), 1, (0, 3)),
        (("periodic", "zero", "periodic"), (2, 2, 4), 1, (2, 0, 4)),
        (("periodic", "zero"), 1, (1, 4), (3, 0)),
        (("periodic", "periodic"), 1, (1, 4), (3, 4)),
        (("periodic", "periodic"), (1, 2), (1, 2), (5, -4)),
    ],
)
def test_periodic_axes_commute_with_a_shift(
    boundary: tuple[str, ...],
    downsampling: int | Sequence[int],
    folded: int | Sequence[int],
    shift: tuple[int, ...],
) -> None:
    """On a circle no cell is special: a shift by whole blocks, averaged or folded, shifts the answer."""
    axes = len(boundary)
    prior = seeded(lambda: UNet(2, boundary, width=3, downsampling=downsampling, fold=folded))
    x, dims = normal(2, 2, *[8] * axes), tuple(range(2, 2 + axes))
    assert_close(prior(torch.roll(x, shift, dims)), torch.roll(prior(x), shift, dims))


@settings(max_examples=30, deadline=None)
@example([1, 3, 5], 2)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=3), st.integers(1, 4))
def test_coarse_branch_sees_the_means_of_blocks(sizes: list[int], block: int) -> None:
    """With nothing but Dw and Up, each cell is the mean of its block, or of what is left of one."""
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
def test_fold_takes_every_so_many_cells_and_unfold_undoes_it(axes: list[tuple[int, int]]) -> None:
    """Each folded channel holds the cells at one place of their blocks; nothing is lost on the way."""
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
def test_folding_leaves_each_cell_in_its_place(axes: list[tuple[int, int]]) -> None:
    """With Φ₂ = 1 and Φ₁ = 0 nothing moves, be the sizes multiples of the blocks or not."""
    prior = UNet(2, ("zero",) * len(axes), fold=[b for _, b in axes])
    prior.coarse, prior.fine = nn.Identity(), nn.Identity()
    nn.init.zeros_(prior.up.weight)
    nn.init.zeros_(prior.up.bias)
    x = normal(2, 2, *(n for n, _ in axes))
    assert torch.equal(prior(x), x)


def test_what_lacks_of_the_last_folded_block_is_zero() -> None:
    """Six cells in blocks of four are as eight of which the last two are zero."""
    prior, x = seeded(lambda: UNet(2, ("periodic", "zero"), width=3, fold=(1, 4))), normal(2, 2, 4, 8)
    x[..., 6:] = 0
    assert_close(prior(x[..., :6]), prior(x)[..., :6])


def test_a_folded_cell_is_seen_from_its_whole_block() -> None:
    """With kernels of one cell and no coarse branch, a cell depends on its block and on nothing else."""
    prior, x = seeded(lambda: UNet(1, ("zero",), width=8, kernel=1, fold=4)), normal(1, 1, 12)
    nn.init.zeros_(prior.up.weight)
    reach = torch.autograd.functional.jacobian(prior, x).squeeze() != 0
    assert torch.equal(reach, torch.block_diag(*[torch.ones(4, 4)] * 3).bool())


def test_a_branch_can_hold_a_product() -> None:
    """A r ∘ B r is bilinear: with weights set by hand, Φ(x) = x² exactly, as a flow needs."""
    branch = Branch(1, 2, 1, ("zero",))
    for parameter in branch.parameters():
        nn.init.zeros_(parameter)
    branch.lift.convolution.weight.data[:, 0, 0] = torch.tensor([1.0, -1.0])  # r = (x⁺, x⁻)
    branch.maps.convolution.weight.data[[2, 4], :, 0] = 1.0  # both factors are |x|
    branch.project.convolution.weight.data[0, 2, 0] = 1.0
    x = normal(2, 1, 7)
    assert_close(branch(x), x.square())


@pytest.mark.parametrize("name", ["downsampling", "fold"])
def test_blocks_for_other_axes_are_refused(name: str) -> None:
    """The message says which numbers were given, and for how many axes."""
    with pytest.raises(ValueError, match=rf"^{name} is \(2, 2, 2\), expected .* each of the 2 axes$"):
        UNet(1, ("zero", "zero"), **{name: (2, 2, 2)})


def test_an_axis_that_is_too_short_for_the_kernel_is_refused() -> None:
    """The coarse branch cannot mirror three cells out of two; the message says what to do."""
    with pytest.raises(ValueError, match="use a smaller kernel or a longer axis"):
        UNet(1, ("reflect",), kernel=7)(normal(1, 1, 5))
