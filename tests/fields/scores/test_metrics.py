"""Scores, with the package `scores` as the oracle."""

from __future__ import annotations

import math
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
    """An estimate and a truth, each with gaps of its own."""
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
def test_scores_are_those_of_the_package_scores(ours: Score, theirs: Score, dims: list[str] | None) -> None:
    """Over cells where both are known, whatever the dimensions averaged over."""
    estimate, truth = pair()
    both = estimate.notnull() & truth.notnull()
    expected = theirs(estimate.where(both), truth.where(both), reduce_dims=dims or list(DIMS))
    xr.testing.assert_allclose(ours(estimate, truth, dims), expected)


def test_r_score_by_hand() -> None:
    """Mean square of the error over mean square of the truth, or over its variance."""
    truth = xr.DataArray([1.0, 2.0, 3.0, np.nan, 5.0], dims="time")
    estimate = xr.DataArray([1.0, 3.0, 1.0, 4.0, np.nan], dims="time")
    assert float(r_score(estimate, truth)) == pytest.approx((0 + 1 + 4) / (1 + 4 + 9))
    assert float(r_score(estimate, truth, centred=True)) == pytest.approx((0 + 1 + 4) / (1 + 0 + 1))


@pytest.mark.parametrize("dims", [None, ["time"], ["lat", "lon"]])
def test_r_score_is_the_square_of_two_root_mean_squares(dims: list[str] | None) -> None:
    """R = (RMSE / root mean square of the truth)², over the same cells."""
    estimate, truth = pair()
    both = estimate.notnull() & truth.notnull()
    expected = (rmse(estimate, truth, dims) / rmse(xr.zeros_like(truth), truth.where(both), dims)) ** 2
    xr.testing.assert_allclose(r_score(estimate, truth, dims), expected)


def test_a_perfect_estimate() -> None:
    """No error, and correlation one."""
    _, truth = pair()
    perfect = scores(truth, truth)["all"]
    assert perfect == {
        "cells": int(truth.count()), "rmse": 0, "bias": 0, "r_score": 0, "correlation": pytest.approx(1),
    }  # fmt: skip


def test_scores_are_the_same_in_kelvin_and_in_degrees() -> None:
    """The R-score of a table is over the variance: it does not depend on where zero is."""
    estimate, truth = pair()
    kelvin, degrees = scores(estimate + 273.15, truth + 273.15)["all"], scores(estimate, truth)["all"]
    assert kelvin == pytest.approx(degrees)
    assert 0.3 < degrees["r_score"] < 0.35


def test_observed_and_unobserved_cells_are_scored_apart() -> None:
    """Each part is what the score of its cells alone is, and together they are all cells."""
    estimate, truth = pair()
    observed = xr.DataArray(np.random.default_rng(1).random(truth.shape) < 0.3, dims=DIMS)
    table = scores(estimate, truth, observed)
    assert set(table) == {"all", "observed", "unobserved"}
    assert table["observed"]["cells"] + table["unobserved"]["cells"] == table["all"]["cells"]
    for part, where in (("observed", observed), ("unobserved", ~observed)):
        for name, of in SCORES.items():
            assert table[part][name] == pytest.approx(float(of(estimate.where(where), truth.where(where))))


def test_no_cell_to_compare_is_nan_not_an_error() -> None:
    """Scores of nothing are NaN, and the number of cells says why."""
    estimate, truth = pair()
    everything = xr.ones_like(truth, dtype=bool)
    table = scores(estimate, truth, everything)["unobserved"]
    assert table.pop("cells") == 0
    assert set(table) == set(SCORES)
    assert all(math.isnan(v) for v in table.values())
