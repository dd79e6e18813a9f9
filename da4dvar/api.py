"""Functions at the top level of `da4dvar` for models that exist."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import xarray as xr

from da4dvar.analysis.options import Options, completed, with_options
from da4dvar.errors import ModelError

# Modules that need torch are imported where they are used, so that `import da4dvar` does not slow down
# `import xarray`.
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
        Data with NaN in the gaps. If they are chunked, so is the result, and nothing is computed yet. A
        DataArray is taken as the model's only variable.
    model : Interpolator, str or path
        A fitted model, the name of a shipped model, or the path of a model file.
    **options
        Keywords of :meth:`da4dvar.Interpolator.interpolate`.

    Returns
    -------
    Dataset
        Each variable with its flag and, if requested, its error bars. See
        :meth:`da4dvar.Interpolator.interpolate`.

    Raises
    ------
    DataError
        If `ds` does not match the model.
    ModelError
        If the model does not exist.
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
    """Load a shipped model or a model file.

    Parameters
    ----------
    name : str or path
        Name of a shipped model, or path of a model file.

    Returns
    -------
    Interpolator
        The fitted model.

    Raises
    ------
    ModelError
        If the model does not exist, or the file is damaged or inconsistent.

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
    """Return a model, which is loaded if it is given as a name or a path.

    Raises
    ------
    ModelError
        If the model does not exist, or `model` is of another type.
    """
    from da4dvar.interpolator import Interpolator

    if isinstance(model, str | Path):
        return load(model)
    if not isinstance(model, Interpolator):
        raise ModelError(
            f"model is of type {type(model).__name__}, expected an Interpolator, a name or a path"
        )
    return model
