"""How far to go from a first guess towards what a model makes of it."""

from __future__ import annotations

import numpy as np
import torch

from da4dvar.training.samples import Samples
from da4dvar.variational.model import VariationalModel

BATCH = 16


def correction_of(model: VariationalModel, samples: Samples, count: int, seed: int) -> tuple[float, ...]:
    """α = ⟨x̂ − x(0), x − x(0)⟩ / ‖x̂ − x(0)‖², between 0 and 1, of each variable, at points that are sought.

    The estimate x(0) + α (x̂ − x(0)) has the least square error of all on the way from the first guess to
    the model's estimate: on the samples, it is never worse than either. It is the regression on one
    variable that shrinks a forecast towards a reference (Murphy and Epstein, 1989).

    Parameters
    ----------
    model : VariationalModel
    samples : Samples
        With a first guess; not those that the model has learned from.
    count : int
        Windows to draw.
    seed : int

    Returns
    -------
    tuple of float
        One for each variable; 1 where the model changes nothing.
    """
    variables = len(samples.layout.variables)
    along, moved = np.zeros(variables), np.zeros(variables)
    drawn = [samples.draw(np.random.default_rng([seed, number])) for number in range(count)]
    for first in range(0, count, BATCH):
        part = drawn[first : first + BATCH]
        arrays = {name: np.stack([sample[name] for sample in part]) for name in part[0]}
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        with torch.no_grad():
            solution = model(
                tensors["y"], tensors["mask"], tensors["x0"], covariates=tensors.get("covariates")
            )
            found = solution.x.numpy()
        change = np.where(arrays["sought"], found - arrays["x0"], 0.0)
        wanted = np.where(arrays["sought"], arrays["target"] - arrays["x0"], 0.0)
        by_variable = [a.reshape(len(part), variables, -1).astype(float) for a in (change, wanted)]
        along += np.einsum("bvc,bvc->v", *by_variable)
        moved += np.einsum("bvc,bvc->v", by_variable[0], by_variable[0])
    best = np.divide(along, moved, out=np.ones(variables), where=moved > 0)
    return tuple(float(a) for a in np.clip(best, 0.0, 1.0))
