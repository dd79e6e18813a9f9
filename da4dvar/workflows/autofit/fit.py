"""From one gappy data set to a model of it, with its score on points that nothing has seen."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr

from da4dvar.analysis.ensemble import MEMBERS
from da4dvar.baselines import Baseline
from da4dvar.config.kinds import by_name, class_of
from da4dvar.config.registry import arguments_of, build
from da4dvar.config.tables import Table, check_table, overlaid
from da4dvar.interpolator import Interpolator
from da4dvar.workflows.autofit.character import Character, characters_of
from da4dvar.workflows.autofit.choose import choose
from da4dvar.workflows.autofit.scores import BOTH, LEARNED, Scores, scored, steps_in
from da4dvar.workflows.data import observations
from da4dvar.workflows.recipe import Recipe
from da4dvar.workflows.tables import DATA

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


def candidates(characters: Mapping[str, Character]) -> dict[str, Table]:
    """The baselines that can fill variables of these characters, as tables: those whose class `suits` them.

    All variables have the same dimensions, so that a method suits all of them or none; the logarithm is
    taken of those variables alone whose character has an offset, each with its own.

    Parameters
    ----------
    characters : mapping of str to Character
        Of each variable, under the name that the baseline will find.
    """
    first = next(iter(characters.values()))
    tables: dict[str, Table] = {}
    for kind in by_name("baseline"):
        cls = class_of("baseline", kind)
        if len(first.space) in getattr(cls, "suits", ()):
            tables[kind] = {"kind": kind}
            if "time" in arguments_of(cls):
                tables[kind]["time"] = first.time
    offsets = {name: c.offset for name, c in characters.items() if c.offset is not None}
    if offsets:
        method = tables["nearest_stations" if len(first.space) == 1 else "optimal_interpolation"]
        for name, offset in offsets.items():
            method = {"kind": "logarithmic", "offset": offset, "variables": [name], "method": method}
        tables["logarithmic"] = method
    return tables


def fit_to(
    ds: xr.Dataset,
    variables: Mapping[str, str],
    time: str,
    minutes: float,
    *,
    mask: str | None = None,
    paths: Sequence[str] = (),
    recipe: Table | None = None,
    settings: Sequence[str] = (),
    seed: int = 0,
    characters: Mapping[str, Character] | None = None,
    say: Say = lambda line: None,
) -> Fitted:
    """Choose a model for a gappy data set, learn it from what is observed, and score it.

    A part of the observed points is kept from everything for the score, and another part from the training
    for the choice of the first guess and of the checkpoint.

    Parameters
    ----------
    ds : Dataset
        NaN in the gaps.
    variables : mapping of str to str
        Names of the result, and of the variables of `ds`.
    time : str
        The dimension of time.
    minutes : float
        Of the training; first guesses are made within a part of them.
    mask : str, optional
        A variable of `ds`, non-zero or true where there is an observation.
    paths : sequence of str
        The files that `ds` was read from, if it was: the recipe names them, and can be run again by itself.
    recipe : dict, optional
        Tables of a recipe, each in place of the one that would be chosen; the path of its data is not used.
    settings : sequence of str
        ``section.key=value``, laid over them.
    seed : int
        Of the training, and of the points kept for the score.
    characters : mapping of str to Character, optional
        Of each variable, if they are known already.
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
    >>> fit_to(xr.Dataset({"sst": ("time", [10.0, np.nan, 12.0])}), {"sst": "sst"}, "time", minutes=1)
    Traceback (most recent call last):
    ...
    da4dvar.errors.DataError: ...
    """
    if characters is None:
        characters = characters_of(observations(ds, variables, mask), time)
    chosen, reasons = choose(characters)
    data: Table = {"path": [str(Path(p).resolve()) for p in paths]} if paths else {}
    data["hidden"] = {"test": 0.05, "validation": 0.05, "seed": seed}
    if any(name != source for name, source in variables.items()):
        data["observed"] = dict(variables)
    if mask is not None:
        data["mask"] = mask
    chosen["title"] = f"Fitted to {Path(paths[0]).name if paths else 'a data set in memory'}"
    chosen["data"] = data
    chosen["train"]["seed"] = seed
    tables = overlaid(chosen | (recipe or {}), settings)
    check_table(tables["data"], DATA, "data")
    # What is learned from is `ds`, whatever file a recipe names.
    own = {key: value for key, value in tables["data"].items() if key != "path"}
    tables["data"] = data | own
    made = Recipe(tables, Path(), ds)
    # A mistake in a recipe shows before anything has taken time.
    made.interpolator(next(iter(characters.values())).sizes)
    for line in reasons:
        say(line)
    offered = candidates(characters)
    baselines = {name: build("baseline", table) for name, table in offered.items()}
    checked = made.data("validation")
    scores, seconds = scored(baselines, checked, time)
    # Few points may take one for the other of the best two; their mean is worse than neither by much.
    pair = scores.ranked()[:2]
    offered[BOTH] = {"kind": "combination", "methods": [offered[name] for name in pair]}
    baselines[BOTH] = build("baseline", offered[BOTH])
    joined, taken = scored({BOTH: baselines[BOTH]}, checked, time)
    scores, seconds = replace(scores, methods=scores.methods | joined.methods), seconds | taken
    train = dict(tables.get("train", {}))
    further: dict[str, Table] = {"uncertainty": tables.get("uncertainty", {"members": MEMBERS})}
    if "first_guess" not in tables:
        guess = scores.best()
        what = f"the mean of {' and '.join(pair)}" if guess == BOTH else guess
        further["first_guess"] = offered[guess]
        draws = GUESSING * 60 * minutes / max(seconds[guess], 0.1)
        train.setdefault("draws", int(np.clip(draws, 2, MOST_DRAWS)))
        say(f"first guess: {what}, the best baseline on points hidden for the choice")
    if "steps" not in train:
        made = made.replaced(**further, train=train)
        train["steps"] = steps_in(made, 60 * minutes)
        train["validate_every"] = max(10, train["steps"] // 20)
        say(f"training: {train['steps']} steps, what {minutes:g} minutes allow")
    made = made.replaced(**further, train=train)
    with tempfile.TemporaryDirectory() as temporary:
        model = made.train(Path(temporary))
    scores, _ = scored({LEARNED: model, **baselines}, made.data("test"), time, made.tests())
    tested = {
        "test_rmse": dict(zip(scores.columns, scores.methods[LEARNED], strict=True)),
        "test_error_bars": {c: asdict(s) for c, s in scores.error_bars.get(LEARNED, {}).items()},
    }
    return Fitted(model.replaced(scores={**model.scores, **tested}), made.tables, scores, baselines)
