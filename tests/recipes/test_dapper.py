"""The scripts of `recipes/dapper` that need no DAPPER, on a short simulated series."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from da4dvar.simulate import lorenz96
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.priors.flow import Flow

FOLDER = Path(__file__).parents[2] / "recipes/dapper"
NAMES = ("runs", "assimilate", "table")


@pytest.fixture(scope="module")
def scripts():
    """The scripts as modules, which import each other."""
    sys.path.insert(0, str(FOLDER))
    yield {name: importlib.import_module(name) for name in NAMES}
    sys.path.remove(str(FOLDER))
    for name in NAMES:
        sys.modules.pop(name)


@pytest.fixture(scope="module")
def series(scripts, tmp_path_factory):
    """A series of 10 components, half of which are observed at every second step with variance 1."""
    twin = lorenz96(series=1, steps=241, components=10, number=5, seed=4)
    truth = twin.x.transpose("series", "time", "component")[0]
    times, components = np.arange(2, 241, 2), np.arange(0, 10, 2)
    noise = np.random.default_rng(0).standard_normal((len(times), len(components)))
    file = tmp_path_factory.mktemp("dapper") / "1.npz"
    np.savez(
        file,
        truth=truth.values,
        observed=truth.values[np.ix_(times, components)] + noise,
        times=times,
        components=components,
        variance=np.ones(len(components)),
        step=0.05,
    )
    return scripts["assimilate"].Series.read(file)


def test_the_score_is_the_mean_rmse_of_the_steps_after_20(scripts):
    """Earlier steps do not count, and steps are averaged after the root, as in DAPPER."""
    error = np.full((4, 2), 100.0)
    error[2], error[3] = (3.0, 3.0), (1.0, 1.0)
    assert scripts["runs"].rmse(error, np.array([1, 400, 401, 402]), 0.05) == 2.0


def test_exact_dynamics_reach_the_limit(scripts, series, monkeypatch):
    """The exact dynamics are better than the shipped weight, and as good as their Laplace posterior says."""
    monkeypatch.setattr(scripts["runs"], "BURN_IN", 4.0)
    shipped, exact = scripts["assimilate"].whole(series)
    assert exact["smoothed"] < 0.97 * shipped["smoothed"] < 0.2
    assert exact["converged"] == 1.0
    assert 0.5 < exact["smoothed"] / exact["limit"] < 2.0


def test_windows_are_read_at_their_end_and_before_it(scripts, series, monkeypatch):
    """A lag helps, and the limits say so too; windows lie within the series."""
    for name in ("runs", "assimilate"):
        monkeypatch.setattr(scripts[name], "BURN_IN", 4.0)
    for scores in scripts["assimilate"].windows(series):
        assert scores["lagged"] < 0.7 * scores["filtered"] < 0.7
    assert scores["lagged limit"] < 0.7 * scores["filtered limit"] < 0.7


def test_cycling_scores_each_series_and_a_lag_helps(scripts, series, monkeypatch):
    """Two equal series have equal scores, in their order, and the smoother is nearer to the truth."""
    monkeypatch.setattr(scripts["runs"], "BURN_IN", 2.0)
    short = replace(series, truth=series.truth[:121], y=series.y[:121])
    found = dict(scripts["assimilate"].METHODS["cycling-0.001"]([short, short]))
    assert list(found) == [0, 1]
    assert found[0]["lagged"] < 0.7 * found[0]["filtered"] < 0.7
    assert found[0] == pytest.approx(found[1])


def test_the_limit_is_the_diagonal_of_the_inverse_hessian(scripts, series, monkeypatch):
    """The variances of a short window are those of the dense matrix JᵀJ."""
    assimilate, steps = scripts["assimilate"], 5
    monkeypatch.setattr(assimilate, "LIMIT_WEIGHT", 1e8)
    y = series.y[None, :steps]
    x, variance, _ = assimilate.exact(series.truth[None, :steps], y, 1.0)
    flow, seen = Flow(Lorenz96(), step=0.05), torch.from_numpy(np.isfinite(y[0]).T)

    def residuals(x):
        model = 1e4 * (x[..., 1:] - flow.forecast(x[..., :-1]))
        return torch.cat([x[seen], model.flatten()])

    at = torch.from_numpy(x[0].T.copy())
    jacobian = torch.func.jacrev(residuals)(at).flatten(1)
    dense = torch.linalg.pinv(jacobian, rtol=1e-12).square().sum(1).reshape(at.shape)
    np.testing.assert_allclose(variance[0].T, dense, rtol=1e-3)


def test_rivals_are_chosen_on_the_tuning_seeds(scripts):
    """No setting is taken for its scores on the test seeds, nor for those on a part of the tuning seeds."""
    table, runs = scripts["table"], scripts["runs"]

    def result(lag, seed, rmse):
        setting = {"N": 40, "Lag": lag, "infl": 1.0}
        return {
            "experiment": "sakov2008",
            "method": "iEnKS",
            "setting": setting,
            "seed": seed,
            "smoothed": rmse,
        }

    rivals = [result(20, seed, 0.2) for seed in runs.TUNING] + [result(40, seed, 0.3) for seed in runs.TUNING]
    rivals += [result(10, runs.TUNING[0], 0.1), result(10, 1, 0.1), result(20, 1, 0.4), result(40, 1, 0.1)]
    ours = {"experiment": "sakov2008", "method": "whole", "dynamics": "exact", "seed": 1, "smoothed": 0.3}
    scores = table.Scores(rivals, [ours])
    best = scores.rival("sakov2008", ("iEnKS",), "smoothed")
    assert table.described(best) == "iEnKS, members 40, lag 20, inflation 1"
    exact = scores.ours["sakov2008", "whole", "exact"]
    assert table.ratio(exact, best, "smoothed") == "-25 %"
    assert table.mean(best, "smoothed") == "0.400"


def test_the_model_error_of_cycling_is_chosen_on_the_tuning_seeds(scripts):
    """The scores on the test seeds decide nothing, and nothing is shown before both tuning seeds have run."""
    table, runs = scripts["table"], scripts["runs"]
    first, second, *_ = runs.CYCLING

    def result(method, seed, rmse):
        about = {"experiment": "sakov2008", "method": method, "seed": seed, "dynamics": "as shipped"}
        return about | {"filtered": rmse}

    ours = [result(first, seed, 0.2) for seed in runs.TUNING] + [result(first, 1, 0.4)]
    ours += [result(second, seed, 0.1) for seed in (runs.TUNING[0], 1)]
    scores = table.Scores([], ours)
    assert table.mean(scores.cycling("sakov2008", "filtered"), "filtered") == "0.400"
    assert scores.cycling("bocquet2010", "filtered") == []
