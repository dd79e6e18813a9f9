"""The functions of `da4dvar` itself, and the accessor `ds.da4dvar`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr

from da4dvar.progress import Progress

if TYPE_CHECKING:
    from da4dvar.interpolator import Interpolator


def interpolate(
    ds: xr.Dataset,
    model: Interpolator | str | Path,
    *,
    variable: Mapping[str, str] | None = None,
    mask: str | None = None,
    dim: Mapping[str, str] | None = None,
    keep_observed: bool = False,
    observation_error: float | None = None,
    batch_size: int = 16,
    progress: Progress | None = None,
    members: int | None = 0,
    interval: float | Sequence[float] = (),
    seed: int = 0,
    precision: str = "float32",
) -> xr.Dataset:
    """Fill the gaps of a data set with a learned model.

    Parameters
    ----------
    ds : Dataset
        NaN in the gaps.
    model : Interpolator, str or path
        A fitted model, the name of one that ships with the package, or the path of a model file.
    variable, mask, dim, keep_observed, observation_error, batch_size, progress
        See :meth:`da4dvar.Interpolator.interpolate`.
    members, interval, seed, precision
        See :meth:`da4dvar.Interpolator.interpolate`.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        If `ds` does not fit the model.
    ModelError
        If there is no such model.

    Examples
    --------
    >>> from da4dvar.simulate import lorenz96
    >>> ds = lorenz96(series=1, steps=40, seed=3)
    >>> filled = interpolate(ds, "lorenz96", variable={"x": "x_observed"})
    >>> int(filled.x.isnull().sum())
    0
    """
    fitted = load(model) if isinstance(model, str | Path) else model
    return fitted.interpolate(
        ds,
        variable=variable,
        mask=mask,
        dim=dim,
        keep_observed=keep_observed,
        observation_error=observation_error,
        batch_size=batch_size,
        progress=progress,
        members=members,
        interval=interval,
        seed=seed,
        precision=precision,
    )


def load(name: str | Path) -> Interpolator:
    """A model from a file, or one that ships with the package.

    Parameters
    ----------
    name : str or path
        A path, or the name of a shipped model.

    Returns
    -------
    Interpolator

    Raises
    ------
    ModelError
        If there is no such model, or the file is broken or inconsistent.

    Examples
    --------
    >>> load("oisst-tasman").layout.variables
    ('sst',)
    """
    # These load torch, which `ds.da4dvar` alone does not need.
    from da4dvar.interpolator import Interpolator
    from da4dvar.modelfile.read import read_model
    from da4dvar.modelfile.shipped import find

    return read_model(find(name), Interpolator)


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
