"""The tables in this recipe's README, from the files of results.

python recipes/dapper/table.py
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from runs import CYCLING, EVALUATION, EXPERIMENTS, OURS, RIVALS, TUNING, results

Result = dict[str, Any]
# The lowest `rmse.a` in the comments of each file of dapper.mods.Lorenz96, version 1.7.1.
PUBLISHED = {
    "sakov2008": "0.18 (EnKF, EnKF-N)",
    "sakov2008-every-4": "0.31 (iEnKS)",
    "bocquet2010": "0.25 (particle filters)",
    "bocquet2010_m40": "0.38 (EnKF-N)",
    "bocquet2015loc": "0.40 (iEnKS)",
    "todter2015": "0.43 (LETKF)",
    "frei2013bridging": "0.79 (LETKF)",
}
SMOOTHERS, FILTERS = ("iEnKS", "EnKS"), ("iEnKS", "LETKF", "EnKF_N", "Var3D", "PartFilt")
# A method has lost the truth on a seed if its RMSE is this many times the median of all seeds.
LOST = 3


class Scores:
    """Results by experiment and method, those of the tuning seeds apart."""

    def __init__(self, rivals: Iterable[Result], ours: Iterable[Result]) -> None:
        self.tuned: dict[str, list[Result]] = {}
        self.rivals: dict[tuple[str, str], list[Result]] = {}
        self.ours: dict[tuple[str, str, str], list[Result]] = {}
        self.cycling_tuned: dict[tuple[str, str], list[Result]] = {}
        for r in rivals:
            if r["seed"] in TUNING:
                self.tuned.setdefault(key(r), []).append(r)
            elif r["seed"] in EVALUATION:
                self.rivals.setdefault((r["experiment"], key(r)), []).append(r)
        for r in ours:
            if r["seed"] in TUNING:
                self.cycling_tuned.setdefault((r["experiment"], r["method"]), []).append(r)
            elif r["seed"] in EVALUATION:
                self.ours.setdefault((r["experiment"], r["method"], r["dynamics"]), []).append(r)

    def rival(self, experiment: str, methods: Iterable[str], score: str) -> list[Result]:
        """Return the runs of the setting that was best on the tuning seeds, among those of some methods."""
        chosen = "filtered" if score == "filtered" else "smoothed"
        found = [
            (np.mean([r[chosen] for r in self.tuned.get(name, [])[: len(TUNING)]]), runs)
            for (where, name), runs in self.rivals.items()
            if where == experiment
            and runs[0]["method"] in methods
            and len(self.tuned.get(name, [])) == len(TUNING)
        ]
        return min(found, key=lambda pair: pair[0])[1] if found else []

    def best_filter(self, experiment: str) -> list[Result]:
        """Return the runs of the filter with the lowest mean on the seeds of the table."""
        each = [self.rival(experiment, [name], "filtered") for name in FILTERS]
        return min(filter(None, each), key=lambda runs: np.mean([r["filtered"] for r in runs]), default=[])

    def cycling(self, experiment: str, score: str) -> list[Result]:
        """Return the runs with the model error that was best on the tuning seeds."""
        tuned = {name: self.cycling_tuned.get((experiment, name), []) for name in CYCLING}
        complete = [name for name, runs in tuned.items() if len(runs) == len(TUNING)]
        chosen = min(complete, key=lambda name: np.mean([r[score] for r in tuned[name]]), default="")
        return self.ours.get((experiment, chosen, "as shipped"), [])


def key(result: Result) -> str:
    """Return the experiment, method and setting of a result, as text."""
    return json.dumps([result["experiment"], result["method"], result["setting"]])


def mean(runs: list[Result], score: str, digits: int = 3) -> str:
    """Return the mean of a score and its standard error, as text."""
    values = np.array([r[score] for r in runs if score in r])
    if not values.size:
        return "-"
    text = f"{values.mean():.{digits}f}"
    return text if values.size == 1 else f"{text} ± {values.std(ddof=1) / values.size**0.5:.{digits}f}"


def described(runs: list[Result]) -> str:
    """Return the method of some runs and its setting, as text."""
    if not runs:
        return "-"
    shown = {
        "N": "members",
        "Lag": "lag",
        "infl": "inflation",
        "loc_rad": "radius",
        "xN": "xN",
        "xB": "xB",
        "reg": "reg",
    }
    given = [f"{shown[name]} {value:g}" for name, value in runs[0]["setting"].items() if name in shown]
    return f"{runs[0]['method']}, {', '.join(given)}"


def ratio(ours: list[Result], rivals: list[Result], score: str) -> str:
    """Return by how much the mean of a score lies below that of a rival, over the seeds of both."""
    a, b = ({r["seed"]: r[score] for r in runs} for runs in (ours, rivals))
    if not (both := a.keys() & b.keys()):
        return "-"
    return f"{100 * (sum(a[s] for s in both) / sum(b[s] for s in both) - 1):+.0f} %"


def markdown(rows: list[list[str]]) -> str:
    """Return a table whose first row is its head."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def smoothers(scores: Scores, score: str, method: str, limit: str) -> list[list[str]]:
    """Return the rows for a score of smoothers, next to those of one of our methods."""
    rows = [
        [
            "experiment",
            "seeds",
            "best of DAPPER",
            "its RMSE",
            "as shipped",
            "exact dynamics",
            "to the best",
            "limit",
        ]
    ]
    for experiment in EXPERIMENTS:
        best = scores.rival(experiment, SMOOTHERS, score)
        shipped, exact = (scores.ours.get((experiment, method, d), []) for d in ("as shipped", "exact"))
        rows.append(
            [
                experiment,
                f"{len(best)}, {len(exact)}",
                described(best),
                mean(best, score),
                mean(shipped, score),
                mean(exact, score),
                ratio(exact, best, score),
                mean(exact, limit),
            ]
        )
    return rows


def filters(scores: Scores) -> list[list[str]]:
    """Return the rows of the filters."""
    rows = [["experiment", "published", *FILTERS, "as shipped", "exact dynamics", "to the best", "limit"]]
    for experiment in EXPERIMENTS:
        each = [scores.rival(experiment, [name], "filtered") for name in FILTERS]
        best = scores.best_filter(experiment)
        shipped, exact = (scores.ours.get((experiment, "windows", d), []) for d in ("as shipped", "exact"))
        rows.append(
            [
                experiment,
                PUBLISHED[experiment],
                *(mean(runs, "filtered") for runs in each),
                mean(shipped, "filtered"),
                mean(exact, "filtered"),
                ratio(exact, best, "filtered"),
                mean(exact, "filtered limit"),
            ]
        )
    return rows


def cycled(scores: Scores, score: str, rival: Callable[[str], list[Result]]) -> list[list[str]]:
    """Return the cells of cycling that continue the rows of smoothers or filters."""
    rows = [["cycling", "its model error", "to the best"]]
    for experiment in EXPERIMENTS:
        runs = scores.cycling(experiment, score)
        error = f"{CYCLING[runs[0]['method']]:g}" if runs else "-"
        rows.append([mean(runs, score), error, ratio(runs, rival(experiment), score)])
    return rows


def lost(scores: Scores) -> list[list[str]]:
    """Return the rows of seeds on which the best rival loses the truth, and the scores without these."""
    rows = [
        [
            "experiment",
            "score",
            "best of DAPPER",
            "lost on",
            "its RMSE on the others",
            "exact dynamics",
            "to it",
            "cycling",
            "to it",
        ]
    ]
    for experiment in EXPERIMENTS:
        for score, method in (("smoothed", "whole"), ("lagged", "windows"), ("filtered", "windows")):
            best = scores.rival(experiment, FILTERS if score == "filtered" else SMOOTHERS, score)
            most = LOST * np.median([r[score] for r in best])
            gone = [r["seed"] for r in best if r[score] > most]
            if not gone:
                continue
            exact = scores.ours.get((experiment, method, "exact"), [])
            cycling = scores.cycling(experiment, score) if method == "windows" else []
            kept, *ours = ([r for r in runs if r["seed"] not in gone] for runs in (best, exact, cycling))
            shown = [mean(kept, score)]
            for runs in ours:
                shown += [mean(runs, score), ratio(runs, kept, score)]
            rows.append([experiment, score, described(best), ", ".join(map(str, gone)), *shown])
    return rows


def beside(left: list[list[str]], right: list[list[str]]) -> list[list[str]]:
    """Return the rows of two tables in one."""
    return [[*a, *b] for a, b in zip(left, right, strict=True)]


def seconds(scores: Scores) -> list[list[str]]:
    """Return the rows of processor seconds: of a series, and of a window."""
    rows = [
        [
            "experiment",
            "best smoother of DAPPER",
            "series, as shipped",
            "exact",
            "window, as shipped",
            "exact",
            "series, cycling",
        ]
    ]
    for experiment in EXPERIMENTS:
        ours = [
            mean(scores.ours.get((experiment, method, dynamics), []), "seconds", 1)
            for method in ("whole", "windows")
            for dynamics in ("as shipped", "exact")
        ]
        ours.append(mean(scores.cycling(experiment, "filtered"), "seconds", 1))
        rows.append([experiment, mean(scores.rival(experiment, SMOOTHERS, "smoothed"), "seconds", 1), *ours])
    return rows


def main() -> None:
    """Print all tables."""
    scores = Scores(results(RIVALS), results(OURS))
    tables: dict[str, Callable[[], list[list[str]]]] = {
        "Whole series": lambda: smoothers(scores, "smoothed", "whole", "limit"),
        "Lag of 40 steps": lambda: beside(
            smoothers(scores, "lagged", "windows", "lagged limit"),
            cycled(scores, "lagged", lambda name: scores.rival(name, SMOOTHERS, "lagged")),
        ),
        "Filters": lambda: beside(filters(scores), cycled(scores, "filtered", scores.best_filter)),
        "Without the seeds on which the best rival loses the truth": lambda: lost(scores),
        "Processor seconds": lambda: seconds(scores),
    }
    for title, rows in tables.items():
        print(f"### {title}\n\n{markdown(rows())}\n")


if __name__ == "__main__":
    main()
