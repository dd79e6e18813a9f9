"""Small states, domains and priors for the tests."""

from collections.abc import Callable

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor, nn

from da4dvar.simulate import lorenz96
from da4dvar.testing import normal
from da4dvar.variational.cost import Cost, VariationalCost
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.priors.flow import Flow

# One rule per axis: every rule in one dimension, then mixed.
BOUNDARIES = [
    ("zero",),
    ("reflect",),
    ("periodic",),
    ("periodic", "zero"),
    ("reflect", "periodic"),
    ("periodic", "reflect", "zero"),
]
# bᵢ, Aᵢⱼ and Qᵢⱼₖ (j ≤ k) of a bilinear system; of Lorenz-96, neighbours −2 to 2 are numbered 0 to 4.
Coefficients = tuple[dict[int, float], dict[tuple[int, int], float], dict[tuple[int, int, int], float]]
LORENZ63: Coefficients = (
    {},
    {(0, 0): -10.0, (0, 1): 10.0, (1, 0): 28.0, (1, 1): -1.0, (2, 2): -8 / 3},
    {(1, 0, 2): -1.0, (2, 0, 1): 1.0},
)
LORENZ96: Coefficients = ({0: 8.0}, {(0, 2): -1.0}, {(0, 1, 3): 1.0, (0, 0, 1): -1.0})


def coefficients(dynamics: nn.Module, constant: dict, linear: dict, quadratic: dict) -> dict[str, Tensor]:
    """Return the parameters of a bilinear system with the given coefficients and zero elsewhere."""
    pairs = [tuple(pair) for pair in dynamics.pairs.T.tolist()]
    products = {(i, pairs.index((j, k))): value for (i, j, k), value in quadratic.items()}
    found = {name: torch.zeros_like(p) for name, p in dynamics.named_parameters()}
    for name, known in (("constant", constant), ("linear", linear), ("quadratic", products)):
        for at, value in known.items():
            found[name][at] = value
    return found


def double(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers in float64, identical in every call."""
    return normal(*shape, seed=seed).double()


def domain(*shape: int, seed: int = 1) -> Tensor:
    """A domain Ω of about half the cells."""
    return normal(*shape, seed=seed) > 0


class Linear(nn.Module):
    """Φ(x) = P x on all cells of a sample."""

    def __init__(self, matrix: np.ndarray) -> None:
        super().__init__()
        self.matrix = torch.as_tensor(matrix)

    def forward(self, x: Tensor) -> Tensor:
        return (x.flatten(1) @ self.matrix.T).reshape(x.shape)


def central_differences(f: Callable[[Tensor], Tensor], x: Tensor, step: float = 1e-6) -> Tensor:
    """Gradient of f(x), shape (batch,), for each sample, by central differences."""
    gradient = torch.zeros_like(x)
    for cell in np.ndindex(x.shape[1:]):
        at = (slice(None), *cell)
        ahead, behind = x.clone(), x.clone()
        ahead[at] += step
        behind[at] -= step
        gradient[at] = (f(ahead) - f(behind)) / (2 * step)
    return gradient


def trajectory(dynamics: nn.Module, start: Tensor, times: np.ndarray) -> Tensor:
    """Solution of dx/dt = φ(x), shape (component, time), by an adaptive scheme of order 8."""

    def tendency(_: float, state: np.ndarray) -> np.ndarray:
        return dynamics(torch.as_tensor(state)[:, None])[:, 0].detach().numpy()

    solution = solve_ivp(
        tendency, (times[0], times[-1]), start.numpy(), "DOP853", t_eval=times, rtol=1e-12, atol=1e-12
    )
    return torch.as_tensor(solution.y)


def short_window(series: int = 2, prior_weight: float = 50.0) -> tuple[Cost, Tensor]:
    """The cost for nine times of Lorenz-96 with eight components, partly observed, and the truth."""
    ds = lorenz96(series, 9, seed=5, components=8, every=2, number=4)
    x, y = (torch.tensor(ds[n].values).double().movedim(1, 2)[:, None] for n in ("x", "x_observed"))
    model = VariationalCost(Flow(Lorenz96(), 0.05), observation_weight=0.5, prior_weight=prior_weight)
    return model.double().given(y, y.isfinite()), x
