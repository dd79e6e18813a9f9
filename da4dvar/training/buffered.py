"""Training samples of data on disk: blocks of times are read into a buffer, from which samples are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from da4dvar.errors import DataError, RecipeError
from da4dvar.training.samples import Sample, Samples

# Blocks in a buffer: more blocks shuffle better, fewer blocks make longer reads.
BLOCKS = 8


@dataclass
class BufferedSamples:
    """Windows drawn from a buffer of n blocks of consecutive times, which changes after n s samples.

    Block b holds the windows that begin at times b s to (b + 1) s − 1, including the times of these windows
    in the next block, so that every window lies in one block. Each epoch visits the blocks in a new random
    order, and a sample is drawn anywhere in the n blocks of the buffer. A sample depends only on its number
    and the seed: a resumed training, or one shared among processes, reads the same samples.

    Parameters
    ----------
    read : callable
        Function that reads a slice of times and returns its samples.
    times : int
        Total number of times.
    window : int
        Number of times in a window.
    starts : int
        s, the number of windows that begin in a block.
    blocks : int
        n, the number of blocks in the buffer.
    seed : int
        Seed of the order of the blocks.

    Examples
    --------
    >>> import xarray as xr
    >>> from da4dvar.layout import Layout
    >>> x = xr.DataArray(np.arange(100.0)[None], dims=("variable", "time"))
    >>> layout = Layout(["x"], axes=["time"], window={"time": 5})
    >>> def read(times):  # in practice, from a file
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
        """Draw the sample of a given number; see :meth:`da4dvar.training.samples.Samples.draw`.

        Parameters
        ----------
        number : int
            Number of the sample in the training.
        generator : numpy.random.Generator
            Random number generator.

        Returns
        -------
        dict of str to array
            Arrays of the sample.

        Raises
        ------
        DataError
            If no block of the buffer yields a sample.
        """
        chosen = self.blocks_at(number)
        if self._held[0] != chosen:
            # Release the old blocks before reading the new ones.
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
        """Return the blocks in the buffer from which a sample is drawn, in their order on disk.

        Parameters
        ----------
        number : int
            Number of the sample in the training.

        Returns
        -------
        tuple of int
            Numbers of the blocks.
        """
        count = -(-(self.times - self.window + 1) // self.starts)
        epoch, part = divmod(number // (self.blocks * self.starts), -(-count // self.blocks))
        order = np.random.default_rng([self.seed, epoch, 5]).permutation(count)
        return tuple(sorted(map(int, order[part * self.blocks : (part + 1) * self.blocks])))

    def slice_of(self, block: int) -> slice:
        """Return the times of a block.

        Parameters
        ----------
        block : int
            Number of the block.

        Returns
        -------
        slice
            Times of all windows of the block, including those that extend into the next block.
        """
        first = block * self.starts
        return slice(first, min(first + self.starts + self.window - 1, self.times))


def block_sizes(buffer: int, of_a_time: int, window: int) -> tuple[int, int]:
    """Return s and n, the number of windows that begin in a block and of blocks in a buffer.

    Parameters
    ----------
    buffer : int
        Size of the buffer in bytes.
    of_a_time : int
        Bytes that one time takes in the buffer.
    window : int
        Number of times in a window.

    Returns
    -------
    starts, blocks : int
        s and n.

    Raises
    ------
    RecipeError
        If the buffer holds fewer than two windows.

    Examples
    --------
    >>> block_sizes(8000, 10, 15)
    (86, 8)
    >>> block_sizes(1000, 10, 15)
    (19, 3)
    """
    # More than half of a block shorter than two windows would be read for windows of the next block.
    blocks = min(BLOCKS, buffer // (of_a_time * (2 * window - 1)))
    if blocks < 1:
        raise RecipeError(
            f"train: a buffer of {buffer} bytes holds fewer than two windows of {window} times with "
            f"{of_a_time} bytes each; use a larger buffer or a smaller window"
        )
    return buffer // of_a_time // blocks - (window - 1), blocks
