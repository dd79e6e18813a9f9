"""Random fields with a given covariance, alone and given observations."""

import numpy as np
import pytest
import xarray as xr

from da4dvar.baselines import optimal_interpolation
from da4dvar.baselines.draws import Deviations, unconditional, white, windows
from da4dvar.baselines.optimal_interpolation import OptimalInterpolation
from da4dvar.baselines.solve_kernels import Analysis
from da4dvar.variational.kernels import FORMS, Separable, SumOfSeparable

PLACE = np.stack(np.meshgrid(30.0 * np.arange(3), 20.0 * np.arange(4), indexing="ij"), -1).reshape(-1, 2)
CLOCK = np.array([0.0, 1.0, 1.5, 4.0, 9.0, 20.0])


@pytest.mark.parametrize(("form", "period"), zip(FORMS, (None, 3.0, None, 3.0), strict=True))
def test_draws_have_the_covariance(form, period):
    """Of every form in space and time, with a period in some, between all points; a Gaussian kurtosis."""
    terms = (Separable(2.0, 50.0, 5.0, form, form, period, 0.7), Separable(0.5, np.inf, 30.0))
    covariance = SumOfSeparable(terms, nugget=1.0)
    drawn = np.stack([unconditional(covariance, PLACE, CLOCK, [1, k]).ravel() for k in range(1500)])
    lag = np.abs(CLOCK[:, None] - CLOCK)
    apart = np.linalg.norm(PLACE[:, None] - PLACE, axis=-1)
    expected = covariance(apart[None, :, None], lag[:, None, :, None]).reshape(72, 72)
    np.testing.assert_allclose(drawn.T @ drawn / 1500, expected, atol=0.35)
    assert np.abs(drawn.T @ drawn / 1500 - expected).mean() < 0.12
    assert np.mean(drawn**4) / np.mean(drawn**2) ** 2 == pytest.approx(3, abs=0.2)


def test_a_draw_does_not_depend_on_the_other_cells():
    """Part of a field has the draw of the whole, of white noise too, and another seed another one."""
    covariance = SumOfSeparable((Separable(2.0, 50.0, 5.0),), nugget=1.0)
    some = [7, 2, 5]
    for draw in (
        lambda place, seed: unconditional(covariance, place, CLOCK, [seed]),
        lambda place, seed: white(place, len(CLOCK), [seed]),
    ):
        np.testing.assert_allclose(draw(PLACE, 0)[:, some], draw(PLACE[some], 0), atol=1e-5)
        assert np.abs(draw(PLACE, 0) - draw(PLACE, 1)).max() > 0.1


def test_white_noise_is_white():
    """Mean 0, variance 1 and no correlation between cells or times."""
    place = np.stack(np.meshgrid(25.0 * np.arange(20), 27.0 * np.arange(20)), -1).reshape(-1, 2)
    noise = white(place, 400, [3, 1])
    assert abs(noise.mean()) < 0.01
    assert noise.std() == pytest.approx(1, abs=0.01)
    for one in (noise, noise.T):
        away = np.corrcoef(one)[~np.eye(400, dtype=bool)]
        assert away.std() == pytest.approx(1 / 20, rel=0.05)


def test_windows_of_time_hardly_change_a_draw():
    """The same draw in two windows that overlap as in one, with the same standard deviation of 1."""
    generator = np.random.default_rng(0)
    clock, seen = np.arange(60.0), generator.random((60, 12)) < 0.3
    covariance = SumOfSeparable((Separable(1.0, 50.0, 3.0, "matern32", "matern32"),), nugget=0.05)
    one, two = (
        Deviations(seen, PLACE, clock, covariance, windows(clock, steps), None, 400, Analysis.estimate)
        for steps in (60, 40)
    )
    assert (len(one.parts), len(two.parts)) == (1, 2)
    assert np.abs(one([0, 3]) - two([0, 3])).max() < 0.05
    for draw in (one.standardised(60), two.standardised(60)):
        drawn = np.stack([draw([0, k]) for k in range(60)])
        assert np.sqrt(np.mean(drawn**2)) == pytest.approx(1, abs=0.05)


def test_samples_of_a_large_field_are_drawn_in_windows(monkeypatch):
    """Their mean and spread are the analysis and its standard error; cells without data stay empty."""
    y = np.cos(np.arange(80)[:, None] / 6 + np.arange(3)) + np.zeros((80, 3))
    y[np.random.default_rng(0).random(y.shape) < 0.5] = np.nan
    y[:, 2] = np.nan
    ds = xr.Dataset({"x": (("time", "place"), y)})
    method = OptimalInterpolation(covariance=SumOfSeparable((Separable(1.0, 2.0, 5.0),), nugget=0.05))
    monkeypatch.setattr(optimal_interpolation, "MOST_VALUES", 100)
    drawn, expected = method.samples(ds, 200).x, method.interpolate(ds)
    assert drawn.dims == ("realization", "time", "place")
    assert drawn[..., 2].isnull().all()
    assert float(np.abs(drawn.mean("realization") - expected.x).max()) < 0.25
    assert float((drawn.std("realization") / expected.x_std).mean()) == pytest.approx(1, abs=0.1)
