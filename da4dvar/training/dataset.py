"""What a model learns from: data sets turned into pairs of what is seen and what is sought."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import dask
import numpy as np
import xarray as xr

from da4dvar.analysis.model import Model
from da4dvar.errors import DataError, RecipeError
from da4dvar.fields.gaps.holdout import HIDDEN, Holdout
from da4dvar.fields.gaps.observe import noisy, thinned
from da4dvar.fields.gaps.patterns import GapPattern, own_gaps
from da4dvar.fields.labels.conform import check_same_cells, pick
from da4dvar.training.buffered import BufferedSamples, block_sizes
from da4dvar.training.samples import Samples, one_each

if TYPE_CHECKING:
    from da4dvar.training.plan import Training

Parts = tuple[xr.Dataset, xr.Dataset | None, xr.Dataset, xr.Dataset | None]
Gaps = GapPattern | Sequence[GapPattern | None] | None


def split(model: Model, ds: xr.Dataset, truth: xr.Dataset | None) -> Parts:
    """The last tenth of the time for validation, or of the samples: what is seen and true of both parts.

    Where there is no time, samples are along the first dimension of the observed variable that the layout
    does not name.

    Raises
    ------
    DataError
        If there is no such variable, nothing to split, or too little time for a window in both.
    """
    layout, time = model.layout, model.time
    if time not in ds.dims:
        variable = model.sensors[0].variable if model.sensors else layout.variables[0]
        samples = [str(d) for d in pick(ds, variable).dims if d not in layout.dims]
        if not samples:
            raise DataError(f"there is no dimension {time!r} and no other one to split; give `validation`")
        time = samples[0]
    window = layout.window.get(time, 1)
    steps = ds.sizes[time]
    last = max(steps // 10, window)
    if last >= steps:
        raise DataError(
            f"{steps} steps of {time!r} are too few to train and to validate on; "
            "use a smaller window, or give `validation`"
        )
    before, after = {time: slice(0, steps - last)}, {time: slice(steps - last, None)}
    if truth is None:
        return ds.isel(before), None, ds.isel(after), None
    return ds.isel(before), truth.isel(before), ds.isel(after), truth.isel(after)


def samples(
    model: Model,
    seen: xr.Dataset,
    truth: xr.Dataset | None,
    gaps: GapPattern | Sequence[GapPattern | None] | None,
    noise: float,
    draws: int,
    seed: int,
) -> Samples:
    """Training samples of a model that knows its scaling.

    Parameters
    ----------
    model : Model
    seen, truth : Dataset
        Without a truth, a part of what is seen is hidden and sought.
    gaps : GapPattern or sequence of GapPattern, optional
        What is hidden, or what of each variable or sensor; without it and without a truth, the gaps of
        other times.
    noise : float
        Standard deviation of the noise added to what is seen, in the units of the data.
    draws : int
        How often the gaps are drawn where there is a first guess: it sees the whole data set, and is made
        for each draw before the training.
    seed : int
        Of those draws.
    """
    check_same_cells(seen, truth)
    y = model.observations(seen)
    target = None if truth is None else model.states(truth)
    covariates = model.covariates.normalised(seen) if model.covariates else None
    if model.first_guess is None:
        if truth is None and gaps is None:
            gaps = own_gaps(y, model.layout, model.time)
        scale = unit_of_noise(model) if noise else 1.0
        return Samples(
            y,
            target,
            gaps,
            model.layout,
            noise / scale,
            model.initial,
            model.time,
            covariates=covariates,
            first=model.first_sensors(),
        )
    seen = seen[list(model.layout.variables)]
    generator = np.random.default_rng([seed, 3])
    drawn, guesses = [], []
    for number in range(draws if truth is None or gaps is not None or noise else 1):
        part = seen
        if gaps is not None:
            patterns = zip(seen, one_each(gaps, len(seen)), strict=True)
            part = seen.assign({n: thinned(seen[n], p, generator) for n, p in patterns if p is not None})
        elif truth is None:
            part, _ = Holdout(HIDDEN, seed=seed + number).taken(seen, model.time)
        if noise:
            part = part.map(noisy, args=(noise, generator))
        drawn.append(model.states(part))
        guesses.append(model.states(model.first_guess.interpolate(part)))
    # As many as there are draws, without a copy.
    sought = (y if target is None else target).expand_dims(draw=len(drawn))
    return Samples(
        xr.concat(drawn, "draw"),
        sought,
        None,
        model.layout,
        time=model.time,
        first_guess=xr.concat(guesses, "draw"),
        hidden=truth is None,
        covariates=covariates,
    )


def unit_of_noise(model: Model) -> float:
    """The standard deviation that a noise in the units of the data is divided by."""
    stds = set(model.scaling.std.values()) or {1.0}
    if len(stds) > 1:
        raise DataError("noise in the units of the data is for one variable only")
    return float(stds.pop())


def training_samples(
    model: Model,
    seen: xr.Dataset,
    truth: xr.Dataset | None,
    gaps: Gaps,
    noise: float,
    training: Training,
) -> Samples | BufferedSamples:
    """Training samples of a model that knows its scaling, read block by block if that is asked for.

    Parameters
    ----------
    model : Model
        Which knows its scaling.
    seen, truth : Dataset
        Lazy, for a buffer to be of use.
    gaps : GapPattern, optional
        See :func:`samples`. Where the gaps of other times are transplanted, these are those of the block.
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
    >>> from da4dvar.training.plan import Training
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
    model: Model,
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
