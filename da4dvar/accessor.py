"""The accessors ``ds.da4dvar`` and ``da.da4dvar`` of xarray."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import xarray as xr

from da4dvar.analysis.options import Options, with_options
from da4dvar.fields.gaps.limits import MaxGap

# Modules that need torch are imported where they are used, so that `import da4dvar` does not slow down
# `import xarray`; so is `da4dvar.api`, which may be the module that imports xarray and thereby this one.
if TYPE_CHECKING:
    from da4dvar.interpolator import Interpolator


@xr.register_dataset_accessor("da4dvar")
@xr.register_dataarray_accessor("da4dvar")
class Da4dvarAccessor:
    """Accessor for xarray objects, ``ds.da4dvar`` and ``da.da4dvar``, available once da4dvar is imported.

    In a notebook, ``filled.da4dvar`` displays what was filled, by which method, and with what error.

    Parameters
    ----------
    data : Dataset or DataArray
        Data with NaN in the gaps.

    Examples
    --------
    >>> from da4dvar.simulate import lorenz96
    >>> ds = lorenz96(series=1, steps=40, seed=3)
    >>> filled = ds.x_observed.da4dvar.interpolate("lorenz96")
    >>> int(filled.x.isnull().sum())
    0
    """

    def __init__(self, data: xr.Dataset | xr.DataArray) -> None:
        self._data = data

    def _repr_html_(self) -> str:
        from da4dvar.workflows.report.shown import filled_html

        data = self._data
        return filled_html(data if isinstance(data, xr.Dataset) else data.to_dataset(name="data"))

    @with_options
    def interpolate(self, model: Interpolator | str | Path, **options: Unpack[Options]) -> xr.Dataset:
        """Fill the gaps with a learned model, as :func:`da4dvar.interpolate` does.

        Parameters
        ----------
        model : Interpolator, str or path
            A fitted model, the name of a shipped model, or the path of a model file.
        **options
            Keywords of :meth:`da4dvar.Interpolator.interpolate`.

        Returns
        -------
        Dataset
            Each variable with its flag and, if requested, its error bars. See
            :meth:`da4dvar.Interpolator.interpolate`.
        """
        from da4dvar.api import interpolate

        return interpolate(self._data, model, **options)

    def fill(
        self,
        *,
        minutes: float = 5.0,
        method: str = "auto",
        variable: Mapping[str, str] | Sequence[str] | str | None = None,
        dim: Mapping[str, str] | Sequence[str] | str | None = None,
        mask: str | xr.DataArray | None = None,
        fill_value: str | float = "auto",
        times: str = "insert",
        bounds: Sequence[str] | str = (),
        circular: Sequence[str] | str = (),
        analysis: bool = False,
        std: bool = False,
        interval: float | Sequence[float] = (),
        max_gap: MaxGap | None = None,
        limit_area: str | None = None,
        flags: str = "da4dvar",
        samples: int = 0,
        seed: int = 0,
        device: str = "auto",
        say: Callable[[str], None] | None = None,
    ) -> xr.Dataset:
        """Fill the gaps by the best of all methods for each variable; see :func:`da4dvar.fill`.

        Parameters
        ----------
        minutes, method, variable, dim, mask, fill_value, times, bounds, circular
            See :func:`da4dvar.fill`.
        analysis, std, interval, max_gap, limit_area, flags, samples, seed, device, say
            See :func:`da4dvar.fill`.

        Returns
        -------
        Dataset
            The data with their gaps filled, with flags and the requested error bars and samples.
        """
        from da4dvar.workflows.autofit.fill import fill

        return fill(
            self._data,
            minutes=minutes,
            method=method,
            variable=variable,
            dim=dim,
            mask=mask,
            fill_value=fill_value,
            times=times,
            bounds=bounds,
            circular=circular,
            analysis=analysis,
            std=std,
            interval=interval,
            max_gap=max_gap,
            limit_area=limit_area,
            flags=flags,
            samples=samples,
            seed=seed,
            device=device,
            say=say,
        )
