"""The local ensemble transform Kalman smoother."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass

import numpy as np
import xarray as xr

from da4dvar.errors import DataError, check_least
from da4dvar.fields.labels.given import data_set


@dataclass(frozen=True)
class LETKS:
    """x̂ₛ = mean of Xₛ, with Xₛ ← Xₛ (T + w 1ᵀ) for t − lag ≤ s ≤ t at each time t with observations.

    T = (I + SᵀS)^(−½), w = Sᵀ(I + SSᵀ)⁻¹d, where S = √(ρ/(m−1)) X′ₜ/σ and d = √(ρ/(m−1)) (y − x̄ₜ)/σ
    at the observed components, tapered by ρ around each component (Hunt et al., 2007; Gaspari and Cohn,
    1999). Each real variable is treated as a separate state, and all its gaps are filled. The defaults were
    tuned on ``da4dvar.simulate.lorenz96(series=16, steps=200, seed=5555)``.

    Parameters
    ----------
    dynamics : callable
        φ of dx/dt = φ(x), a function of float64 arrays of shape (series, members, component). For a torch
        module, use ``lambda x: module(torch.from_numpy(x)).numpy()``.
    step : float
        Model time between consecutive times of the data, integrated by one step of RK4.
    observation_error : float
        σ, the standard deviation of the observation error, in the units of the state.
    members : int
        m, the size of the ensemble.
    inflation : float
        Dimensionless factor applied to the spread X′ before an analysis.
    radius : float
        Half-width of ρ, in components on a circle: ρ is 0 at distances of twice the radius or more. For
        ``inf``, ρ = 1 everywhere.
    lag : int
        Number of steps over which an observation acts on previous states; 0 for the filter.
    dim, time : str
        Names of the dimensions of the components and of time; all others are independent series.
    mean, std : float
        Mean and standard deviation of the normal draws with which the ensemble starts, in the units of the
        state.
    spin_up : int
        Number of steps from these draws to the first time; 0 if the ensemble would collapse.
    seed : int
        Seed of the draws, which are the same for all series.

    Raises
    ------
    DataError
        If a number is out of range.

    Examples
    --------
    >>> y = xr.Dataset({"x": (("time", "component"), [[np.nan, 4.0], [2.0, np.nan]])})
    >>> LETKS(lambda x: 0 * x, step=1.0, observation_error=0.01).interpolate(y)["x"].values.round(1).tolist()
    [[2.0, 4.0], [2.0, 4.0]]
    """

    dynamics: Callable[[np.ndarray], np.ndarray]
    step: float
    observation_error: float
    _: KW_ONLY
    members: int = 40
    inflation: float = 1.04
    radius: float = 6.0
    lag: int = 20
    dim: str = "component"
    time: str = "time"
    mean: float = 2.3
    std: float = 3.6
    spin_up: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        more_than = {"step": 0, "observation_error": 0, "members": 1, "inflation": 0, "radius": 0, "std": 0}
        for name, bound in (more_than | {"lag": -1, "spin_up": -1}).items():
            if not getattr(self, name) > bound:
                raise DataError(f"{name} is {getattr(self, name)}, expected more than {bound}")
        check_least(0, seed=self.seed)

    def interpolate(self, ds: xr.Dataset | xr.DataArray) -> xr.Dataset:
        """Replace every real variable by its analysis, observed values included.

        Parameters
        ----------
        ds : Dataset or DataArray
            Data with NaN in the gaps. A DataArray must have a name.

        Returns
        -------
        Dataset
            The analyses, with the labels of `ds`.

        Raises
        ------
        DataError
            If a variable lacks the dimension of time or of the components, or the ensemble diverges.
        """
        ds = data_set(ds)
        out = ds.copy()
        for name, array in ds.data_vars.items():
            if array.dtype.kind != "f":
                continue
            for dim in (self.time, self.dim):
                if dim not in array.dims:
                    has = ", ".join(map(str, array.dims))
                    raise DataError(f"variable {name!r} has no dimension {dim!r}; it has {has}")
            y = array.transpose(..., self.time, self.dim)
            y = y if y.chunks is None else y.chunk({self.time: -1, self.dim: -1})
            filled = xr.apply_ufunc(self._smooth, y, dask="parallelized", output_dtypes=[y.dtype])
            out[name] = array.copy(data=filled.transpose(*array.dims).data)
        return out

    def _smooth(self, observed: np.ndarray) -> np.ndarray:
        y = observed.reshape(-1, *observed.shape[-2:]).astype(float)
        series, times, n = y.shape
        draws = np.random.default_rng(self.seed).standard_normal((1, n, self.members))
        x = self._forecast(self.mean + self.std * draws, self.spin_up)
        # Time t is stored at t % (lag + 1), as an analysis does not depend on the order of past times.
        window = np.zeros((series, n, self.lag + 1, self.members))
        out, taper = np.empty(y.shape), _taper(n, self.radius)
        for t in range(times):
            past = np.arange(max(0, t - self.lag), t + 1)
            slots, now = past % (self.lag + 1), t % (self.lag + 1)
            window[:, :, now] = self._forecast(x, 1 if t else 0)
            seen = np.isfinite(y[:, t])
            some = seen.any(-1)
            if some.any():
                window[some] = self._analyse(window[some], now, y[some, t], taper * seen[some, None])
            out[:, past] = window[:, :, slots].mean(-1).swapaxes(1, 2)
            x = window[:, :, now]
        return out.reshape(observed.shape).astype(observed.dtype)

    def _analyse(self, window: np.ndarray, now: int, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
        centre = window[:, :, now].mean(-1)
        spread = self.inflation * (window[:, :, now] - centre[..., None])
        window[:, :, now] = centre[..., None] + spread
        # Use only the p observations with a weight: SSᵀ, p × p, is usually smaller than SᵀS, m × m.
        near = np.argsort(-weight)[..., : (weight > 0).sum(-1).max()]
        scale = np.sqrt(np.take_along_axis(weight, near, -1) / (self.members - 1)) / self.observation_error
        series = np.arange(len(y))[:, None, None]
        s = scale[..., None] * spread[series, near]
        d = scale * np.where(np.isfinite(y), y - centre, 0)[series, near]
        eigenvalues, v = np.linalg.eigh(s @ s.swapaxes(-1, -2))
        r = np.sqrt(1 + eigenvalues.clip(0))[..., None]
        b = v.swapaxes(-1, -2) @ s
        # With b = Vᵀ S and r² = 1 + λ, T = I − bᵀ (r + r²)⁻¹ b, without a division by λ, which may be 0.
        gain = b / (r + r**2) - (v.swapaxes(-1, -2) @ d[..., None]) / r**2
        analysed: np.ndarray = window @ (np.eye(self.members) - b.swapaxes(-1, -2) @ gain)
        return analysed

    def _forecast(self, x: np.ndarray, steps: int) -> np.ndarray:
        f, h, x = self.dynamics, self.step, x.swapaxes(1, 2)
        for _ in range(steps):
            k1 = f(x)
            k2 = f(x + h / 2 * k1)
            k3 = f(x + h / 2 * k2)
            x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + f(x + h * k3))
        if not np.isfinite(x).all():
            raise DataError(f"the ensemble diverges at a time step of {h}; use a shorter one")
        return x.swapaxes(1, 2)


def _taper(n: int, radius: float) -> np.ndarray:
    apart = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    z = np.minimum(apart, n - apart) / radius
    near = 1 + z**2 * (-5 / 3 + z * (5 / 8 + z * (1 / 2 - z / 4)))
    z = z.clip(1, 2)
    far = 4 - 2 / (3 * z) + z * (-5 + z * (5 / 3 + z * (5 / 8 + z * (-1 / 2 + z / 12))))
    taper: np.ndarray = np.where(z > 1, far.clip(0), near)
    return taper
