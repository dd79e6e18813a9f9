"""From one gappy data set to a model of it, with its score on points that nothing has seen."""

from __future__ import annotations

import tempfile
import time as clock
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from da4dvar import config
from da4dvar.baselines import Baseline
from da4dvar.choice import choose
from da4dvar.config import Table
from da4dvar.ensemble import MEMBERS
from da4dvar.extras import need
from da4dvar.fields.character import Character, character_of
from da4dvar.fields.conform import pick
from da4dvar.fields.gap_geometry import gap_length
from da4dvar.fields.holdout import own_lengths
from da4dvar.fields.store import load_dataset
from da4dvar.interpolator import Interpolator
from da4dvar.recipe import Data, Recipe
from da4dvar.uncertainty_scores import LEVELS, UncertaintyScore, uncertainty_score

Say = Callable[[str], None]
LEARNED = "learned"
BOTH = "combination"
# Classes of gaps, in steps: up to and including each.
CLASSES = (1, 3, 7, 14, 30)
# Part of the minutes given that first guesses may take.
GUESSING = 0.3
MOST_DRAWS = 8


@dataclass
class Scores:
    """Root mean square errors of every method on the points kept for the test.

    Parameters
    ----------
    methods : dict of str to list of float
        For each variable in turn, in its units: all gaps, then each class of gap lengths; NaN where there is
        no point.
    columns : list of str
        What each number of a list is of.
    points : list of int
        The number of points behind each column.
    error_bars : dict of str to dict of str to UncertaintyScore
        For each method that states a standard error, and each column.

    Examples
    --------
    >>> columns = ["sst, all", "sst, gaps > 30"]
    >>> found = Scores({"linear": [0.5, 0.9], "learned": [0.4, 0.6]}, columns, points=[200, 40])
    >>> found.best(), found.of("linear", "sst")
    ('learned', 0.5)
    """

    methods: dict[str, list[float]]
    columns: list[str]
    points: list[int]
    error_bars: dict[str, dict[str, UncertaintyScore]] = field(default_factory=dict)

    def best(self) -> str:
        """The method with the lowest error, each variable's in units of the best of it.

        Returns
        -------
        str
        """
        return self.ranked()[0]

    def ranked(self) -> list[str]:
        """The methods, that with the lowest error first.

        Returns
        -------
        list of str
        """
        totals = [k for k, c in enumerate(self.columns) if c.endswith("all")]
        rows = {name: np.array([row[k] for k in totals]) for name, row in self.methods.items()}
        least = np.nanmin(np.stack(list(rows.values())), axis=0)
        return sorted(rows, key=lambda name: float(np.nan_to_num((rows[name] / least).mean(), nan=np.inf)))

    def of(self, method: str, variable: str) -> float:
        """The error of a method on all points of a variable.

        Parameters
        ----------
        method, variable : str

        Returns
        -------
        float
            In the units of the variable.
        """
        return self.methods[method][self.columns.index(f"{variable}, all")]


@dataclass
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
    tables = config.overlaid(tables | (recipe or {}), settings)
    # A mistake in a recipe shows before anything has taken time.
    Recipe(tables, Path()).interpolator(character.sizes)
    for line in reasons:
        say(line)
    offered = candidates(character)
    baselines = {name: config.build("baseline", table) for name, table in offered.items()}
    begun = Recipe(tables, Path()).data("validation")
    scores, seconds = scored(baselines, begun, time)
    # Few points may take one for the other of the best two; their mean is worse than neither by much.
    pair = scores.ranked()[:2]
    offered[BOTH] = {"kind": "combination", "methods": [offered[name] for name in pair]}
    baselines[BOTH] = config.build("baseline", offered[BOTH])
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
    model.scores["test_rmse"] = dict(zip(scores.columns, scores.methods[LEARNED], strict=True))
    model.scores["test_error_bars"] = {c: asdict(s) for c, s in scores.error_bars.get(LEARNED, {}).items()}
    return Fitted(model, tables, scores, baselines)


def scored(
    methods: Mapping[str, Any], data: Data, time: str, sets: Mapping[str, xr.Dataset] | None = None
) -> tuple[Scores, dict[str, float]]:
    """Errors of methods at the points of a truth, and the seconds that each took.

    A point that a method leaves empty counts with the mean of what is seen of the variable.

    Parameters
    ----------
    methods : mapping of str to Interpolator or Baseline
    data : Data
        What they see, and the truth.
    time : str
    sets : mapping of str to Dataset of bool, optional
        Kinds of points to tell apart; classes of gap lengths if not given.
    """
    assert data.truth is not None
    columns, points, masks = [], [], []
    for name in data.truth.data_vars:
        # A cell that is never seen is land to every method.
        reached = data.seen[name].notnull().any(time)
        wanted = (data.truth[name].notnull() & reached).transpose(*data.truth[name].dims).values
        lengths = gap_length(data.seen[name].notnull(), time).values
        kinds = {"all": wanted}
        if sets is None or len(sets) == 1:
            lows = (0, *CLASSES)
            kinds |= {
                f"gaps ≤ {high}": wanted & (lengths > low) & (lengths <= high)
                for low, high in zip(lows, CLASSES, strict=False)
            }
            kinds[f"gaps > {CLASSES[-1]}"] = wanted & (lengths > CLASSES[-1])
        else:
            kinds |= {kind: wanted & of[name].values for kind, of in sets.items()}
        for kind, here in kinds.items():
            if here.sum() >= 10 or kind == "all":
                columns.append(f"{name}, {kind}")
                points.append(int(here.sum()))
                masks.append((name, here))
    rows, seconds, bars = {}, {}, {}
    for method, thing in methods.items():
        begin = clock.monotonic()
        # Covariates are for a model; a classical method would fill them.
        seen = data.seen if isinstance(thing, Interpolator) else data.seen[list(data.truth.data_vars)]
        calibrated = isinstance(thing, Interpolator) and thing.calibration is not None
        filled = thing.interpolate(seen, interval=LEVELS) if calibrated else thing.interpolate(seen)
        seconds[method] = clock.monotonic() - begin
        errors = {
            name: (filled[name].fillna(seen[name].mean()).values - data.truth[name].values) ** 2
            for name in data.truth.data_vars
        }
        rows[method] = [float(np.sqrt(np.mean(errors[name][here]))) for name, here in masks]
        bars[method] = {
            column: score
            for column, (name, here) in zip(columns, masks, strict=True)
            if (score := uncertainty_score(filled, str(name), data.truth[name], here)) is not None
        }
    return Scores(rows, columns, points, {m: of for m, of in bars.items() if of}), seconds


def steps_in(recipe: Recipe, seconds: float, tries: int = 3) -> int:
    """Updates that fit into a time, by the time that a few take."""
    from da4dvar.loss import reconstruction_loss
    from da4dvar.training_plan import Training

    table = {k: v for k, v in recipe.tables["train"].items() if k not in ("steps", "validate_every")}
    plan = config.call(Training, table, "train")
    seen = recipe.data("train").seen
    model = recipe.interpolator({str(d): n for d, n in seen.sizes.items()}).model
    cells = [recipe.layout.window.get(d, seen.sizes[d]) for d in recipe.layout.axes]
    channels = recipe.layout.channel_count({str(d): n for d, n in seen.sizes.items()})
    y = torch.zeros(plan.batch, channels, *cells)
    sample = {"y": y, "mask": y == 0, "x0": y, "target": y, "sought": y == 0}
    if recipe.covariates:
        count = recipe.covariates.channels(seen, {str(d): n for d, n in seen.sizes.items()})
        sample["covariates"] = torch.zeros(plan.batch, count, *cells)
    # Where, and as, the training will make its steps.
    device = "cuda" if plan.devices != "cpu" and torch.cuda.is_available() else "cpu"
    model, sample = model.to(device), {name: tensor.to(device) for name, tensor in sample.items()}
    kind = (plan.nu, plan.observation_fit, plan.checkpoint_iterations)
    best = np.inf
    for _ in range(tries):
        begin = clock.monotonic()
        loss, _ = reconstruction_loss(model, sample, *kind)
        loss.backward()
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, clock.monotonic() - begin)
    # A tenth for drawing samples, and a tenth for the validations.
    return max(20, int(0.8 * seconds / best))
