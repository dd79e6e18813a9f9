"""Hidden shapes, and the properties that make a gap hard to fill."""

import numpy as np
import pytest
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.gaps.geometry import gap_length
from da4dvar.fields.gaps.likeness import (
    LONGEST,
    Hardness,
    Reach,
    hardness_of,
    reach_of,
    shapes_like_gaps,
    weights_like_gaps,
)

DIMS = ("time", "lat", "lon")


def drawn(seen: xr.DataArray, seed: int = 0, fraction: float = 0.1) -> np.ndarray:
    return shapes_like_gaps(seen, "time", fraction, np.random.default_rng(seed))


def clouds() -> xr.DataArray:
    """Blobs of 4 by 5 cells that last for two days, over a sea with a cell of land."""
    generator = np.random.default_rng(1)
    seen = np.ones((60, 12, 15), dtype=bool)
    for _ in range(70):
        t, y, x = (int(generator.integers(n)) for n in seen.shape)
        seen[t : t + 2, y : y + 4, x : x + 5] = False
    seen[:, 0, 0] = False
    return xr.DataArray(seen, dims=DIMS, name="sst")


def outages() -> xr.DataArray:
    """Two stations with gaps of 3 and 9 steps."""
    t = np.arange(600)
    return xr.DataArray(np.stack([t % 40 > 2, (t + 5) % 60 > 8], 1), dims=("time", "station"))


TRACKS = xr.DataArray(np.random.default_rng(2).random((80, 10, 10)) < 0.1, dims=DIMS)


@pytest.mark.parametrize("seen", [clouds(), outages(), TRACKS], ids=["clouds", "outages", "tracks"])
@pytest.mark.parametrize("turned", [False, True])
def test_hidden_points_are_observed_and_as_many_as_asked_for(seen, turned):
    """No missing value is hidden, in several shapes, wherever the time dimension is."""
    seen = seen.transpose(..., "time") if turned else seen
    shape = drawn(seen)
    assert shape.shape == seen.shape
    assert seen.values[shape >= 0].all()
    assert 0.08 < (shape >= 0).sum() / seen.values.sum() < 0.15
    assert np.unique(shape[shape >= 0]).tolist() == list(range(shape.max() + 1))
    assert shape.max() > 8


def test_one_seed_gives_one_draw():
    """The same seed hides the same points, and another seed others."""
    assert (drawn(clouds(), 3) == drawn(clouds(), 3)).all()
    assert (drawn(clouds(), 3) != drawn(clouds(), 4)).any()


def test_a_hidden_run_is_as_long_as_a_gap():
    """In series without other gaps nearby, hidden runs have the lengths of gaps of the same station."""
    seen = outages()
    shape = drawn(seen, fraction=0.05)
    found = [
        np.flatnonzero(shape[:, station] == number)
        for station in (0, 1)
        for number in np.unique(shape[:, station][shape[:, station] >= 0])
    ]
    assert {line.size for line in found} <= set(range(1, 10))
    assert {3, 9} <= {line.size for line in found}


def test_a_hidden_shape_is_a_copy_of_a_cloud():
    """Most hidden points have a hidden neighbour in space, which is rare in points drawn one by one."""
    hidden = drawn(clouds(), fraction=0.05) >= 0
    beside = np.zeros_like(hidden)
    beside[:, :, 1:] |= hidden[:, :, :-1]
    beside[:, :, :-1] |= hidden[:, :, 1:]
    assert beside[hidden].mean() > 0.6


def test_cells_that_are_rarely_observed_are_scored_in_proportion():
    """They may differ from all others, so that something is hidden there; each keeps an observation."""
    generator = np.random.default_rng(0)
    often = np.where(np.arange(400) % 5 == 0, 0.1, 0.8).reshape(20, 20)
    seen = xr.DataArray(generator.random((60, 20, 20)) < often, dims=DIMS)
    count = seen.sum("time").values
    hidden = drawn(seen) >= 0
    rare = (count > 0) & (often < 0.5)
    share = (~seen.values & rare).sum() / (~seen.values & (count > 0)).sum()
    assert share > 0.4
    assert hidden[:, rare].sum() > 0.2 * hidden.sum()  # 3 % of the observations are there
    assert (seen.values & ~hidden).any(0)[count > 0].all()


def test_a_gap_at_an_end_is_hidden_at_an_end():
    """Gaps at the end of the record stay open: the hidden points reach the first or last observation."""
    seen = xr.DataArray(np.arange(200) < 180, dims="time")
    hidden = np.flatnonzero(drawn(seen) >= 0)
    assert (hidden.size, hidden.min() == 0 or hidden.max() == 179) == (20, True)
    left = seen & ~xr.DataArray(np.isin(np.arange(200), hidden), dims="time")
    assert hardness_of(left, "time", Reach(1.0, {})).ends[hidden].all()


@pytest.mark.parametrize("seed", range(3))
def test_short_gaps_are_hidden_where_long_ones_hold_most_missing_values(seed):
    """Few draws at random would meet one of forty single steps among more than a thousand missing values."""
    t = np.arange(1000)
    lost = [(t % 90 == 7) | ((t > 100 * k) & (t <= 100 * k + 300)) for k in range(1, 5)]
    seen = xr.DataArray(~np.stack(lost, 1), dims=("time", "station"))
    at = drawn(seen, seed) >= 0
    length = hardness_of(seen & ~at, "time", Reach(1.0, {})).length[at]
    assert (length == 1).sum() > 2
    assert (length >= 256).sum() > 100


def test_a_gap_that_is_long_is_cut():
    """A gap of most of the record is hidden as one of a part of it."""
    seen = xr.DataArray((np.arange(400) < 60) | (np.arange(400) >= 280), dims="time")
    hidden = drawn(seen, fraction=0.3) >= 0
    assert 0 < hidden.sum() <= LONGEST * 400


@pytest.mark.parametrize("seen", [[True] * 20, [False] * 20, [False, True, False]])
def test_nothing_to_hide_is_an_error(seen):
    """No gap to copy, or nothing that is observed."""
    with pytest.raises(DataError, match="observed points, too few to hide some"):
        drawn(xr.DataArray(np.array(seen), dims="time", name="x"))


def test_hardness_of_a_series():
    """Lengths, open ends, the variance of a bridge, and distances in units of the memory."""
    seen = xr.DataArray([False, True, False, False, False, True, False], dims="time")
    found = hardness_of(seen, "time", Reach(2.0, {}))
    assert found.length.tolist() == [1, 0, 3, 3, 3, 0, 1]
    assert found.ends.tolist() == [True, False, False, False, False, False, True]
    np.testing.assert_allclose(found.bridge, [1, 0, 0.75, 1, 0.75, 0, 1], atol=1e-5)
    assert found.distance.tolist() == [0.5, 0, 0.5, 1, 0.5, 0, 0.5]


def test_hardness_of_a_field():
    """Distances count space and time in correlation lengths; `apart` counts the cells of one time."""
    seen = np.zeros((3, 1, 5), dtype=bool)
    seen[0, 0, 0] = seen[1, 0, 4] = True
    found = hardness_of(xr.DataArray(seen, dims=DIMS), "time", Reach(1.0, {"lat": 2.0, "lon": 2.0}))
    assert found.distance[0, 0].tolist() == [0, 0.5, 1, np.hypot(1, 0.5), 1]
    assert found.apart[0, 0].tolist() == [0, 1, 2, 3, 4]
    assert (found.apart[2] == 1e6).all()
    np.testing.assert_allclose(found.bridge[:, 0, 4], [1, 0, 1], atol=1e-5)
    assert found.when[:, 0, 4].tolist() == [0, 1, 2]


def test_beyond_is_longer_or_farther():
    """Either is sufficient; a distance that is not defined is not beyond."""
    zeros = np.zeros(4)
    hard = Hardness(np.array([2, 5, 2, 2]), zeros > 0, np.array([1.0, 1.0, 3.0, np.inf]), *[zeros] * 5)
    assert hard.beyond(4, 2.0).tolist() == [False, True, True, False]


def test_weighted_points_are_as_hard_as_the_gaps():
    """With the weights, the shares of short and long gaps agree with those of the missing values."""
    t = np.arange(4000)
    seen = xr.DataArray((t % 12 > 0) & ~((t % 500 > 200) & (t % 500 < 245)), dims="time")
    shape = np.where(t % 12 == 6, 0, -1)
    shape[(t % 1000 > 810) & (t % 1000 < 854)] = 1
    at = (shape >= 0) & seen.values
    reach = Reach(5.0, {})
    hidden, missing = hardness_of(seen & ~at, "time", reach), hardness_of(seen, "time", reach)
    weight = weights_like_gaps(hidden, missing, at, shape[at])
    assert weight.mean() == pytest.approx(1)
    wanted = float((missing.length[missing.length > 0] > 1).mean())
    long = hidden.length[at] > 1
    assert abs(long.mean() - wanted) > 0.1
    assert np.average(long, weights=weight) == pytest.approx(wanted, abs=0.03)


def test_weights_are_equal_without_anything_to_fill():
    """Nothing is missing that could be represented."""
    seen = xr.DataArray(np.ones(30, dtype=bool), dims="time")
    at = np.arange(30) % 5 == 2
    hard = [hardness_of(s, "time", Reach(1.0, {})) for s in (seen & ~at, seen)]
    assert (weights_like_gaps(*hard, at, np.arange(at.sum())) == 1).all()


def cloudy(land: int = 0):
    """Return a field whose days are clear or mostly cloudy, a draw of hidden points, and its parts."""
    generator = np.random.default_rng(0)
    cover = np.where(np.arange(200) % 4 == 0, 0.9, 0.05)
    cells = np.arange(100.0)
    start = generator.random(200)[:, None] * 100
    seen = (cells - start) % 100 >= 100 * cover[:, None]
    whole = np.concatenate([seen, np.zeros((200, land), dtype=bool)], axis=1)[:, None]
    observed = xr.DataArray(whole, dims=DIMS)
    shape = np.full(whole.shape, -1)
    shape[..., :100] = drawn(xr.DataArray(seen[:, None], dims=DIMS))
    at = shape >= 0
    reach = Reach(2.0, {"lat": 5.0, "lon": 5.0})
    hidden, missing = hardness_of(observed & ~at, "time", reach), hardness_of(observed, "time", reach)
    return hidden, missing, at, shape[at]


def test_points_are_hidden_when_much_is_missing():
    """Most gaps are on the cloudy days; so are many hidden points, and most of the weight."""
    hidden, missing, at, shape = cloudy()
    weight = weights_like_gaps(hidden, missing, at, shape)
    on_cloudy = hidden.when[at] % 4 == 0
    assert on_cloudy.mean() > 0.1  # 3 % of the observations are
    assert np.average(on_cloudy, weights=weight) > 0.5


def test_cells_that_are_never_observed_have_no_weight():
    """Land is not filled, so that hidden points need not be like it."""
    sea, coast = cloudy(), cloudy(land=60)
    np.testing.assert_allclose(weights_like_gaps(*coast), weights_like_gaps(*sea))


def test_no_shape_decides_the_score():
    """A rare hard shape that would stand for many gaps has a limited share of the weight."""
    hidden, missing, at, shape = cloudy()
    weight = weights_like_gaps(hidden, missing, at, shape)
    share = np.bincount(shape, weight) / weight.sum()
    assert share.max() < 1.01 * max(0.04, 2 / share.size)


def test_the_reach_is_where_the_correlation_falls_below_1_over_e():
    """White noise has one of one step, a wave in space a longer one; stations have none."""
    generator = np.random.default_rng(0)
    noise = generator.standard_normal((300, 1, 1))
    x = np.arange(40)
    field = noise * np.cos(x / 12) + generator.standard_normal((300, 1, 1)) * np.sin(x / 12)
    found = reach_of(np.where(generator.random(field.shape) < 0.7, field, np.nan), DIMS, "time", ("lon",))
    assert found.time == 1
    # cos(lag / 12) < 1/e from lag 14.3 on; lags are doubled beyond 8.
    assert found.space == {"lon": 16.0}
    assert reach_of(field[:, 0], ("time", "station"), "time", ()).space == {}


def test_copies_of_a_few_short_gaps_stay_short():
    """In a series with three missing hours, copies near these would merge to a gap of half a day."""
    seen = np.ones(500, dtype=bool)
    seen[[100, 102, 104]] = False
    at = drawn(xr.DataArray(seen, dims="time", name="x")) >= 0
    hidden = hardness_of(xr.DataArray(seen & ~at, dims="time"), "time", Reach(1.0, {}))
    assert hidden.length[at].max() == 1


def test_copies_of_a_gap_of_a_whole_field_stay_as_long():
    """Four scans that are lost are hidden as four scans elsewhere, not next to them."""
    observed = xr.DataArray(np.ones((90, 12, 12), bool), dims=("time", "y", "x"))
    observed[40:44] = False
    shape = shapes_like_gaps(observed, "time", 0.1, np.random.default_rng(0))
    length = gap_length(observed & (shape < 0), "time").values
    assert int((shape >= 0).sum()) > 0.08 * int(observed.sum())
    assert np.mean(length[shape >= 0] == 4) > 0.8
