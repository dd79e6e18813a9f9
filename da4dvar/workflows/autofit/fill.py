"""A gappy file learned from and filled: what ``da4dvar interpolate --fit`` does."""

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
from da4dvar.fields.labels.conform import check_finite, observed_by, pick
from da4dvar.fields.labels.given import mapping_of
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
    >>> fill_by_fit([], whole).method
    'none'
    """

    data: xr.Dataset
    method: str
    fitted: Fitted | None


@with_options
def fill_by_fit(
    inputs: list[str],
    ds: xr.Dataset,
    *,
    minutes: float = 10.0,
    method: str = LEARNED,
    recipe: str | None = None,
    settings: list[str] | None = None,
    say: Callable[[str], None] = lambda line: None,
    **options: Unpack[Options],
) -> Filled:
    """Learn from the observations of a data set, score what was learned, and fill the gaps.

    Parameters
    ----------
    inputs : list of str
        The files of the data set, for the recipe.
    ds : Dataset
        Those files, opened as one.
    minutes : float
        Of the training.
    method : str
        "learned", "auto" for the best on the points kept for the score, or the name of a baseline.
    recipe : str, optional
        A recipe whose tables replace the choice.
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
    >>> fill_by_fit(["sst.nc"], ds, method="liner")
    Traceback (most recent call last):
    ...
    da4dvar.errors.DataError: --method 'liner': did you mean 'linear'? (there are: auto, ...)
    """
    if minutes <= 0:
        raise DataError(f"--minutes {minutes:g}: expected above 0")
    given = completed(fill_by_fit, options)
    variable, mask = given["variable"], given["mask"]
    seed, keep_observed = given["seed"], given["keep_observed"]
    if mask is not None and not isinstance(mask, str):
        raise DataError(
            f"mask is of type {type(mask).__name__}, expected the name of a variable of the files"
        )
    variable = {variable: variable} if isinstance(variable, str) else mapping_of("variable", variable)
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
    time = dims_by_role(first, mapping_of("dim", given["dim"])).get("time", "time")
    if time not in first.dims:
        raise DataError(
            f"variable {first.name!r} has no dimension {time!r} (it has {', '.join(map(str, first.dims))}); "
            "say which is time with --dim time=NAME"
        )
    known = [LEARNED, AUTO, *candidates(character_of(first, time))]
    if method not in known:
        raise DataError(f"--method {method!r}: {nearest(method, known)}")
    ensemble = wanted(None, given["std"], given["members"], ())
    interval = levels_of(given["interval"])
    if (ensemble or interval) and method != LEARNED:
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
        given["variable"], given["dim"] = names, None
        given["interval"] = known_levels(fitted.model.calibration, interval, say)
        filled = fitted.model.interpolate(ds, **given)
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
        wanted(calibration, False, None, interval)
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
