"""What a model learns from: data sets turned into pairs of what is seen and what is sought."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.conform import check_same_cells, pick
from da4dvar.fields.gaps import GapPattern, own_gaps
from da4dvar.fields.holdout import Holdout
from da4dvar.fields.samples import Samples, one_each
from da4dvar.sensing import first_sensors, observed

if TYPE_CHECKING:
    from da4dvar.interpolator import Interpolator

# Part of the observed points that is hidden at a time, where a model learns from observations alone.
HIDDEN = 0.15

Parts = tuple[xr.Dataset, xr.Dataset | None, xr.Dataset, xr.Dataset | None]


def split(model: Interpolator, ds: xr.Dataset, truth: xr.Dataset | None) -> Parts:
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
    model: Interpolator,
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
    model : Interpolator
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
    y = observed(model, seen)
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
            first=first_sensors(model),
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


def thinned(array: xr.DataArray, gaps: GapPattern, generator: np.random.Generator) -> xr.DataArray:
    """A variable with the cells hidden that a pattern does not see."""
    kept = gaps.draw(generator, {str(d): n for d, n in array.sizes.items()})
    return array.where(xr.DataArray(kept, dims=array.dims))


def noisy(array: xr.DataArray, noise: float, generator: np.random.Generator) -> xr.DataArray:
    """A variable with noise of a standard deviation added."""
    return array + noise * generator.standard_normal(array.shape)


def unit_of_noise(model: Interpolator) -> float:
    """The standard deviation that a noise in the units of the data is divided by."""
    stds = set(model.scaling.std.values()) or {1.0}
    if len(stds) > 1:
        raise DataError("noise in the units of the data is for one variable only")
    return float(stds.pop())
