"""Classical methods, with settings that make them fast, on one small data set."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import xarray as xr
from hypothesis import strategies as st

from da4dvar.baselines import Baseline
from da4dvar.baselines.climatology import Climatology
from da4dvar.baselines.combination import Combination
from da4dvar.baselines.eof_interpolation import EofInterpolation
from da4dvar.baselines.eof_iteration import EofIteration
from da4dvar.baselines.gaussian_em import GaussianEM
from da4dvar.baselines.kalman import Kalman
from da4dvar.baselines.letks import LETKS
from da4dvar.baselines.linear import Linear
from da4dvar.baselines.logarithmic import Logarithmic
from da4dvar.baselines.nearest_stations import NearestStations
from da4dvar.baselines.optimal_interpolation import OptimalInterpolation
from da4dvar.baselines.sparse_coding import SparseCoding
from da4dvar.baselines.window_gaussian import WindowGaussian
from da4dvar.config.kinds import BY_NAME, class_of
from da4dvar.testing import labelled_sea

DAYS = 40
IMAGE = ("lat", "lon")


def gappy(seed: int = 0, part: float = 0.7) -> xr.Dataset:
    """Return forty days of the data set of the contract, with a further fraction of the values hidden."""
    ds = labelled_sea(DAYS)
    generator = np.random.default_rng(seed)
    for name in ds.data_vars:
        hidden = generator.random(ds[name].shape) >= part
        ds[name] = ds[name].copy(data=np.where(hidden, ds[name].dtype.type(np.nan), ds[name]))
    return ds


def complete() -> xr.Dataset:
    """Return the data set without gaps and without land."""
    ds = labelled_sea(DAYS)
    generator = np.random.default_rng(1)
    return ds.map(
        lambda a: a.copy(data=15 + generator.standard_normal(a.shape).astype(a.dtype)), keep_attrs=True
    )


def still(x: np.ndarray) -> np.ndarray:
    """Return the tendency of a system that does not change."""
    return 0 * x


METHODS: dict[str, Callable[..., Baseline]] = {
    "linear": Linear,
    "climatology": Climatology,
    "combination": lambda: Combination([Linear(), Climatology()], [2.0, 1.0]),
    "logarithmic": lambda: Logarithmic(Linear(), offset=1.0),
    "optimal interpolation": lambda **more: OptimalInterpolation(neighbours=10, **more),
    "EOF iteration": lambda **more: EofIteration(modes=2, **more),
    "EOF interpolation": lambda **more: EofInterpolation(days=3, modes=3, **more),
    "nearest stations": lambda **more: NearestStations(station="lon", lags=5, **more),
    "joint Gaussian": lambda **more: GaussianEM(station="lon", steps=3, **more),
    "window Gaussian": lambda **more: WindowGaussian(station="lon", window=3, steps=3, **more),
    "Kalman": lambda **more: Kalman(iterations=2, order=1, **more),
    "LETKS": lambda **seed: LETKS(still, step=1.0, observation_error=0.5, members=5, dim="lon", **seed),
    "sparse coding": lambda **more: SparseCoding(complete(), IMAGE, atoms=3, sparsity=1, turns=3, **more),
    "sparse coding that keeps": lambda **seed: METHODS["sparse coding"](keep_observed=True, **seed),
}
# A kind without required settings is tested without an entry above.
_tried = {type(make()) for make in METHODS.values()}
METHODS |= {k: cls for k in BY_NAME["baseline"] if (cls := class_of("baseline", k)) not in _tried}
if find_spec(Kalman.needs) is None:
    del METHODS["Kalman"]
SEEDED = (
    "optimal interpolation", "EOF iteration", "EOF interpolation", "joint Gaussian", "LETKS", "sparse coding",
    "window Gaussian",
)  # fmt: skip
# Kinds that solve each position along a further dimension separately.
BY_SAMPLE = (
    "linear", "logarithmic", "optimal interpolation", "nearest stations", "joint Gaussian", "LETKS",
    "sparse coding", "window Gaussian", *(["Kalman"] if "Kalman" in METHODS else []),
)  # fmt: skip
KEEPS_OBSERVED = tuple(
    {
        "linear",
        "EOF iteration",
        "nearest stations",
        "joint Gaussian",
        "window Gaussian",
        "Kalman",
        "sparse coding that keeps",
    }.intersection(METHODS)
)

methods = st.sampled_from(sorted(METHODS))


def estimable(name: str, array: xr.DataArray) -> Any:
    """Return where a method must give an estimate: cells (for sparse coding, images) ever observed."""
    seen = np.isfinite(array)
    return seen.any(IMAGE) if name.startswith("sparse coding") else seen.any("time")
