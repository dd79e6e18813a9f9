"""The Gaussian prior against dense linear algebra, and against optimal interpolation of the same data."""

import copy

import numpy as np
import pytest
import torch
from torch.testing import assert_close
from variational.problems import domain, double

from da4dvar.baselines.products import Kronecker
from da4dvar.baselines.solve_kernels import Analysis
from da4dvar.errors import DataError
from da4dvar.testing import normal
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.kernels import Separable, SumOfSeparable
from da4dvar.variational.observation import LinearOperator, Sensors
from da4dvar.variational.priors import covariance as module
from da4dvar.variational.priors.covariance import Covariance
from da4dvar.variational.solvers.chain import Chain
from da4dvar.variational.solvers.conjugate_gradient import ConjugateGradient
from da4dvar.variational.solvers.control_variable import ControlVariable
from da4dvar.variational.solvers.fixed_point import FixedPoint
from da4dvar.variational.solvers.gradient_descent import GradientDescent
from da4dvar.variational.solvers.levenberg_marquardt import LevenbergMarquardt

TERMS = (
    Separable(1.0, 1.5, 1.0),
    Separable(2.0, 4.0, 3.0, "matern52", "gaussian"),
    Separable(0.5, 3.0, 6.0, "exponential", "matern32", period=3.0),
)
NUGGET, TIMES, ROWS, COLUMNS = 0.05, 5, 3, 4
SHAPE = (TIMES, ROWS, COLUMNS)
SUMS = pytest.mark.parametrize("number", [1, 2, 3])
SOLVERS = {
    "conjugate gradients in v": lambda: ControlVariable(ConjugateGradient(300)),
    "Levenberg-Marquardt in v": lambda: ControlVariable(LevenbergMarquardt(20, (1.0,), 1e-3, 1e-12, 200)),
    "descent in v": lambda: ControlVariable(GradientDescent(1e-3, 20_000, tolerance=1e-6)),
    "a chain in v": lambda: ControlVariable(Chain(GradientDescent(1e-3, 50), ConjugateGradient(300))),
    "conjugate gradients in x": lambda: ConjugateGradient(2000, tolerance=1e-8),
    "Levenberg-Marquardt in x": lambda: LevenbergMarquardt(20, (1.0,), 1e-3, 1e-12, 400),
}


def covariance(number: int = 2) -> SumOfSeparable:
    return SumOfSeparable(TERMS[:number], NUGGET)


def dense(prior: Covariance, number: int = 2) -> np.ndarray:
    """B of a window with time first, from its definition."""
    when, where = (k.ravel() for k in np.indices((len(prior.clock), len(prior.place))))
    distance = np.linalg.norm(prior.place[where][:, None] - prior.place[where], axis=-1)
    return covariance(number)(distance, np.abs(np.subtract.outer(prior.clock[when], prior.clock[when])))


def solve(solver, prior, y, observation=None, weight=1 / NUGGET):
    """Return x̂ in double precision, from x(0) = 0."""
    cost = VariationalCost(prior, observation, observation_weight=weight).double()
    with torch.no_grad():
        x0 = torch.zeros(len(y), prior.channels, *prior.space, dtype=y.dtype)
        return solver.double()(cost.given(y, y.isfinite()), x0)


def observed(*shape: int) -> torch.Tensor:
    """Return observations of about half of the cells."""
    return torch.where(domain(*shape), double(*shape), torch.nan)


@SUMS
def test_the_residual_is_the_norm_of_the_inverse(number):
    """‖x − Φ(x)‖² = xᵀ B⁻¹ x, L L ᵀ = B, and L inverts L⁻¹, for one, two and three terms."""
    prior, x = Covariance(TIMES, SHAPE[1:], covariance(number)), double(2, *SHAPE)
    matrix = dense(prior, number)
    vectors = x.flatten(1).numpy()
    wanted = np.einsum("bi,bi->b", vectors, np.linalg.solve(matrix, vectors.T).T)
    np.testing.assert_allclose((x - prior(x)).square().flatten(1).sum(1), wanted, rtol=1e-6)
    root = prior.state(torch.eye(matrix.shape[0]).double().reshape(-1, *SHAPE)).flatten(1).T.numpy()
    np.testing.assert_allclose(root @ root.T, matrix, atol=1e-6)
    assert_close(prior.state(prior.control(x)), x)


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
def test_solvers_find_optimal_interpolation(solver):
    """The minimiser of U is the analysis of the same observations with the same covariance."""
    prior, y = Covariance(TIMES, SHAPE[1:], covariance()), observed(2, *SHAPE)
    for window, found in zip(y, solve(solver(), prior, y).x, strict=True):
        flat = window.reshape(TIMES, -1).numpy()
        wanted = Analysis(np.isfinite(flat), prior.place, prior.clock, covariance()).estimate(flat)
        # Optimal interpolation multiplies in single precision.
        np.testing.assert_allclose(found.reshape(TIMES, -1), wanted, atol=2e-5)


def test_places_and_times_are_those_given():
    """Scattered places and uneven times give the analysis at these, and another one on a grid."""
    generator = np.random.default_rng(0)
    place, clock = generator.uniform(0, 5, (7, 3)), np.array([0.0, 1.0, 1.5, 4.0])
    y = observed(1, 4, 7)
    solver = ControlVariable(ConjugateGradient(300))
    wanted = Analysis(np.isfinite(y[0].numpy()), place, clock, covariance()).estimate(y[0].numpy())
    found = solve(solver, Covariance(4, [7], covariance(), place, clock), y)
    np.testing.assert_allclose(found.x[0], wanted, atol=2e-5)
    assert (solve(solver, Covariance(4, [7], covariance()), y).x[0] - torch.tensor(wanted)).abs().max() > 0.1


def test_time_may_be_any_axis():
    """With time between or after the axes of space, or stations as channels, L is that of time first."""
    x = double(2, *SHAPE)
    first = Covariance(TIMES, SHAPE[1:], covariance())
    last = Covariance(1, [ROWS, COLUMNS, TIMES], covariance(), time_axis=3)
    assert_close(last.state(x.movedim(1, -1)[:, None]), first.state(x).movedim(1, -1)[:, None])
    between = Covariance(1, [ROWS, TIMES, COLUMNS], covariance(), time_axis=2)
    assert_close(between.control(x.transpose(1, 2)[:, None]), first.control(x).transpose(1, 2)[:, None])
    stations = Covariance(ROWS * COLUMNS, [TIMES], covariance(), place=first.place, time_axis=1)
    assert_close(stations.control(x.flatten(2).mT), first.control(x).flatten(2).mT)


def test_variables_are_independent():
    """Two variables have the same covariance, and none between them."""
    x = double(2, 2 * TIMES, ROWS, COLUMNS)
    one = Covariance(TIMES, SHAPE[1:], covariance())
    both = Covariance(2 * TIMES, SHAPE[1:], covariance(), clock=np.arange(float(TIMES)))
    assert_close(both.control(x), torch.cat([one.control(part) for part in x.chunk(2, 1)], 1))
    still = Covariance(3, [ROWS], covariance(), clock=[0.0])
    x = double(1, 3, ROWS)
    alone = Covariance(1, [ROWS], covariance())
    assert_close(still(x), torch.cat([alone(part) for part in x.chunk(3, 1)], 1))


def test_sensors_combine_with_it():
    """Two sensors of different errors, one of them a mixture of times, against the normal equations."""
    prior, y = Covariance(TIMES, SHAPE[1:], covariance()), observed(1, 2 * TIMES, ROWS, COLUMNS)
    mean = torch.full((TIMES, TIMES), 1 / TIMES).double() + 0.5 * torch.eye(TIMES).double()
    operator = Sensors([torch.nn.Identity(), LinearOperator(mean)])
    operator.weigh([0.3, 0.6])
    cells = ROWS * COLUMNS
    h = np.concatenate([np.eye(TIMES * cells), np.kron(mean.numpy(), np.eye(cells))])
    variance, vector = np.repeat([0.09, 0.36], TIMES * cells), y.flatten().numpy()
    seen = np.isfinite(vector)
    h, variance, vector = h[seen], variance[seen], vector[seen]
    b = dense(prior)
    wanted = b @ h.T @ np.linalg.solve(h @ b @ h.T + np.diag(variance), vector)
    found = solve(ControlVariable(ConjugateGradient(500)), prior, y, operator, 1 / 0.09)
    np.testing.assert_allclose(found.x.flatten(), wanted, atol=1e-4)


def test_a_smooth_covariance_is_solved_in_single_precision():
    """In v, U is well conditioned although B is singular to single precision."""
    term = Separable(1.0, 3.0, 3.0, "gaussian", "gaussian")
    prior = Covariance(TIMES, [8, 8], SumOfSeparable((term,), NUGGET))
    y = torch.where(normal(1, TIMES, 8, 8, seed=1) > 0, normal(1, TIMES, 8, 8), torch.nan)
    cost = VariationalCost(prior, observation_weight=1 / NUGGET).given(y, y.isfinite())
    flat = y.reshape(TIMES, -1).double().numpy()
    wanted = Analysis(np.isfinite(flat), prior.place, prior.clock, SumOfSeparable((term,), NUGGET))
    with torch.no_grad():
        found = ControlVariable(ConjugateGradient(300))(cost, torch.zeros_like(y))
    np.testing.assert_allclose(found.x.reshape(TIMES, -1), wanted.estimate(flat), atol=2e-3)


def test_draws_have_the_covariance():
    """L v of standard normal numbers has the variance of the operator of optimal interpolation."""
    prior = Covariance(TIMES, SHAPE[1:], covariance())
    drawn = prior.state(double(20_000, *SHAPE)).flatten(1)
    operator = Kronecker(prior.place, prior.clock, covariance(), dtype="float64")
    columns = [operator(e.reshape(TIMES, -1)).ravel() for e in np.eye(drawn.shape[1])]
    np.testing.assert_allclose(np.cov(drawn.T), np.stack(columns), atol=0.15)


def test_copies_share_the_root(monkeypatch):
    """A copy does not decompose the matrices a second time, as every call of a model copies it."""
    prior, x = Covariance(TIMES, SHAPE[1:], covariance()), normal(1, *SHAPE)
    wanted = copy.deepcopy(prior)(x)
    monkeypatch.setattr(module.Root, "_decomposed", None)
    assert torch.equal(copy.deepcopy(prior)(x), wanted)


@pytest.mark.parametrize(("message", "arguments"), [
    ("time_axis is 3, expected 0 to 2", {"time_axis": 3}),
    ("clock and place have 1 and 1 dimensions", {"place": [0.0, 1.0]}),
    ("is not finite", {"clock": [0.0, np.nan]}),
    (r"got 2 times along axis 0 and 5 cells, .* shape \(2, 2, 3\)", {"place": np.zeros((5, 2))}),
    ("got 3 times along axis 0 and 6 cells", {"clock": [0.0, 1.0, 2.0]}),
    ("0 cells", {"place": np.zeros((0, 2)), "time_axis": 1}),
    ("needs a matrix of 5000 rows for 2 times and 5000 cells", {"space": [50, 100]}),
    ("3 terms needs .* 4200 rows .* or a covariance of two terms",
     {"space": [2100], "covariance": covariance(3)}),
    ("the variances .* are 0", {"covariance": SumOfSeparable([Separable(0.0, 1.0, 1.0)], 0.1)}),
    ("a state has 20000000000 values", {"channels": 10**10, "space": [2]}),
])  # fmt: skip
def test_what_does_not_fit_is_refused(message, arguments):
    """Coordinates that do not make up the state, and matrices that are too large, are refused."""
    with pytest.raises(ValueError, match=message):
        Covariance(**({"channels": 2, "space": [2, 3], "covariance": covariance()} | arguments))


def test_a_table_without_terms_and_other_states_are_refused():
    """The table is checked when the prior is made, and the state when it is used."""
    with pytest.raises(DataError, match="expected a nugget, and terms"):
        Covariance(2, [2], {"nugget": 0.1})
    with pytest.raises(ValueError, match=r"shape \(2, 4\), expected \(2, 3\)"):
        Covariance(2, [3], covariance())(normal(1, 2, 4))


@pytest.mark.parametrize(("make", "message"), [
    (lambda: ControlVariable(FixedPoint()), "a solver with FixedPoint, which takes v"),
    (lambda: ControlVariable(Chain(ConjugateGradient(), FixedPoint())), "a solver with FixedPoint"),
    (lambda: ControlVariable(Chain(*[ConjugateGradient()] * 2, VariationalCost(torch.nn.Identity()))),
     "a solver with VariationalCost"),
    (lambda: solve(ControlVariable(ConjugateGradient()), Neither(), observed(1, 2, 3)), "prior is Neither"),
])  # fmt: skip
def test_a_solver_or_prior_without_a_control_variable_is_refused(make, message):
    """Solvers that take their variable for the state, and other priors, are refused."""
    with pytest.raises(ValueError, match=message):
        make()


class Neither(torch.nn.Identity):
    """A prior without a covariance."""

    channels, space = 2, (3,)
