"""The door for data without a model: fit to a data set, and fill it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import tomli_w
import xarray as xr

from da4dvar.analysis.calibration import levels_of
from da4dvar.config.tables import Table, read_recipe
from da4dvar.errors import DataError, warn
from da4dvar.fields.bounds import bounds_given, bounds_of
from da4dvar.fields.files.store import write_whole
from da4dvar.fields.gaps.limits import MaxGap, within_limits
from da4dvar.fields.intake.take import Intake, take_in
from da4dvar.fields.labels.flags import scheme_of
from da4dvar.fields.sampling import check_memory, check_samples
from da4dvar.progress import Phase, Progress
from da4dvar.workflows.autofit.clock import Clock
from da4dvar.workflows.autofit.comparison import Comparison
from da4dvar.workflows.autofit.fit import AUTO, fitted_to
from da4dvar.workflows.autofit.fitted import Fitted

Say = Callable[[str], None]
MINUTES = 5.0


def fit(
    ds: xr.Dataset | xr.DataArray,
    *,
    minutes: float = MINUTES,
    method: str = AUTO,
    variable: Mapping[str, str] | Sequence[str] | str | None = None,
    dim: Mapping[str, str] | None = None,
    mask: str | xr.DataArray | None = None,
    fill_value: str | float = "auto",
    times: str = "insert",
    bounds: Sequence[str] | str = (),
    circular: Sequence[str] | str = (),
    recipe: str | Path | None = None,
    settings: Sequence[str] = (),
    seed: int = 0,
    device: str = "auto",
    say: Say | None = None,
) -> Fitted:
    """Compare all methods at hidden points of a data set, and choose the best for each variable.

    Parameters
    ----------
    ds : Dataset or DataArray
        Data with gaps.
    minutes : float
        Time for everything, from the first comparison to the filled data set.
    method : str
        "auto" for the best of all methods, "learned", or the name of a method.
    variable : str, sequence of str, or mapping of str to str, optional
        Variables to fill; a mapping gives them other names. By default all fields with gaps.
    dim : mapping of str to str, optional
        Maps ``time`` to the name of the time dimension.
    mask : str or DataArray, optional
        True or non-zero where there is an observation: a variable, an expression such as
        ``quality_level>=4``, or an array.
    fill_value : str or float
        Undeclared value of gaps. "auto" recognises such values, and says so; "none" takes all values as
        observations.
    times : {"insert", "keep", "sort"}
        Insert missing time steps, keep the times as they are, or sort them and drop duplicates first.
    bounds, circular : sequence of str
        Possible values ``NAME=LOWER:UPPER``, and names of directions; found from the data by default.
    recipe : path, optional
        Recipe (TOML) of the learned estimate.
    settings : sequence of str
        ``section.key=value``, laid over the recipe.
    seed : int
        Seed of the hidden points and of the training.
    device : {"auto", "cpu", "cuda"}
        Where networks are trained and solve their windows: on a GPU (cuda), or on the processor. "auto" is a
        GPU if torch finds one.
    say : callable, optional
        Called with each choice, as a line; by default, guesses are warnings.

    Returns
    -------
    Fitted
        With ``scores``, ``method``, ``model``, ``interpolate(other)`` and ``save(path)``.

    Raises
    ------
    DataError
        If there is nothing to fill, or an option is invalid.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.arange(200.0)
    >>> y = xr.Dataset({"level": ("time", np.where(t % 17 < 3, np.nan, np.sin(t / 9)))})
    >>> fit(y, minutes=0.05).scores["level"].shapes > 3
    True
    """
    clock, told = Clock(checked_minutes(minutes, seed)), say or warn
    taken = take_in(ds, variable=variable, dim=dim, mask=mask, fill_value=fill_value, times=times, say=told)
    return fit_taken(
        taken,
        clock,
        method=method,
        variable=variable,
        mask=mask,
        bounds=bounds,
        circular=circular,
        recipe=recipe,
        settings=settings,
        seed=seed,
        device=device,
        say=told,
    )


def fit_taken(
    taken: Intake,
    clock: Clock,
    *,
    method: str = AUTO,
    variable: Mapping[str, str] | Sequence[str] | str | None = None,
    mask: str | xr.DataArray | None = None,
    bounds: Sequence[str] | str = (),
    circular: Sequence[str] | str = (),
    recipe: str | Path | None = None,
    settings: Sequence[str] = (),
    paths: Sequence[str] = (),
    seed: int = 0,
    device: str = "auto",
    phase: Phase = lambda name: None,
    progress: Progress | None = None,
    say: Say,
) -> Fitted:
    """Fit to a data set that was taken in; see :func:`fit`."""
    check_device(device)
    given = bounds_given(bounds, circular)
    for name in given:
        if name not in taken.fields:
            raise DataError(
                f"bounds of {name!r}: it is not among the fields, which are {', '.join(taken.fields)}"
            )
    gappy, others, found = [], [], {}
    for name in taken.fields:
        array = taken.data[name]
        seen = array.notnull()
        if array.chunks is None and not bounds_of(array, given).circular:
            others.append(name)
        counts = xr.Dataset({"missing": (~seen).sum(), "cells": (~seen.any(taken.time)).sum()}).compute()
        missing, cells = int(counts.missing), int(counts.cells)
        if missing > cells * array.sizes[taken.time]:
            gappy.append(name)
            found[name] = bounds_of(array, given)
            if line := found[name].line(name):
                say(line)
            if cells:
                every = array.size // array.sizes[taken.time]
                say(f"{name}: never observed at {cells} of {every} positions, which stay empty (flag 2)")
        elif missing:
            say(f"{name}: the missing values are cells that are never observed; left as they are")
        else:
            say(f"{name}: no gaps; copied unchanged")
    return fitted_to(
        taken.data,
        gappy,
        taken.time,
        clock,
        method=method,
        bounds=found,
        others=others,
        sources=variable if isinstance(variable, Mapping) else None,
        mask=mask if isinstance(mask, str) else None,
        paths=paths,
        recipe=None if recipe is None else read_recipe(Path(recipe)),
        settings=settings,
        seed=seed,
        device=device,
        phase=phase,
        progress=progress,
        say=say,
    )


def fill(
    ds: xr.Dataset | xr.DataArray,
    *,
    minutes: float = MINUTES,
    method: str = AUTO,
    variable: Mapping[str, str] | Sequence[str] | str | None = None,
    dim: Mapping[str, str] | Sequence[str] | str | None = None,
    mask: str | xr.DataArray | None = None,
    fill_value: str | float = "auto",
    times: str = "insert",
    bounds: Sequence[str] | str = (),
    circular: Sequence[str] | str = (),
    analysis: bool = False,
    std: bool = False,
    interval: float | Sequence[float] = (),
    max_gap: MaxGap | None = None,
    limit_area: str | None = None,
    flags: str = "da4dvar",
    samples: int = 0,
    seed: int = 0,
    device: str = "auto",
    say: Say | None = None,
) -> xr.Dataset:
    """Fill the gaps of a data set by the best of all methods for each variable.

    Parameters
    ----------
    ds : Dataset or DataArray
        Data with gaps.
    minutes, method, variable
        See :func:`fit`.
    dim : mapping of str to str, or str, or sequence of str, optional
        A mapping names the time dimension, as ``{"time": "day"}``. A name, or a sequence of names, gives the
        dimensions along which `max_gap` and `limit_area` are measured.
    mask, fill_value, times, bounds, circular
        See :func:`fit`.
    analysis, std, interval, max_gap, limit_area, flags, samples
        See :meth:`Fitted.interpolate`.
    seed, device, say
        See :func:`fit`. The seed is also that of the samples.

    Returns
    -------
    Dataset
        See :meth:`Fitted.interpolate`.

    Raises
    ------
    DataError
        If there is nothing to fill, or an option is invalid.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.arange(200.0)
    >>> y = xr.Dataset({"level": ("time", np.where(t % 17 < 3, np.nan, np.sin(t / 9)))})
    >>> filled = fill(y, minutes=0.05)
    >>> sorted(filled.data_vars)
    ['level', 'level_flag']
    """
    names = dim if isinstance(dim, Mapping) else None
    along = None if dim is None or isinstance(dim, Mapping) else dim
    clock, told = Clock(checked_minutes(minutes, seed)), say or warn
    taken = take_in(ds, variable=variable, dim=names, mask=mask, fill_value=fill_value, times=times, say=told)
    check_options(taken, interval, max_gap, limit_area, along, flags)
    check_samples(samples, seed)
    check_memory([a for n in taken.fields if (a := taken.data[n]).chunks is None], samples)
    fitted = fit_taken(
        taken,
        clock,
        method=method,
        variable=variable,
        mask=mask,
        bounds=bounds,
        circular=circular,
        seed=seed,
        device=device,
        say=told,
    )
    return fitted.interpolate(
        taken.data,
        analysis=analysis,
        std=std,
        interval=interval,
        max_gap=max_gap,
        limit_area=limit_area,
        dim=along,
        flags=flags,
        samples=samples,
        seed=seed,
    )


def check_options(
    taken: Intake,
    interval: float | Sequence[float] = (),
    max_gap: MaxGap | None = None,
    limit_area: str | None = None,
    dim: Sequence[str] | str | None = None,
    flags: str = "da4dvar",
) -> None:
    """Check the options of :meth:`Fitted.interpolate` before any time is spent on a fit."""
    scheme_of(flags)
    levels_of(interval)
    along = [taken.time] if dim is None else [dim] if isinstance(dim, str) else list(dim)
    for name in taken.fields:
        array = taken.data[name]
        # One line along each dimension is sufficient, as only names and coordinates are checked.
        line = array.isel({d: slice(0, 1) for d in array.dims if d not in along})
        within_limits(line.notnull(), along, max_gap, limit_area)


def check_device(device: str) -> None:
    """Refuse a device that is unknown or missing before any time is spent; see :func:`fit`.

    What "auto" is needs not be known before a network is trained, and torch takes a second to load.
    """
    if device != "auto":
        from da4dvar.variational.device import device_of

        device_of(device)


def checked_minutes(minutes: float, seed: int = 0) -> float:
    """Return a number of minutes, which must be above 0; a seed must be 0 or more."""
    if not isinstance(minutes, int | float) or not minutes > 0:
        raise DataError(f"minutes is {minutes!r}, expected a number above 0")
    if seed < 0:
        raise DataError(f"seed is {seed}, expected 0 or more")
    return minutes


class Scored(Protocol):
    """What has scores and says which method is the best for each variable."""

    @property
    def method(self) -> dict[str, str]:
        """Name of the best method for each variable."""

    @property
    def scores(self) -> dict[str, Comparison]:
        """Comparison of all methods for each variable."""


def json_of(fitted: Scored) -> dict[str, Any]:
    """Return the scores as plain tables, for output as JSON."""
    from dataclasses import asdict

    return {"filled_by": fitted.method, "scores": {n: asdict(c) for n, c in fitted.scores.items()}}


def write_recipe(tables: Table, path: Path) -> None:
    """Write the recipe of a learned estimate, which can be edited and used again with --recipe."""
    write_whole(path, lambda beside: beside.write_text(tomli_w.dumps(tables), encoding="utf-8"))
