"""Whether more iterations, or the mean of two models, lower the error of the joint row: validation digits.

python recipes/mnist/further.py [--digits 2000] [--models MODEL MODEL]
"""

from __future__ import annotations

import argparse

import torch
from cost import HERE, digits_from
from torch import Tensor

import da4dvar

FIRST_VALIDATION = 58000
ITERATIONS = (5, 8, 10, 12, 15, 20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--digits", type=int, default=2000)
    shipped = [HERE / f"models/{name}.safetensors" for name in ("unet-lstm", "unet-direct")]
    parser.add_argument("--models", nargs=2, default=shipped)
    given = parser.parse_args()
    x, y, mask = digits_from(FIRST_VALIDATION, given.digits)
    start = torch.where(mask, y, 0.0)

    def score(state: Tensor) -> float:
        return float((state - x).square().mean() / x.square().mean())

    first, second = (da4dvar.load(name).frozen() for name in given.models)
    with torch.no_grad():
        for number in ITERATIONS:
            first.solver.iterations = number
            print(f"{number} iterations {score(first(y, mask, start).x):.4f}", flush=True)
        first.solver.iterations = 10
        one, two = (model(y, mask, start).x for model in (first, second))
    print(f"first {score(one):.4f}, second {score(two):.4f}, mean of both {score((one + two) / 2):.4f}")


if __name__ == "__main__":
    main()
