"""Gap patterns, observed fraction, shape and errors, and simulated observations under them."""

import itertools
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label

from da4dvar.config.kinds import KINDS, class_of
from da4dvar.errors import Da4dvarError, DataError
from da4dvar.fields.gaps.observe import observe
from da4dvar.fields.gaps.patterns import (
    Blocks,
    GapPattern,
    Mixture,
    Network,
    Random,
    Tracks,
    Transplanted,
    own_gaps,
)
from da4dvar.fields.gaps.runs import Runs, gap_lengths
from da4dvar.fields.gaps.squares import Squares
from da4dvar.layout import Layout
from da4dvar.testing import GapPatternContract

SIZES = {"time": 12, "lat": 9, "lon": 10}
IMAGES = {"sample": 300, "y": 28, "x": 28}


def masks(**sizes: int) -> xr.DataArray:
    """Return random masks that are half observed."""
    values = np.random.default_rng(5).random(list(sizes.values())) < 0.5
    return xr.DataArray(values, dims=list(sizes))


def draw(pattern: GapPattern, **sizes: int) -> np.ndarray:
    """Draw a field of the usual sizes, or others."""
    return pattern.draw(np.random.default_rng(0), SIZES | sizes)


PATTERNS: dict[str, GapPattern] = {
    "random": Random(0.3),
    "blocks": Blocks(0.4, {"lat": 4, "lon": 3}),
    "tracks": Tracks(0.3),
    "network": Network(every=3, number=4, component="lon"),
    "transplanted": Transplanted(masks(time=20, lat=15, lon=14), flip=True, part=0.5),
    "runs": Runs([3, 5], 0.5),
    "squares": Squares(2, {"lat": 4, "lon": 3}),
    "mixture": Mixture([Random(0.1), Tracks(0.2)]),
}
NEEDS = {
    "blocks": ("lat", "lon"), "tracks": ("time", "lat", "lon"), "network": ("time", "lon"),
    "transplanted": ("time",), "runs": ("time",), "squares": ("lat", "lon"),
}  # fmt: skip


class TestEvery(GapPatternContract):
    """The contract holds for each kind of a recipe and for a mixture."""

    name: str

    @pytest.fixture(autouse=True, params=PATTERNS)
    def of_a_kind(self, request):
        self.name = request.param
        self.needs = NEEDS.get(self.name, ())  # type: ignore[misc]

    def make(self) -> GapPattern:
        return PATTERNS[self.name]


def test_every_kind_is_tried():
    """The contract is run for all kinds that a recipe can name."""
    kinds = {class_of("gaps", kind) for kind in KINDS["gaps"]}
    assert {type(p) for p in PATTERNS.values()} == kinds | {Mixture}


@pytest.mark.parametrize("name", ["tracks", "network", "squares"])
def test_the_order_of_sizes_only_turns_the_axes(name):
    """The order of the sizes only transposes the result."""
    drawn = PATTERNS[name].draw(np.random.default_rng(0), SIZES)
    turned = PATTERNS[name].draw(np.random.default_rng(0), {d: SIZES[d] for d in ("lon", "time", "lat")})
    np.testing.assert_array_equal(turned, drawn.transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("kind", "fraction"), [(Random, 0.05), (Random, 0.4), (Random, 1.0), (Tracks, 0.05), (Tracks, 0.95)]
)
def test_the_fraction_is_reached_on_average(kind, fraction):
    """The mean observed fraction is as requested, at the edges and in the middle."""
    seen = kind(fraction).draw(np.random.default_rng(0), {"time": 4000, "lat": 6, "lon": 7}).mean(0)
    spread = 6 * np.sqrt(fraction * (1 - fraction) / 4000)
    np.testing.assert_allclose(seen, fraction, atol=spread)


@settings(deadline=None, max_examples=50)
@given(st.floats(0.05, 1.0), st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
def test_blocks_stop_at_the_fraction(fraction, rows, columns, seed):
    """Blocks hide the requested fraction and at most one block more."""
    size = {"lat": rows, "lon": columns}
    sizes = {"time": 3, "lat": 9, "lon": 10}
    seen = Blocks(fraction, size).draw(np.random.default_rng(seed), sizes).mean()
    block = min(rows, 9) * min(columns, 10) / 90
    assert fraction - block - 1e-9 <= seen <= fraction


class OneTrack:
    """A generator that produces one track in every field."""

    def __init__(self) -> None:
        self.generator = np.random.default_rng(0)

    def poisson(self, rate: float, size: int) -> np.ndarray:
        return np.ones(size, dtype=int)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.generator, name)


def test_a_track_is_a_line_one_cell_wide():
    """A track has at most one cell in a row and respects the slope."""
    drawn = Tracks(0.2, slope=(0.2, 0.6)).draw(OneTrack(), {"time": 300, "lat": 9, "lon": 20})  # type: ignore[arg-type]
    assert drawn.sum(2).max() == 1
    assert drawn.any((1, 2)).mean() > 0.5
    for field in drawn:
        rows, columns = np.nonzero(field)
        assert (np.diff(rows) == 1).all()
        assert (np.abs(np.diff(columns)) <= 1).all()
        if len(rows) > 1:
            assert abs(columns[-1] - columns[0]) <= np.ceil(0.6 * (rows[-1] - rows[0]))
            assert len(set(np.sign(np.diff(columns))) - {0}) <= 1


@pytest.mark.parametrize(("pattern", "dim"), [(Tracks(0.3), "lon"), (Network(4, 20, component="lat"), "lat")])
def test_members_have_independent_gaps(pattern, dim):
    """Entries along dimensions that the pattern does not name differ, and all cells have their turn."""
    drawn = pattern.draw(np.random.default_rng(0), {"lat": 40, "member": 2, "lon": 9, "time": 200})
    assert drawn.shape == (40, 2, 9, 200)
    assert (drawn[:, 0] != drawn[:, 1]).any()
    assert drawn.any(-1).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.integers(1, 8), st.integers(0, 99))
def test_a_network_reports_on_time(every, number, seed):
    """A network reports the requested number of components at the requested steps only."""
    sizes = {"component": 8, "series": 3, "time": 13}
    drawn = Network(every, number).draw(np.random.default_rng(seed), sizes)
    expected = np.where(np.arange(13) % every == 0, number, 0)
    np.testing.assert_array_equal(drawn.sum(0), np.broadcast_to(expected, (3, 13)))


def pieces_of(source: np.ndarray, shape: tuple[int, ...], flips: bool = False) -> set[bytes]:
    """Return every piece of a shape that can be cut from an array."""
    views = np.lib.stride_tricks.sliding_window_view(source, shape).reshape(-1, *shape)
    axes = [[a for a in range(len(shape)) if k >> a & 1] for k in range(2 ** len(shape) if flips else 1)]
    return {np.flip(view, flipped).tobytes() for view in views for flipped in axes}


@pytest.mark.parametrize("flip", [False, True])
def test_a_transplanted_mask_occurs_in_the_source(flip):
    """A transplanted piece occurs in one sample, and is mirrored only if requested."""
    source = masks(sample=3, lat=7, lon=6, time=8).transpose("sample", "time", "lat", "lon")
    straight, mirrored = (
        set().union(*(pieces_of(s, (4, 3, 5), flips) for s in source.values)) for flips in (False, True)
    )
    pattern, generator = Transplanted(source, flip=flip), np.random.default_rng(0)
    drawn = {pattern.draw(generator, {"time": 4, "lat": 3, "lon": 5}).tobytes() for _ in range(60)}
    assert drawn <= (mirrored if flip else straight)
    assert len(drawn) > 30
    assert bool(drawn - straight) == flip


def test_smaller_masks_are_joined_or_repeated():
    """Masks of three days fill ten by four pieces, and a mask of a map is repeated along time and depth."""
    source = masks(sample=50, time=3, lat=4)
    drawn = Transplanted(source).draw(np.random.default_rng(0), {"time": 10, "lat": 4})
    for first in (0, 3, 6):
        assert drawn[first : first + 3].tobytes() in {s.values.tobytes() for s in source}
    assert drawn[9:].tobytes() in {day.values.tobytes() for s in source for day in s}
    assert len({drawn[first : first + 3].tobytes() for first in (0, 3, 6)}) > 1
    drawn = Transplanted(masks(lat=9, lon=10)).draw(np.random.default_rng(0), {"depth": 2, **SIZES})
    assert (drawn == drawn[:1, :1]).all()


@pytest.mark.parametrize("source", [{"time": 30, "lat": 9}, {"sample": 5, "lat": 9}])
def test_a_part_of_the_times_gets_the_gaps(source):
    """Gaps are transplanted to one run of steps; all other steps are observed."""
    empty = xr.zeros_like(masks(**source))
    pattern, generator = Transplanted(empty, part=0.25), np.random.default_rng(0)
    for _ in range(20):
        seen = pattern.draw(generator, {"lat": 9, "time": 12})
        hidden = np.flatnonzero(~seen.any(0))
        np.testing.assert_array_equal(hidden, hidden[0] + np.arange(3))
        assert seen.all(0).sum() == 9


@pytest.mark.parametrize(("weights", "expected"), [(None, 1 / 3), ([1, 0, 0], 1.0), ([3, 1, 0], 0.75)])
def test_weights_say_how_often_a_pattern_is_chosen(weights, expected):
    """A mixture draws whole fields from each pattern in proportion to its weight."""
    whole, none = xr.ones_like(masks(lat=2)), xr.zeros_like(masks(lat=2))
    pattern = Mixture([Transplanted(whole), Transplanted(none), Transplanted(none)], weights)
    generator = np.random.default_rng(0)
    drawn = np.array([pattern.draw(generator, {"lat": 2}) for _ in range(800)])
    assert (drawn.all(1) | ~drawn.any(1)).all()
    assert drawn.all(1).mean() == pytest.approx(expected, abs=6 * np.sqrt(0.25 / 800))


@pytest.mark.parametrize(("make", "text"), [
    (lambda: Random(0.0), "fraction of observed cells is 0.0, expected above 0 and up to 1"),
    (lambda: Random(1.5), "fraction of observed cells is 1.5"),
    (lambda: Random(float("nan")), "fraction of observed cells is nan"),
    (lambda: Tracks(-1), "fraction of observed cells is -1"),
    (lambda: Tracks(0.1, slope=(0.6, 0.2)), r"slope of tracks is .*, expected \(smallest, largest\)"),
    (lambda: Blocks(0.5, {"lat": 0}), "blocks have 0 cells along 'lat', expected 1 or more"),
    (lambda: Network(every=0), "every is 0 and number 20, expected 1 or more"),
    (lambda: Network(number=0), "every is 4 and number 0"),
    (lambda: Mixture([]), "no gap patterns"),
    (lambda: Mixture([Random(0.5)], [1.0, 2.0]), "do not fit 1 gap patterns"),
    (lambda: Mixture([Random(0.5)], [0.0]), "do not fit"),
    (lambda: Mixture([Random(0.5), Random(0.1)], [2.0, -1.0]), "do not fit"),
    (lambda: Transplanted(masks(time=0, lat=3)), "masks to transplant are empty"),
    (lambda: Transplanted(masks(time=3), part=0.0), "is 0.0"),
    (lambda: draw(Network(2, 9, component="lat"), lat=8), "number is 9, but 'lat' has only 8 components"),
    (lambda: draw(Transplanted(masks(time=5, lat=4))), "4 cells along 'lat', but 9 are needed"),
    (lambda: draw(Squares(0, {"lat": 2})), "number of squares is 0, expected 1 or more"),
    (lambda: draw(Squares(1, {})), "squares have no size"),
    (lambda: draw(Squares(1, {"lat": 0})), "0 cells along 'lat', expected 1 or more"),
    (lambda: draw(Squares(1, {"lat": 10})), "10 cells along 'lat', but the field has 9"),
    (lambda: Runs([]), r"lengths of runs are \[\], expected whole numbers of 1 or more"),
    (lambda: Runs([0]), "lengths of runs are"),
    (lambda: Runs([3], 0.0), "fraction of observed cells is 0.0"),
])  # fmt: skip
def test_settings_that_make_no_sense_are_refused(make, text):
    """Each message states what was found and what was expected."""
    with pytest.raises(Da4dvarError, match=text):
        make()


def test_own_gaps_are_those_of_the_data():
    """A cell is observed if any variable is; sparse data keep two thirds of the times."""
    layout = Layout(["a", "b"], ["lat"], ["time"])
    dense = masks(variable=2, member=3, time=6, lat=5).where(True, False)
    y = xr.ones_like(dense, dtype=float).where(dense)
    pattern = own_gaps(y, layout, "time")
    np.testing.assert_array_equal(
        pattern.masks.unstack().transpose("member", "time", "lat").values, dense.any("variable").values
    )
    assert pattern.part == 1.0
    sparse = y.where(np.random.default_rng(0).random(y.shape) < 0.1)
    assert own_gaps(sparse, layout, "time").part == pytest.approx(1 / 3)


def test_every_image_has_boxes_of_its_own():
    """Each image has its own boxes of the requested size, each at a uniform place as in the paper."""
    hidden = ~Squares(1, {"y": 9, "x": 5}).draw(np.random.default_rng(0), IMAGES)
    assert (hidden.sum((1, 2)) == 45).all()
    for image in hidden:
        for cells, size in ((image.any(1), 9), (image.any(0), 5)):
            assert (label(cells)[1], cells.sum()) == (1, size)
    assert len(np.unique(hidden.reshape(300, -1), axis=0)) > 200
    hidden = ~Squares(3, {"y": 9, "x": 9}).draw(np.random.default_rng(2), IMAGES | {"sample": 20_000})
    starts = np.arange(28)[:, None] - np.arange(20)
    within = ((starts >= 0) & (starts < 9)).mean(1)
    expected = 1 - (1 - np.outer(within, within)) ** 3
    np.testing.assert_allclose(hidden.mean(0), expected, atol=6 * np.sqrt(0.25 / 20_000))


@given(fraction=st.floats(0.3, 1.0), length=st.integers(1, 20), seed=st.integers(0, 99))
def test_runs_reach_the_fraction(fraction, length, seed):
    """The observed fraction is at most the requested one, and at least that minus one run."""
    seen = Runs([length], fraction).draw(np.random.default_rng(seed), {"station": 6, "time": 50})
    assert seen.shape == (6, 50)
    assert fraction * 300 - length <= seen.sum() <= fraction * 300


def test_runs_lie_along_time_one_series_at_a_time():
    """A run hides consecutive steps of one series, and may extend beyond the ends."""
    seen = Runs([7], 1 - 1 / 1000).draw(np.random.default_rng(3), {"time": 90, "station": 5})
    steps, stations = np.nonzero(~seen)
    assert len(set(stations)) == 1
    assert (np.diff(steps) == 1).all()
    assert 1 <= steps.size <= 7
    generator = np.random.default_rng(0)
    draws = np.stack([Runs([10], 0.5).draw(generator, {"time": 40, "x": 2}) for _ in range(400)])
    hidden = (~draws).mean((0, 2))
    assert hidden[[0, -1]].min() > 0.8 * hidden.mean()


@given(st.lists(st.booleans(), min_size=2, max_size=30), st.integers(1, 30))
def test_gap_lengths_are_those_between_observations(seen, most):
    """Gap lengths equal the inner runs without observations."""
    runs = [(key, len(list(group))) for key, group in itertools.groupby(seen)]
    expected = sorted(n for key, n in runs[1:-1] if not key and n <= most)
    found = gap_lengths(xr.DataArray([seen, seen], dims=("x", "time")), "time", most)
    assert sorted(found) == sorted(expected * 2)


def truth() -> xr.Dataset:
    """Return two complete variables with labels."""
    values = np.random.default_rng(0).standard_normal((2, 50, 8, 9)).astype("float32")
    dims = ("sample", "y", "x")
    return xr.Dataset({"a": (dims, values[0], {"units": "1"}), "b": (dims, values[1])}, {"x": np.arange(9.0)})


def test_what_is_left_is_the_truth_with_noise():
    """Observations are the truth plus noise under the gaps, with labels and dtype kept."""
    y = observe(truth(), Squares(1, {"y": 4, "x": 4}), noise=0.5, seed=3)
    noise = (y - truth()).a
    assert (y.a.isnull().sum(("y", "x")) == 16).all()
    assert float(noise.std()) == pytest.approx(0.5, rel=0.05)
    assert abs(float(noise.mean())) < 0.03
    assert (y.a.dtype, y.a.attrs) == ("float32", {"units": "1", "observation_error_std": 0.5})
    assert truth().a.attrs == observe(truth(), Random(0.5)).a.attrs
    xr.testing.assert_identical(y.x, truth().x)


def test_a_seed_decides_gaps_and_noise():
    """The seed determines gaps and noise, which differ between variables; negative noise is refused."""
    first, other = (observe(truth(), Random(0.5), 0.1, seed) for seed in (1, 2))
    xr.testing.assert_identical(observe(truth(), Random(0.5), 0.1, 1), first)
    assert (first.a.isnull() != other.a.isnull()).any()
    assert (first.a.isnull() != first.b.isnull()).any()
    with pytest.raises(DataError, match="standard deviation of -1, expected 0 or more"):
        observe(truth(), Random(0.5), noise=-1)
