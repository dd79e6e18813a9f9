"""The learned estimate of a fit: trained on the file itself, and kept only where hidden points agree."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from da4dvar.analysis.ensemble import MEMBERS
from da4dvar.config.tables import Table, check_table, overlaid
from da4dvar.interpolator import Interpolator
from da4dvar.workflows.autofit.character import Character
from da4dvar.workflows.autofit.choose import choose
from da4dvar.workflows.autofit.steps import APART, VALIDATIONS, steps_in
from da4dvar.workflows.recipe import Recipe
from da4dvar.workflows.tables import DATA

Say = Callable[[str], None]
MOST_DRAWS = 8
# Fraction of the training time that the first guesses may take.
GUESSING = 0.3
# Fewer training steps than this teach a network nothing.
FEWEST_STEPS = 20


def tables_for(
    characters: Mapping[str, Character],
    sources: Mapping[str, str],
    seed: int,
    *,
    mask: str | None = None,
    paths: Sequence[str] = (),
    recipe: Table | None = None,
    settings: Sequence[str] = (),
    say: Say = lambda line: None,
) -> Table:
    """Return the tables of the recipe of a learned estimate.

    Parameters
    ----------
    characters : mapping of str to Character
        Character of each variable; all have the same dimensions.
    sources : mapping of str to str
        Name of each variable in the file.
    seed : int
        Seed of the training and of the points hidden for validation.
    mask : str, optional
        Variable that is true where there is an observation.
    paths : sequence of str
        Files of the data, with which the recipe can be run again.
    recipe : dict, optional
        Tables that replace those that are chosen.
    settings : sequence of str
        Settings ``section.key=value`` laid over the tables.
    say : callable
        Called with each choice, as a line.

    Returns
    -------
    dict
    """
    chosen, reasons = choose(characters)
    data: Table = {"path": [str(Path(p).resolve()) for p in paths]} if paths else {}
    data["hidden"] = {"test": 0.0, "validation": 0.05, "seed": seed}
    if any(name != source for name, source in sources.items()):
        data["observed"] = dict(sources)
    if mask is not None:
        data["mask"] = mask
    chosen["title"] = f"Fitted to {Path(paths[0]).name if paths else 'a data set in memory'}"
    chosen["data"] = data
    chosen["train"]["seed"] = seed
    tables = overlaid(chosen | (recipe or {}), settings)
    check_table(tables["data"], DATA, "data")
    # The data are those of the fit, whatever file a given recipe names.
    own = {key: value for key, value in tables["data"].items() if key != "path"}
    tables["data"] = data | own
    for line in reasons:
        say(line)
    return tables


def checked(tables: Table, ds: xr.Dataset) -> Recipe:
    """Return the recipe of a learned estimate; mistakes in it are reported before any time is spent."""
    made = Recipe(tables, Path(), ds)
    made.interpolator({str(d): n for d, n in ds.sizes.items()})
    return made


def trained(
    made: Recipe,
    seconds: float,
    guess: Table | None,
    guess_seconds: float,
    anyway: bool,
    say: Say,
    device: str = "auto",
) -> tuple[Interpolator, Table] | None:
    """Train the learned estimate for some time.

    Parameters
    ----------
    made : Recipe
        Recipe.
    seconds : float
        Time for the training.
    guess : dict or None
        Table of the classical method from which the learned estimate starts.
    guess_seconds : float
        Time that this method takes for one draw of gaps.
    anyway : bool
        Whether to train if only a few steps fit into the time.
    say : callable
        Called with lines on the progress.
    device : {"auto", "cpu", "cuda"}
        Where to train, unless the recipe says it.

    Returns
    -------
    model : Interpolator
    tables : dict
        Tables of the recipe that was used. Instead of both, None if too few steps fit into the time.
    """
    train = {"device": device, **made.tables.get("train", {})}
    further: dict[str, Table] = {"uncertainty": made.tables.get("uncertainty", {"members": MEMBERS})}
    if "first_guess" not in made.tables and guess is not None:
        further["first_guess"] = guess
        draws = GUESSING * seconds / max(guess_seconds, 0.1)
        train.setdefault("draws", int(np.clip(draws, 2, MOST_DRAWS)))
    if "steps" not in train:
        made = made.replaced(**further, train=train)
        steps = steps_in(made, seconds)
        if steps < FEWEST_STEPS and not anyway:
            return None
        train["steps"] = max(FEWEST_STEPS, steps)
        train["validate_every"] = max(APART, train["steps"] // VALIDATIONS)
        say(f"training: {train['steps']} steps in about {seconds:.0f} s")
    made = made.replaced(**further, train=train)
    with tempfile.TemporaryDirectory() as temporary:
        model = made.train(Path(temporary))
    return model, made.tables
