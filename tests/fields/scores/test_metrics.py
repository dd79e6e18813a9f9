"""Scores, checked against the package `scores`."""

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from scores.continuous import additive_bias
from scores.continuous import rmse as rmse_of_scores
from scores.continuous.correlation import pearsonr

from da4dvar.fields.scores.metrics import SCORES, bias, correlation, r_score, rmse, scores

Score = Callable[..., xr.DataArray]
DIMS = ("time", "lat", "lon")


def pair(seed: int = 0) -> tuple[xr.DataArray, xr.DataArray]:
    """Return an estimate and a truth with different gaps."""
    generator = np.random.default_rng(seed)
    truth = 3 + generator.standard_normal((6, 5, 4))
    estimate = truth + 0.5 * generator.standard_normal(truth.shape)
    truth[generator.random(truth.shape) < 0.2] = np.nan
    estimate[generator.random(truth.shape) < 0.2] = np.nan
    return xr.DataArray(estimate, dims=DIMS), xr.DataArray(truth, dims=DIMS)


@pytest.mark.parametrize("dims", [None, ["time"], ["lat", "lon"], ["time", "lat", "lon"]])
@pytest.mark.parametrize(
    ("ours", "theirs"), [(rmse, rmse_of_scores), (bias, additive_bias), (correlation, pearsonr)]
)
def test_scores_are_those_of_the_package_scores(ours, theirs, dims):
    """Scores use the cells where both are known, for any dimensions."""
    estimate, truth = pair()
    both = estimate.notnull() & truth.notnull()
    expected = theirs(estimate.where(both), truth.where(both), reduce_dims=dims or list(DIMS))
    xr.testing.assert_allclose(ours(estimate, truth, dims), expected)


@pytest.mark.parametrize("dims", [None, ["time"], ["lat", "lon"]])
def test_r_score_is_the_square_of_two_root_mean_squares(dims):
    """R = (RMSE / root mean square of the truth)², over the same cells."""
    estimate, truth = pair()
    both = estimate.notnull() & truth.notnull()
    expected = (rmse(estimate, truth, dims) / rmse(xr.zeros_like(truth), truth.where(both), dims)) ** 2
    xr.testing.assert_allclose(r_score(estimate, truth, dims), expected)


@pytest.mark.parametrize("part", [0.3, 1.0])
def test_observed_and_unobserved_cells_are_scored_apart(part):
    """Each part has the scores of its own cells, NaN if there are none; together they are all cells."""
    estimate, truth = pair()
    observed = xr.DataArray(np.random.default_rng(1).random(truth.shape) < part, dims=DIMS)
    table = scores(estimate, truth, observed)
    assert set(table) == {"all", "observed", "unobserved"}
    assert table["all"]["cells"] == int((estimate.notnull() & truth.notnull()).sum())
    assert table["observed"]["cells"] + table["unobserved"]["cells"] == table["all"]["cells"]
    for kind, where in (("observed", observed), ("unobserved", ~observed)):
        for name, of in SCORES.items():
            expected = float(of(estimate.where(where), truth.where(where)))
            assert table[kind][name] == pytest.approx(expected, nan_ok=True)
