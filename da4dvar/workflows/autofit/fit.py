"""Fit of a model to one gappy data set, with its scores at points hidden from it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
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
# Fraction of the training time that the first guesses may take.
GUESSING = 0.3
MOST_DRAWS = 8


@dataclass(repr=False)
class Fitted:
    """Model fitted to a data set, with its recipe and scores.

    Parameters
    ----------
    model : Interpolator
        Trained model.
    tables : dict
        Tables of the recipe that was used.
    scores : Scores
        Scores of the model and of the baselines.
    baselines : dict of str to Baseline
        Baselines with which the model was compared, by name.

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
    """Return tables of the baselines whose attribute `suits` includes the number of space dimensions.

    Methods that need an extra are left out if it is not installed.

    All variables have the same dimensions, so that a method suits either all of them or none. If some
    variables have an offset in their character, the method ``logarithmic`` is added, which transforms only
    these, each with its own offset.

    Parameters
    ----------
    characters : mapping of str to Character
        Character of each variable, under its name in the data of the recipe.

    Returns
    -------
    dict of str to dict
        Table of each baseline, by name.
    """
    first = next(iter(characters.values()))
    tables: dict[str, Table] = {}
    for kind in by_name("baseline"):
        cls = class_of("baseline", kind)
        usable = not hasattr(cls, "needs") or find_spec(cls.needs) is not None
        if usable and len(first.space) in getattr(cls, "suits", ()):
            tables[kind] = {"kind": kind}
            if "time" in arguments_of(cls):
                tables[kind]["time"] = first.time
    offsets = {name: c.offset for name, c in characters.items() if c.offset is not None}
    if offsets:
        best = {0: "kalman", 1: "gaussian_em"}.get(len(first.space), "optimal_interpolation")
        method = tables.get(best, tables["optimal_interpolation"])
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
    """Choose a model for a gappy data set, train it on the observations, and score it.

    Two parts of the observed points are hidden: the test points, which nothing sees before the scores are
    computed, and the validation points, which choose the first guess and the checkpoint.

    Parameters
    ----------
    ds : Dataset
        Data with NaN in the gaps.
    variables : mapping of str to str
        Maps each name in the result to a variable of `ds`.
    time : str
        Name of the time dimension.
    minutes : float
        Duration of the training, part of which may be used for first guesses.
    mask : str, optional
        Name of a variable of `ds`, non-zero or true where there is an observation.
    paths : sequence of str
        Files from which `ds` was read, if any. The recipe names them and can then be run without `ds`.
    recipe : dict, optional
        Tables of a recipe, which replace those that would be chosen; the path of its data is ignored.
    settings : sequence of str
        Settings ``section.key=value`` that override the tables.
    seed : int
        Seed of the training and of the hidden points.
    characters : mapping of str to Character, optional
        Character of each variable; computed if not given.
    say : callable
        Called with each choice, as a line.

    Returns
    -------
    Fitted

    Raises
    ------
    DataError
        If there are too few observations to learn from.
    RecipeError
        If `recipe` or `settings` are invalid.

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
    # The data are those of `ds`, whatever file a given recipe names.
    own = {key: value for key, value in tables["data"].items() if key != "path"}
    tables["data"] = data | own
    made = Recipe(tables, Path(), ds)
    # Report mistakes in a recipe before any time is spent.
    made.interpolator(next(iter(characters.values())).sizes)
    for line in reasons:
        say(line)
    offered = candidates(characters)
    baselines = {name: build("baseline", table) for name, table in offered.items()}
    checked = made.data("validation")
    scores, seconds = scored(baselines, checked, time)
    # Few points may confuse the two best methods; their mean is never much worse than either.
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
        say(f"first guess: {what}, the best baseline at the validation points")
    if "steps" not in train:
        made = made.replaced(**further, train=train)
        train["steps"] = steps_in(made, 60 * minutes)
        train["validate_every"] = max(10, train["steps"] // 20)
        say(f"training: {train['steps']} steps in about {minutes:g} minutes")
    made = made.replaced(**further, train=train)
    with tempfile.TemporaryDirectory() as temporary:
        model = made.train(Path(temporary))
    scores, _ = scored({LEARNED: model, **baselines}, made.data("test"), time, made.tests())
    tested = {
        "test_rmse": dict(zip(scores.columns, scores.methods[LEARNED], strict=True)),
        "test_error_bars": {c: asdict(s) for c, s in scores.error_bars.get(LEARNED, {}).items()},
    }
    return Fitted(model.replaced(scores={**model.scores, **tested}), made.tables, scores, baselines)
