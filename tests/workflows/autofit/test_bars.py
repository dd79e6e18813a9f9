"""Error bars from the errors at hidden points."""

import numpy as np
import pytest

from da4dvar.workflows.autofit.bars import ONE_SIGMA, bars_of
from da4dvar.workflows.autofit.comparison import Residuals


def drawn(number: int, seed: int, scale: str = "distance") -> tuple[Residuals, np.ndarray]:
    """Gaussian errors that grow with the distance, or are known, with their standard deviations."""
    generator = np.random.default_rng(seed)
    distance = generator.uniform(0, 3, number)
    sigma = 0.2 + distance if scale == "distance" else generator.uniform(0.5, 4, number)
    error = sigma * generator.standard_normal(number)
    std = {} if scale == "distance" else {"m": 3 * sigma}
    everywhere = np.zeros(number, int)
    points = Residuals(
        {"m": error}, std, np.ones(number), np.arange(number), everywhere + 1, everywhere > 0, distance
    )
    return points, sigma


@pytest.mark.parametrize("scale", ["distance", "std"])
@pytest.mark.parametrize("level", [0.5, ONE_SIGMA, 0.9])
def test_an_interval_contains_its_share_of_new_errors(scale, level):
    """Whether the method has a standard error, here three times too large, or none."""
    bars = bars_of(drawn(4000, 0, scale)[0], "m")
    new, _ = drawn(4000, 1, scale)
    width = bars.half_width(level, new.distance, new.std.get("m"))
    assert np.mean(np.abs(new.error["m"]) < width) == pytest.approx(level, abs=0.03)


def test_bars_grow_with_the_distance():
    """Far from observations they are wider, and never narrower than nearer by."""
    bars = bars_of(drawn(4000, 0)[0], "m")
    width = bars.half_width(ONE_SIGMA, np.array([0.0, 0.7, 1.6, 2.9, 50.0]), None)
    assert (np.diff(width) >= 0).all()
    assert width[-2] > 2 * width[0]
    assert width[-1] == width[-2]
    assert width[0] == pytest.approx(0.45, abs=0.1)


def test_weights_count_in_the_quantiles():
    """The errors of points that represent nothing do not widen the bars."""
    points, _ = drawn(300, 0)
    large = points.distance < 1.5
    points.error["m"][:] = np.where(large, 100.0, 1.0) * np.sign(points.error["m"])
    points.weight[:] = np.where(large, 1e-9, 1.0)
    points.distance[:] = 1.0
    assert bars_of(points, "m").half_width(0.9, np.ones(1), None) == [1.0]


def test_a_few_points_give_one_class():
    """Of ten points the interval of 99 % is the largest error; a standard error of 0 is not a scale."""
    points, _ = drawn(10, 0, "std")
    bars = bars_of(points, "m")
    assert bars.edges.size == 0
    scaled = np.abs(points.error["m"]) / points.std["m"]
    assert bars.half_width(0.99, np.zeros(1), np.ones(1)) == [scaled.max()]
    points.std["m"][3] = 0.0
    assert not bars_of(points, "m").scales
