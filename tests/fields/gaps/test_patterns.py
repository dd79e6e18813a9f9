"""Gap patterns: the fraction they reach, their shape, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from da4dvar.config.kinds import KINDS, class_of
from da4dvar.errors import Da4dvarError, DataError, RecipeError
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
from da4dvar.fields.gaps.runs import Runs
from da4dvar.fields.gaps.squares import Squares
from da4dvar.layout import Layout
from da4dvar.testing import GapPatternContract

SIZES = {"time": 12, "lat": 9, "lon": 10}


def masks(**sizes: int) -> xr.DataArray:
    """Random masks, half observed."""
    values = np.random.default_rng(5).random(list(sizes.values())) < 0.5
    return xr.DataArray(values, dims=list(sizes))


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
    """Each kind that a recipe may name, and a mixture."""

    name: str

    @pytest.fixture(autouse=True, params=PATTERNS)
    def of_a_kind(self, request: pytest.FixtureRequest) -> None:
        self.name = request.param
        self.needs = NEEDS.get(self.name, ())  # type: ignore[misc]

    def make(self) -> GapPattern:
        return PATTERNS[self.name]


def test_every_kind_is_tried() -> None:
    """A kind that a recipe may name is among them."""
    assert {type(p) for p in PATTERNS.values()} == {class_of("gaps", kind) for kind in KINDS["gaps"]} | {
        Mixture
    }


@pytest.mark.parametrize("name", ["tracks", "network", "squares"])
def test_the_order_of_sizes_only_turns_the_axes(name: str) -> None:
    """A pattern knows its dimensions by name, not by place."""
    drawn = PATTERNS[name].draw(np.random.default_rng(0), SIZES)
    turned = PATTERNS[name].draw(np.random.default_rng(0), {d: SIZES[d] for d in ("lon", "time", "lat")})
    np.testing.assert_array_equal(turned, drawn.transpose(2, 0, 1))


@pytest.mark.parametrize("fraction", [0.05, 0.4, 0.95])
@pytest.mark.parametrize("kind", [Random, Tracks])
def test_the_fraction_is_reached_on_average(kind: Callable[[float], GapPattern], fraction: float) -> None:
    """Over many fields, everywhere in the field: corners are seen as often as the middle."""
    seen = kind(fraction).draw(np.random.default_rng(0), {"time": 4000, "lat": 6, "lon": 7}).mean(0)
    spread = 6 * np.sqrt(fraction * (1 - fraction) / 4000)
    np.testing.assert_allclose(seen, fraction, atol=spread)


def test_all_is_seen_if_the_fraction_is_one() -> None:
    """A fraction of 1 hides nothing."""
    assert Random(1.0).draw(np.random.default_rng(0), SIZES).all()
    assert Blocks(1.0, {"lat": 2}).draw(np.random.default_rng(0), SIZES).all()


@settings(deadline=None, max_examples=50)
@given(st.floats(0.05, 0.95), st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
def test_blocks_stop_at_the_fraction(fraction: float, rows: int, columns: int, seed: int) -> None:
    """Hidden is what is asked for, and at most one block more."""
    size = {"lat": rows, "lon": columns}
    sizes = {"time": 3, "lat": 9, "lon": 10}
    seen = Blocks(fraction, size).draw(np.random.default_rng(seed), sizes).mean()
    block = min(rows, 9) * min(columns, 10) / 90
    assert fraction - block - 1e-9 <= seen <= fraction


def test_a_block_is_a_box_that_hides_whole_what_has_no_size() -> None:
    """Without a size along time, a cell is hidden at all times or at none."""
    seen = Blocks(0.5, {"lat": 3, "lon": 2}).draw(np.random.default_rng(0), SIZES)
    assert (seen.all(0) | ~seen.any(0)).all()


class OneTrack:
    """A generator that sends one track over every field."""

    def __init__(self) -> None:
        self.generator = np.random.default_rng(0)

    def poisson(self, rate: float, size: int) -> np.ndarray:
        return np.ones(size, dtype=int)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.generator, name)


def test_a_track_is_a_line_one_cell_wide() -> None:
    """One cell at most in a row, the next row's no further than the steepest slope."""
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


def test_tracks_are_drawn_anew_for_other_dimensions() -> None:
    """Depths or members are crossed by tracks of their own."""
    drawn = Tracks(0.3).draw(np.random.default_rng(0), {"lat": 9, "member": 5, "lon": 9, "time": 4})
    assert drawn.shape == (9, 5, 9, 4)
    assert (drawn[:, 0] != drawn[:, 1]).any()


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.integers(1, 8), st.integers(0, 99))
def test_a_network_reports_on_time(every: int, number: int, seed: int) -> None:
    """Exactly so many components every so many steps, the first included, and none between."""
    sizes = {"component": 8, "series": 3, "time": 13}
    drawn = Network(every, number).draw(np.random.default_rng(seed), sizes)
    expected = np.where(np.arange(13) % every == 0, number, 0)
    np.testing.assert_array_equal(drawn.sum(0), np.broadcast_to(expected, (3, 13)))


def test_a_network_draws_other_components_each_time() -> None:
    """Every component has its turn, at another time in another series."""
    drawn = Network(4, 20).draw(np.random.default_rng(0), {"series": 2, "time": 200, "component": 40})
    assert drawn.any(1).all()
    assert (drawn[0] != drawn[1]).any()


def pieces_of(source: np.ndarray, shape: tuple[int, ...], flips: bool = False) -> set[bytes]:
    """Every piece of a shape that can be cut from an array."""
    views = np.lib.stride_tricks.sliding_window_view(source, shape).reshape(-1, *shape)
    axes = [[a for a in range(len(shape)) if k >> a & 1] for k in range(2 ** len(shape) if flips else 1)]
    return {np.flip(view, flipped).tobytes() for view in views for flipped in axes}


@pytest.mark.parametrize("flip", [False, True])
def test_a_transplanted_mask_occurs_in_the_source(flip: bool) -> None:
    """A piece is cut from one sample, at any place, and mirrored only if asked."""
    source = masks(sample=3, lat=7, lon=6, time=8)
    sizes = {"time": 4, "lat": 3, "lon": 5}
    known = set().union(
        *(pieces_of(s.transpose("time", "lat", "lon").values, (4, 3, 5), flip) for s in source)
    )
    pattern, generator = Transplanted(source, flip=flip), np.random.default_rng(0)
    drawn = {pattern.draw(generator, sizes).tobytes() for _ in range(60)}
    assert drawn <= known
    assert len(drawn) > 30
    if flip:
        straight = set().union(
            *(pieces_of(s.transpose("time", "lat", "lon").values, (4, 3, 5)) for s in source)
        )
        assert drawn - straight


def test_pieces_are_joined_where_the_source_is_shorter() -> None:
    """Three days of masks fill ten: three pieces of three days, and one of one."""
    source = masks(sample=50, time=3, lat=4)
    drawn = Transplanted(source).draw(np.random.default_rng(0), {"time": 10, "lat": 4})
    for first in (0, 3, 6):
        assert drawn[first : first + 3].tobytes() in {s.values.tobytes() for s in source}
    assert drawn[9:].tobytes() in {day.values.tobytes() for s in source for day in s}
    assert len({drawn[first : first + 3].tobytes() for first in (0, 3, 6)}) > 1


def test_masks_without_a_dimension_are_repeated_along_it() -> None:
    """A mask of a map hides the same cells at all times and depths."""
    drawn = Transplanted(masks(lat=9, lon=10)).draw(np.random.default_rng(0), {"depth": 2, **SIZES})
    assert (drawn == drawn[:1, :1]).all()


@pytest.mark.parametrize("source", [{"time": 30, "lat": 9}, {"sample": 5, "lat": 9}])
def test_a_part_of_the_times_gets_the_gaps(source: dict[str, int]) -> None:
    """All is seen but in one run of steps, which has the gaps of the source."""
    empty = xr.zeros_like(masks(**source))
    pattern, generator = Transplanted(empty, part=0.25), np.random.default_rng(0)
    for _ in range(20):
        seen = pattern.draw(generator, {"lat": 9, "time": 12})
        hidden = np.flatnonzero(~seen.any(0))
        np.testing.assert_array_equal(hidden, hidden[0] + np.arange(3))
        assert seen.all(0).sum() == 9


def test_masks_smaller_than_the_field_are_refused() -> None:
    """The message says how many cells there are and how many are needed."""
    with pytest.raises(DataError, match="masks have 4 cells along 'lat', but 9 are needed; use larger"):
        Transplanted(masks(time=5, lat=4, lon=20)).draw(np.random.default_rng(0), SIZES)


@pytest.mark.parametrize(("weights", "expected"), [(None, 1 / 3), ([1, 0, 0], 1.0), ([3, 1, 0], 0.75)])
def test_weights_say_how_often_a_pattern_is_chosen(weights: list[float] | None, expected: float) -> None:
    """One pattern makes a whole field, the first as often as its weight says."""
    whole, none = xr.ones_like(masks(lat=2)), xr.zeros_like(masks(lat=2))
    pattern = Mixture([Transplanted(whole), Transplanted(none), Transplanted(none)], weights)
    generator = np.random.default_rng(0)
    drawn = np.array([pattern.draw(generator, {"lat": 2}) for _ in range(800)])
    assert (drawn.all(1) | ~drawn.any(1)).all()
    assert drawn.all(1).mean() == pytest.approx(expected, abs=6 * np.sqrt(0.25 / 800))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Random(0.0), "fraction of observed cells is 0.0, expected above 0 and up to 1"),
        (lambda: Random(1.5), "fraction of observed cells is 1.5"),
        (lambda: Random(float("nan")), "fraction of observed cells is nan"),
        (lambda: Tracks(-1), "fraction of observed cells is -1"),
        (lambda: Tracks(0.1, slope=(0.6, 0.2)), "slope of tracks is .*, expected the least and the most"),
        (lambda: Blocks(0.5, {"lat": 0}), "blocks have 0 cells along 'lat', expected 1 or more"),
        (lambda: Network(every=0), "every is 0 and number 20, expected 1 or more"),
        (lambda: Network(number=0), "every is 4 and number 0"),
        (lambda: Mixture([]), "no gap patterns"),
        (lambda: Mixture([Random(0.5)], [1.0, 2.0]), "do not fit 1 gap patterns"),
        (lambda: Mixture([Random(0.5)], [0.0]), "do not fit"),
        (lambda: Mixture([Random(0.5), Random(0.1)], [2.0, -1.0]), "do not fit"),
        (lambda: Transplanted(masks(time=0, lat=3)), "masks to transplant are empty"),
        (lambda: Transplanted(masks(time=3), part=0.0), "is 0.0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make: Callable[[], GapPattern], text: str) -> None:
    """The message says what was got and what was expected."""
    with pytest.raises(Da4dvarError, match=text):
        make()


def test_more_components_than_there_are_cannot_be_seen() -> None:
    """The message has both numbers."""
    with pytest.raises(RecipeError, match="9 components are to be seen, but 'y' has 8"):
        Network(2, 9, component="y").draw(np.random.default_rng(0), {"time": 5, "y": 8})


def test_own_gaps_are_those_of_the_data() -> None:
    """A cell is observed where any variable was; sparse data keep two thirds of the times whole."""
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
