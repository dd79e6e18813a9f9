"""A closure for unresolved scales, estimated together with the state from gappy, noisy observations alone.

python recipes/lorenz96/closure.py [--series 10] [--seed 41] [--errors 0.03,0.2]

The truth is the two-scale system of Lorenz (1996), with 40 slow components, 10 fast ones for each of them,
F = 10, h = 1, and b = c = 10. At every second step of 0.05, 20 of the 40 slow components are observed with
noise of variance 1, over 200 steps; nothing is known of the fast ones. The model has the equations of one
scale, and in place of the fast ones a cubic polynomial of each component, whose four coefficients are
unknown; F is part of the first. The error of a step is that of the closure, and its standard deviation is a
setting.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from da4dvar.evaluation.text import as_columns
from da4dvar.fields.gaps.patterns import Network
from da4dvar.fields.initial import start
from da4dvar.fields.scores.metrics import r_score
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.dynamics.identification import learn_dynamics
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.estimation import estimate_parameters
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.solvers.levenberg_marquardt import LevenbergMarquardt

SLOW, FAST, FORCING, H, B, C = 40, 10, 10.0, 1.0, 10.0, 10.0
STEP, SUBSTEPS, STEPS, SPIN_UP = 0.05, 10, 200, 200
EVERY, NUMBER, VARIANCE = 2, 20, 1.0
OTHER = 1000


class TwoScales(nn.Module):
    """dX/dt = f(X) + F − (hc/b) Σₖ Yₖ, dYₖ/dt = cb Yₖ₊₁ (Yₖ₋₁ − Yₖ₊₂) − c Yₖ + (hc/b) X.

    Lorenz (1996), eqs. (2) and (3), with f the one-scale system without forcing. The fast components form one
    circle; the state holds the slow components first.
    """

    def forward(self, state: Tensor) -> Tensor:
        """Tendency, shape of `state`, (..., SLOW + SLOW × FAST)."""
        x, y = state[..., :SLOW], state[..., SLOW:]
        mean = y.unflatten(-1, (SLOW, FAST)).sum(-1)
        slow = Lorenz96(FORCING, axis=-1)(x) - H * C / B * mean
        fast = C * B * y.roll(-1, -1) * (y.roll(1, -1) - y.roll(-2, -1)) - C * y
        return torch.cat([slow, fast + H * C / B * x.repeat_interleave(FAST, -1)], -1)


class Closed(nn.Module):
    """dX/dt = f(X) + θ₀ + θ₁ X + θ₂ X² + θ₃ X³, with learned θ."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = Lorenz96(0.0)
        self.coefficients = nn.Parameter(torch.tensor([FORCING, 0.0, 0.0, 0.0], dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """Tendency, shape of `x`."""
        a, b, c, d = self.coefficients.to(x.dtype).unbind()
        return self.slow(x) + a + x * (b + x * (c + x * d))


def twin(series: int, seed: int) -> tuple[Tensor, Tensor]:
    """Truth and observations of the slow components, shape (series, 1, component, time), NaN in the gaps."""
    generator = np.random.default_rng(seed)
    state = torch.from_numpy(generator.standard_normal((series, SLOW + SLOW * FAST)))
    state[:, :SLOW] += FORCING / 2
    state[:, SLOW:] *= 0.1
    flow, states = Flow(TwoScales(), STEP, SUBSTEPS), []
    with torch.no_grad():
        for step in range(SPIN_UP + STEPS):
            state = flow.forecast(state)
            if step >= SPIN_UP:
                states.append(state[:, None, :SLOW])
    truth = torch.stack(states, -1)
    sizes = {"series": series, "time": STEPS, "component": SLOW}
    seen = torch.from_numpy(Network(EVERY, NUMBER).draw(generator, sizes)).mT[:, None]
    noise = VARIANCE**0.5 * torch.from_numpy(generator.standard_normal(truth.shape))
    return truth, torch.where(seen, truth + noise, torch.nan)


def cost(flow: Flow, error: float) -> VariationalCost:
    """Return U with a standard deviation of the error of the dynamics in one step."""
    return VariationalCost(flow, observation_weight=1 / VARIANCE, prior_weight=error**-2)


def main(series: int, seed: int, errors: list[float]) -> None:
    truth, y = twin(series, seed)
    complete, _ = twin(series, seed + OTHER)
    x0, mask = torch.from_numpy(start(y.numpy(), "linear", -1)), y.isfinite()
    solver = LevenbergMarquardt(30, (1e-2, 1e-1, 1.0), rollout=True)
    without, identified = Flow(Closed(), STEP), Flow(Closed(), STEP)
    learn_dynamics(identified, complete, 50)

    def row(name: str, error: float, flow: Flow, told: list[str]) -> list[str]:
        """Return the forecast error of the true states and the R-score, next to the coefficients."""
        with torch.no_grad():
            ahead = (flow.forecast(truth[..., :-1]) - truth[..., 1:]).square().mean().sqrt()
        x = solver(cost(flow, error).given(y, mask), x0).x
        score = r_score(*(xr.DataArray(states.numpy()) for states in (x, truth)))
        return [name, f"{error:g}", *told, f"{ahead:.4f}", f"{float(score):.5f}"]

    def coefficients(flow: Flow) -> list[str]:
        return [f"{c:.4f}" for c in flow.dynamics.coefficients.tolist()]

    rows = [["closure", "error", "constant", "linear", "square", "cube", "forecast RMSE", "R-score"]]
    for error in errors:
        found = Flow(Closed(), STEP)
        estimate = estimate_parameters(cost(found, error), y, mask, x0)
        spread = estimate.covariance.diagonal().sqrt()
        told = [f"{p:.4f} ± {s:.4f}" for p, s in zip(estimate.parameters, spread, strict=True)]
        rows.append(row("estimated", error, found, told))
        rows.append(row("of complete series", error, identified, coefficients(identified)))
        rows.append(row("none", error, without, coefficients(without)))
    print(f"{series} series of the slow components, seed {seed}")
    print(as_columns(rows))


def numbers(text: str) -> list[float]:
    """Return numbers separated by commas."""
    return [float(part) for part in text.split(",")]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--series", type=int, default=10)
    parser.add_argument("--seed", type=int, default=41)
    parser.add_argument("--errors", type=numbers, default=[0.03, 0.2])
    given = parser.parse_args()
    main(given.series, given.seed, given.errors)
