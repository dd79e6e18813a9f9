"""Classical methods, one per file, with the interface of the learned method.

Each has a method ``interpolate(ds)`` that fills the gaps of a data set. This package imports `fields`,
`layout` and `errors`, and uses no tensors. To add a method, add a file here and its name in `kinds`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from da4dvar import attached

# Imported on first use: names are public here, and modules load what they need.
_PUBLIC = {
    "Analysis": "solve_kernels",
    "Baseline": "base",
    "Climatology": "climatology",
    "CoarseSpace": "coarse_space",
    "Combination": "combination",
    "Deviations": "draws",
    "EofInterpolation": "eof_interpolation",
    "EofIteration": "eof_iteration",
    "FittedPoints": "point_interpolation",
    "GaussianEM": "gaussian_em",
    "Kalman": "kalman",
    "LETKS": "letks",
    "Linear": "linear",
    "Logarithmic": "logarithmic",
    "NearestStations": "nearest_stations",
    "OptimalInterpolation": "optimal_interpolation",
    "PointDeviations": "point_draws",
    "PointInterpolation": "point_interpolation",
    "Scattered": "point_interpolation",
    "SparseCoding": "sparse_coding",
    "Vecchia": "vecchia",
    "WindowGaussian": "window_gaussian",
    "unconditional": "draws",
}

__all__ = [*_PUBLIC]

if TYPE_CHECKING:
    from da4dvar.baselines.base import Baseline as Baseline
    from da4dvar.baselines.climatology import Climatology as Climatology
    from da4dvar.baselines.coarse_space import CoarseSpace as CoarseSpace
    from da4dvar.baselines.combination import Combination as Combination
    from da4dvar.baselines.draws import Deviations as Deviations
    from da4dvar.baselines.draws import unconditional as unconditional
    from da4dvar.baselines.eof_interpolation import EofInterpolation as EofInterpolation
    from da4dvar.baselines.eof_iteration import EofIteration as EofIteration
    from da4dvar.baselines.gaussian_em import GaussianEM as GaussianEM
    from da4dvar.baselines.kalman import Kalman as Kalman
    from da4dvar.baselines.letks import LETKS as LETKS
    from da4dvar.baselines.linear import Linear as Linear
    from da4dvar.baselines.logarithmic import Logarithmic as Logarithmic
    from da4dvar.baselines.nearest_stations import NearestStations as NearestStations
    from da4dvar.baselines.optimal_interpolation import OptimalInterpolation as OptimalInterpolation
    from da4dvar.baselines.point_draws import PointDeviations as PointDeviations
    from da4dvar.baselines.point_interpolation import FittedPoints as FittedPoints
    from da4dvar.baselines.point_interpolation import PointInterpolation as PointInterpolation
    from da4dvar.baselines.point_interpolation import Scattered as Scattered
    from da4dvar.baselines.solve_kernels import Analysis as Analysis
    from da4dvar.baselines.sparse_coding import SparseCoding as SparseCoding
    from da4dvar.baselines.vecchia import Vecchia as Vecchia
    from da4dvar.baselines.window_gaussian import WindowGaussian as WindowGaussian

__getattr__, __dir__ = attached(__name__, _PUBLIC)
