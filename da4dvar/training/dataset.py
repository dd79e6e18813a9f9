"""Training samples of a model, made from labelled data sets."""

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
    """Split data into a training part and a validation part, the last tenth of the times.

    Data without a time dimension are split along the first dimension of the observed variable that the layout
    does not name.

    Parameters
    ----------
    model : Model
        Model whose layout and time dimension are used.
    ds : Dataset
        Observations.
    truth : Dataset or None
        Truth, split like `ds`.

    Returns
    -------
    tuple of Dataset or None
        Observations and truth for training, then observations and truth for validation.

    Raises
    ------
    DataError
        If the variable does not exist, there is no dimension to split, or a part is shorter than a window.
    """
    layout, time = model.layout, model.time
    if time not in ds.dims:
        variable = model.sensors[0].variable if model.sensors else layout.variables[0]
        samples = [str(d) for d in pick(ds, variable).dims if d not in layout.dims]
        if not samples:
            raise DataError(
                f"there is no dimension {time!r} and no other dimension to split; pass `validation`"
            )
        time = samples[0]
    window = layout.window.get(time, 1)
    steps = ds.sizes[time]
    last = max(steps // 10, window)
    if last >= steps:
        raise DataError(
            f"{steps} steps of {time!r} are too few for training and validation; "
            "use a smaller window, or pass `validation`"
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
    """Return training samples for a model whose scaling is known.

    Parameters
    ----------
    model : Model
        Model to train; its scaling is known.
    seen, truth : Dataset
        Observations and truth. Without a truth, some observations are hidden and serve as the target.
    gaps : GapPattern or sequence of GapPattern, optional
        Gap pattern of the hidden points, or one for each variable or sensor. Without a pattern and without a
        truth, the data's own gaps at other times are used.
    noise : float
        Standard deviation of the noise added to the observations, in the units of the data.
    draws : int
        Number of times that gaps are drawn for a model with a first guess, which is computed from the whole
        data set for each draw before training.
    seed : int
        Seed of these draws.

    Returns
    -------
    Samples
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
    drawn, guesses, errors = [], [], []
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
        guess = model.guess(part)
        guesses.append(model.states(guess))
        if model.takes_guess_error:
            errors.append(model.guess_error(guess).drop_vars(list(guess.coords)))
    # Repeat for each draw without a copy.
    sought = (y if target is None else target).expand_dims(draw=len(drawn))
    return Samples(
        xr.concat(drawn, "draw"),
        sought,
        None,
        model.layout,
        time=model.time,
        first_guess=xr.concat(guesses, "draw"),
        hidden=truth is None,
        covariates=xr.concat(errors, "draw") if errors else covariates,
    )


def unit_of_noise(model: Model) -> float:
    """Return the standard deviation that converts noise to normalised units.

    Raises
    ------
    DataError
        If the variables have different standard deviations.
    """
    stds = set(model.scaling.std.values()) or {1.0}
    if len(stds) > 1:
        raise DataError(
            f"noise is in the units of the data, but the variables have {len(stds)} scales; set noise to 0"
        )
    return float(stds.pop())


def training_samples(
    model: Model,
    seen: xr.Dataset,
    truth: xr.Dataset | None,
    gaps: Gaps,
    noise: float,
    training: Training,
) -> Samples | BufferedSamples:
    """Return training samples for a model whose scaling is known, read in blocks if there is a buffer.

    Parameters
    ----------
    model : Model
        Model to train; its scaling is known.
    seen, truth : Dataset
        Observations and truth; a buffer saves memory only if they are lazy.
    gaps : GapPattern, optional
        See :func:`samples`. With a buffer, the data's own gaps are taken from the times of the block.
    noise : float
        Standard deviation of the noise added to the observations, in the units of the data.
    training : Training
        Training plan, which holds the size of the buffer.

    Returns
    -------
    Samples or BufferedSamples
        Samples in memory, or read in blocks if the data are larger than the buffer.

    Raises
    ------
    RecipeError
        If the buffer is too small for the windows, or the model has a first guess, which needs all data.

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
    # The data as read and as normalised are in memory together.
    of_a_time = 2 * sum(v.size * max(4, v.dtype.itemsize) for v in moving) // max(1, seen.sizes.get(time, 1))
    buffer = training.buffer_bytes
    if not buffer or of_a_time * seen.sizes.get(time, 1) <= buffer:
        whole = [None if ds is None else loaded(ds) for ds in (seen, truth)]
        assert whole[0] is not None
        return samples(model, whole[0], whole[1], gaps, noise, training.draws, training.seed)
    if model.first_guess is not None:
        raise RecipeError(
            "train: buffer is set, but a first guess needs the whole data set at once; "
            "leave out buffer or first_guess"
        )
    window = model.layout.window.get(time)
    if window is None:
        raise RecipeError(
            f"train: buffer is set, but the layout has no window along {time!r}; leave out buffer"
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
    """Read consecutive times and return their samples."""
    part = loaded(seen.isel({model.time: times}))
    true = None if truth is None else loaded(truth.isel({model.time: times}))
    return samples(model, part, true, gaps, noise, 1, seed)


def loaded(ds: xr.Dataset) -> xr.Dataset:
    """Load a copy of a data set into memory with one thread, as NetCDF needs; the original stays lazy."""
    with dask.config.set(scheduler="synchronous"):
        return ds.compute()
