"""A gappy file learned from and filled: what ``da4dvar interpolate --fit`` does."""

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
from da4dvar.fields.labels.conform import check_finite, observed_by, pick
from da4dvar.workflows.autofit.character import character_of
from da4dvar.workflows.autofit.fit import Fitted, candidates, fit_to
from da4dvar.workflows.autofit.scores import LEARNED

AUTO = "auto"


@dataclass
class Filled:
    """What came of a gappy file.

    Parameters
    ----------
    data : Dataset
        Without gaps.
    method : str
        What filled it: "learned", a baseline, or "none" if there was no gap.
    fitted : Fitted or None
        The model and its scores, if there was a gap.

    Examples
    --------
    >>> whole = xr.Dataset({"sst": ("time", [10.0, 11.0])})
    >>> fill_by_fit([], whole, variable={}, dim={}).method
    'none'
    """

    data: xr.Dataset
    method: str
    fitted: Fitted | None


def fill_by_fit(
    inputs: list[str],
    ds: xr.Dataset,
    *,
    variable: Mapping[str, str],
    dim: Mapping[str, str],
    mask: str | None = None,
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
    """Learn from the observations of a data set, score what was learned, and fill the gaps.

    Parameters
    ----------
    inputs : list of str
        The files of the data set, for the recipe.
    ds : Dataset
        Those files, opened as one.
    variable : mapping of str to str
        Names of the result and of the variables of `ds`; every variable with gaps if empty.
    dim : mapping of str to str
        The name of the dimension of time, where it is another.
    mask : str, optional
        A variable of `ds`, non-zero or true where there is an observation.
    minutes : float
        Of the training.
    method : str
        "learned", "auto" for the best on the points kept for the score, or the name of a baseline.
    recipe : str, optional
        A recipe whose tables replace the choice.
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
    >>> fill_by_fit(["sst.nc"], ds, variable={}, dim={}, method="liner")
    Traceback (most recent call last):
    ...
    da4dvar.errors.DataError: --method 'liner': did you mean 'linear'? (there are: auto, ...)
    """
    if minutes <= 0:
        raise DataError(f"--minutes {minutes:g}: expected above 0")
    sources = dict(variable) or {name: name for name in numeric(ds)}
    if not sources:
        raise DataError("there is no variable of numbers to fill")
    arrays = {name: pick(ds, source) for name, source in sources.items()}
    if mask is not None:
        arrays = {name: a.where(observed_by(ds, mask, a)).transpose(*a.dims) for name, a in arrays.items()}
    if not variable:
        arrays = {name: array for name, array in arrays.items() if bool(array.isnull().any())}
    if not any(bool(array.isnull().any()) for array in arrays.values()):
        say(f"{', '.join(sources)}: no gap; copied as it is")
        return Filled(ds, "none", None)
    for name, array in arrays.items():
        check_finite(array, name)
    first = next(iter(arrays.values()))
    unlike = [name for name, array in arrays.items() if set(array.dims) != set(first.dims)]
    if unlike:
        raise DataError(
            f"variables {first.name!r} and {unlike[0]!r} have other dimensions "
            f"({', '.join(map(str, first.dims))}; {', '.join(map(str, arrays[unlike[0]].dims))}); "
            "fit them one by one with --variable"
        )
    time = dims_by_role(first, dim).get("time", "time")
    if time not in first.dims:
        raise DataError(
            f"variable {first.name!r} has no dimension {time!r} (it has {', '.join(map(str, first.dims))}); "
            "say which is time with --dim time=NAME"
        )
    known = [LEARNED, AUTO, *candidates(character_of(first, time))]
    if method not in known:
        raise DataError(f"--method {method!r}: {nearest(method, known)}")
    wanted(None, members, ())
    interval = levels_of(interval)
    if (members != 0 or interval) and method != LEARNED:
        raise DataError(
            f"--members, --std and --interval are for the learned model; leave them out with {method!r}"
        )
    tables = read_recipe(Path(recipe)) if recipe else None
    names = {name: sources[name] for name in arrays}
    fitted = fit_to(inputs, names, time, minutes, mask, tables, settings or [], seed, say=say)
    best = fitted.scores.best()
    chosen = best if method == AUTO else method
    if chosen != best:
        say(f"{best} has the lower error on the points that nothing has seen; --method auto takes it")
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
        part = xr.Dataset({n: array.rename(n) for n, array in arrays.items()}, attrs=ds.attrs)
        filled = fitted.baselines[chosen].interpolate(part)
        if keep_observed:
            filled = filled.assign({n: filled[n].copy(data=part[n].fillna(filled[n]).data) for n in names})
    for name in names:
        filled[name].attrs["rmse_on_hidden_points"] = fitted.scores.of(chosen, name)
    return Filled(filled, chosen, fitted)


def known_levels(
    calibration: CalibratedEnsemble | None, interval: Sequence[float], say: Callable[[str], None]
) -> Sequence[float]:
    """The intervals asked for, if there can be any: what was learned is not lost for want of them."""
    try:
        wanted(calibration, 0, interval)
    except DataError as error:
        say(f"no intervals: {error}")
        return ()
    return interval


def json_of(filled: Filled) -> Table:
    """The same for a machine, with what filled the file."""
    scores = {} if filled.fitted is None else asdict(filled.fitted.scores)
    return {"filled_by": filled.method, **scores}


def write_recipe(tables: Table, path: Path) -> None:
    """The recipe that was used, to be changed and given back with --recipe."""
    write_whole(path, lambda beside: beside.write_text(tomli_w.dumps(tables), encoding="utf-8"))
