"""The functions of `da4dvar` itself, and the accessors ``ds.da4dvar`` and ``da.da4dvar``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import xarray as xr

from da4dvar.analysis.options import Options, completed, with_options
from da4dvar.errors import ModelError

# What needs torch is imported where it is used: `import xarray` alone must stay quick after `import da4dvar`.
if TYPE_CHECKING:
    from da4dvar.interpolator import Interpolator


@with_options
def interpolate(
    ds: xr.Dataset | xr.DataArray, model: Interpolator | str | Path, **options: Unpack[Options]
) -> xr.Dataset:
    """Fill the gaps of a data set with a learned model.

    Parameters
    ----------
    ds : Dataset or DataArray
        NaN in the gaps. If it is chunked, so is the result, and nothing is computed. A DataArray is the
        model's only variable.
    model : Interpolator, str or path
        A fitted model, the name of one that ships with the package, or the path of a model file.
    **options
        Keywords of :meth:`da4dvar.Interpolator.interpolate`.

    Returns
    -------
    Dataset
        Each variable, its flag, and its error bars if asked for, as by
        :meth:`da4dvar.Interpolator.interpolate`.

    Raises
    ------
    DataError
        If `ds` does not fit the model.
    ModelError
        If there is no such model.
    TypeError
        If an option is unknown.

    Examples
    --------
    >>> from da4dvar.simulate import lorenz96
    >>> ds = lorenz96(series=1, steps=40, seed=3)
    >>> filled = interpolate(ds, "lorenz96", variable="x_observed")
    >>> int(filled.x.isnull().sum())
    0
    """
    given = completed(interpolate, options)
    return model_of(model).interpolate(ds, **given)


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
    from da4dvar.interpolator import Interpolator
    from da4dvar.modelfile.read import read_model
    from da4dvar.modelfile.shipped import find

    return read_model(find(name), Interpolator)


def model_of(model: Interpolator | str | Path) -> Interpolator:
    """A model, loaded if it is a name or a path.

    Raises
    ------
    ModelError
        If there is no such model, or it is neither.
    """
    from da4dvar.interpolator import Interpolator

    if isinstance(model, str | Path):
        return load(model)
    if not isinstance(model, Interpolator):
        raise ModelError(
            f"model is of type {type(model).__name__}, expected an Interpolator, a name or a path"
        )
    return model


@xr.register_dataset_accessor("da4dvar")
@xr.register_dataarray_accessor("da4dvar")
class Da4dvarAccessor:
    """Interpolation as a method of data: ``ds.da4dvar`` and ``da.da4dvar``, once da4dvar is imported.

    Parameters
    ----------
    data : Dataset or DataArray

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

    @with_options
    def interpolate(self, model: Interpolator | str | Path, **options: Unpack[Options]) -> xr.Dataset:
        """Fill the gaps with a learned model; the same as :func:`da4dvar.interpolate`.

        Parameters
        ----------
        model : Interpolator, str or path
            A fitted model, the name of one that ships with the package, or the path of a model file.
        **options
            Keywords of :meth:`da4dvar.Interpolator.interpolate`.

        Returns
        -------
        Dataset
            Each variable, its flag, and its error bars if asked for, as by
            :meth:`da4dvar.Interpolator.interpolate`.
        """
        return interpolate(self._data, model, **options)
