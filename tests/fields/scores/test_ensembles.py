"""Scores of joint samples."""

import numpy as np
import pytest
import xarray as xr

from da4dvar.fields.scores.boxes import box_coverage, inside_by_rank
from da4dvar.fields.scores.ensembles import energy_score, rank_histogram, variogram_score

DIMS = ("time", "lat", "lon")


def fields(number: int, correlated: bool = True, seed: int = 0, days: int = 60) -> xr.DataArray:
    """Independent fields with a common part in each box of 4 by 4 cells, or without correlation."""
    generator = np.random.default_rng(seed)
    noise = generator.standard_normal((number, days, 8, 8))
    if correlated:
        common = np.repeat(np.repeat(generator.standard_normal((number, days, 2, 2)), 4, 2), 4, 3)
        noise = 0.6 * noise + 0.8 * common
    return xr.DataArray(noise, dims=("realization", *DIMS))


def test_scores_are_sums_over_all_samples_and_pairs():
    """The formulas written as loops over the samples, cells and pairs, on two times with a gap."""
    samples, truth = fields(4, days=2)[..., :2, :3], fields(1, seed=1, days=2)[0, :, :2, :3]
    truth[1, 0, 0] = np.nan
    energy, variogram = [], []
    for day in range(2):
        y = truth[day].values.ravel()
        known = np.isfinite(y)
        x, y = samples[:, day].values.reshape(4, -1)[:, known], y[known]
        near = np.mean([np.sqrt(np.mean((one - y) ** 2)) for one in x])
        apart = np.mean([[np.sqrt(np.mean((one - other) ** 2)) for one in x] for other in x])
        energy.append(near - apart / 2)
        pairs = [(i, j) for i in range(y.size) for j in range(i)]
        expected = [np.mean(np.abs(x[:, i] - x[:, j]) ** 0.5) for i, j in pairs]
        true = [abs(y[i] - y[j]) ** 0.5 for i, j in pairs]
        variogram.append(np.mean(np.subtract(true, expected) ** 2))
    assert energy_score(samples, truth, "time") == pytest.approx(np.mean(energy))
    assert variogram_score(samples, truth, "time") == pytest.approx(np.mean(variogram))


def test_they_are_those_of_scoringrules():
    """Where that package is installed: the same up to the number of cells and of pairs."""
    oracle = pytest.importorskip("scoringrules")
    samples, truth = fields(20, days=1)[:, 0], fields(1, seed=1, days=1)[0, 0]
    x, y = samples.values.reshape(20, -1), truth.values.ravel()
    expected = oracle.es_ensemble(y, x, m_axis=0, v_axis=-1) / np.sqrt(y.size)
    assert energy_score(samples, truth) == pytest.approx(float(expected))
    few = slice(0, 40)
    expected = oracle.vs_ensemble(y[few], x[:, few], p=0.5, m_axis=0, v_axis=-1) / (40 * 39)
    short = xr.DataArray(x[:, few], dims=("realization", "cell"))
    found = variogram_score(short, xr.DataArray(y[few], dims="cell"))
    assert found == pytest.approx(float(expected))


def test_a_variogram_score_sees_a_missing_correlation():
    """It is worse for samples without correlation; ranks of single cells do not see it."""
    truth = fields(1, seed=5)[0]
    good, bad = fields(30), fields(30, correlated=False)
    assert variogram_score(bad, truth, "time") > 1.05 * variogram_score(good, truth, "time")
    assert energy_score(bad, truth, "time") > energy_score(good, truth, "time")
    for samples in (good, bad):
        np.testing.assert_allclose(rank_histogram(samples, truth), 0.1, atol=0.03)
    np.testing.assert_array_less(0.12, rank_histogram(0.5 * good, truth)[[0, -1]])


def test_boxes_see_a_missing_correlation():
    """Means over boxes are in the interval as often as it says, but not of samples without correlation."""
    truth, seen = fields(1, seed=5)[0], xr.zeros_like(fields(1)[0]) > 1
    good = box_coverage(fields(30), truth, seen, ("lat", "lon"), "time", sides=(1, 4, None))
    bad = box_coverage(fields(30, False), truth, seen, ("lat", "lon"), "time", sides=(1, 4, None))
    assert set(good) == {"1 x 1", "4 x 4", "all"}
    assert good["1 x 1"]["1 step"] == pytest.approx(0.9, abs=0.03)
    assert bad["1 x 1"]["1 step"] == pytest.approx(0.9, abs=0.03)
    assert good["4 x 4"]["1 step"] == pytest.approx(0.9, abs=0.06)
    assert good["4 x 4"]["7 steps"] == pytest.approx(0.9, abs=0.12)
    assert bad["4 x 4"]["1 step"] < 0.6
    assert bad["all"]["1 step"] < 0.6


def test_a_box_is_the_mean_of_its_cells_and_times():
    """The same ranks as of means computed one by one, with land and observed cells; the last box is small."""
    samples, truth = fields(9)[..., :3, :3], fields(1, seed=2)[0, ..., :3, :3]
    truth[:, 0, 0] = np.nan
    seen = xr.zeros_like(truth) > 1
    seen[:, :2, :2] = True
    found = box_coverage(samples, truth, seen, ("lat", "lon"), "time", sides=(2,))["2 x 2"]["7 steps"]
    inside = []
    for rows, columns in ((slice(0, 2), slice(2, 3)), (slice(2, 3), slice(0, 2)), (slice(2, 3), slice(2, 3))):
        box = {"lat": rows, "lon": columns}
        for start in range(truth.sizes["time"] - 6):
            at = box | {"time": slice(start, start + 7)}
            y, x = float(truth.isel(at).mean()), samples.isel(at).mean(DIMS).values
            inside.append(inside_by_rank(np.array((x < y).sum()), 9, 0.9))
    assert found == pytest.approx(np.mean(inside))


def test_nothing_to_score_is_nan():
    """Everything observed, or no truth at all."""
    samples, truth = fields(3, days=2), fields(1, days=2)[0]
    found = box_coverage(samples, truth, truth.notnull(), ("lat", "lon"), "time", sides=(2,))
    assert np.isnan(found["2 x 2"]["1 step"])
    assert np.isnan(energy_score(samples, truth * np.nan, "time"))
    assert np.isnan(variogram_score(samples, truth * np.nan, "time"))
    assert np.isnan(rank_histogram(samples, truth * np.nan)).all()
