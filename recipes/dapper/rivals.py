"""Scores of DAPPER's own methods on the experiments, one JSON line for each run.

PYTHON-OF-DAPPER recipes/dapper/rivals.py tune [--experiments sakov2008,...] [--methods iEnKS,...]
PYTHON-OF-DAPPER recipes/dapper/rivals.py score [--seeds 1,2,3] [--methods iEnKS,...]

`tune` runs every setting on the first tuning seed, and the best few on the second; `score` runs the best
settings on other seeds. Runs that the file of results already holds are not repeated.
"""

from __future__ import annotations

import itertools
import math
import sys
import time
from typing import Any

import dapper.da_methods as methods
import numpy as np
from dapper.tools.seeding import set_seed
from experiments import model_of
from runs import EVALUATION, EXPERIMENTS, LAG, RIVALS, TUNING, append, arguments, path_of, results, rmse

Setting = dict[str, Any]
# Settings of which the mean over both tuning seeds is compared, for each score.
FINALISTS = 2
# RMSE of all steps, of all but the last ones, which a fixed lag does not reach, and of the analyses.
SCORES = ("smoothed", "lagged", "filtered")


def grid(**options: tuple[Any, ...]) -> list[Setting]:
    """Return all combinations of options."""
    return [dict(zip(options, values, strict=True)) for values in itertools.product(*options.values())]


def settings(experiment: str, method: str) -> list[Setting]:
    """Return the settings of a method that are compared for an experiment."""
    every = model_of(experiment).tseq.dko
    small = experiment == "bocquet2010"
    inflation = {1: (1.0, 1.01), 2: (1.01, 1.03), 4: (1.0, 1.01, 1.02), 8: (1.02, 1.06, 1.15, 1.3)}[every]
    members = (20,) if small else (80,) if every == 2 else (40,)
    # Lags in observation times; the longest are 40 steps.
    lags = (20,) if small else {1: (20, 40), 2: (12,), 4: (6, 10), 8: (2, 3, 5)}[every]
    if method == "iEnKS":
        return grid(upd_a=("Sqrt",), N=members, Lag=lags, infl=inflation, nIter=(10,), wtol=(1e-4,))
    if method == "EnKS":
        return grid(upd_a=("Sqrt",), N=(20,) if small else (80,), Lag=lags[-1:], infl=inflation[-2:])
    if method == "LETKF":
        return grid(
            N=(20, 40),
            loc_rad=(1.0, 2.0) if small else (2.0, 4.0, 7.0),
            infl=(1.06, 1.2, 1.4) if every == 8 else (1.02, 1.06, 1.1),
            rot=(True,),
        )
    if method == "EnKF_N":
        return grid(N=(20,) if small else (40, 80), xN=(1.0,), rot=(True,))
    if method == "Var3D":
        return grid(xB=(0.02, 0.05, 0.1, 0.2, 0.5))
    if method == "PartFilt" and small:
        return grid(N=(800, 3000), NER=(0.2,), reg=(0.6, 0.8, 1.0))
    return []


METHODS = ["iEnKS", "EnKS", "LETKF", "EnKF_N", "Var3D", "PartFilt"]


def run(folder: str, experiment: str, method: str, setting: Setting, seed: int) -> dict[str, Any]:
    """Run a method on the truth and the observations of a file; see :func:`runs.rmse` for the scores."""
    with np.load(path_of(folder, experiment, seed)) as file:
        truth, observed, times, step = (file[name] for name in ("truth", "observed", "times", "step"))
    model = model_of(experiment)
    if experiment.startswith("bocquet2010"):
        model.Obs(0).localizer = localizer(model)
    set_seed(1000 + seed)
    rival = getattr(methods, method)(**setting)
    began = time.process_time()
    try:
        rival.assimilate(model, truth, observed, store_u=True, liveplots=False)
        error = rival.stats.err
        steps = np.arange(len(truth))
        scores = [
            rmse(error.u, steps, step),
            rmse(error.u[:-LAG], steps[:-LAG], step),
            rmse(error.a, times, step),
        ]
    except (RuntimeError, ValueError, ArithmeticError, np.linalg.LinAlgError):
        scores = [math.inf] * 3
    return {
        "experiment": experiment,
        "method": method,
        "setting": setting,
        "seed": seed,
        **dict(zip(SCORES, (v if math.isfinite(v) else math.inf for v in scores), strict=True)),
        "seconds": time.process_time() - began,
    }


def localizer(model: Any) -> Any:
    """Return the localisation of an experiment on a circle of components that has none in DAPPER."""
    from dapper.tools.localization import nd_Id_localization

    size = model.Nx
    return nd_Id_localization((size,), (1,), np.flatnonzero(model.Obs(0).linear(np.zeros(size)).any(axis=0)))


class Runs:
    """Runs that are done or still to be done."""

    def __init__(self, folder: str) -> None:
        self.folder, self.file = folder, RIVALS
        self.done = {self._key(r): r for r in results(self.file)}

    @staticmethod
    def _key(result: dict[str, Any]) -> str:
        return repr([result[name] for name in ("experiment", "method", "setting", "seed")])

    def __call__(self, experiment: str, method: str, setting: Setting, seed: int) -> dict[str, Any]:
        asked = {"experiment": experiment, "method": method, "setting": setting, "seed": seed}
        if self._key(asked) not in self.done:
            result = run(self.folder, experiment, method, setting, seed)
            self.done[self._key(asked)] = result
            append(self.file, result)
        return self.done[self._key(asked)]

    def tune(self, experiment: str, method: str) -> None:
        """Run every setting on the first tuning seed, and the finalists of each score on the others."""
        first = [self(experiment, method, setting, TUNING[0]) for setting in settings(experiment, method)]
        for score in ("smoothed", "filtered"):
            for result in sorted(first, key=lambda r: r[score])[:FINALISTS]:
                for seed in TUNING[1:]:
                    self(experiment, method, result["setting"], seed)

    def best(self, experiment: str, method: str, score: str) -> Setting | None:
        """Return the setting with the lowest mean score over all tuning seeds."""
        tuned: dict[str, list[dict[str, Any]]] = {}
        for r in self.done.values():
            if (r["experiment"], r["method"]) == (experiment, method) and r["seed"] in TUNING:
                tuned.setdefault(repr(r["setting"]), []).append(r)
        complete = [group for group in tuned.values() if len(group) == len(TUNING)]
        if not complete:
            return None
        return min(complete, key=lambda group: sum(r[score] for r in group))[0]["setting"]


def main(what: str, folder: str, experiments: list[str], names: list[str], seeds: list[int]) -> None:
    runs = Runs(folder)
    if what == "tune":
        for method, experiment in itertools.product(names, experiments):
            runs.tune(experiment, method)
    else:
        for seed, score in itertools.product(seeds, ("smoothed", "filtered")):
            for experiment, method in itertools.product(experiments, names):
                if setting := runs.best(experiment, method, score):
                    runs(experiment, method, setting, seed)


if __name__ == "__main__":
    what = sys.argv.pop(1)
    given = arguments(__doc__, experiments=EXPERIMENTS, methods=METHODS, seeds=EVALUATION)
    main(what, given.folder, given.experiments, given.methods, given.seeds)
