"""Settings and inputs that cannot work are refused, with what was given and what was expected."""

from collections.abc import Callable

import pytest
import torch
from variational.problems import double

from da4dvar.testing import normal
from da4dvar.variational.convolution import Convolution, per_axis
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.dynamics.bilinear import Bilinear
from da4dvar.variational.dynamics.identification import learn_dynamics
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.observation import Identity, LinearOperator, Sensors
from da4dvar.variational.priors.autoencoder import DenseAutoencoder
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.priors.pca import PCA
from da4dvar.variational.priors.unet import UNet
from da4dvar.variational.solvers.chain import Chain
from da4dvar.variational.solvers.fixed_point import FixedPoint
from da4dvar.variational.solvers.gradient_descent import GradientDescent
from da4dvar.variational.solvers.levenberg_marquardt import LevenbergMarquardt
from da4dvar.variational.solvers.lstm import ConvLSTM

LEARNED, X = Flow(Bilinear(4, reach=1), 0.05), normal(1, 1, 4, 5)
AXES = r"of the 2 axes$"


def chain(**options: object) -> Chain:
    return Chain(FixedPoint(), FixedPoint(), **options)


def solved(background: float | None, rho: str) -> object:
    cost = VariationalCost(torch.nn.Identity(), rho=rho).given(X, X.isfinite())
    return LevenbergMarquardt(background=background)(cost, X)


CASES: list[tuple[str, Callable[..., object], list[tuple]]] = [
    ("expected both above 0", lambda *a: Flow(Lorenz96(), *a), [(0.0, 1), (-0.1, 1), (0.1, 0)]),
    ("the state has 5 components, expected 4", lambda x: Bilinear(4)(x), [(double(1, 5, 3),)]),
    ("nothing to learn in Lorenz96", learn_dynamics, [(Flow(Lorenz96(), 0.05), X, 1)]),
    ("complete, finite series of two or more", lambda x: learn_dynamics(LEARNED, x, 1), [(X[..., :1],)]),
    ("complete, finite series", lambda x: learn_dynamics(LEARNED, x, 1), [(X.where(X < 1, torch.nan),)]),
    ("expected positive widths and a code", lambda *a: DenseAutoencoder(1, [4], *a),
     [((), (3,)), ((0,), (3,)), ((3,), (0,))]),
    ("components is 25, expected 1 to 24", lambda n: PCA(2, (3, 4), components=n), [(25,)]),
    ("got 3 states for 5 components", lambda x: PCA(2, (3, 4), 5).fit(x), [(normal(3, 2, 3, 4),)]),
    (r"shape \(2, 3, 5\), expected \(2, 3, 4\)", lambda x: PCA(2, (3, 4), 5)(x), [(normal(1, 2, 3, 5),)]),
    ("width is 0, expected 1 or more", lambda width: UNet(1, ("zero",), width=width), [(0,)]),
    (r"^downsampling is \(2, 2, 2\), expected .*" + AXES, lambda b: UNet(1, ("zero",) * 2, downsampling=b),
     [((2, 2, 2),)]),
    (r"^fold is \(2, 2, 2\), expected .*" + AXES, lambda b: UNet(1, ("zero",) * 2, fold=b), [((2, 2, 2),)]),
    (r"^block is (0|-1|\(2, 0\)|\(2,\)|\(2, 2, 2\)|\(\)), expected .* for each " + AXES,
     lambda b: per_axis(b, 2, "block"), [(0,), (-1,), ((2, 0),), ((2,),), ((2, 2, 2),), ((),)]),
    ("'wrap' is not one of zero, reflect, periodic", Convolution, [(1, 1, 3, ("zero", "wrap"))]),
    ("expected an odd number", Convolution, [(1, 1, 4, ("zero",))]),
    ("expected both above 0", lambda *w: VariationalCost(Identity(), None, "square", *w), [(0, 1), (1, -1)]),
    ("'cube', expected square or absolute", lambda rho: VariationalCost(Identity(), rho=rho), [("cube",)]),
    ("expected", lambda k, v: chain(**{k: v}), [
        ("restarts", -1), ("accept", 0), ("perturbation", 0), ("withheld", 1.0), ("weights", (1.0, 0.0)),
        ("weights", (1.0,))]),
    ("at most one of them", lambda c: chain(cost=c, weights=(1.0, 1.0)), [(VariationalCost(Identity()),)]),
    ("step is 0, expected a number above 0", GradientDescent, [(0,)]),
    ("keep is 'first', expected 'last' or 'best'", lambda k: GradientDescent(0.1, keep=k), [("first",)]),
    ("expected", lambda k, v: LevenbergMarquardt(**{k: v}), [
        ("iterations", 2), ("ladder", (0.0, 1.0)), ("damping", 0), ("inner", 0), ("background", 0.0)]),
    ("needs rho 'square'", solved, [(None, "absolute")]),
    ("a background needs a flow", solved, [(1.0, "square")]),
    ("expected", lambda k, v: ConvLSTM(1, ("zero",), **{k: v}), [
        ("scale", "std"), ("output", "dense"), ("feed", "both"), ("downsampling", 0)]),
    ("0 operators", Sensors, [([],)]),
    ("expected an index from 0 to 0", Sensors, [([Identity()], [1])]),
    ("1 operators", Sensors, [([Identity()], [0, 0])]),
    ("expected a square", Sensors, [([LinearOperator([[1.0, 0.0]])],)]),
    ("numbers above 0", Sensors([Identity()]).weigh, [([0.0],)]),
    ("expected 1 numbers", Sensors([Identity()]).weigh, [([1.0, 1.0],)]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("message", "call", "arguments"),
    [(message, call, arguments) for message, call, cases in CASES for arguments in cases],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_work_is_refused(message, call, arguments):
    """The message states what was given and what was expected."""
    with pytest.raises(ValueError, match=message):
        call(*arguments)
