"""What the cost of the joint row does for its estimates, on test digits.

python recipes/mnist/cost.py [--digits 256] [--model recipes/mnist/models/unet-lstm.safetensors]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

import da4dvar
from da4dvar.fields import Squares
from da4dvar.variational import GradientDescent, VariationalCost, VariationalModel

HERE = Path(__file__).parent
DIGITS = HERE.parents[1] / "datasets/mnist/mnist.nc"
FIRST_TEST = 60000
NOISE = 0.1  # standard deviations
NUMBER, SIZE = 3, {"y": 9, "x": 9}
DESCENT = {"step": 10.0, "iterations": 50}


def digits_from(first: int, number: int) -> tuple[Tensor, Tensor, Tensor]:
    """Digits, normalised, with their observations and masks."""
    with xr.open_dataset(DIGITS) as ds:
        train = ds.digit.isel(sample=slice(0, 60000))
        digits = ds.digit.isel(sample=slice(first, first + number))
        x = ((digits - float(train.mean())) / float(train.std())).to_numpy()[:, None]
    generator = np.random.default_rng(20)
    mask = Squares(NUMBER, SIZE).draw(generator, {"sample": number, "y": 28, "x": 28})[:, None]
    y = np.where(mask, x + NOISE * generator.normal(size=x.shape), np.nan)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32), torch.tensor(mask)


def without_prior(model: VariationalModel) -> VariationalModel:
    """The same solver and weights with Φ(x) = x, so that only the observations have a gradient."""
    cost = VariationalCost(nn.Identity(), model.cost.observation)
    cost.log_weights = model.cost.log_weights
    return VariationalModel(cost, model.solver)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--digits", type=int, default=256)
    parser.add_argument("--model", default=HERE / "models/unet-lstm.safetensors")
    given = parser.parse_args()
    x, y, mask = digits_from(FIRST_TEST, given.digits)
    model = da4dvar.load(given.model).frozen()
    cost = model.cost.given(y, mask)
    start = torch.where(mask, y, 0.0)
    descent = GradientDescent(**DESCENT)
    with torch.no_grad():
        estimate = model(y, mask, start).x
        rows = {
            "the truth": x,
            "observations, zero in the gaps": start,
            "the estimate": estimate,
            "the estimate without the prior term": without_prior(model)(y, mask, start).x,
            "descent on U from the estimate": descent(cost, estimate).x,
            "descent on U from the truth": descent(cost, x).x,
        }
        for name, state in rows.items():
            score = float((state - x).square().mean() / x.square().mean())
            terms = cost.terms(state)
            known, prior = float(terms.observation.mean()), float(terms.prior.mean())
            print(f"{name:<37} R {score:.4f}   U {known + prior:7.4f} = {known:7.4f} + {prior:7.4f}")


if __name__ == "__main__":
    main()
