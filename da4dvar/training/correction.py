"""Correction α, which scales the difference between a model's estimate and its first guess."""

from __future__ import annotations

import numpy as np
import torch

from da4dvar.training.samples import Samples
from da4dvar.variational.model import VariationalModel

BATCH = 16


def correction_of(model: VariationalModel, samples: Samples, count: int, seed: int) -> tuple[float, ...]:
    """α = ⟨x̂ − x(0), x − x(0)⟩ / ‖x̂ − x(0)‖² of each variable at the sought points, clipped to [0, 1].

    Among all points between the first guess and the model's estimate, x(0) + α (x̂ − x(0)) has the least
    square error: on the samples, it is never worse than either of them. This is the regression on one
    variable that shrinks a forecast towards a reference (Murphy and Epstein, 1989).

    Parameters
    ----------
    model : VariationalModel
        Trained model.
    samples : Samples
        Samples with a first guess, from which the model has not been trained.
    count : int
        Number of windows to draw.
    seed : int
        Seed of the windows.

    Returns
    -------
    tuple of float
        α of each variable; 1 where the model changes nothing.
    """
    variables = len(samples.layout.variables)
    along, moved = np.zeros(variables), np.zeros(variables)
    drawn = [samples.draw(np.random.default_rng([seed, number])) for number in range(count)]
    for first in range(0, count, BATCH):
        part = drawn[first : first + BATCH]
        arrays = {name: np.stack([sample[name] for sample in part]) for name in part[0]}
        tensors = {name: torch.from_numpy(array).to(model.device) for name, array in arrays.items()}
        with torch.no_grad():
            solution = model(
                tensors["y"], tensors["mask"], tensors["x0"], covariates=tensors.get("covariates")
            )
            found = solution.x.cpu().numpy()
        change = np.where(arrays["sought"], found - arrays["x0"], 0.0)
        wanted = np.where(arrays["sought"], arrays["target"] - arrays["x0"], 0.0)
        by_variable = [a.reshape(len(part), variables, -1).astype(float) for a in (change, wanted)]
        along += np.einsum("bvc,bvc->v", *by_variable)
        moved += np.einsum("bvc,bvc->v", by_variable[0], by_variable[0])
    best = np.divide(along, moved, out=np.ones(variables), where=moved > 0)
    return tuple(float(a) for a in np.clip(best, 0.0, 1.0))
