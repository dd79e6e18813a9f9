"""Gap lengths, distances to observations and scores by class, against brute force."""

import itertools

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from sklearn.metrics.pairwise import haversine_distances

from da4dvar.errors import DataError
from da4dvar.fields.gaps.geometry import (
    EARTH,
    by_class,
    distance_to_observation,
    distance_to_reporting,
    gap_length,
)
from da4dvar.fields.scores.metrics import bias, rmse

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=7))


def drawn(seed: int = 0, seen: float = 0.3) -> xr.DataArray:
    """Return a random mask with a coordinate."""
    values = np.random.default_rng(seed).random((9, 4, 5)) < seen
    return xr.DataArray(values, dims=("time", "lat", "lon"), coords={"lat": [1.0, 2.0, 3.0, 4.0]})


@given(mask=masks)
def test_length_of_a_gap_is_that_of_its_run(mask):
    """The gap length equals the length of each run, including those at the ends."""
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
def test_distance_is_the_least_over_all_observations(mask, spacing):
    """The distance is the minimum over all observed cells, for any cell size."""
    seen = np.argwhere(mask) * np.array(spacing)
    expected = [
        min((np.hypot(*(cell * np.array(spacing) - s)) for s in seen), default=np.inf)
        for cell in np.ndindex(mask.shape)
    ]
    array = xr.DataArray(mask, dims=("lat", "lon"))
    got = distance_to_observation(array, ["lat", "lon"], dict(zip(("lat", "lon"), spacing, strict=True)))
    np.testing.assert_allclose(got.values.ravel(), expected)


def test_distance_takes_each_slice_by_itself():
    """Slices along other dimensions are independent; lazy masks give lazy results with the same labels."""
    observed = drawn(seen=0.1).transpose("lat", "time", "lon")
    observed[:, 0] = False
    spacing = {"lon": 2.0, "lat": 0.5}
    got = distance_to_observation(observed, ["lat", "lon"], spacing)
    assert got.dims == observed.dims
    assert np.isinf(got.isel(time=0)).all()
    for t in range(observed.sizes["time"]):
        alone = distance_to_observation(observed.isel(time=t), ["lon", "lat"], spacing)
        xr.testing.assert_identical(got.isel(time=t), alone)
    lazy = drawn().chunk(time=2, lat=3)
    for of in (gap_length, lambda a: distance_to_observation(a, ["time", "lat"])):
        assert of(lazy).chunks is not None
        xr.testing.assert_identical(of(lazy).compute(), of(drawn()))
        xr.testing.assert_identical(of(drawn()).lat, drawn().lat)


def scored(gaps: float = 0.2) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Return an estimate and a truth with gaps, and a class from 0 to 5 for each cell."""
    generator = np.random.default_rng(0)
    truth, error = generator.standard_normal((2, 40, 10))
    truth[generator.random(truth.shape) < gaps] = np.nan
    error[generator.random(truth.shape) < gaps] = np.nan
    classes = generator.integers(0, 6, truth.shape)
    return tuple(xr.DataArray(a, dims=("time", "x")) for a in (truth + error, truth, classes))  # type: ignore[return-value]


def test_score_of_a_class_is_that_of_its_cells():
    """Each class has any score of its own cells, an empty one NaN; the last edge may be infinite."""
    estimate, truth, classes = scored()
    table = by_class(estimate, truth, classes, [1, 2, 4, 5])
    for k, members in enumerate([[1], [2, 3], [4, 5]]):
        here = np.isin(classes, members)
        assert float(table.score[k]) == pytest.approx(float(rmse(estimate.where(here), truth)))
        assert int(table.cells[k]) == int((here & np.isfinite(estimate + truth)).sum())
    np.testing.assert_array_equal(table.lower, [1, 2, 4])
    np.testing.assert_array_equal(table.upper, [2, 4, 5])
    table = by_class(estimate, truth, classes, [0, 6, 8], score=bias)
    assert float(table.score[0]) == pytest.approx(float(bias(estimate, truth)))
    assert int(table.cells[1]) == 0
    assert np.isnan(table.score[1])
    far = by_class(estimate, truth, xr.full_like(truth, np.inf), [0, np.inf])
    assert float(far.score[0]) == pytest.approx(float(rmse(estimate, truth)))


@pytest.mark.parametrize(("call", "text"), [
    (lambda: gap_length(drawn() * 1.0), r"of type float64, expected bool; pass array\.notnull"),
    (lambda: gap_length(drawn().rename(time="day")), "has no dimension 'time'; it has day, lat, lon"),
    (lambda: distance_to_observation(drawn(), ["day"]), "has no dimension 'day'"),
    *(
        (lambda s=s: distance_to_observation(drawn(), ["time", "lat"], s), "above 0 along one of time, lat")
        for s in ({"lat": 0.0}, {"lat": -1.0}, {"lon": 1.0})
    ),
    *(
        (lambda e=e: by_class(*scored(), e), r"edges are \[.*\], expected two or more increasing")
        for e in ([1], [1, 1], [3, 2])
    ),
])  # fmt: skip
def test_invalid_masks_spacings_and_edges_are_refused(call, text):
    """Each message states what was found and what was expected."""
    with pytest.raises(DataError, match=text):
        call()


def test_the_nearest_is_the_nearest_of_all_that_reported():
    """The distance is the least haversine of all pairs; a station without coordinates is near to none."""
    generator = np.random.default_rng(0)
    lat, lon = generator.uniform(-80, 80, 15), generator.uniform(-180, 180, 15)
    seen = xr.DataArray(generator.random((40, 15)) < 0.2, dims=("time", "station"))
    pairs = EARTH * haversine_distances(np.radians(np.stack([lat, lon], -1)))
    expected = np.where(seen.values[:, None, :], pairs[None], np.inf).min(-1)
    place = [xr.DataArray(v, dims="station") for v in (lat, lon)]
    found = distance_to_reporting(seen, "station", *place)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(distance_to_reporting(seen.T, "station", *place).T, found)
    assert found.attrs["units"] == "km"
    seen = xr.DataArray([[False, True, False]], dims=("time", "station"))
    lat, lon = (xr.DataArray(v, dims="station") for v in ([0.0, np.nan, 1.0], [0.0, 0.0, 0.0]))
    np.testing.assert_array_equal(distance_to_reporting(seen, "station", lat, lon), [[np.inf, 0, np.inf]])
