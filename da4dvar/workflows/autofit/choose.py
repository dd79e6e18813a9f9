"""Choice of a recipe from the characters of gappy variables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from da4dvar.config.tables import Table
from da4dvar.workflows.autofit.character import Character

LARGEST_FOLDED = 512


def choose(characters: Mapping[str, Character]) -> tuple[Table, list[str]]:
    """Choose the tables of a recipe, except its data, and give a reason for each choice.

    Fields on a grid are convolved in space, with the times of a window as channels. Station series are
    convolved in time, with the stations as channels, so that each station informs the others. A single
    series is convolved in time.

    Parameters
    ----------
    characters : mapping of str to Character
        Character of each variable; all variables have the same dimensions.

    Returns
    -------
    tables : dict
        Tables of a recipe.
    reasons : list of str
        One line for each choice.
    """
    character = longest(characters.values())
    grid = len(character.space) == 2
    layout, reasons = (_of_grid if grid else _of_series)(character, list(characters))
    tables: Table = {"layout": layout}
    if character.seasonal:
        tables["scaling"] = {"kind": "anomaly", "time": character.time}
        reasons.append("scaling: anomalies from the season of each cell (dates cover over 1.5 years)")
    elif character.dated:
        tables["scaling"] = {"kind": "anomaly", "harmonics": 0, "time": character.time}
        reasons.append("scaling: anomalies from the mean of each cell (too short a record for a season)")
    else:
        tables["scaling"] = {"kind": "standard"}
        reasons.append("scaling: one mean and one standard deviation (the times are not dates)")
    if not grid:
        lengths = character.lengths
        tables["gaps"] = [
            {"kind": "runs", "lengths": list(lengths), "fraction": 0.85, "time": character.time}
        ]
        reasons.append(
            f"gaps: training gaps are runs of {min(lengths)} to {max(lengths)} steps, as in the data"
        )
    else:
        reasons.append("gaps: training gaps are copied from other times of the data")
    width = 48 if grid else 64
    tables["prior"] = {"kind": "unet", "width": width}
    tables["solver"] = {"kind": "lstm", "width": width, "iterations": 8, "state_scale": 1.0}
    tables["cost"] = {"time": character.time}
    tables["train"] = {"batch": 16, "rate": 2e-3, "seed": 0}
    return tables, reasons


def longest(characters: Iterable[Character]) -> Character:
    """Combine characters of variables with equal dimensions: longest memory and gap, all run lengths."""
    every = list(characters)
    return replace(
        every[0],
        gap=max(c.gap for c in every),
        memory=max(c.memory for c in every),
        lengths=tuple(length for c in every for length in c.lengths),
    )


def _of_grid(character: Character, variables: Sequence[str]) -> tuple[Table, list[str]]:
    steps = character.sizes[character.time]
    window = {d: 32 for d in character.space if character.sizes[d] >= 40}
    overlap: Table = dict.fromkeys(window, 0.25)
    wanted = odd_between(2 * max(character.memory, character.gap) + 1, 5, 15)
    if steps > 60:
        window[character.time], overlap[character.time] = wanted, 0.67
        said = f"{wanted} times as channels (memory {character.memory} steps, gaps up to {character.gap})"
    else:
        said = f"all {steps} times as channels"
    layout = {
        "variables": list(variables),
        "axes": list(character.space),
        "channels": [character.time],
        "window": window,
        "overlap": overlap,
    }
    cells = " × ".join(str(window.get(d, character.sizes[d])) for d in character.space)
    return layout, [f"layout: windows of {cells} cells, {said}"]


def _of_series(character: Character, variables: Sequence[str]) -> tuple[Table, list[str]]:
    steps, time = character.sizes[character.time], character.time
    wanted = 8 * int(np.clip(max(character.memory, character.gap), 4, 16))
    window = {time: wanted} if steps > 2 * wanted else {}
    folded = [d for d in character.space if character.sizes[d] <= LARGEST_FOLDED]
    layout = {
        "variables": list(variables),
        "axes": [time],
        "channels": folded,
        "window": window,
        "overlap": dict.fromkeys(window, 0.5),
    }
    said = f"windows of {window.get(time, steps)} steps"
    said += f" (memory {character.memory} steps, gaps up to {character.gap})"
    if folded:
        said += f"; the {character.sizes[folded[0]]} positions along {folded[0]!r} as channels"
    return layout, [f"layout: {said}"]


def odd_between(number: int, least: int, most: int) -> int:
    """Return the smallest odd number that is not below `number`, clipped to odd bounds."""
    return int(np.clip(number + 1 - number % 2, least, most))
