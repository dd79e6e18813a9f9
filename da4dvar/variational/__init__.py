"""The variational cost, its priors and its solvers, on tensors.

U(x, y, Ω) = ‖H(x) − y‖²_Ω + λ ρ(‖x − Φ(x)‖), with tensors of shape ``(batch, channel, *space)``. This
package uses torch but no labelled arrays, and imports only `errors` and `layout`. A prior Φ belongs in
`priors`, the right-hand side of an ODE in `dynamics`, a minimiser in `solvers` and an operator H in
`observation`: one class per file, registered by name in `kinds`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from da4dvar import attached

# Imported on first use: names are public here, and modules load what they need.
_PUBLIC = {
    "AtPoints": "at_points",
    "Background": "background",
    "Bilinear": "dynamics.bilinear",
    "Chain": "solvers.chain",
    "ConjugateGradient": "solvers.conjugate_gradient",
    "ControlVariable": "solvers.control_variable",
    "ConvLSTM": "solvers.lstm",
    "Correction": "solvers.correction",
    "Cost": "cost",
    "Covariance": "priors.covariance",
    "Cycle": "cycle",
    "DenseAutoencoder": "priors.autoencoder",
    "Direct": "solvers.direct",
    "Estimate": "estimation",
    "FixedPoint": "solvers.fixed_point",
    "Flow": "priors.flow",
    "GradientDescent": "solvers.gradient_descent",
    "Identity": "observation",
    "Joined": "at_points",
    "LearnedOperator": "observation",
    "LevenbergMarquardt": "solvers.levenberg_marquardt",
    "LinearOperator": "observation",
    "Lorenz63": "dynamics.lorenz63",
    "Lorenz96": "dynamics.lorenz96",
    "Observation": "observation",
    "PCA": "priors.pca",
    "Sensors": "observation",
    "Separable": "kernels",
    "Solution": "solvers.base",
    "Solver": "solvers.base",
    "SumOfSeparable": "kernels",
    "Terms": "cost",
    "UNet": "priors.unet",
    "VariationalCost": "cost",
    "VariationalModel": "model",
    "Window": "cycle",
    "covariance_of": "kernels",
    "estimate_parameters": "estimation",
    "learn_dynamics": "dynamics.identification",
    "learn_projection": "priors.projection",
    "recomputed": "solvers.recompute",
    "rk4": "dynamics.rk4",
}

__all__ = [*_PUBLIC]

if TYPE_CHECKING:
    from da4dvar.variational.at_points import AtPoints as AtPoints
    from da4dvar.variational.at_points import Joined as Joined
    from da4dvar.variational.background import Background as Background
    from da4dvar.variational.cost import Cost as Cost
    from da4dvar.variational.cost import Terms as Terms
    from da4dvar.variational.cost import VariationalCost as VariationalCost
    from da4dvar.variational.cycle import Cycle as Cycle
    from da4dvar.variational.cycle import Window as Window
    from da4dvar.variational.dynamics.bilinear import Bilinear as Bilinear
    from da4dvar.variational.dynamics.identification import learn_dynamics as learn_dynamics
    from da4dvar.variational.dynamics.lorenz63 import Lorenz63 as Lorenz63
    from da4dvar.variational.dynamics.lorenz96 import Lorenz96 as Lorenz96
    from da4dvar.variational.dynamics.rk4 import rk4 as rk4
    from da4dvar.variational.estimation import Estimate as Estimate
    from da4dvar.variational.estimation import estimate_parameters as estimate_parameters
    from da4dvar.variational.kernels import Separable as Separable
    from da4dvar.variational.kernels import SumOfSeparable as SumOfSeparable
    from da4dvar.variational.kernels import covariance_of as covariance_of
    from da4dvar.variational.model import VariationalModel as VariationalModel
    from da4dvar.variational.observation import Identity as Identity
    from da4dvar.variational.observation import LearnedOperator as LearnedOperator
    from da4dvar.variational.observation import LinearOperator as LinearOperator
    from da4dvar.variational.observation import Observation as Observation
    from da4dvar.variational.observation import Sensors as Sensors
    from da4dvar.variational.priors.autoencoder import DenseAutoencoder as DenseAutoencoder
    from da4dvar.variational.priors.covariance import Covariance as Covariance
    from da4dvar.variational.priors.flow import Flow as Flow
    from da4dvar.variational.priors.pca import PCA as PCA
    from da4dvar.variational.priors.projection import learn_projection as learn_projection
    from da4dvar.variational.priors.unet import UNet as UNet
    from da4dvar.variational.solvers.base import Solution as Solution
    from da4dvar.variational.solvers.base import Solver as Solver
    from da4dvar.variational.solvers.chain import Chain as Chain
    from da4dvar.variational.solvers.conjugate_gradient import ConjugateGradient as ConjugateGradient
    from da4dvar.variational.solvers.control_variable import ControlVariable as ControlVariable
    from da4dvar.variational.solvers.correction import Correction as Correction
    from da4dvar.variational.solvers.direct import Direct as Direct
    from da4dvar.variational.solvers.fixed_point import FixedPoint as FixedPoint
    from da4dvar.variational.solvers.gradient_descent import GradientDescent as GradientDescent
    from da4dvar.variational.solvers.levenberg_marquardt import LevenbergMarquardt as LevenbergMarquardt
    from da4dvar.variational.solvers.lstm import ConvLSTM as ConvLSTM
    from da4dvar.variational.solvers.recompute import recomputed as recomputed

__getattr__, __dir__ = attached(__name__, _PUBLIC)
