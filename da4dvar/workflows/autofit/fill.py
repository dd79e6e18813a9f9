"""Filling of a gappy data set by a model that is fitted to it, as ``da4dvar interpolate --fit`` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Unpack

import tomli_w
import xarray as xr

from da4dvar.analysis.calibration import levels_of
from da4dvar.analysis.ensemble import CalibratedEnsemble
from da4dvar.analysis.error_bars import wanted
from da4dvar.analysis.options import Options, completed, with_options
from da4dvar.config.tables import Table, read_recipe
from da4dvar.errors import DataError, nearest
from da4dvar.fields.files.store import write_whole
from da4dvar.fields.labels.cf import dims_by_role, numeric
from da4dvar.fields.labels.conform import check_finite
from da4dvar.fields.labels.given import mapping_of
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
    >>> fill_by_fit(whole).method
    'none'
    """

    data: xr.Dataset
    method: str
    fitted: Fitted | None


@with_options
def fill_by_fit(
    ds: xr.Dataset,
    *,
    paths: Sequence[str] = (),
    minutes: float = 10.0,
    method: str = LEARNED,
    recipe: str | None = None,
    settings: list[str] | None = None,
    say: Callable[[str], None] = lambda line: None,
    **options: Unpack[Options],
) -> Filled:
    """Fit a model to the observations of a data set, score it, and fill the gaps.

    Parameters
    ----------
    ds : Dataset
        NaN in the gaps.
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
    say : callable
        Called with each choice, as a line.
    **options
        Keywords of :meth:`da4dvar.Interpolator.interpolate`.

    Returns
    -------
    Filled

    Raises
    ------
    DataError
        If the data cannot be learned from.
    TypeError
        If an option is unknown.

    Notes
    -----
    Without `variable`, every variable with gaps is filled. The `seed` is also that of the training and of the
    points kept for the score. A `mask` is the name of a variable. Error bars need the learned model.

    Examples
    --------
    >>> ds = xr.Dataset({"sst": ("time", [10.0, float("nan"), 12.0])})
    >>> fill_by_fit(ds, method="liner")
    Traceback (most recent call last):
    ...
    da4dvar.errors.DataError: --method 'liner': did you mean 'linear'? (there are: auto, ...)
    """
    if minutes <= 0:
        raise DataError(f"--minutes {minutes:g}: expected above 0")
    given = completed(fill_by_fit, options)
    variable, mask = given["variable"], given["mask"]
    seed, analysis = given["seed"], given["analysis"]
    if mask is not None and not isinstance(mask, str):
        raise DataError(
            f"mask is of type {type(mask).__name__}, expected the name of a variable of the data set"
        )
    variable = {variable: variable} if isinstance(variable, str) else mapping_of("variable", variable)
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
    time = dims_by_role(first, mapping_of("dim", given["dim"])).get("time", "time")
    if time not in first.dims:
        raise DataError(
            f"variable {first.name!r} has no dimension {time!r} (it has {', '.join(map(str, first.dims))}); "
            "name the time dimension with --dim time=NAME"
        )
    characters = characters_of(seen, time)
    known = [LEARNED, AUTO, *candidates(characters)]
    if method not in known:
        raise DataError(f"--method {method!r}: {nearest(method, known)}")
    ensemble = wanted(None, given["std"], given["members"], ())
    interval = levels_of(given["interval"])
    if (ensemble or interval) and method != LEARNED:
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
        given["variable"], given["dim"] = names, None
        given["interval"] = known_levels(fitted.model.calibration, interval, say)
        filled = fitted.model.interpolate(ds, **given)
    else:
        filled = fitted.baselines[chosen].interpolate(seen)
        if not analysis:
            filled = filled.assign({n: filled[n].copy(data=seen[n].fillna(filled[n]).data) for n in names})
    for name in names:
        filled[name].attrs["rmse_on_hidden_points"] = fitted.scores.of(chosen, name)
    return Filled(filled, chosen, fitted)


def known_levels(
    calibration: CalibratedEnsemble | None, interval: Sequence[float], say: Callable[[str], None]
) -> Sequence[float]:
    """Return the requested levels, or none, with a note, if the model cannot provide such intervals."""
    try:
        wanted(calibration, False, None, interval)
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
