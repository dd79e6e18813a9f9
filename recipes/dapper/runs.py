"""Files, scores and results that both environments share; needs NumPy only."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

WORK = Path(__file__).parent / "work"
RIVALS, OURS = (Path(__file__).parent / "results" / f"{name}.jsonl" for name in ("rivals", "da4dvar"))
# Settings are chosen on the first seeds, and scored on the others.
TUNING, EVALUATION = [101, 102], list(range(1, 11))
BURN_IN = 20.0
# Steps from an estimate of a fixed-lag smoother to the last observation that it has seen.
LAG = 40
# Model errors of cycling, as standard deviations; the first is that of the shipped model.
CYCLING = {f"cycling-{error:g}": error for error in (4.5e-3, 1e-3, 1.5e-2, 5e-2, 0.15)}
EXPERIMENTS = [
    "sakov2008",
    "sakov2008-every-4",
    "bocquet2010",
    "bocquet2010_m40",
    "bocquet2015loc",
    "todter2015",
    "frei2013bridging",
]


def path_of(folder: str | Path, experiment: str, seed: int) -> Path:
    """Return the file with the truth and the observations of an experiment."""
    return Path(folder) / experiment / f"{seed}.npz"


def rmse(error: np.ndarray, steps: np.ndarray, step: float) -> float:
    """Return the mean over the steps after t = 20 of the RMSE over the components, as DAPPER defines it.

    Parameters
    ----------
    error : array, shape (step, component)
        Difference from the truth.
    steps : array, shape (step,)
        Number of each step, 0 at the start of the series.
    step : float
        Time between steps.
    """
    scored = steps * step > BURN_IN + step / 2
    return float(np.sqrt((error[scored] ** 2).mean(axis=1)).mean())


def results(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the results that a file holds, one a line."""
    if file.exists():
        yield from map(json.loads, file.read_text().splitlines())


def append(file: Path, result: dict[str, Any]) -> None:
    """Append a result to a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lines:
        lines.write(json.dumps(result) + "\n")
    print(json.dumps(result), flush=True)


def arguments(description: str | None, **defaults: Any) -> argparse.Namespace:
    """Parse the options of a script; a list is given as numbers or words separated by commas."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in {"folder": str(WORK), **defaults}.items():
        if isinstance(default, list):
            kind = type(default[0])
            parser.add_argument(
                f"--{name}",
                type=lambda text, kind=kind: [kind(part) for part in text.split(",")],
                default=default,
            )
        else:
            parser.add_argument(f"--{name}", type=type(default), default=default)
    return parser.parse_args()
