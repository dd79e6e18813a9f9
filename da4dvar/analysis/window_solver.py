"""A model as a function from windows to estimates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from da4dvar.errors import DataError
from da4dvar.fields.channels import Entries
from da4dvar.fields.covariates import incomplete
from da4dvar.fields.inputs import Inputs, inputs_of
from da4dvar.layout import Layout
from da4dvar.variational.device import Halving, exactly
from da4dvar.variational.model import VariationalModel
from da4dvar.variational.solvers.base import Solution

PRECISIONS = ("float32", "bfloat16")
# Share of the observations of a batch of windows that must be out of range to refuse it, as those of other
# windows are unknown.
MOST = 0.5


def check_precision(precision: str) -> None:
    """Raise an error for an unknown precision.

    Raises
    ------
    DataError
        If `precision` is neither "float32" nor "bfloat16".
    """
    if precision not in PRECISIONS:
        raise DataError(f"precision is {precision!r}, expected {' or '.join(PRECISIONS)}")


@dataclass(frozen=True)
class WindowSolver:
    """x̂ = x(0) + α (arg min U − x(0)) for windows of normalised observations.

    Parameters
    ----------
    network : VariationalModel
        Cost U and solver.
    layout : Layout
        Layout of the windows.
    initial : {"zero", "observed", "linear"}
        Initial state x(0), if the windows contain no first guess.
    time : str
        Name of the time dimension.
    entries : Entries
        Meaning of the entries of a window.
    correction : sequence of float
        α of each variable, 1 by default.
    precision : {"float32", "bfloat16"}
        Precision of convolutions and matrix products. The state and the cost are always in float32.
    guards : sequence of (str, float, float)
        Message and range of each observed entry; see :func:`da4dvar.analysis.known.guards`.
    halving : Halving
        Number of windows that the memory of a GPU is enough for.

    Raises
    ------
    DataError
        If the precision is unknown.
    """

    network: VariationalModel
    layout: Layout
    initial: str
    time: str
    entries: Entries
    correction: Sequence[float] = ()
    precision: str = "float32"
    guards: Sequence[tuple[str, float, float]] = ()
    halving: Halving = field(default_factory=Halving)

    def __post_init__(self) -> None:
        check_precision(self.precision)

    def inputs(self, windows: np.ndarray) -> Inputs:
        """Return the network inputs for windows of shape ``(window, entry, *cells)``.

        Raises
        ------
        DataError
            If a value is infinite, a covariate is missing, or most observations are out of range.
        """
        if np.isinf(windows).any():
            raise DataError("the data have infinite values; replace them by NaN where nothing was observed")
        for k, (message, low, high) in enumerate(self.guards):
            seen = windows[:, k][np.isfinite(windows[:, k])]
            if seen.size and ((seen < low) | (seen > high)).mean() > MOST:
                raise DataError(message)
        # For lazy data, this is the first time that the values of covariates are checked.
        covariates = self.entries.split(windows)[2]
        for name, values in zip(self.entries.covariates, covariates.swapaxes(0, 1), strict=True):
            if missing := int(np.isnan(values).sum()):
                raise DataError(incomplete(name, missing))
        return inputs_of(windows, self.entries, self.layout, self.initial, self.time)

    def minimise(
        self, windows: np.ndarray, watch: Callable[[Tensor], None] | None = None
    ) -> tuple[Tensor, Solution]:
        """Minimise U for windows; return the estimates as channels, and the solution.

        Parameters
        ----------
        windows : array, shape ``(window, entry, *cells)``
            Normalised windows.
        watch : callable, optional
            Called with each iterate as channels, with the correction applied.

        Returns
        -------
        x : Tensor, shape ``(window, channel, *axes)``
            Estimates.
        found : Solution
            Solution of the minimisation, without the correction.
        """
        device = self.network.device
        y, mask, x0, covariates = (
            None if array is None else torch.from_numpy(array).to(device) for array in self.inputs(windows)
        )
        assert x0 is not None
        along = torch.ones(())
        if self.entries.guess and self.correction:
            each = torch.tensor(self.correction, dtype=torch.float32, device=device)
            folded = each.repeat_interleave(x0.shape[1] // len(each))
            along = folded.reshape(-1, *[1] * (x0.ndim - 2))

        def corrected(x: Tensor) -> Tensor:
            return x if along.ndim == 0 else x0 + along * (x - x0)

        def told(x: Tensor) -> None:
            assert watch is not None
            watch(corrected(x))

        mixed = torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bfloat16")
        with torch.no_grad(), mixed, exactly(device):
            found = self.network(y, mask, x0, None if watch is None else told, covariates=covariates)
        return corrected(found.x.float()), found

    def __call__(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return estimates and both cost terms; see :func:`da4dvar.fields.windows.grid.overlap_add`."""
        return self.halving(self._solved, windows)

    def _solved(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, found = self.minimise(windows)
        costs = torch.stack([found.observation[-1], found.prior[-1]])
        shape = (len(windows), self.entries.sought, *windows.shape[2:])
        return x.cpu().numpy().reshape(shape), costs.float().cpu().numpy()
