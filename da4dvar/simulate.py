"""Twin experiments: the truth from a known system, and partial, noisy observations of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import xarray as xr
from scipy.integrate import solve_ivp
from torch import nn

from da4dvar.errors import DataError, check_least
from da4dvar.fields.gaps.patterns import Network
from da4dvar.progress import Progress
from da4dvar.variational.dynamics.lorenz63 import Lorenz63
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.dynamics.rk4 import rk4

# Model time after which the initial state is forgotten: several tens of error doubling times.
SPIN_UP_96, SPIN_UP_63 = 20.0, 5.0
# Number of steps of the published trajectory.
LENGTH = 10_000
J = "component j"


def lorenz96(
    series: int = 16,
    steps: int = 200,
    seed: int = 0,
    *,
    components: int = 40,
    forcing: float = 8.0,
    step: float = 0.05,
    every: int = 4,
    number: int = 20,
    noise_variance: float = 2.0,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Simulate series of the Lorenz-96 system, each from a different state on the attractor.

    dxⱼ/dt = (xⱼ₊₁ − xⱼ₋₂) xⱼ₋₁ − xⱼ + F, Lorenz (1996), eq. (1). The defaults are those of the paper's
    Table 2. State and model time are dimensionless.

    Parameters
    ----------
    series, steps : int
        Number of independent series, and number of times in each.
    seed : int
        Seed of the initial states, the gaps and the noise.
    components : int
        J, the number of components of the state.
    forcing : float
        F.
    step : float
        Model time between consecutive states; RK4 integrates with a tenth of it.
    every, number : int
        Interval in steps between observations, starting at the first step, and number of components
        observed, drawn separately for each of these times and each series.
    noise_variance : float
        Variance of the observation error.
    progress : callable, optional
        Called with the number of integration steps done and their total.

    Returns
    -------
    Dataset
        ``x`` (truth) and ``x_observed`` (NaN where not observed), with the dimensions (series, time,
        component).

    Raises
    ------
    DataError
        If a number is not positive, more components are to be observed than there are, or the step is so
        long that the system diverges.

    Examples
    --------
    >>> ds = lorenz96(series=2, steps=9, seed=1)
    >>> int(ds.x_observed.isel(series=0, time=4).count())
    20
    """
    _check(series, steps, components, step)
    check_least(0, seed=seed)
    generator = np.random.default_rng(seed)
    start = forcing + generator.standard_normal((series, components))
    truth = _trajectories(Lorenz96(forcing, axis=-1), start, steps, step, SPIN_UP_96, progress)
    sizes = {"series": series, "time": steps, "component": components}
    observed = Network(every, number).draw(generator, sizes)
    return _twin(truth, J, observed, noise_variance, step, generator, "Lorenz-96", seed)


def lorenz63(
    series: int = 16,
    steps: int = 200,
    seed: int = 0,
    *,
    step: float = 0.01,
    every: int = 8,
    noise_variance: float = 2.0,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Simulate series of the Lorenz-63 system, with all three components observed every few steps.

    dx/dt = σ(y − x), dy/dt = x(ρ − z) − y, dz/dt = xy − βz, Lorenz (1963), eqs. (25)-(27), with σ = 10,
    ρ = 28 and β = 8/3. State and model time are dimensionless.

    Parameters
    ----------
    series, steps : int
        Number of independent series, and number of times in each.
    seed : int
        Seed of the initial states, the gaps and the noise.
    step : float
        Model time between consecutive states; RK4 integrates with a tenth of it.
    every : int
        Interval in steps between observations, starting at the first step.
    noise_variance : float
        Variance of the observation error.
    progress : callable, optional
        Called with the number of integration steps done and their total.

    Returns
    -------
    Dataset
        ``x`` (truth) and ``x_observed`` (NaN where not observed), with the dimensions (series, time,
        component).

    Raises
    ------
    DataError
        If a number is not positive, or the step is so long that the system diverges.

    Examples
    --------
    >>> ds = lorenz63(series=1, steps=17, seed=1, step=0.05)
    >>> int(ds.x_observed.count())  # three components at the times 0, 8 and 16
    9
    """
    _check(series, steps, 3, step)
    check_least(0, seed=seed)
    generator = np.random.default_rng(seed)
    start = np.array([1.0, 1.0, 25.0]) + generator.standard_normal((series, 3))
    truth = _trajectories(Lorenz63(axis=-1), start, steps, step, SPIN_UP_63, progress)
    observed = Network(every, 3).draw(generator, {"series": series, "time": steps, "component": 3})
    return _twin(truth, "component: x, y, z", observed, noise_variance, step, generator, "Lorenz-63", seed)


def lorenz96_published(
    series: int = 16,
    steps: int = 200,
    seed: int = 0,
    *,
    first: int = 0,
    last: int = 7000,
    every: int = 4,
    number: int = 20,
    noise_variance: float = 2.0,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Simulate Lorenz-96 as in the published code of Fablet, Drumetz and Rousseau (2020).

    The series are pieces of one trajectory of 10,000 steps of 0.05, integrated by an adaptive scheme of
    orders 5 and 4 with a relative tolerance of 1e-3. The pieces overlap, and the same components are
    observed in all of them.

    Parameters
    ----------
    series, steps : int
        Number of pieces, and number of times in each.
    seed : int
        Seed of the choice of pieces, the gaps and the noise; the trajectory is always the same.
    first, last : int
        Range of the trajectory from which pieces are taken: 0 to 7000 for training, 7500 to 10,000 for
        testing.
    every, number : int
        Interval in steps between observations, starting at the first step, and number of components
        observed.
    noise_variance : float
        Variance of the observation error.
    progress : callable, optional
        Called with the number of integration steps done and their total.

    Returns
    -------
    Dataset
        As of :func:`lorenz96`.

    Raises
    ------
    DataError
        If a number is not positive, or the pieces do not fit into their part of the trajectory.

    Examples
    --------
    >>> lorenz96_published(steps=201, first=9900, last=10_000)
    Traceback (most recent call last):
    ...
    da4dvar.errors.DataError: got pieces of 201 steps from 9900 to 10000, expected a range ...
    """
    _check(series, steps, 40, 0.05)
    if not 0 <= first < last <= LENGTH or last - first < steps:
        raise DataError(
            f"got pieces of {steps} steps from {first} to {last}, expected a range within 0 to {LENGTH} "
            "that holds a piece"
        )
    check_least(0, seed=seed)
    dynamics = Lorenz96(axis=-1)

    def tendency(time: float, x: np.ndarray) -> np.ndarray:
        if progress is not None:
            progress(round(time / 0.05), round(times[-1] / 0.05))
        slope: np.ndarray = dynamics(torch.from_numpy(x)).numpy()
        return slope

    start = 8.0 + np.random.default_rng(0).standard_normal(40)
    times = SPIN_UP_96 + 0.05 * np.arange(LENGTH)
    solved = solve_ivp(tendency, (0, times[-1]), start, "RK45", t_eval=times, rtol=1e-3)
    generator = np.random.default_rng(seed)
    begin = generator.integers(first, last - steps + 1, series)
    truth = solved.y.T[begin[:, None] + np.arange(steps)]
    observed = Network(every, number).draw(generator, {"time": steps, "component": 40})
    mask = np.broadcast_to(observed, truth.shape)
    return _twin(truth, J, mask, noise_variance, 0.05, generator, "Lorenz-96", seed)


def _check(series: int, steps: int, components: int, step: float) -> None:
    if min(series, steps, components) < 1 or not step > 0:
        raise DataError(
            f"got {series} series of {steps} steps of {step} and {components} components, "
            "expected all of these to be positive"
        )


def _trajectories(
    dynamics: nn.Module,
    start: np.ndarray,
    steps: int,
    step: float,
    spin_up: float,
    progress: Progress | None,
) -> np.ndarray:
    """Integrate states after a spin-up, shape (series, time, component)."""
    x = torch.from_numpy(start)
    fine = step / 10
    before_each = [round(spin_up / fine)] + [10] * (steps - 1)
    done, total, states = 0, sum(before_each), []
    with torch.no_grad():
        for count in before_each:
            for _ in range(count):
                x = rk4(dynamics, x, fine)
                done += 1
                if progress is not None:
                    progress(done, total)
            states.append(x)
    if not torch.isfinite(states[-1]).all():
        raise DataError(f"the system diverges at a time step of {step}; use a shorter one")
    return torch.stack(states, dim=1).numpy()


def _twin(
    truth: np.ndarray,
    components: str,
    observed: np.ndarray,
    noise_variance: float,
    step: float,
    generator: np.random.Generator,
    system: str,
    seed: int,
) -> xr.Dataset:
    if noise_variance < 0:
        raise DataError(f"noise_variance is {noise_variance}, expected 0 or more")
    dims = ("series", "time", "component")
    noise = np.sqrt(noise_variance) * generator.standard_normal(truth.shape)
    attrs = {"long_name": f"state of {system}", "units": "1"}
    seen_attrs = attrs | {
        "long_name": f"observed state of {system}",
        "observation_error_std": float(np.sqrt(noise_variance)),
    }
    time = np.arange(truth.shape[1]) * step
    return xr.Dataset(
        {
            "x": (dims, truth.astype("float32"), attrs),
            "x_observed": (dims, np.where(observed, truth + noise, np.nan).astype("float32"), seen_attrs),
        },
        coords={
            "series": (
                "series",
                np.arange(truth.shape[0], dtype="int32"),
                {"long_name": "number of the series"},
            ),
            "time": ("time", time, {"axis": "T", "units": "1", "long_name": "model time"}),
            "component": ("component", np.arange(truth.shape[2], dtype="int32"), {"long_name": components}),
        },
        attrs={
            "Conventions": "CF-1.11",
            "title": f"{system} twin experiment",
            "source": f"da4dvar.simulate, seed {seed}",
        },
    )


SYSTEMS: dict[str, Callable[..., xr.Dataset]] = {
    "lorenz96": lorenz96,
    "lorenz63": lorenz63,
    "lorenz96_published": lorenz96_published,
}
