"""Samples of a data set that stays on the disk: blocks of times are read whole, and shuffled in a buffer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from da4dvar.errors import DataError, RecipeError
from da4dvar.training.samples import Sample, Samples

# Blocks to a buffer: more are a better shuffle, fewer are longer reads.
BLOCKS = 8


@dataclass
class BufferedSamples:
    """Windows drawn from n blocks of consecutive times at once, another n for every round of samples.

    Block b has the windows that begin at times b s to (b + 1) s − 1, and the times that they reach into the
    next block: every window is in one block. The blocks of an epoch come in an order drawn anew, and a sample
    is drawn anywhere in the n blocks of its round. What a sample is follows from its number and the seed
    alone: a training that is resumed, or shared among processes, reads the same.

    Parameters
    ----------
    read : callable
        From a slice of times to the samples in it.
    times : int
        In all.
    window : int
        Times of a window.
    starts : int
        s: the windows that begin in a block.
    blocks : int
        n: blocks to a buffer.
    seed : int
        Of the order of the blocks.

    Examples
    --------
    >>> import xarray as xr
    >>> from da4dvar.layout import Layout
    >>> x = xr.DataArray(np.arange(100.0)[None], dims=("variable", "time"))
    >>> layout = Layout(["x"], axes=["time"], window={"time": 5})
    >>> def read(times):  # from a file, in earnest
    ...     part = x.isel(time=times)
    ...     return Samples(part, part, None, layout)
    >>> samples = BufferedSamples(read, times=100, window=5, starts=20, blocks=2, seed=0)
    >>> samples.slice_of(1), samples.draw(0, np.random.default_rng(0))["y"].shape
    (slice(20, 44, None), (1, 5))
    """

    read: Callable[[slice], Samples]
    times: int
    window: int
    starts: int
    blocks: int
    seed: int
    _held: tuple[tuple[int, ...], list[Samples]] = field(default=((), []), init=False, repr=False)

    def draw(self, number: int, generator: np.random.Generator) -> Sample:
        """The sample of a number; see :meth:`da4dvar.training.samples.Samples.draw`.

        Parameters
        ----------
        number : int
            Of the sample, in the training.
        generator : numpy.random.Generator
            What chance is taken from.

        Returns
        -------
        dict of str to array

        Raises
        ------
        DataError
            If there is nothing to learn from in any block of the buffer.
        """
        chosen = self.blocks_at(number)
        if self._held[0] != chosen:
            # The old blocks go before the new ones come.
            self._held = ((), [])
            self._held = (chosen, [self.read(self.slice_of(block)) for block in chosen])
        weights = np.array([len(range(*self.slice_of(b).indices(self.times))) for b in chosen], "float64")
        weights -= self.window - 1
        drawn = generator.choice(len(chosen), len(chosen), replace=False, p=weights / weights.sum())
        order = [int(k) for k in drawn]
        for k in order[:-1]:
            try:
                return self._held[1][k].draw(generator)
            except DataError:
                continue
        return self._held[1][order[-1]].draw(generator)

    def blocks_at(self, number: int) -> tuple[int, ...]:
        """The blocks in the buffer from which a sample is drawn, in their order on the disk.

        Parameters
        ----------
        number : int
            Of the sample.

        Returns
        -------
        tuple of int
        """
        count = -(-(self.times - self.window + 1) // self.starts)
        epoch, part = divmod(number // (self.blocks * self.starts), -(-count // self.blocks))
        order = np.random.default_rng([self.seed, epoch, 5]).permutation(count)
        return tuple(sorted(map(int, order[part * self.blocks : (part + 1) * self.blocks])))

    def slice_of(self, block: int) -> slice:
        """The times of a block.

        Parameters
        ----------
        block : int

        Returns
        -------
        slice
            With those that its windows reach into of the next.
        """
        first = block * self.starts
        return slice(first, min(first + self.starts + self.window - 1, self.times))


def block_sizes(buffer: int, of_a_time: int, window: int) -> tuple[int, int]:
    """s and n: windows that begin in a block, and blocks to a buffer of so many bytes.

    Parameters
    ----------
    buffer : int
        Bytes.
    of_a_time : int
        Bytes that a time takes in the buffer.
    window : int
        Times of a window.

    Returns
    -------
    starts, blocks : int
        s and n.

    Raises
    ------
    RecipeError
        If the buffer holds too few windows.

    Examples
    --------
    >>> block_sizes(8000, 10, 15)
    (86, 8)
    >>> block_sizes(1000, 10, 15)
    (19, 3)
    """
    # A block of less than two windows would read more than half of it for the windows of the next.
    blocks = min(BLOCKS, buffer // (of_a_time * (2 * window - 1)))
    if blocks < 1:
        raise RecipeError(
            f"train: a buffer of {buffer} bytes holds less than two windows of {window} times at {of_a_time} "
            "bytes a time; give a larger buffer, or use a smaller window"
        )
    return buffer // of_a_time // blocks - (window - 1), blocks
