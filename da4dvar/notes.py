"""What a user may want to know of a data set before and after it is interpolated."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr

from da4dvar.errors import Da4dvarWarning, DataError
from da4dvar.fields.conform import Conformed
from da4dvar.fields.output import unreached


def check_values(y: xr.DataArray, conformed: Conformed) -> None:
    """What can only be known from the values; a lazy data set is not read for it."""
    if y.chunks is not None:
        return
    for name in conformed.sources:
        values = conformed.data[name].values
        source = conformed.sources[name].name
        if np.isinf(values).any():
            raise DataError(
                f"variable {source!r} has {int(np.isinf(values).sum())} infinite values; "
                "replace them by NaN where nothing was observed"
            )
    if not np.isfinite(y.values).any():
        raise DataError(
            f"variable {', '.join(str(s.name) for s in conformed.sources.values())!r} holds no "
            "observation at all; check the variable, its fill value and the mask"
        )


def report(conformed: Conformed, terms: xr.DataArray, filled: xr.Dataset, time: str) -> None:
    """What was done to the data, and where nothing could be, as warnings of whoever calls the caller."""
    for note in conformed.notes:
        warnings.warn(note, Da4dvarWarning, stacklevel=3)
    if terms.chunks is not None or not (empty := int(terms.isel(term=0).isnull().sum())):
        return
    said = "cells that no other window reaches are NaN and have flag 2"
    for name, source in conformed.sources.items():
        if (theirs := conformed.dims.get(time)) in source.dims:
            count, longest = unreached(filled[f"{name}_flag"], str(theirs))
            if count:
                said = f"{count} values of {name!r}, up to {longest} steps together, are NaN and have flag 2"
    warnings.warn(
        f"{empty} of {terms.isel(term=0).size} windows hold no observation; {said}",
        Da4dvarWarning,
        stacklevel=3,
    )
