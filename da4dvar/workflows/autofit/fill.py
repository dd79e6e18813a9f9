"""Filling of a gappy data set by a model that is fitted to it, as ``da4dvar interpolate --fit`` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import tomli_w
import xarray as xr

from da4dvar.analysis.calibration import levels_of
from da4dvar.analysis.ensemble import CalibratedEnsemble
from da4dvar.analysis.error_bars import wanted
from da4dvar.config.tables import Table, read_recipe
from da4dvar.errors import DataError, nearest
from da4dvar.fields.files.store import write_whole
from da4dvar.fields.labels.cf import dims_by_role, numeric
from da4dvar.fields.labels.conform import check_finite
from da4dvar.workflows.autofit.character import characters_of
from da4dvar.workflows.autofit.fit import Fitted, candidates, fit_to
from da4dvar.workflows.autofit.scores import LEARNED
from da4dvar.workflows.data import observations

AUTO = "auto"


@dataclass
class Filled:
    """Data set filled by a model that was fitted to it, or by a baseline.

    Parameters
    ----------
    data : Dataset
        Filled data set.
    method : str
        Method that filled it: "learned", the name of a baseline, or "none" if there was no gap.
    fitted : Fitted or None
        Model and scores; None if there was no gap.

    Examples
    --------
    >>> whole = xr.Dataset({"sst": ("time", [10.0, 11.0])})
    >>> fill_by_fit(whole, variable={}, dim={}).method
    'none'
    """

    data: xr.Dataset
    method: str
    fitted: Fitted | None


def fill_by_fit(
    ds: xr.Dataset,
    *,
    variable: Mapping[str, str],
    dim: Mapping[str, str],
    mask: str | None = None,
    paths: Sequence[str] = (),
    minutes: float = 10.0,
    method: str = LEARNED,
    recipe: str | None = None,
    settings: list[str] | None = None,
    seed: int = 0,
    keep_observed: bool = False,
    members: int | None = 0,
    interval: float | Sequence[float] = (),
    say: Callable[[str], None] = lambda line: None,
) -> Filled:
    """Fit a model to the observations of a data set, score it, and fill the gaps.

    Parameters
    ----------
    ds : Dataset
        NaN in the gaps.
    variable : mapping of str to str
        Names of the result and of the variables of `ds`; every variable with gaps if empty.
    dim : mapping of str to str
        The name of the dimension of time, where it is another.
    mask : str, optional
        A variable of `ds`, non-zero or true where there is an observation.
    paths : sequence of str
        Files from which `ds` was read, if any, to be named in the recipe.
    minutes : float
        Duration of the training.
    method : str
        Method that fills the gaps: "learned", "auto" for the best at the test points, or a baseline.
    recipe : str, optional
        Path of a recipe, whose tables replace those that are chosen automatically.
    settings : list of str, optional
        ``section.key=value``, laid over it.
    seed : int
        Of the training, and of the points kept for the score.
    keep_observed : bool
        Put the observed values back.
    members : int or None
        Of an ensemble, for standard errors, if the learned model fills; none with 0, the usual with None.
    interval : float or sequence of float
        Levels of intervals, by the learned model.
    say : callable
        Told each choice in a line.

    Returns
    -------
    Filled

    Raises
    ------
    DataError
        If the data cannot be learned from.

    Examples
    --------
    >>> ds = xr.Dataset({"sst": ("time", [10.0, float("nan"), 12.0])})
    >>> fill_by_fit(ds, variable={}, dim={}, method="liner")
    Traceback (most recent call last):
    ...
    da4dvar.errors.DataError: --method 'liner': did you mean 'linear'? (there are: auto, ...)
    """
    if minutes <= 0:
        raise DataError(f"--minutes {minutes:g}: expected above 0")
    sources = dict(variable) or {name: name for name in numeric(ds) if name != mask}
    if not sources:
        raise DataError("there is no numeric variable to fill")
    seen = observations(ds, sources, mask)
    gappy = [name for name in sources if bool(seen[name].isnull().any())]
    if not gappy:
        say(f"{', '.join(sources)}: no gaps; copied unchanged")
        return Filled(ds, "none", None)
    if not variable:
        seen = seen[gappy]
    for name, array in seen.data_vars.items():
        check_finite(array, str(name))
    first = next(iter(seen.values()))
    unlike = [name for name, array in seen.data_vars.items() if set(array.dims) != set(first.dims)]
    if unlike:
        raise DataError(
            f"variables {first.name!r} and {unlike[0]!r} have different dimensions "
            f"({', '.join(map(str, first.dims))}; {', '.join(map(str, seen[unlike[0]].dims))}); "
            "fit them one by one with --variable"
        )
    time = dims_by_role(first, dim).get("time", "time")
    if time not in first.dims:
        raise DataError(
            f"variable {first.name!r} has no dimension {time!r} (it has {', '.join(map(str, first.dims))}); "
            "name the time dimension with --dim time=NAME"
        )
    characters = characters_of(seen, time)
    known = [LEARNED, AUTO, *candidates(characters)]
    if method not in known:
        raise DataError(f"--method {method!r}: {nearest(method, known)}")
    wanted(None, members, ())
    interval = levels_of(interval)
    if (members != 0 or interval) and method != LEARNED:
        raise DataError(
            f"--members, --std and --interval require the learned model; leave them out with {method!r}"
        )
    tables = read_recipe(Path(recipe)) if recipe else None
    names = {name: sources[name] for name in characters}
    fitted = fit_to(
        ds,
        names,
        time,
        minutes,
        mask=mask,
        paths=paths,
        recipe=tables,
        settings=settings or [],
        seed=seed,
        characters=characters,
        say=say,
    )
    best = fitted.scores.best()
    chosen = best if method == AUTO else method
    if chosen != best:
        say(f"{best} has a lower error at the test points; fill with it by --method auto")
    if chosen == LEARNED:
        levels = known_levels(fitted.model.calibration, interval, say)
        filled = fitted.model.interpolate(
            ds,
            variable=names,
            mask=mask,
            keep_observed=keep_observed,
            members=members,
            interval=levels,
            seed=seed,
        )
    else:
        filled = fitted.baselines[chosen].interpolate(seen)
        if keep_observed:
            filled = filled.assign({n: filled[n].copy(data=seen[n].fillna(filled[n]).data) for n in names})
    for name in names:
        filled[name].attrs["rmse_on_hidden_points"] = fitted.scores.of(chosen, name)
    return Filled(filled, chosen, fitted)


def known_levels(
    calibration: CalibratedEnsemble | None, interval: Sequence[float], say: Callable[[str], None]
) -> Sequence[float]:
    """Return the requested levels, or none, with a note, if the model cannot provide such intervals."""
    try:
        wanted(calibration, 0, interval)
    except DataError as error:
        say(f"no intervals: {error}")
        return ()
    return interval


def json_of(filled: Filled) -> Table:
    """Return the scores and the name of the method that filled the file, for output as JSON."""
    scores = {} if filled.fitted is None else asdict(filled.fitted.scores)
    return {"filled_by": filled.method, **scores}


def write_recipe(tables: Table, path: Path) -> None:
    """Write the recipe of a fit, which can be edited and used again with --recipe."""
    write_whole(path, lambda beside: beside.write_text(tomli_w.dumps(tables), encoding="utf-8"))
