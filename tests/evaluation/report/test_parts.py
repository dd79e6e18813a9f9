"""The tables of a report agree with the numbers that they summarise, and its example is a typical one."""

import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

import da4dvar
from da4dvar.errors import DataError
from da4dvar.evaluation.comparison import Comparison
from da4dvar.evaluation.report.classes import class_parts, gaps_of, round_edges, scores_by
from da4dvar.evaluation.report.descent import descent
from da4dvar.evaluation.report.example import LONGEST, around, example_of, index_at, places_of
from da4dvar.evaluation.report.page import page
from da4dvar.evaluation.report.part import Part
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
    """Σ cells · RMSE² over the classes is that of all cells; round edges enclose all values at any scale."""
    one = line()
    cells = one.cells()
    name, classes = gaps_of(one.observed, Shape.of(one.estimate), one.scored.values)
    labels, scored, spread, table = scores_by(cells, classes, name)
    total = float(((cells.estimate - cells.truth) ** 2).sum())
    assert float((scored["cells"] * scored.score**2).sum()) == pytest.approx(total)
    assert int(scored["cells"].sum()) == cells.truth.size
    np.testing.assert_allclose(spread.score, 1)
    assert [r[0] for r in table.rows] == labels
    for scale in (1e-3, 1.0, 111.0, 1e5):
        values = scale * np.random.default_rng(0).uniform(0.01, 50, 300)
        edges = round_edges(values)
        assert edges == sorted({0, *edges})
        assert edges[-2] > values.max()
        assert len(edges) <= 12


def test_an_open_gap_has_a_class_of_its_own():
    """Gaps at the ends, and that of a place never observed, count as open ends and not by their length."""
    time, dims = {"time": pd.date_range("2001-01-01", periods=9)}, ("time", "place")
    truth = xr.DataArray(np.zeros((9, 2)), time, dims)
    seen = np.array([0, 1, 0, 1, 0, 0, 1, 0, 0]).astype(bool)
    # An error of 1 between observations, and of 5 where a gap is open; the second place is never observed.
    error = np.stack([np.where(seen, 0, [5, 0, 1, 0, 1, 1, 0, 5, 5]), np.full(9, 5)], 1)
    observed = truth.where(np.stack([seen, np.zeros(9, bool)], 1))
    part = class_parts(Comparison("t", truth + error, truth, observed))
    assert [row[:3] for row in part.tables[0].rows] == [
        ["1", "1", "1"],
        ["2", "2", "1"],
        ["open end", "12", "5"],
    ]


def test_honest_error_bars_are_reliable():
    """Reliable error bars score near the nominal levels; without error bars there is no figure."""
    one = line()
    rows = {r[0]: r[1] for r in reliability_part(one).tables[0].rows}
    assert float(rows["spread/skill"]) == pytest.approx(1, abs=0.15)
    assert float(rows["inside the 90 % interval (Gaussian, from σ)"].rstrip(" %")) == pytest.approx(90, abs=8)
    assert reliability_part(line(bars=False)).figure is None


def test_a_part_says_why_it_has_no_figure():
    """Gap lengths need observations; spectra use the places without gaps, if there are any."""
    part = class_parts(Comparison("t", line().estimate, line().truth))
    assert part.figure is None
    assert "--observed" in part.text[0]
    one = line()
    gappy = one.truth.where((one.truth.place != 1) | (one.truth.time != 3))
    estimate, truth = sampled(Comparison("t", one.estimate, gappy), "time")
    np.testing.assert_array_equal(truth, one.truth.isel(place=[0]).T)
    np.testing.assert_array_equal(estimate, one.estimate.isel(place=[0]).T)
    none = spectra_part(Comparison("t", one.estimate, one.seen), Shape.of(one.estimate))
    assert none.figure is None
    assert "gap" in none.text[0]


def test_the_descent_goes_from_the_mean_to_where_the_model_ends(model, gappy, truth):
    """It ends with the terms of `interpolate`; observations may have another name, but need hidden points."""
    filled = model.interpolate(gappy)
    found = descent(model, gappy, truth, windows=10**6)
    assert found.windows == filled.prior_term.size
    for last, terms in (
        (found.observation[-1], filled.observation_term),
        (found.prior[-1], filled.prior_term),
    ):
        lower_median = np.sort(terms.values.ravel())[(terms.size - 1) // 2]
        assert last == pytest.approx(lower_median, rel=1e-4)
    assert len(found.error) == len(found.prior) == 4
    normal = model.states(truth).where(gappy.sst.isnull())
    assert found.error[0] == pytest.approx(float((normal**2).mean() ** 0.5), rel=0.15)
    ds = da4dvar.simulate.lorenz96(series=1, steps=40, seed=3)
    found = descent(da4dvar.load("lorenz96"), ds[["x_observed"]], ds[["x"]], {"x": "x_observed"})
    assert found.error[-1] < 0.5 * found.error[0]
    with pytest.raises(DataError, match="no window has"):
        descent(model, gappy, gappy)


def sea(seed: int = 0, times: int = 50) -> Comparison:
    """Return an estimate with an error that grows with time and a varying number of observations."""
    generator = np.random.default_rng(seed)
    days = pd.date_range("2001-01-01", periods=times)
    coords = {"time": days, "lat": np.arange(6.0), "lon": np.arange(7.0)}
    truth = xr.DataArray(generator.standard_normal((times, 6, 7)), coords, ("time", "lat", "lon"))
    noise = generator.standard_normal(truth.shape) * np.linspace(0.1, 2, times)[:, None, None]
    seen = truth.where(generator.random(truth.shape) < generator.random((times, 1, 1)))
    return Comparison("sst", truth + noise, truth, seen)


@given(seed=st.integers(0, 50))
@settings(deadline=None, max_examples=15)
def test_the_time_drawn_has_a_usual_error(seed):
    """The RMSE of the drawn time is between the 20th and 80th percentiles, and it has observations."""
    one = sea(seed)
    k = example_of(one, Shape.of(one.estimate), None).where["time"]
    each = ((one.estimate - one.truth).where(one.scored) ** 2).mean(("lat", "lon")) ** 0.5
    low, high = each.quantile([0.2, 0.8])
    assert low <= each[k] <= high
    assert one.observed[k].any()


def test_the_time_asked_for_is_drawn():
    """The requested date is drawn, in any calendar, and the reason names the option."""
    example = example_of(sea(), Shape.of(sea().estimate), "2001-01-20")
    assert example.where == {"time": 19}
    assert "--at" in example.reason
    times = xr.date_range("2001-01-01", periods=90, calendar="360_day", use_cftime=True)
    assert index_at(xr.DataArray(times, dims="time"), "2001-02-15") == 44


@pytest.mark.parametrize("at", ["2003-01-01", "soon"])
def test_an_invalid_time_is_refused(at):
    """A time outside the data, or text that is not a time, is refused with the range of the data."""
    with pytest.raises(DataError, match=f"--at {at}.*goes from 2001-01-01"):
        index_at(sea().estimate.time, at)


@given(k=st.integers(0, 999), size=st.integers(1, 1000))
def test_a_stretch_of_time_holds_its_middle_and_stays_inside(k, size):
    """The period contains the step, lies within the data and is as long as possible."""
    k = min(k, size - 1)
    window = around(k, size)
    assert 0 <= window.start <= k < window.stop <= size
    assert window.stop - window.start == min(size, LONGEST)


def test_the_places_drawn_go_from_a_low_to_a_high_error():
    """The chosen places are ordered by the RMSE of their scored cells."""
    one = sea()
    places = places_of(one, Shape.of(one.estimate), {"time": slice(0, 50)}, 3)
    each = ((one.estimate - one.truth).where(one.scored) ** 2).mean("time") ** 0.5
    low, middle, high = (float(each.isel(p)) for p in places)
    assert low <= middle <= high


def test_dimensions_are_known_by_their_names():
    """Dimensions without attributes get their roles from their names."""
    for dims, *roles in (
        (("time", "lat", "lon"), "time", ("lat", "lon"), ()),
        (("lon", "time", "lat"), "time", ("lat", "lon"), ()),
        (("series", "time", "component"), "time", ("component",), ("series",)),
        (("member", "time"), "time", (), ("member",)),
        (("time", "depth", "y", "x"), "time", ("y", "x"), ("depth",)),
        (("station",), None, ("station",), ()),
    ):
        shape = Shape.of(xr.DataArray(np.zeros((2,) * len(dims)), dims=dims))
        assert [shape.time, shape.space, shape.batch] == roles


@pytest.mark.parametrize("width", [5.0, 9.0])
def test_a_figure_too_wide_for_a_telephone_is_scrolled(width):
    """It keeps a legible size in a box that scrolls, and a narrow one fits the screen."""
    part = Part("a", "A", figure=Figure(figsize=(width, 2)))
    (box,) = re.findall(r'<div class="wide"><img[^>]*alt=', page("Title", [("A", [part])]))
    assert ('class="large"' in box) == (width == 9.0)
