"""Error bars from the errors at hidden points."""

from dataclasses import replace

import numpy as np
import pytest

from da4dvar.fields.gaps.likeness import NEVER
from da4dvar.workflows.autofit.bars import ONE_SIGMA, PREDICTORS, Bars, bars_of
from da4dvar.workflows.autofit.comparison import Residuals

LENGTHS = (1, 3, 7, 14, 30)


def points(error: np.ndarray, std: np.ndarray | None = None, **known: np.ndarray) -> Residuals:
    """Errors of a method `m`, each in a shape of its own and in a gap of one step unless told otherwise."""
    one = np.ones(error.size)
    given = {
        "weight": one,
        "shape": np.arange(error.size),
        "length": one.astype(int),
        "ends": one < 0,
        "distance": one,
        "bridge": one / 2,
        "apart": one,
        "known": one,
    } | known
    return Residuals({"m": error}, {} if std is None else {"m": std}, **given)


def drawn(number: int, seed: int, scale: str) -> Residuals:
    """Gaussian errors that grow with the length of the gap, or the distance, or are known."""
    generator = np.random.default_rng(seed)
    distance = generator.uniform(0.1, 3, number)
    length = generator.choice(LENGTHS, number, p=(0.4, 0.3, 0.15, 0.1, 0.05))
    sigma = {
        "distance": 0.2 + distance,
        "length": 0.3 * length**0.7,
        "std": generator.uniform(0.5, 4, number),
    }
    error = sigma[scale] * generator.standard_normal(number)
    # A standard error that is three times too large.
    std = 3 * sigma["std"] if scale == "std" else None
    return points(error, std, distance=distance, length=length, bridge=length / 2)


def half(bars: Bars, level: float, at: Residuals) -> np.ndarray:
    """Half the width of the interval of a level at some points."""
    return bars.scale(at, at.std.get("m")) * bars.factor(level)


@pytest.mark.parametrize("scale", ["distance", "length", "std"])
@pytest.mark.parametrize("level", [0.5, ONE_SIGMA, 0.9])
def test_an_interval_contains_its_share_of_new_errors(scale, level):
    """Whatever the size of the error depends on."""
    bars = bars_of(drawn(4000, 0, scale), "m")
    new = drawn(4000, 1, scale)
    assert np.mean(np.abs(new.error["m"]) < half(bars, level, new)) == pytest.approx(level, abs=0.03)


@pytest.mark.parametrize("seed", range(5))
def test_coverage_holds_in_every_class_of_gap_lengths(seed):
    """Where errors grow with the length of the gap, and long gaps are rare among the hidden points."""
    bars = bars_of(drawn(2000, seed, "length"), "m")
    new = drawn(40_000, seed + 100, "length")
    inside = np.abs(new.error["m"]) < half(bars, 0.9, new)
    for length in LENGTHS:
        assert 0.86 < inside[new.length == length].mean() < 0.94


def test_long_gaps_that_weigh_more_than_they_were_hidden_decide():
    """Errors that no function of the predictors describes are covered where the weights say so."""
    generator = np.random.default_rng(0)
    length = generator.choice([1, 10, 30], 3000, p=(0.9, 0.08, 0.02))
    # In gaps of ten steps, errors are large; neither shorter nor longer ones have such errors.
    error = np.where(length == 10, 5.0, 1.0) * generator.standard_normal(3000)
    alike = points(error, length=length, weight=np.where(length == 10, 1000.0, 1.0))
    bars = bars_of(alike, "m")
    assert np.mean(np.abs(error) < half(bars, 0.9, alike), where=length == 10) == pytest.approx(0.9, abs=0.03)


def test_points_that_represent_nothing_do_not_widen_the_bars():
    """Half of the errors are a hundred times larger, with next to no weight."""
    large = np.arange(300) % 2 == 0
    bars = bars_of(points(np.where(large, 100.0, -1.0), weight=np.where(large, 1e-9, 1.0)), "m")
    assert half(bars, 0.9, points(np.ones(1))) == pytest.approx([1.0])


@pytest.mark.parametrize("name", PREDICTORS)
def test_bars_never_shrink_with_what_makes_a_gap_hard(name):
    """Errors that shrink with a property leave it out; those that grow with it have bars that do."""
    generator = np.random.default_rng(1)
    x = generator.uniform(1, 20, 3000).round()
    steps = np.arange(1.0, 21.0)
    at = points(steps, **{name: steps})
    for power in (-1.0, 1.0):
        # A cell that is often observed is easier.
        size = x ** (-power if name == "known" else power)
        error = size * generator.standard_normal(x.size)
        width = half(bars_of(points(error, **{name: x}), "m"), 0.9, at)
        width = width[::-1] if name == "known" else width
        assert (np.diff(width) >= 0).all()
        assert width[-1] / width[0] == pytest.approx(20 if power > 0 else 1, rel=0.2)


def test_one_shape_does_not_tell_how_large_errors_become():
    """Of a hundred shapes one is ten times as long as all others; beyond those, the bars widen."""
    generator = np.random.default_rng(6)
    length = np.where(np.arange(100) == 7, 40, 4)
    bars = bars_of(points(generator.standard_normal(100), length=length), "m")
    usual, long = bars.scale(points(np.ones(2), length=np.array([4, 40])), None)
    assert long == pytest.approx(np.sqrt(10) * usual)


@pytest.mark.parametrize("name", ["length", "distance"])
def test_bars_widen_beyond_what_was_hidden(name):
    """By the square root of the ratio, as the error of a random walk; nearer by they stay as they are."""
    hidden = drawn(4000, 0, name)
    bars = bars_of(hidden, "m")
    most = getattr(hidden, name).max()
    at = points(np.ones(4), **{name: np.array([0.0, getattr(hidden, name).min(), most, 4 * most])})
    nearer, nearest, farthest, beyond = bars.scale(at, None)
    assert nearer == nearest < farthest
    assert beyond == pytest.approx(2 * farthest)


def test_a_time_without_any_observation_counts_as_the_farthest():
    """There is no distance at the same time then, which must not make the bars infinite."""
    generator = np.random.default_rng(2)
    apart = generator.choice([1.0, 9.0, NEVER], 3000)
    error = np.minimum(apart, 9) * generator.standard_normal(3000)
    at = points(np.ones(3), apart=np.array([1.0, 9.0, NEVER]))
    width = bars_of(points(error, apart=apart), "m").scale(at, None)
    assert width[1] == width[2] == pytest.approx(9 * width[0], rel=0.2)
    alone = bars_of(points(error, apart=np.full(3000, NEVER)), "m")
    assert np.isfinite(alone.scale(points(np.ones(1), apart=np.full(1, NEVER)), None)).all()


def test_few_shapes_give_wider_intervals():
    """Errors within a shape are alike; on average over new shapes, as many are inside as promised."""
    generator = np.random.default_rng(3)
    inside, narrow = [], []
    for _ in range(200):
        shape = np.repeat(np.arange(12), 40)
        bars = bars_of(points(generator.standard_normal(12)[shape], shape=shape), "m")
        new = generator.standard_normal(4000)
        for found, limit in ((inside, bars), (narrow, replace(bars, independent=480.0))):
            found.append(np.mean(np.abs(new) < half(limit, 0.9, points(np.ones(1)))))
    assert 0.9 <= np.mean(inside) < 0.97
    assert np.mean(narrow) < 0.9


def test_exponents_of_noise_stay_small():
    """Of few shapes, nothing is learned that is not there; a standard error that is right keeps its place."""
    generator = np.random.default_rng(4)
    shape = np.repeat(np.arange(20), 50)
    known = {name: generator.uniform(1, 30, 20)[shape] for name in PREDICTORS}
    std = generator.uniform(1, 3, shape.size)
    bars = bars_of(points(std * generator.standard_normal(shape.size), std, shape=shape, **known), "m")
    assert bars.exponents[0] == pytest.approx(1, abs=0.15)
    assert bars.exponents[1:].max() < 0.15


def test_noise_is_a_floor_of_the_standard_error():
    """Hidden points are noisy observations, which the standard error of the method leaves out."""
    generator = np.random.default_rng(5)
    std = generator.choice([0.1, 1.0, 3.0], 4000)
    hidden = points(np.hypot(std, 1) * generator.standard_normal(4000), std)
    bars = bars_of(hidden, "m")
    assert bars.floor == 1
    inside = np.abs(hidden.error["m"]) < half(bars, 0.9, hidden)
    assert all(0.88 < inside[std == value].mean() < 0.92 for value in (0.1, 1.0, 3.0))


def test_a_few_points_give_their_largest_error():
    """Of ten points the interval of 99 % is the largest error; a standard error of 0 is not a scale."""
    generator = np.random.default_rng(0)
    std = generator.uniform(0.5, 4, 10)
    hidden = points(generator.standard_normal(10), std)
    bars = bars_of(hidden, "m")
    assert bars.scales
    assert bars.factor(0.99) == bars.scaled[-1]
    assert bars.factor(0.5) < bars.factor(ONE_SIGMA) < bars.factor(0.9) <= bars.factor(0.99)
    std[3] = 0.0
    assert not bars_of(hidden, "m").scales


def test_errors_that_are_zero_have_bars_of_no_width():
    """A constant series is filled exactly."""
    bars = bars_of(points(np.zeros(30), length=np.arange(1, 31)), "m")
    assert half(bars, 0.9, points(np.zeros(1))) == 0
    one = bars_of(points(np.ones(1)), "m")
    assert half(one, 0.9, points(np.ones(1))) == pytest.approx(1)
