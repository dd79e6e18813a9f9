"""The tables of a report agree with the numbers that they summarise."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import da4dvar
from da4dvar.errors import DataError
from da4dvar.evaluation.comparison import Comparison
from da4dvar.evaluation.report.classes import class_parts, gaps_of, round_edges, scores_by
from da4dvar.evaluation.report.descent import descent
from da4dvar.evaluation.report.power import sampled, spectra_part
from da4dvar.evaluation.report.reliability import reliability_part
from da4dvar.evaluation.report.shape import Shape


def line(seed: int = 0, bars: bool = True) -> Comparison:
    """Return a comparison of two places over a hundred times with a reliable standard deviation of 1."""
    generator = np.random.default_rng(seed)
    truth = xr.DataArray(generator.standard_normal((100, 2)), {"time": np.arange(100.0)}, ("time", "place"))
    estimate = truth + generator.standard_normal(truth.shape)
    seen = truth.where(generator.random(truth.shape) < 0.3)
    return Comparison("t", estimate, truth, seen, xr.ones_like(truth) if bars else None)


def test_classes_share_out_all_unobserved_cells():
    """Σ cells · RMSE² over the classes equals that of all cells: none is lost or counted twice."""
    one = line()
    cells = one.cells()
    values, name, edges = gaps_of(one.observed, Shape.of(one.estimate))
    row = xr.DataArray(values.values[one.scored.values], dims="cell")
    labels, scored, spread, table = scores_by(cells, row, edges(row.values), name)
    total = float((scored["cells"] * scored.score**2).sum())
    assert total == pytest.approx(float(((cells.estimate - cells.truth) ** 2).sum()))
    assert int(scored["cells"].sum()) == cells.truth.size
    np.testing.assert_allclose(spread.score, 1)
    assert [r[0] for r in table.rows] == labels


def test_round_edges_hold_every_distance():
    """The edges start at 0, increase and enclose all values at any scale."""
    for scale in (1e-3, 1.0, 111.0, 1e5):
        values = scale * np.random.default_rng(0).uniform(0.01, 50, 300)
        edges = round_edges(values)
        assert edges == sorted(set(edges))
        assert edges[0] == 0
        assert edges[-2] > values.max()
        assert len(edges) <= 12


def test_honest_error_bars_are_reliable():
    """Reliable error bars score near the nominal levels; without error bars there is no figure."""
    one = line()
    rows = {r[0]: r[1] for r in reliability_part(one).tables[0].rows}
    assert float(rows["spread/skill"]) == pytest.approx(1, abs=0.15)
    assert float(rows["inside the 90 % interval (Gaussian, from σ)"].rstrip(" %")) == pytest.approx(90, abs=8)
    assert reliability_part(line(bars=False)).figure is None


def test_no_gap_lengths_without_observations():
    """Without observations, the part names the missing option."""
    one = line()
    part = class_parts(Comparison("t", one.estimate, one.truth))
    assert part.figure is None
    assert "--observed" in part.text[0]


def test_a_spectrum_takes_complete_lines_only():
    """Places with a gap are excluded; if every place has one, the text says so."""
    one = line()
    gappy = one.truth.where((one.truth.place != 1) | (one.truth.time != 3))
    estimate, truth = sampled(Comparison("t", one.estimate, gappy), "time")
    np.testing.assert_array_equal(truth, one.truth.isel(place=[0]).T)
    np.testing.assert_array_equal(estimate, one.estimate.isel(place=[0]).T)
    none = spectra_part(Comparison("t", one.estimate, one.seen), Shape.of(one.estimate))
    assert none.figure is None
    assert "gap" in none.text[0]


def test_the_descent_ends_where_the_model_does(model, gappy, truth):
    """The terms of the last iterate are the medians of the terms that interpolating reports."""
    filled = model.interpolate(gappy)
    windows = int(np.prod(filled.observation_term.shape))
    found = descent(model, gappy, truth, windows=10**6)
    assert found.windows == windows
    assert found.observation[-1] == pytest.approx(
        np.sort(filled.observation_term.values.ravel())[(windows - 1) // 2], rel=1e-4
    )
    assert found.prior[-1] == pytest.approx(
        np.sort(filled.prior_term.values.ravel())[(windows - 1) // 2], rel=1e-4
    )
    assert len(found.error) == len(found.prior) == 4


def test_a_descent_that_starts_at_the_mean_has_the_error_of_the_mean(model, gappy, truth):
    """With x(0) = 0, the first error is the root mean square of the normalised truth."""
    found = descent(model, gappy, truth, windows=10**6)
    normal = model.states(truth).where(gappy.sst.isnull())
    assert found.error[0] == pytest.approx(float((normal**2).mean() ** 0.5), rel=0.15)


def test_a_descent_without_anything_to_compare_is_refused(model, gappy):
    """A truth known at observed cells only is refused."""
    with pytest.raises(DataError, match="no window has"):
        descent(model, gappy, gappy)


def test_a_descent_of_renamed_observations(gappy, truth):
    """The descent of the Lorenz model works with observations that have another name than the truth."""
    ds = da4dvar.simulate.lorenz96(series=1, steps=40, seed=3)
    found = descent(da4dvar.load("lorenz96"), ds[["x_observed"]], ds[["x"]], {"x": "x_observed"})
    assert found.error[-1] < 0.5 * found.error[0]
