"""Where training samples come from: memory, or a buffer of blocks if the data are larger than that."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import dask
import xarray as xr

from da4dvar.errors import RecipeError
from da4dvar.fields.buffered import BufferedSamples, block_sizes
from da4dvar.fields.conform import check_same_cells
from da4dvar.fields.gaps import GapPattern
from da4dvar.fields.samples import Samples
from da4dvar.pairs import samples

if TYPE_CHECKING:
    from da4dvar.interpolator import Interpolator
    from da4dvar.training_plan import Training

Gaps = GapPattern | Sequence[GapPattern | None] | None


def training_samples(
    model: Interpolator,
    seen: xr.Dataset,
    truth: xr.Dataset | None,
    gaps: Gaps,
    noise: float,
    training: Training,
) -> Samples | BufferedSamples:
    """Training samples of a model that knows its scaling, read block by block if that is asked for.

    Parameters
    ----------
    model : Interpolator
        Which knows its scaling.
    seen, truth : Dataset
        Lazy, for a buffer to be of use.
    gaps : GapPattern, optional
        See :func:`da4dvar.pairs.samples`. Where the gaps of other times are transplanted, these are those of
        the block.
    noise : float
        Standard deviation of the noise added to what is seen, in the units of the data.
    training : Training
        Says how large the buffer is.

    Returns
    -------
    Samples or BufferedSamples

    Raises
    ------
    RecipeError
        If the buffer is too small for its windows, or the model has a first guess, which sees the whole data.

    Examples
    --------
    >>> from da4dvar import load
    >>> from da4dvar.simulate import lorenz96
    >>> from da4dvar.training_plan import Training
    >>> truth = lorenz96(series=1, steps=300)[["x"]]
    >>> type(training_samples(load("lorenz96"), truth, truth, None, 0.0, Training())).__name__
    'Samples'
    """
    check_same_cells(seen, truth)
    time, datasets = model.time, [ds for ds in (seen, truth) if ds is not None]
    moving = [v for ds in datasets for v in ds.data_vars.values() if time in v.dims]
    # As read, and as normalised.
    of_a_time = 2 * sum(v.size * max(4, v.dtype.itemsize) for v in moving) // max(1, seen.sizes.get(time, 1))
    buffer = training.buffer_bytes
    if not buffer or of_a_time * seen.sizes.get(time, 1) <= buffer:
        whole = [None if ds is None else loaded(ds) for ds in (seen, truth)]
        assert whole[0] is not None
        return samples(model, whole[0], whole[1], gaps, noise, training.draws, training.seed)
    if model.first_guess is not None:
        raise RecipeError(
            "train: a first guess sees the whole data set at once; leave buffer out, or first_guess"
        )
    window = model.layout.window.get(time)
    if window is None:
        raise RecipeError(
            f"train: a buffer holds windows along {time!r}, but the layout has none; leave buffer out"
        )
    starts, blocks = block_sizes(buffer, of_a_time, window)
    read = partial(block_samples, model, seen, truth, gaps, noise, training.seed)
    return BufferedSamples(read, seen.sizes[time], window, starts, blocks, training.seed)


def block_samples(
    model: Interpolator,
    seen: xr.Dataset,
    truth: xr.Dataset | None,
    gaps: Gaps,
    noise: float,
    seed: int,
    times: slice,
) -> Samples:
    """The samples of some consecutive times, which are read here."""
    part = loaded(seen.isel({model.time: times}))
    true = None if truth is None else loaded(truth.isel({model.time: times}))
    return samples(model, part, true, gaps, noise, 1, seed)


def loaded(ds: xr.Dataset) -> xr.Dataset:
    """A data set in memory, a new one; the one that was given stays lazy. NetCDF is read by one thread."""
    with dask.config.set(scheduler="synchronous"):
        return ds.compute()
