"""The contracts of priors and solvers, for every kind, number of axes, boundary rule and option."""

from functools import partial

from torch import nn

from da4dvar.config.kinds import KINDS, class_of
from da4dvar.testing import PriorContract, SolverContract, normal, seeded
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.dynamics.bilinear import Bilinear
from da4dvar.variational.dynamics.lorenz63 import Lorenz63
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.kernels import Separable, SumOfSeparable
from da4dvar.variational.priors.autoencoder import DenseAutoencoder
from da4dvar.variational.priors.covariance import Covariance
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.priors.pca import PCA
from da4dvar.variational.priors.unet import UNet
from da4dvar.variational.solvers.chain import Chain
from da4dvar.variational.solvers.conjugate_gradient import ConjugateGradient
from da4dvar.variational.solvers.control_variable import ControlVariable
from da4dvar.variational.solvers.correction import Correction
from da4dvar.variational.solvers.direct import Direct
from da4dvar.variational.solvers.fixed_point import FixedPoint
from da4dvar.variational.solvers.gradient_descent import GradientDescent
from da4dvar.variational.solvers.levenberg_marquardt import LevenbergMarquardt
from da4dvar.variational.solvers.lstm import ConvLSTM

UNLEARNED = "test_gradients_reach_all_that_is_learned"
WITHOUT_GRADIENT = (UNLEARNED, "test_inference_mode_is_refused")
LINE, PLANE, CUBE = ("zero",), ("zero", "periodic"), ("periodic", "reflect", "zero")


def contract(base, shape, make, without=(), **more):
    """Return the tests of a contract, except those that do not apply."""
    members = {"shape": shape, "make": lambda self: make(), **dict.fromkeys(without), **more}
    return type(base)("Test", (base,), members)


def unet(shape, boundary, covariates=0, **options):
    make = partial(UNet, shape[0], boundary, width=3, covariates=covariates, **options)
    return contract(PriorContract, shape, make, covariates=covariates)


def lstm(shape, boundary, covariates=0, **options):
    make = partial(ConvLSTM, shape[0], boundary, 3, iterations=3, covariates=covariates, **options)
    return contract(SolverContract, shape, make, covariates=covariates)


def gaussian(shape, terms=2, **options):
    several = [Separable(1.0 + k, 0.7 + k, 0.5 + k) for k in range(terms)]
    return Covariance(shape[0], shape[1:], SumOfSeparable(several, 0.1), **options)


def control(shape, make, without=()):
    cost = VariationalCost(gaussian(shape), learn_weights=True)
    made = partial(solver, shape, lambda: ControlVariable(make()), make_cost=lambda self: cost)
    # The iterations are those of the solver inside.
    return made(["test_memory_of_inference_does_not_grow_with_iterations", *without])


def correction(shape, boundary, fold):
    """Corrections with last weights that are not zero, so that gradients reach all others."""

    def make():
        made = Correction(shape[0], boundary, 8, 8, fold)
        for parameter in made.out.parameters():
            nn.init.normal_(parameter, std=0.1)
        return made

    return contract(SolverContract, shape, make, WITHOUT_GRADIENT, covariates=shape[0])


prior, solver = partial(contract, PriorContract), partial(contract, SolverContract)

TestUNetZero = unet((2, 9), LINE)
TestUNetReflect = unet((2, 9), ("reflect",))
TestUNetPeriodic = unet((2, 9), ("periodic",))
TestUNetPlane = unet((2, 5, 6), PLANE)
TestUNetUnequalBlocks = unet((2, 5, 6), PLANE, kernel=5, downsampling=(1, 2))
TestUNetFolded = unet((2, 5, 6), PLANE, fold=(1, 4))
TestUNetCovariates = unet((2, 5, 6), PLANE, covariates=2)
TestUNetFoldedCovariates = unet((2, 5, 6), PLANE, covariates=2, fold=[2, 3])
TestUNetCube = unet((1, 4, 5, 3), CUBE)
TestAutoencoderPlane = prior((2, 3, 4), lambda: DenseAutoencoder(2, (3, 4), encoder=(8, 3), decoder=(6,)))
TestAutoencoderLinear = prior((1, 7), lambda: DenseAutoencoder(1, [7], encoder=[3], decoder=[]))
TestPCAFitted = prior((2, 3, 4), lambda: PCA(2, (3, 4), components=5).fit(normal(40, 2, 3, 4) + 5))
TestPCANotFitted = prior((2, 3, 4), lambda: PCA(2, (3, 4), components=5))
TestCovariance = prior((4, 3, 2), lambda: gaussian((4, 3, 2)))
TestCovarianceTimeLast = prior((2, 3, 5), lambda: gaussian((2, 3, 5), time_axis=2))
TestCovarianceOfThreeTerms = prior((4, 3), lambda: gaussian((4, 3), terms=3))
TestNone = prior((2, 5), class_of("prior", "none"))
TestFlowOfAxes = prior((1, 6, 5), lambda: Flow(Lorenz96(), 0.05))
TestFlowOfChannels = prior((6, 5), lambda: Flow(Lorenz96(), 0.05))
TestFlowOfManySystems = prior((1, 2, 6, 5), lambda: Flow(Lorenz96(), 0.05))
TestFlowInSubsteps = prior((3, 5), lambda: Flow(Lorenz63(), 0.01, substeps=2))
TestFlowLearned = prior((4, 5), lambda: Flow(Bilinear(4), 0.05))
TestFlowLearnedPeriodic = prior((1, 6, 5), lambda: Flow(Bilinear(6, reach=2), 0.05))

TestLSTMZero = lstm((2, 7), LINE)
TestLSTMReflect = lstm((2, 7), ("reflect",))
TestLSTMPeriodic = lstm((2, 7), ("periodic",), scale="learned")
TestLSTMPlane = lstm((2, 5, 6), ("periodic", "zero"), state_scale=2.0, output="convolutional")
TestLSTMCube = lstm((1, 4, 5, 3), CUBE)
TestLSTMCovariates = lstm((2, 5, 6), ("periodic", "zero"), covariates=3, state_scale=2.0, downsampling=2)
TestLSTMCoarse = lstm((2, 5, 7), PLANE, downsampling=2, state_scale=2.0)
TestLSTMUnequalBlocks = lstm((2, 5, 7), PLANE, downsampling=(1, 3))
TestLSTMTerms = lstm((2, 7), LINE, feed="terms")
TestLSTMCoarseTerms = lstm(
    (2, 5, 7), PLANE, feed="terms", downsampling=(2, 1), state_scale=2.0, scale="learned"
)
TestDescentLast = solver((2, 6), lambda: GradientDescent(0.1, iterations=5))
TestDescentBest = solver((1, 4, 5), lambda: GradientDescent(0.1, iterations=5, keep="best"))
TestDescentTolerance = solver((1, 3, 2, 4), lambda: GradientDescent(0.2, iterations=40, tolerance=0.05))
TestConjugate = solver((2, 6), lambda: ConjugateGradient(iterations=4, tolerance=0.0))
TestConjugateTolerance = solver((1, 4, 5), lambda: ConjugateGradient(iterations=8, tolerance=0.02))
# These two use no gradient of U, and its weights are not learned through them.
TestFixedPoint = solver((2, 6), lambda: FixedPoint(iterations=4), WITHOUT_GRADIENT)
TestDirect = solver(
    (2, 6, 7), lambda: Direct(2, PLANE, 4, iterations=2, covariates=1), WITHOUT_GRADIENT, covariates=1
)
TestCorrection = correction((3, 9, 6), ("zero", "zero"), 2)
TestCorrectionPeriodic = correction((2, 12), ("periodic",), 1)
TestControlDescent = control((2, 6), lambda: GradientDescent(0.02, iterations=5))
TestControlLSTM = control((2, 5, 6), lambda: ConvLSTM(2, PLANE, 3, iterations=3))
# Levenberg-Marquardt is not differentiable; the iterations of a chain are those of its solvers.
window = partial(solver, (3, 12), make_cost=lambda self: VariationalCost(Flow(Lorenz63(), 0.01)))
levenberg = partial(LevenbergMarquardt, iterations=4, ladder=(0.1, 1.0))
chain = partial(Chain, restarts=2, accept=0.1)
TestLevenbergMarquardt = window(levenberg, [UNLEARNED])
TestLevenbergMarquardtOfAnyPrior = solver(
    (2, 12), lambda: levenberg(inner=10), [UNLEARNED],
    make_cost=lambda self: VariationalCost(seeded(lambda: UNet(2, LINE, width=3))),
)  # fmt: skip
TestChain = window(
    lambda: chain(GradientDescent(1e-3, iterations=3), LevenbergMarquardt(iterations=3, ladder=(1.0,))),
    [UNLEARNED, "test_memory_of_inference_does_not_grow_with_iterations"],
)


def test_every_kind_is_tried():
    """Every prior and solver that a recipe may name has a class above."""
    tried = {type(made().make()) for name, made in globals().items() if name.startswith("Test")}
    assert tried == {class_of(wing, kind) for wing in ("prior", "solver") for kind in KINDS[wing]}
