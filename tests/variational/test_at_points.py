"""Tests of the observation of a state at points that lie on no grid."""

import numpy as np
import pytest
import torch
from scipy.interpolate import RegularGridInterpolator

from da4dvar.variational.at_points import AtPoints, Joined
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.linear_weights import linear_weights
from da4dvar.variational.observation import Identity

GENERATOR = np.random.default_rng(0)
TIMES, LATS, LONS = np.array([0.0, 1.0, 4.0]), np.array([44.0, 43.0, 41.5, 41.0]), np.linspace(0.0, 3.0, 5)
AT = np.column_stack([GENERATOR.uniform(a.min(), a.max(), 40) for a in (TIMES, LATS, LONS)])
SHAPE = (len(TIMES), len(LATS), len(LONS))


def linear(t, y, x):
    """A function that is linear in time and space."""
    return 2.0 + 0.5 * t - 1.5 * y + 0.25 * x


def test_a_linear_function_is_reproduced_exactly():
    """On uneven and decreasing axes, at points anywhere, at nodes and on the edges."""
    at = np.concatenate([AT, [[4.0, 41.0, 3.0], [0.0, 44.0, 0.0], [1.0, 43.0, 0.75]]])
    state = torch.tensor(linear(*np.meshgrid(TIMES, LATS, LONS, indexing="ij")))[None]
    observed = AtPoints([TIMES, LATS, LONS], at).double()(state)
    np.testing.assert_allclose(observed[0, 0], linear(*at.T), rtol=1e-6)


def test_it_interpolates_like_scipy():
    """Any field, against an independent implementation."""
    field = GENERATOR.standard_normal(SHAPE)
    flipped = RegularGridInterpolator((TIMES, LATS[::-1], LONS), field[:, ::-1])
    matrix, inside = linear_weights([TIMES, LATS, LONS], AT)
    assert inside.all()
    np.testing.assert_allclose(matrix @ field.ravel(), flipped(AT), rtol=1e-10)


def test_the_adjoint_and_the_gradient():
    """⟨Hx, y⟩ = ⟨x, Hᵀy⟩ with Hᵀ of autograd, and derivatives that are finite differences."""
    observed = AtPoints([TIMES, LATS, LONS], AT).double()
    x = torch.randn(2, *SHAPE, dtype=torch.float64, requires_grad=True)
    y = torch.randn(2, 1, len(AT), dtype=torch.float64)
    (adjoint,) = torch.autograd.grad((observed(x) * y).sum(), x)
    matrix, _ = linear_weights([TIMES, LATS, LONS], AT)
    np.testing.assert_allclose(adjoint.flatten(1), y[:, 0].numpy() @ matrix.toarray(), rtol=1e-6, atol=1e-7)
    assert torch.autograd.gradcheck(observed, x[:1, :, :2, :2].new_zeros(1, *SHAPE).requires_grad_())


def test_longitudes_around_the_globe():
    """A point between the last and the first longitude is between both, wherever the axis begins."""
    lons = np.arange(0.0, 360.0, 90.0)
    field = np.array([0.0, 1.0, 2.0, 3.0])
    for at in (315.0, -45.0, 675.0):
        matrix, inside = linear_weights([lons], np.array([[at]]), periods=[360.0])
        assert inside.all()
        assert (matrix @ field)[0] == 1.5
    matrix, _ = linear_weights([lons[::-1]], np.array([[315.0]]), periods=[360.0])
    assert (matrix @ field[::-1])[0] == 1.5
    assert not linear_weights([lons], np.array([[315.0]]))[1].any()


def test_points_outside_and_errors_are_refused():
    """A count of the points outside; errors above 0 for each point; an axis that is monotonic."""
    with pytest.raises(ValueError, match="1 of 2 points are outside the grid"):
        AtPoints([LONS], np.array([[1.0], [3.1]]))
    for wrong in ([0.0, 1.0], [1.0]):
        with pytest.raises(ValueError, match="expected 2 numbers above 0"):
            AtPoints([LONS], np.array([[1.0], [2.0]]), error=wrong)
    with pytest.raises(ValueError, match="neither increasing nor decreasing"):
        linear_weights([np.array([0.0, 2.0, 1.0])], np.array([[0.5]]))


def test_misfits_are_weighted_by_the_errors_of_the_points():
    """A point with twice the error counts a quarter; a masked one does not count."""
    observed = AtPoints(
        [np.array([0.0]), LONS], np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 2.5]]), [1.0, 2.0, 1.0]
    )
    cost = VariationalCost(Identity(), observed)
    y, mask = torch.tensor([[[1.0, 1.0, torch.nan]]]), torch.tensor([[[True, True, False]]])
    terms = cost.given(y, mask).terms(torch.zeros(1, 1, 5))
    assert float(terms.observation) == pytest.approx(1 + 0.25)


def test_points_and_a_masked_grid_are_observed_together():
    """The minimiser of both misfits and a prior is that of the normal equations."""
    points = AtPoints([np.array([0.0]), LONS], np.array([[0.0, 0.3], [0.0, 2.9]]))
    both = Joined([Identity(), points], shapes=[(1, 5), (1, 2)], errors=[2.0, 1.0])
    cost = VariationalCost(torch.zeros_like, both).double()
    grid = torch.tensor([[[1.0, torch.nan, 3.0, torch.nan, torch.nan]]], dtype=torch.float64)
    values = torch.tensor([[[0.5, 4.0]]], dtype=torch.float64)
    y = both.packed([grid, values])
    given = cost.given(y, y.isfinite())
    x = torch.zeros(1, 1, 5, dtype=torch.float64)
    for _ in range(500):
        x = (x - 0.2 * given.gradient(x)[0]).detach()
    h = np.zeros((4, 5))
    h[0, 0] = h[1, 2] = 1.0
    h[2:] = linear_weights([LONS], np.array([[0.3], [2.9]]))[0].toarray()
    weight = np.diag([0.25, 0.25, 1.0, 1.0])
    solved = np.linalg.solve(h.T @ weight @ h + np.eye(5), h.T @ weight @ [1.0, 3.0, 0.5, 4.0])
    np.testing.assert_allclose(x[0, 0], solved, atol=1e-6)
    with pytest.raises(ValueError, match="expected a shape and a number above 0 for each"):
        Joined([Identity()], shapes=[(1, 5)], errors=[0.0])
