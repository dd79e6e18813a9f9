"""Scores of `lorenz96-ode` on DAPPER's truth and observations, one JSON line for each series and method.

python recipes/dapper/assimilate.py [--experiments sakov2008,...] [--methods whole,windows] [--seeds 1,2,3]

The whole series and independent windows are solved as shipped, and continued with the exact dynamics that
DAPPER's methods are given. Cycling hands a background from window to window, for all seeds at once. Runs that
the file of results already holds are not repeated.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import xarray as xr
from runs import (
    BURN_IN,
    CYCLING,
    EVALUATION,
    EXPERIMENTS,
    LAG,
    OURS,
    append,
    arguments,
    path_of,
    results,
    rmse,
)

import da4dvar
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.solvers.normal_equations import BlockTridiagonal
from da4dvar.variational.solvers.tangent import Tangent

# Steps of a window, and from the end of one to that of the next: all experiments observe every eighth step.
WINDOW, SHIFT = 120, 40
# λ_p of the shipped model is 5e4: an error of 0.0045 in each step, where the truth has none. It is raised in
# stages, with a few Gauss-Newton steps each; the limit is that of a larger weight still.
WEIGHTS, STEPS, LIMIT_WEIGHT = (5e5, 5e6, 5e7, 5e8), 3, 1e12
# Windows whose misfit per observation, in units of its variance, ends above this have diverged.
DIVERGED = 1.5
DIMS = ("window", "time", "component")


@dataclass(frozen=True)
class Series:
    """Truth and observations of one experiment.

    Attributes
    ----------
    truth, y : array, shape (step, component)
        Truth, and observations with NaN where there are none.
    variance : float
        Variance of the observation error.
    step : float
        Time between steps.
    """

    truth: np.ndarray
    y: np.ndarray
    variance: float
    step: float

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read a file that `make.py` has written."""
        with np.load(file) as data:
            y = np.full(data["truth"].shape, np.nan)
            y[np.ix_(data["times"], data["components"])] = data["observed"]
            return cls(data["truth"], y, float(data["variance"][0]), float(data["step"]))

    @property
    def steps(self) -> np.ndarray:
        """Numbers of the steps."""
        return np.arange(len(self.truth))


def labelled(y: np.ndarray) -> xr.Dataset:
    """Return observations of windows, shape (window, step, component), as a data set."""
    return xr.Dataset({"x": (DIMS, y)}, {"time": 0.05 * np.arange(y.shape[1])})


def shipped(y: np.ndarray, variance: float) -> np.ndarray:
    """Return the estimates of the shipped model for windows, shape (window, step, component)."""
    error = math.sqrt(variance)
    found = da4dvar.interpolate(labelled(y), "lorenz96-ode", analysis=True, observation_error=error)
    return found.x.transpose(*DIMS).values


def exact(x: np.ndarray, y: np.ndarray, variance: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Continue from estimates with the exact dynamics, by undamped Gauss-Newton steps on U.

    Under a large prior weight, a step along the trajectories of the model raises U by their curvature alone,
    so that the steps of Levenberg-Marquardt, which never raise U, would be tiny.

    Parameters
    ----------
    x, y : array, shape (window, step, component)
        Estimates, and observations with NaN where there are none.
    variance : float
        Variance of the observation error.

    Returns
    -------
    x, variance : array, shape (window, step, component)
        Estimates, and their variances in the Laplace approximation: the diagonal of the inverse Hessian of
        U / 2 at the estimates. Windows that diverge keep the estimates that were given.
    converged : array of bool, shape (window,)
        Which windows did not diverge.
    """
    flow = Flow(Lorenz96(), step=0.05)
    # Shape (window, channel, component, step), as solvers have it.
    start, seen = (torch.from_numpy(a.astype(float)).mT[:, None] for a in (x, y))
    mask, tangent = seen.isfinite(), Tangent(flow, start)

    def equations(weight: float) -> BlockTridiagonal:
        cost = VariationalCost(flow, observation_weight=1 / variance, prior_weight=weight)
        return BlockTridiagonal(cost.given(seen, mask), flow, None, tangent)

    found, undamped = start, torch.zeros(len(start), dtype=start.dtype)
    for weight in WEIGHTS:
        for _ in range(STEPS):
            (found,) = equations(weight).candidates(found, 1.0, undamped)
    misfit = torch.where(mask, seen - found, 0.0).square().flatten(1).sum(1)
    converged = misfit < DIVERGED * variance * mask.flatten(1).sum(1)
    found = torch.where(converged[:, None, None, None], found, start)
    spread = equations(LIMIT_WEIGHT).covariance(found).diagonal(dim1=-2, dim2=-1)
    return found[:, 0].mT.numpy(), spread.numpy(), converged.numpy()


def timed(work: Callable[..., Any], *given: Any) -> tuple[Any, float]:
    """Return the result of a function and its processor seconds."""
    began = time.process_time()
    result = work(*given)
    return result, time.process_time() - began


def whole(series: Series) -> Iterator[dict[str, Any]]:
    """Yield the scores of the smoother that sees the whole series at once."""

    def score(x: np.ndarray) -> float:
        return rmse(x[0] - series.truth, series.steps, series.step)

    first, seconds = timed(shipped, series.y[None], series.variance)
    yield {"dynamics": "as shipped", "smoothed": score(first), "seconds": seconds}
    (x, variance, converged), more = timed(exact, first, series.y[None], series.variance)
    yield {
        "dynamics": "exact",
        "smoothed": score(x),
        "limit": rmse(np.sqrt(variance[0]), series.steps, series.step),
        "converged": float(converged.mean()),
        "seconds": seconds + more,
    }


def windows(series: Series) -> Iterator[dict[str, Any]]:
    """Yield the scores of independent windows: of the last step, and of the step `LAG` steps before it."""
    ends = np.arange(len(series.truth) - 1, BURN_IN / series.step + LAG, -SHIFT).astype(int)[::-1]
    inside = ends[:, None] + np.arange(1 - WINDOW, 1)
    y, truth = series.y[inside], series.truth[inside]

    def scores(error: np.ndarray) -> dict[str, float]:
        return {
            "filtered": rmse(error[:, -1], ends, series.step),
            "lagged": rmse(error[:, -1 - LAG], ends - LAG, series.step),
        }

    first, seconds = timed(shipped, y, series.variance)
    yield {"dynamics": "as shipped", **scores(first - truth), "seconds": seconds / len(ends)}
    (x, variance, converged), more = timed(exact, first, y, series.variance)
    yield {
        "dynamics": "exact",
        **scores(x - truth),
        **{f"{name} limit": value for name, value in scores(np.sqrt(variance)).items()},
        "converged": float(converged.mean()),
        "seconds": (seconds + more) / len(ends),
    }


def cycling(model_error: float, series: list[Series]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the scores of series with a background that is handed on, as shipped but for the model error.

    The filter is scored at the times of observations, the smoother `LAG` steps before its last observations.
    """

    def analysed() -> list[np.ndarray]:
        ds, error = labelled(np.stack([one.y for one in series])), math.sqrt(series[0].variance)
        model = da4dvar.load("lorenz96-ode")
        found = model.assimilate(ds, lag=LAG, model_error=model_error, observation_error=error).analysis
        return [found[name].transpose(*DIMS).values for name in ("x_filter", "x")]

    (filtered, lagged), seconds = timed(analysed)
    for i, one in enumerate(series):
        times = np.flatnonzero(np.isfinite(one.y).any(axis=1))
        yield (
            i,
            {
                "dynamics": "as shipped",
                "filtered": rmse((filtered[i] - one.truth)[times], times, one.step),
                "lagged": rmse((lagged[i] - one.truth)[:-LAG], one.steps[:-LAG], one.step),
                "seconds": seconds / len(series),
            },
        )


# A method yields the scores of series, each with the position of its series.
Method = Callable[[list[Series]], Iterator[tuple[int, dict[str, Any]]]]


def one_by_one(work: Callable[[Series], Iterator[dict[str, Any]]]) -> Method:
    """Return a method that takes one series after another."""
    return lambda series: ((i, scores) for i, one in enumerate(series) for scores in work(one))


METHODS: dict[str, Method] = {
    "whole": one_by_one(whole),
    "windows": one_by_one(windows),
    **{name: partial(cycling, error) for name, error in CYCLING.items()},
}


def main(folder: str, experiments: list[str], methods: list[str], seeds: list[int]) -> None:
    """Run the methods and append their results to a file."""
    done = {(r["experiment"], r["method"], r["seed"]) for r in results(OURS)}
    for experiment, method in itertools.product(experiments, methods):
        left = [seed for seed in seeds if (experiment, method, seed) not in done]
        series = [Series.read(path_of(folder, experiment, seed)) for seed in left]
        for i, scores in METHODS[method](series) if left else ():
            append(OURS, {"experiment": experiment, "method": method, "seed": left[i], **scores})


if __name__ == "__main__":
    torch.set_num_threads(1)
    given = arguments(__doc__, experiments=EXPERIMENTS, methods=list(METHODS), seeds=EVALUATION)
    main(given.folder, given.experiments, given.methods, given.seeds)
