"""Buffered samples: every window is in one block, reads are contiguous, and the number decides the sample."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from da4dvar.errors import RecipeError
from da4dvar.fields.gaps.patterns import Random
from da4dvar.layout import Layout
from da4dvar.training.buffered import BufferedSamples, block_sizes
from da4dvar.training.samples import Sample, Samples

WINDOW = 4
LAYOUT = Layout(["x"], axes=["time"], window={"time": WINDOW})


def buffered(
    times: int = 50, starts: int = 5, blocks: int = 3, seed: int = 0
) -> tuple[BufferedSamples, list]:
    """A series that counts its times, and the reads that were made of it."""
    data = xr.DataArray(np.arange(times, dtype="float32")[None], dims=("variable", "time"))
    reads: list[slice] = []

    def read(part: slice) -> Samples:
        reads.append(part)
        return Samples(data.isel(time=part), data.isel(time=part), Random(0.8), LAYOUT)

    return BufferedSamples(read, times, WINDOW, starts, blocks, seed), reads


def drawn(source: BufferedSamples, number: int) -> Sample:
    """Draw the sample of a number as the training does."""
    return source.draw(number, np.random.default_rng([7, number]))


@settings(deadline=None)
@given(st.integers(WINDOW, 90), st.integers(1, 20), st.integers(1, 5))
def test_every_window_is_in_one_block(times: int, starts: int, blocks: int) -> None:
    """Each epoch visits every block once, and the blocks together hold every window once."""
    source, _ = buffered(times, starts, blocks)
    count = -(-(times - WINDOW + 1) // starts)
    rounds = range(0, -(-count // blocks) * blocks * starts, blocks * starts)
    met = [b for first in rounds for b in source.blocks_at(first)]
    assert sorted(met) == list(range(count))
    begun: list[int] = []
    for block in sorted(met):
        part = range(times)[source.slice_of(block)]
        begun += part[: len(part) - WINDOW + 1]
    assert begun == list(range(times - WINDOW + 1))


def test_a_round_reads_its_blocks_once_and_in_order() -> None:
    """Each block of a buffer is read once, as one slice, in the order on disk."""
    source, reads = buffered()
    for number in range(30):
        drawn(source, number)
    assert len(reads) == 6
    assert reads[0].start < reads[1].start < reads[2].start
    assert len({r.start for r in reads}) == 6


def test_a_sample_depends_on_its_number_alone() -> None:
    """A source that starts in the middle, as in a resumed training, gives the same samples."""
    whole, resumed = buffered()[0], buffered()[0]
    samples = [drawn(whole, number) for number in range(60)]
    for number in (41, 7, 59):
        for name, array in drawn(resumed, number).items():
            np.testing.assert_array_equal(array, samples[number][name])


def test_epochs_are_shuffled_anew_by_the_seed() -> None:
    """The order of the blocks differs between epochs and between seeds."""
    orders = [
        [buffered(200, 5, 3, seed)[0].blocks_at(first + k) for k in range(0, 150, 15)]
        for seed, first in ((0, 0), (0, 210), (1, 0))
    ]
    assert orders[0] != orders[1]
    assert orders[0] != orders[2]


def test_windows_are_met_about_equally_often() -> None:
    """Over twenty epochs, each window is drawn between half and twice the mean number of times."""
    source, _ = buffered(44, 5, 3)
    starts = [int(drawn(source, number)["target"].min()) for number in range(20 * 45)]
    counts = np.bincount(starts, minlength=41)
    assert counts.min() > 0.4 * counts.mean()
    assert counts.max() < 2 * counts.mean()


def test_a_block_with_nothing_to_learn_is_passed_over() -> None:
    """A block without observations does not end the training."""
    source, _ = buffered(blocks=2, times=13)
    read = source.read

    def empty(part: slice) -> Samples:
        samples = read(part)
        if part.start == 0:
            samples = Samples(samples.observed * np.nan, samples.observed * np.nan, None, LAYOUT)
        return samples

    source.read = empty
    assert all(drawn(source, number)["sought"].any() for number in range(10))


def test_a_buffer_of_less_than_two_windows_is_refused() -> None:
    """The error states the sizes of a time and of a window."""
    with pytest.raises(RecipeError, match="fewer than two windows of 15 times with 10 bytes"):
        block_sizes(200, 10, 15)
