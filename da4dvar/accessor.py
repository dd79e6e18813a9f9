"""`ds.da4dvar`: the same functions, from a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr

if TYPE_CHECKING:
    from da4dvar.interpolator import Interpolator


@xr.register_dataset_accessor("da4dvar")
class Da4dvarAccessor:
    """What da4dvar does to a data set: ``ds.da4dvar``, once da4dvar is imported.

    Parameters
    ----------
    ds : Dataset

    Examples
    --------
    >>> from da4dvar.simulate import lorenz96
    >>> ds = lorenz96(series=1, steps=40, seed=3)
    >>> filled = ds.da4dvar.interpolate("lorenz96", variable={"x": "x_observed"})
    >>> int(filled.x.isnull().sum())
    0
    """

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

    def interpolate(
        self,
        model: Interpolator | str | Path,
        *,
        variable: Mapping[str, str] | None = None,
        mask: str | None = None,
        dim: Mapping[str, str] | None = None,
        keep_observed: bool = False,
        observation_error: float | None = None,
        batch_size: int = 16,
        members: int | None = 0,
        interval: float | Sequence[float] = (),
        seed: int = 0,
        precision: str = "float32",
    ) -> xr.Dataset:
        """Fill the gaps; see :func:`da4dvar.interpolate`."""
        from da4dvar.functions import interpolate

        return interpolate(
            self._ds,
            model,
            variable=variable,
            mask=mask,
            dim=dim,
            keep_observed=keep_observed,
            observation_error=observation_error,
            batch_size=batch_size,
            members=members,
            interval=interval,
            seed=seed,
            precision=precision,
        )
