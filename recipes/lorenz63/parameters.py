"""All three parameters of Lorenz-63, estimated together with the state from gappy, noisy observations alone.

python recipes/lorenz63/parameters.py [--series 10]

Every eighth step of 0.01 is observed with noise of variance 2, over 200 steps: all components, or x and z
only. All series share σ, ρ and β. The states start from linear interpolation in time, and y from x where it
is never observed. With the true parameters and with the estimates, the states are then found from the
same start by the same Levenberg-Marquardt.
"""

from __future__ import annotations

import argparse
import time

import torch
import xarray as xr
from torch import Tensor

from da4dvar.baselines.linear import Linear
from da4dvar.evaluation.text import as_columns
from da4dvar.fields.scores.metrics import r_score
from da4dvar.simulate import lorenz63
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.dynamics.lorenz63 import Lorenz63
from da4dvar.variational.estimation import Estimate, estimate_parameters
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.solvers.levenberg_marquardt import LevenbergMarquardt

SEED, STEP = 41, 0.01
TRUE, START = [10.0, 28.0, 8 / 3], [8.0, 25.0, 2.0]
DIMS = ("series", "component", "time")


def cost(dynamics: Lorenz63) -> VariationalCost:
    """Return U with nearly exact dynamics: the error of a step has a standard deviation of 0.0045."""
    return VariationalCost(Flow(dynamics, STEP), observation_weight=0.5, prior_weight=5e4)


def estimated(y: Tensor, x0: Tensor) -> Estimate:
    """Return the parameters and the states that minimise U together."""
    return estimate_parameters(cost(Lorenz63(*START, learn=True)), y, y.isfinite(), x0)


def states(y: Tensor, x0: Tensor, parameters: list[float]) -> xr.DataArray:
    """Return the states that minimise U with given parameters."""
    solver = LevenbergMarquardt(30, (1e-2, 1e-1, 1.0), rollout=True)
    x = solver(cost(Lorenz63(*parameters)).given(y, y.isfinite()), x0).x
    return xr.DataArray(x[:, 0].numpy(), dims=DIMS)


def main(series: int) -> None:
    ds = lorenz63(series, seed=SEED)
    rows = [["observed", "parameters", "sigma", "rho", "beta", "R-score", "CPU s per series"]]
    for name, components in (("x, y, z", [0, 1, 2]), ("x, z", [0, 2])):
        seen = ds.x_observed.where(ds.component.isin(components))
        begun = Linear("time").interpolate(seen.to_dataset(name="x")).x
        begun = begun.fillna(begun.sel(component=0))
        y, x0 = (torch.from_numpy(a.transpose(*DIMS).values).double()[:, None] for a in (seen, begun))
        clock = time.process_time()
        found = estimated(y, x0)
        spent = f"{(time.process_time() - clock) / series:.1f}"
        errors = found.covariance.diagonal().sqrt()
        told = [f"{p:.3f} ± {e:.3f}" for p, e in zip(found.parameters, errors, strict=True)]
        for label, shown, values, seconds in (
            ("estimated", told, found.parameters.tolist(), spent),
            ("true", [f"{p:.3f}" for p in TRUE], TRUE, "-"),
        ):
            score = float(r_score(states(y, x0, values), ds.x))
            rows.append([name, label, *shown, f"{score:.5f}", seconds])
    print(f"{series} series of Lorenz-63, seed {SEED}; the parameters start at {START}")
    print(as_columns(rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--series", type=int, default=10)
    main(parser.parse_args().series)
