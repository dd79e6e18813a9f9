"""Parts of a data set under the names, dimensions and units of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import xarray as xr

from da4dvar.analysis.known import check_known, notes_of_parts, observed_names
from da4dvar.analysis.model import Model
from da4dvar.errors import DataError, first_line, warn
from da4dvar.fields.intake.quality import mask_name
from da4dvar.fields.labels.conform import Conformed, conform, covariate, pick, under_model_names
from da4dvar.fields.labels.signature import Signature
from da4dvar.outofcore.placeholders import placeholder

# Blocks that are read to check the values of a source, and their cells along a dimension of space.
BLOCKS, BLOCK = 16, 128


@dataclass(frozen=True)
class Source:
    """A data set that is opened but not read, and its correspondence with the names of a model.

    Attributes
    ----------
    ds : Dataset
        Data set as opened; it can be pickled.
    signature : Signature
        Labels of the data that the model was trained on.
    variable : mapping of str to str
        Name in `ds` of a variable or covariate of the model, where it differs.
    mask : str, optional
        Name of the mask variable in `ds`, or a condition on it.
    whole : Conformed
        The whole data set with zeros for values, which holds its labels, dimensions and units.
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
        """Match a data set with the signature of a model by its labels, without reading values.

        Parameters are those of :func:`da4dvar.fields.labels.conform.conform`.

        Raises
        ------
        DataError
            See :func:`da4dvar.fields.labels.conform.conform`.
        """
        given = dict(variable or {})
        whole = conform(unread(ds), signature, given, mask, dim)
        names = {given.get(n, n) for n in (*signature.variables, *signature.covariates)}
        kept = [*sorted(names | ({mask_name(mask, ds.variables)} if mask else set()))]
        return cls(ds[[n for n in kept if n in ds.variables]], signature, given, mask, whole)

    def part(self, cells: Mapping[str, slice]) -> Conformed:
        """Read cells and return them under the names of the model.

        Parameters
        ----------
        cells : mapping of str to slice
            Cells along the dimensions of the model and the batch dimensions, in the direction of the model.

        Returns
        -------
        Conformed

        Raises
        ------
        DataError
            If the source cannot be read.
        """
        whole = self.whole
        ds = self.ds.isel(self.users(cells), missing_dims="ignore")
        try:
            ds = ds.load(scheduler="synchronous")
        except Exception as error:  # libraries raise various types of errors for a broken file
            raise DataError(f"the source is broken or truncated ({first_line(error)}); restore it") from error
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
        """Return the same cells along the dimensions of the source, in its direction."""
        out = {}
        for dim, some in cells.items():
            size = self.whole.data.sizes[dim]
            turned = slice(size - some.stop, size - some.start) if dim in self.whole.flipped else some
            out[self.whole.dims.get(dim, dim)] = turned
        return out


def check_sample(model: Model, source: Source) -> None:
    """Read blocks of a source; refuse it if its values lie far outside those of the training.

    Raises
    ------
    DataError
        See :func:`da4dvar.analysis.known.check_known`.
    """
    sizes = source.whole.data[observed_names(model)[0]].sizes
    parts = []
    for number in range(BLOCKS):
        cells = {}
        for dim, size in sizes.items():
            length = 1 if dim == model.time and len(sizes) > 1 else min(BLOCK, size)
            start = int((number + 0.5) / BLOCKS * (size - length + 1))
            cells[str(dim)] = slice(start, start + length)
        parts.append(source.part(cells))
    fields = [model.observations(part.data) for part in parts]
    check_known(model, parts, fields)
    for note in notes_of_parts(model, fields):
        warn(note)


def unread(ds: xr.Dataset) -> xr.Dataset:
    """Return a data set of lazy zeros with the labels of another, whose values are not read."""
    return ds.assign({n: placeholder(a) for n, a in ds.data_vars.items()})
