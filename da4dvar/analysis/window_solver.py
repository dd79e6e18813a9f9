"""A model as a function of windows: what the sum over windows is made of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch

from da4dvar.errors import DataError
from da4dvar.fields.channels import fold, to_channels
from da4dvar.fields.covariates import incomplete
from da4dvar.fields.initial import start
from da4dvar.fields.windows.grid import Solve
from da4dvar.layout import Layout
from da4dvar.variational.model import VariationalModel

PRECISIONS = ("float32", "bfloat16")


def check_precision(precision: str) -> None:
    """Refuse what is none.

    Raises
    ------
    DataError
    """
    if precision not in PRECISIONS:
        raise DataError(f"precision is {precision!r}, expected {' or '.join(PRECISIONS)}")


def window_solver(
    model: VariationalModel,
    layout: Layout,
    initial: str,
    time: str,
    known: int = 0,
    covariates: Mapping[str, Collection[str]] | None = None,
    first: Sequence[int] | None = None,
    correction: Sequence[float] = (),
    precision: str = "float32",
) -> Solve:
    """The minimisation of U for windows of normalised observations.

    Parameters
    ----------
    model : VariationalModel
    layout : Layout
    initial : {"zero", "observed", "linear"}
        x(0), where no first guess comes with the windows.
    time : str
    known : int
        How many of the last variables of a window, but for the covariates, are the first guess of the others.
    covariates : mapping of str to collection of str, optional
        The last variables of a window, and the dimensions that each of them has by itself.
    first : sequence of int, optional
        Where sensors are observed, the first one of each variable of the state.
    correction : sequence of float, optional
        For each variable, how far to go from the first guess to what the model makes of it; all the way
        if not given.
    precision : {"float32", "bfloat16"}
        Of what convolutions and matrix products multiply; the state and the cost stay in float32.

    Returns
    -------
    callable
        See :func:`da4dvar.fields.windows.grid.overlap_add`.
    """
    check_precision(precision)
    axis = layout.dims.index(time) + 2 if time in layout.dims else None
    device = next(model.parameters()).device
    given = dict(covariates or {})
    of_state = slice(None) if first is None else list(first)

    def solve(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if np.isinf(windows).any():
            raise DataError("infinite values in the data; replace them by NaN where nothing was seen")
        sought = windows.shape[1] - known - len(given)
        y, guess, last = np.split(windows, [sought, sought + known], axis=1)
        # Of a lazy data set, this is the first that is seen of them.
        for name, field in zip(given, last.swapaxes(0, 1), strict=True):
            if np.isnan(field).any():
                raise DataError(incomplete(name, int(np.isnan(field).sum())))
        x0 = np.nan_to_num(guess) if known else start(y[:, of_state], initial, axis)
        arrays = [np.nan_to_num(y, nan=0.0), np.isfinite(y), x0]
        folded = [np.stack([to_channels(w, layout) for w in array]) for array in arrays]
        c = None
        if given:
            c = torch.from_numpy(np.stack([fold(w, list(given.values()), layout) for w in last])).to(device)
        mixed = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
        with torch.no_grad(), mixed:
            found = model(*(torch.from_numpy(f).to(device) for f in folded), covariates=c)
        costs = torch.stack([found.observation[-1], found.prior[-1]])
        x = found.x.float().cpu().numpy().reshape(x0.shape)
        if known and correction:
            along = np.asarray(correction, dtype="float32").reshape(-1, *[1] * (x.ndim - 2))
            x = x0 + along * (x - x0)
        return x, costs.float().cpu().numpy()

    return solve
