"""A part of a data set under a model's names: cells of the model's dimensions in, the user's cells out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dask.array
import numpy as np
import xarray as xr

from da4dvar.errors import DataError, first_line
from da4dvar.fields.labels.conform import Conformed, conform, covariate, pick, under_model_names
from da4dvar.fields.labels.signature import Signature


@dataclass(frozen=True)
class Source:
    """A data set that is opened but not read, and how it comes under a model's names.

    Attributes
    ----------
    ds : Dataset
        As it was opened; it can be pickled.
    signature : Signature
        Of the data that the model was trained on.
    variable : mapping of str to str
        The user's name of a model's variable or covariate, where it is another.
    mask : str, optional
    whole : Conformed
        All of it, with nothing but zeros for values: what labels, dimensions and units say.
    """

    ds: xr.Dataset
    signature: Signature
    variable: Mapping[str, str]
    mask: str | None
    whole: Conformed

    @classmethod
    def of(
        cls,
        ds: xr.Dataset,
        signature: Signature,
        variable: Mapping[str, str] | None = None,
        mask: str | None = None,
        dim: Mapping[str, str] | None = None,
    ) -> Source:
        """Match a data set with a model's signature by its labels alone; no value is read.

        Raises
        ------
        DataError
            As of :func:`da4dvar.fields.labels.conform.conform`.
        """
        given = dict(variable or {})
        whole = conform(unread(ds), signature, given, mask, dim)
        names = {given.get(n, n) for n in (*signature.variables, *signature.covariates)}
        kept = [*sorted(names | ({mask} if mask else set()))]
        return cls(ds[[n for n in kept if n in ds.variables]], signature, given, mask, whole)

    def part(self, cells: Mapping[str, slice]) -> Conformed:
        """Read some cells, and put them under the model's names.

        Parameters
        ----------
        cells : mapping of str to slice
            Along the model's dimensions, and those of a batch, in the model's direction.

        Raises
        ------
        DataError
            If they cannot be read.
        """
        whole = self.whole
        ds = self.ds.isel(self.users(cells), missing_dims="ignore")
        try:
            ds = ds.load(scheduler="synchronous")
        except Exception as error:  # the libraries beneath raise whatever a broken file provokes
            raise DataError(f"the source is broken or cut short ({first_line(error)}); restore it") from error
        sources, arrays = {}, {}
        for name in self.signature.variables:
            sources[name] = pick(ds, self.variable.get(name, name))
            arrays[name], _ = under_model_names(
                ds, sources[name], name, self.mask, self.signature, whole.dims
            )
        for name in self.signature.covariates:
            arrays[name], _ = covariate(ds, name, self.variable, self.signature, whole.dims)
        turn = {d: slice(None, None, -1) for d in whole.flipped}
        data = xr.Dataset({n: a.isel(turn, missing_dims="ignore") for n, a in arrays.items()})
        return Conformed(data, sources, whole.dims, whole.attrs, whole.flipped)

    def users(self, cells: Mapping[str, slice]) -> dict[str, slice]:
        """The same cells along the user's dimensions, in the user's direction."""
        out = {}
        for dim, some in cells.items():
            size = self.whole.data.sizes[dim]
            turned = slice(size - some.stop, size - some.start) if dim in self.whole.flipped else some
            out[self.whole.dims.get(dim, dim)] = turned
        return out


def unread(ds: xr.Dataset) -> xr.Dataset:
    """A data set of lazy zeros with the labels of another, whose values are not read."""
    return ds.assign({n: placeholder(a) for n, a in ds.data_vars.items()})


def placeholder(array: xr.DataArray) -> xr.DataArray:
    """Lazy zeros in one chunk, with the labels of an array."""
    copied = array.copy(data=zeros(array.shape, array.dtype))
    copied.encoding = dict(array.encoding)
    return copied


def zeros(shape: Sequence[int], dtype: np.dtype | str) -> dask.array.Array:
    """Lazy zeros in one chunk, which are there for their shape."""
    empty: dask.array.Array = dask.array.zeros(tuple(shape), dtype=dtype, chunks=tuple(shape))
    return empty
