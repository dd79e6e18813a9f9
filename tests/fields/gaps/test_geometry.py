"""Lengths of gaps and distances to observations, against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from da4dvar.errors import DataError
from da4dvar.fields.gaps.geometry import by_class, distance_to_observation, gap_length
from da4dvar.fields.scores.metrics import bias, rmse

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=7))


def drawn(seed: int = 0, seen: float = 0.3) -> xr.DataArray:
    """A mask with a coordinate."""
    values = np.random.default_rng(seed).random((9, 4, 5)) < seen
    return xr.DataArray(values, dims=("time", "lat", "lon"), coords={"lat": [1.0, 2.0, 3.0, 4.0]})


@given(mask=masks)
def test_length_of_a_gap_is_that_of_its_run(mask: np.ndarray) -> None:
    """Counted run by run, at the ends as well."""
    expected = np.zeros(mask.shape, int)
    for row, line in enumerate(mask):
        lengths = [(seen, len(list(run))) for seen, run in itertools.groupby(line)]
        expected[row] = [0 if seen else n for seen, n in lengths for _ in range(n)]
    for dims in (("x", "time"), ("time", "x")):
        array = xr.DataArray(mask, dims=("x", "time")).transpose(*dims)
        got = gap_length(array)
        assert got.dims == dims
        np.testing.assert_array_equal(got.transpose("x", "time"), expected)


@settings(deadline=None)
@given(mask=masks, spacing=st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)))
def test_distance_is_the_least_over_all_observations(mask: np.ndarray, spacing: tuple) -> None:
    """Cell by cell, with cells of any size; inf where there is none."""
    seen = np.argwhere(mask) * np.array(spacing)
    expected = [
        min((np.hypot(*(cell * np.array(spacing) - s)) for s in seen), default=np.inf)
        for cell in np.ndindex(mask.shape)
    ]
    array = xr.DataArray(mask, dims=("lat", "lon"))
    got = distance_to_observation(array, ["lat", "lon"], dict(zip(("lat", "lon"), spacing, strict=True)))
    np.testing.assert_allclose(got.values.ravel(), expected)


def test_distance_takes_each_slice_by_itself() -> None:
    """Along other dimensions nothing is measured, and the order of dimensions is kept."""
    observed = drawn(seen=0.1).transpose("lat", "time", "lon")
    observed[:, 0] = False
    got = distance_to_observation(observed, ["lat", "lon"])
    assert got.dims == observed.dims
    assert np.isinf(got.isel(time=0)).all()
    for t in range(observed.sizes["time"]):
        alone = distance_to_observation(observed.isel(time=t), ["lat", "lon"])
        xr.testing.assert_identical(got.isel(time=t), alone)


def test_the_order_of_the_dimensions_does_not_matter() -> None:
    """Each spacing goes with its own dimension."""
    spacing = {"lat": 2.0, "time": 0.5}
    first = distance_to_observation(drawn(), ["time", "lat"], spacing)
    xr.testing.assert_identical(first, distance_to_observation(drawn(), ["lat", "time"], spacing))


def test_along_time_alone_it_is_the_nearer_end_of_the_gap() -> None:
    """One dimension: 1, 2, 1 in a gap of three."""
    observed = xr.DataArray([True, False, False, False, True], dims="time")
    np.testing.assert_array_equal(distance_to_observation(observed, ["time"]), [0, 1, 2, 1, 0])


def test_lazy_in_lazy_out() -> None:
    """The same numbers, whatever the chunks."""
    lazy = drawn().chunk(time=2, lat=3)
    for of in (gap_length, lambda a: distance_to_observation(a, ["time", "lat"])):
        assert of(lazy).chunks is not None
        xr.testing.assert_identical(of(lazy).compute(), of(drawn()))


def test_labels_are_kept() -> None:
    """The coordinates of the mask are those of what is measured."""
    xr.testing.assert_identical(gap_length(drawn()).lat, drawn().lat)


@pytest.mark.parametrize("of", [gap_length, lambda a: distance_to_observation(a, ["time"])])
def test_a_mask_that_is_none_is_refused(of: object) -> None:
    """Values are not a mask, and a dimension has to be there."""
    assert callable(of)
    with pytest.raises(DataError, match=r"observed is of type float64, expected bool; pass array\.notnull"):
        of(drawn() * 1.0)
    with pytest.raises(DataError, match="observed has no dimension 'time'; it has day, lat, lon"):
        of(drawn().rename(time="day"))


@pytest.mark.parametrize("spacing", [{"lat": 0.0}, {"lat": -1.0}, {"lon": 1.0}])
def test_a_spacing_that_is_none_is_refused(spacing: dict[str, float]) -> None:
    """It is above 0, along a dimension that is measured."""
    with pytest.raises(DataError, match=r"spacing is .* expected above 0 along one of time, lat"):
        distance_to_observation(drawn(), ["time", "lat"], spacing)


def scored(gaps: float = 0.2) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """An estimate and a truth with gaps, and the class of each cell from 0 to 5."""
    generator = np.random.default_rng(0)
    truth, error = generator.standard_normal((2, 40, 10))
    truth[generator.random(truth.shape) < gaps] = np.nan
    error[generator.random(truth.shape) < gaps] = np.nan
    classes = generator.integers(0, 6, truth.shape)
    return tuple(xr.DataArray(a, dims=("time", "x")) for a in (truth + error, truth, classes))  # type: ignore[return-value]


def test_score_of_a_class_is_that_of_its_cells() -> None:
    """Against a selection by hand; the lower edge belongs to a class, the last edge as well."""
    estimate, truth, classes = scored()
    table = by_class(estimate, truth, classes, [1, 2, 4, 5])
    for k, members in enumerate([[1], [2, 3], [4, 5]]):
        here = np.isin(classes, members)
        assert float(table.score[k]) == pytest.approx(float(rmse(estimate.where(here), truth)))
        assert int(table.cells[k]) == int((here & np.isfinite(estimate + truth)).sum())
    np.testing.assert_array_equal(table.lower, [1, 2, 4])
    np.testing.assert_array_equal(table.upper, [2, 4, 5])


def test_classes_are_a_partition() -> None:
    """Their cells add up, and so do their squares, to those of all."""
    estimate, truth, classes = scored()
    table = by_class(estimate, truth, classes, [0, 1, 3, np.inf])
    both = int((estimate.notnull() & truth.notnull()).sum())
    assert int(table.cells.sum()) == both
    squares = float((table.score**2 * table.cells).sum())
    assert squares / both == pytest.approx(float(rmse(estimate, truth)) ** 2)


def test_another_score_and_an_empty_class() -> None:
    """Any function of estimate and truth; NaN where there is no cell; inf is in the last class."""
    estimate, truth, classes = scored()
    table = by_class(estimate, truth, classes, [0, 6, 8], score=bias)
    assert float(table.score[0]) == pytest.approx(float(bias(estimate, truth)))
    assert int(table.cells[1]) == 0
    assert np.isnan(table.score[1])
    far = by_class(estimate, truth, xr.full_like(truth, np.inf), [0, np.inf])
    assert float(far.score[0]) == pytest.approx(float(rmse(estimate, truth)))


@pytest.mark.parametrize("edges", [[1], [1, 1], [3, 2]])
def test_edges_that_do_not_increase_are_refused(edges: list[float]) -> None:
    """The message repeats them."""
    with pytest.raises(DataError, match=r"edges are \[.*\], expected two or more that increase"):
        by_class(*scored(), edges)
