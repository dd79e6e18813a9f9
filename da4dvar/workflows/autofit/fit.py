"""From one gappy data set to a model of it, with its score on points that nothing has seen."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from da4dvar.analysis.ensemble import MEMBERS
from da4dvar.baselines import Baseline
from da4dvar.config.registry import build
from da4dvar.config.tables import Table, overlaid
from da4dvar.errors import need
from da4dvar.fields.files.store import load_dataset
from da4dvar.fields.gaps.holdout import own_lengths
from da4dvar.fields.labels.conform import pick
from da4dvar.interpolator import Interpolator
from da4dvar.workflows.autofit.character import Character, character_of
from da4dvar.workflows.autofit.choose import choose
from da4dvar.workflows.autofit.scores import BOTH, LEARNED, Scores, scored, steps_in
from da4dvar.workflows.recipe import Recipe

Say = Callable[[str], None]
# Part of the minutes given that first guesses may take.
GUESSING = 0.3
MOST_DRAWS = 8


@dataclass(repr=False)
class Fitted:
    """A model of a data set, and what is known of it.

    Parameters
    ----------
    model : Interpolator
        As trained.
    tables : dict
        The recipe it was made by.
    scores : Scores
        Of it and of the baselines.
    baselines : dict of str to Baseline
        What it was compared with, by name.

    Examples
    --------
    >>> from da4dvar import load
    >>> found = Fitted(load("oisst-tasman"), {}, Scores({"learned": [0.4]}, ["sst, all"], [200]), {})
    >>> found.scores.of("learned", "sst"), found.model.layout.variables
    (0.4, ('sst',))
    """

    model: Interpolator
    tables: Table
    scores: Scores
    baselines: dict[str, Baseline]

    def __repr__(self) -> str:
        return f"<da4dvar.Fitted: best on hidden points is {self.scores.best()}>\n{self.model!r}"


def candidates(character: Character) -> dict[str, Table]:
    """The baselines that can fill data of a character, as tables."""
    time = character.time
    tables: dict[str, Table] = {
        "linear": {"kind": "linear", "time": time},
        "climatology": {"kind": "climatology", "time": time},
        "optimal_interpolation": {"kind": "optimal_interpolation", "time": time},
    }
    if character.space:
        tables["eof_iteration"] = {"kind": "eof_iteration", "time": time}
    if len(character.space) == 1:
        tables["nearest_stations"] = {"kind": "nearest_stations", "time": time}
    if character.offset is not None:
        method = tables["nearest_stations" if len(character.space) == 1 else "optimal_interpolation"]
        tables["logarithmic"] = {"kind": "logarithmic", "offset": character.offset, "method": method}
    return tables


def fit_to(
    paths: Sequence[str],
    variables: Mapping[str, str],
    time: str,
    minutes: float,
    mask: str | None = None,
    recipe: Table | None = None,
    settings: Sequence[str] = (),
    seed: int = 0,
    say: Say = lambda line: None,
) -> Fitted:
    """Choose a model for a gappy file, learn it from what is observed, and score it.

    A part of the observed points is kept from everything for the score, and another part from the training
    for the choice of the first guess and of the checkpoint.

    Parameters
    ----------
    paths : sequence of str
        NetCDF files or Zarr stores, opened as one.
    variables : mapping of str to str
        Names of the result, and of the variables of the file.
    time : str
        The dimension of time.
    minutes : float
        Of the training; first guesses are made within a part of them.
    mask : str, optional
        A variable of the file, non-zero or true where there is an observation.
    recipe : dict, optional
        Tables of a recipe, each in place of the one that would be chosen.
    settings : sequence of str
        ``section.key=value``, laid over them.
    seed : int
        Of the training, and of the points kept for the score.
    say : callable
        Told each choice in a line.

    Returns
    -------
    Fitted

    Raises
    ------
    DataError
        If there is too little to learn from.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     xr.Dataset({"sst": ("time", [10.0, np.nan, 12.0])}).to_netcdf(f"{folder}/sst.nc")
    ...     fit_to([f"{folder}/sst.nc"], {"sst": "sst"}, "time", minutes=1)
    Traceback (most recent call last):
    ...
    da4dvar.errors.DataError: ...
    """
    need("a training", "pytorch_lightning", "train")
    ds = load_dataset(paths)
    array = pick(ds, next(iter(variables.values())))
    if mask is not None:
        array = array.where(pick(ds, mask).fillna(0) != 0).transpose(*array.dims)
    character = character_of(array, time)
    tables, reasons = choose(character, list(variables), own_lengths(array.notnull(), time))
    tables["title"] = f"Fitted to {Path(paths[0]).name}"
    tables["data"] = {
        "path": [str(Path(p).resolve()) for p in paths],
        "hidden": {"test": 0.05, "validation": 0.05, "seed": seed},
    }
    if any(name != source for name, source in variables.items()):
        tables["data"]["observed"] = dict(variables)
    if mask is not None:
        tables["data"]["mask"] = mask
    tables["train"]["seed"] = seed
    tables = overlaid(tables | (recipe or {}), settings)
    # A mistake in a recipe shows before anything has taken time.
    Recipe(tables, Path()).interpolator(character.sizes)
    for line in reasons:
        say(line)
    offered = candidates(character)
    baselines = {name: build("baseline", table) for name, table in offered.items()}
    begun = Recipe(tables, Path()).data("validation")
    scores, seconds = scored(baselines, begun, time)
    # Few points may take one for the other of the best two; their mean is worse than neither by much.
    pair = scores.ranked()[:2]
    offered[BOTH] = {"kind": "combination", "methods": [offered[name] for name in pair]}
    baselines[BOTH] = build("baseline", offered[BOTH])
    joined, taken = scored({BOTH: baselines[BOTH]}, begun, time)
    scores, seconds = replace(scores, methods=scores.methods | joined.methods), seconds | taken
    if "first_guess" not in tables:
        guess = scores.best()
        what = f"the mean of {' and '.join(pair)}" if guess == BOTH else guess
        tables["first_guess"] = offered[guess]
        draws = GUESSING * 60 * minutes / max(seconds[guess], 0.1)
        tables["train"]["draws"] = int(np.clip(draws, 2, MOST_DRAWS))
        say(f"first guess: {what}, the best baseline on points hidden for the choice")
    tables.setdefault("uncertainty", {"members": MEMBERS})
    if "steps" not in tables["train"]:
        tables["train"]["steps"] = steps_in(Recipe(tables, Path()), 60 * minutes)
        tables["train"]["validate_every"] = max(10, tables["train"]["steps"] // 20)
        say(f"training: {tables['train']['steps']} steps, what {minutes:g} minutes allow")
    made = Recipe(tables, Path())
    with tempfile.TemporaryDirectory() as temporary:
        model = made.train(Path(temporary))
    scores, _ = scored({LEARNED: model, **baselines}, made.data("test"), time, made.tests())
    tested = {
        "test_rmse": dict(zip(scores.columns, scores.methods[LEARNED], strict=True)),
        "test_error_bars": {c: asdict(s) for c, s in scores.error_bars.get(LEARNED, {}).items()},
    }
    return Fitted(model.replaced(scores={**model.scores, **tested}), tables, scores, baselines)
