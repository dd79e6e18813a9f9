"""Tests of the local ensemble transform Kalman smoother."""

from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from da4dvar.baselines.letks import LETKS
from da4dvar.baselines.linear import Linear
from da4dvar.errors import DataError
from da4dvar.fields.scores.metrics import r_score
from da4dvar.simulate import lorenz96
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.dynamics.rk4 import rk4

NAN = np.nan
DIMS = ("series", "time", "component")
ERROR = 0.5
# A wave that travels around the circle with slight damping.
LINEAR = 0.5 * np.roll(np.eye(4), 1, 0) - 0.6 * np.eye(4)


def on_arrays(module: torch.nn.Module) -> Any:
    """Wrap a right-hand side of tensors as a function of arrays."""
    return lambda x: module(torch.from_numpy(x)).numpy()


def still(x: np.ndarray) -> np.ndarray:
    """A right-hand side of zero."""
    return 0 * x


def wave(x: np.ndarray) -> np.ndarray:
    """dx/dt = A x."""
    return x @ LINEAR.T


def smoother(**options: Any) -> LETKS:
    """A smoother without inflation and localisation, for comparison with Kalman's."""
    exact: dict[str, Any] = {"inflation": 1.0, "radius": np.inf, "spin_up": 0, "lag": 30}
    exact |= {"dynamics": wave, "step": 0.3, "observation_error": ERROR}
    return LETKS(**(exact | options))


def gappy(series: int = 2, times: int = 12, components: int = 4, seed: int = 0) -> xr.Dataset:
    """Noise with two thirds of the values missing, and all of the first time."""
    generator = np.random.default_rng(seed)
    y = generator.normal(size=(series, times, components))
    y[generator.random(y.shape) < 0.66] = NAN
    y[:, 0] = NAN
    return xr.Dataset({"x": (DIMS, y)})


def ensemble(method: LETKS, y: xr.Dataset) -> np.ndarray:
    """The initial ensemble, (members, component), as first passed to the dynamics."""
    given: list[np.ndarray] = []

    def spy(x: np.ndarray) -> np.ndarray:
        given.append(x.copy())
        return method.dynamics(x)

    LETKS(**{**vars(method), "dynamics": spy}).interpolate(y)
    return given[0][0]


def least_squares(y: np.ndarray, mean: np.ndarray, covariance: np.ndarray, lag: int) -> np.ndarray:
    """E[x(t) | y(0), ..., y(t + lag)] of the wave, by a regression on the initial state for each t."""
    a = LINEAR * 0.3
    step = np.eye(4) + a + a @ a / 2 + a @ a @ a / 6 + a @ a @ a @ a / 24
    to = [np.linalg.matrix_power(step, t) for t in range(len(y))]
    out = []
    for t in range(len(y)):
        times, cells = np.nonzero(~np.isnan(y[: t + lag + 1]))
        h = np.array([to[s][j] for s, j in zip(times, cells, strict=True)]).reshape(-1, 4)
        precision = np.linalg.inv(covariance) + h.T @ h / ERROR**2
        departure = h.T @ (y[times, cells] - h @ mean) / ERROR**2
        out.append(to[t] @ (mean + np.linalg.solve(precision, departure)))
    return np.array(out)


@pytest.mark.parametrize("lag", [0, 3, 30])
def test_of_a_linear_system_it_is_the_kalman_smoother(lag):
    """For a linear system, the result is that of a Kalman smoother with the ensemble's initial statistics."""
    y, method = gappy(), smoother(lag=lag, members=9)
    draws = ensemble(method, y)
    out = method.interpolate(y).x.values
    for seen, analysis in zip(y.x.values, out, strict=True):
        expected = least_squares(seen, draws.mean(0), np.cov(draws.T), lag)
        np.testing.assert_allclose(analysis, expected, rtol=1e-7, atol=1e-9)


def test_many_members_know_the_covariance():
    """With 1000 members, the result is close to a Kalman smoother with the given mean and std."""
    y, method = gappy(series=1), smoother(members=1000, mean=1.0, std=2.0)
    expected = least_squares(y.x.values[0], np.ones(4), 4 * np.eye(4), 30)
    np.testing.assert_allclose(method.interpolate(y).x[0], expected, atol=4 * 2.0 / np.sqrt(1000))


def test_the_forecast_is_a_step_of_runge_and_kutta():
    """Without observations, the estimate is the mean of the members integrated by `rk4`."""
    nothing = xr.Dataset({"x": (DIMS, np.full((1, 3, 8), NAN))})
    method = smoother(dynamics=on_arrays(Lorenz96(axis=-1)), step=0.05)
    x = torch.from_numpy(ensemble(method, nothing))
    twice = rk4(Lorenz96(axis=-1), rk4(Lorenz96(axis=-1), x, 0.05), 0.05)
    np.testing.assert_allclose(method.interpolate(nothing).x[0, 2], twice.mean(0))
    spun_up = smoother(dynamics=on_arrays(Lorenz96(axis=-1)), step=0.05, spin_up=2)
    np.testing.assert_allclose(spun_up.interpolate(nothing).x[0, 0], twice.mean(0))


def test_an_observation_reaches_less_than_two_radii_round_the_circle():
    """The weight of an observation is 0 at twice the radius, and 5/24 of the full weight at the radius."""
    seen = xr.Dataset({"x": (DIMS, np.full((1, 1, 12), NAN))})
    seen.x[0, 0, 1] = 5.0
    method = smoother(dynamics=still, radius=2.0, members=200)
    change = (method.interpolate(seen) - method.interpolate(seen * NAN)).x.values[0, 0]
    assert np.flatnonzero(np.abs(change) > 1e-9).tolist() == [0, 1, 2, 3, 4, 10, 11]
    # For a single observation, a weight of 5/24 is equivalent to an error variance 24/5 times as large.
    doubtful = smoother(dynamics=still, members=200, observation_error=ERROR * np.sqrt(24 / 5))
    far = (doubtful.interpolate(seen) - doubtful.interpolate(seen * NAN)).x.values[0, 0]
    np.testing.assert_allclose(change[[3, 11]], far[[3, 11]])


def test_inflation_trusts_the_observations_more():
    """Doubling the inflation is equivalent to halving the observation error."""
    y = gappy(times=2)
    wide = smoother(inflation=2.0, lag=0).interpolate(y)
    xr.testing.assert_allclose(wide, smoother(observation_error=ERROR / 2, lag=0).interpolate(y))


def test_it_beats_linear_interpolation():
    """The smoother is far better than linear interpolation on a chaotic system."""
    ds = lorenz96(series=2, steps=60, seed=7)
    method = LETKS(on_arrays(Lorenz96(axis=-1)), step=0.05, observation_error=2**0.5)
    smoothed, line = (m.interpolate(ds[["x_observed"]]).x_observed for m in (method, Linear()))
    assert float(r_score(smoothed, ds.x)) < 0.3 * float(r_score(line, ds.x))


def test_a_series_does_not_depend_on_the_others():
    """A series has the same result alone and with others; different seeds give different results."""
    y = gappy(series=5)
    y.x[2, ::2] = NAN
    method = smoother(inflation=1.1, radius=1.0, spin_up=2)
    among = method.interpolate(y)
    for i in range(5):
        xr.testing.assert_allclose(method.interpolate(y.isel(series=i)), among.isel(series=i))
    first, other = (smoother(seed=s, members=5).interpolate(gappy()) for s in (1, 2))
    assert not np.allclose(first.x, other.x)


@pytest.mark.parametrize("missing", ["time", "component"])
def test_a_variable_without_a_dimension_is_refused(missing):
    """The message names the variable and its dimensions."""
    y = gappy().isel({missing: 0})
    with pytest.raises(DataError, match=f"variable 'x' has no dimension '{missing}'; it has series, "):
        smoother().interpolate(y)


def test_an_ensemble_that_runs_away_is_refused():
    """If the ensemble diverges, the message suggests a shorter step."""
    method = smoother(dynamics=lambda x: x**2, step=100.0)
    with np.errstate(over="ignore"), pytest.raises(DataError, match=r"step of 100\.0; use a shorter one"):
        method.interpolate(gappy())
