"""Variables of a source that are not filled: copied to the output, the large ones in parts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr

from da4dvar.analysis.taken import take_for
from da4dvar.fields.files.opening import PART, in_parts, is_large
from da4dvar.fields.labels.carried import carry
from da4dvar.outofcore import store as region_store
from da4dvar.outofcore.placeholders import placeholder

if TYPE_CHECKING:
    from da4dvar.analysis.options import Options
    from da4dvar.interpolator import Interpolator


def taken_in_parts(
    model: Interpolator, ds: xr.Dataset, options: Options, say: Callable[[str], object]
) -> xr.Dataset:
    """Prepare an opened data set for a model without reading it; see :func:`da4dvar.analysis.taken.take_for`.

    Returns
    -------
    Dataset
        `ds` itself if nothing has to be changed, otherwise a data set that is changed part by part.
    """
    notes: list[str] = []
    taken, _ = take_for(
        model,
        in_parts(ds),
        variable=options["variable"],
        dim=options["dim"],
        fill_value=options["fill_value"],
        times=options["times"],
        say=notes.append,
    )
    for note in notes:
        say(note)
    return taken if notes else ds


def with_rest(template: xr.Dataset, ds: xr.Dataset, taken: Collection[str]) -> tuple[xr.Dataset, set[str]]:
    """Add the other variables of the source to a template, the large ones without their values.

    Parameters
    ----------
    template : Dataset
        Output with lazy zeros for its values.
    ds : Dataset
        Source as opened.
    taken : collection of str
        Variables of the source that the output holds under another name.

    Returns
    -------
    template : Dataset
        Complete template.
    large : set of str
        Names of the variables whose values are to be copied.
    """
    rest = {n: a for n, a in ds.data_vars.items() if n not in template.variables and n not in taken}
    large = {str(n) for n, a in rest.items() if is_large(a)}
    small = ds.assign({n: placeholder(ds[n]) if n in large else a.compute() for n, a in rest.items()})
    return carry(template, small, taken), large


def copy_rest(ds: xr.Dataset, large: Collection[str], store: Path, chunks: Mapping[str, int]) -> None:
    """Copy the values of large variables from the source to the store, in parts."""
    for name in large:
        array = ds[name]
        first = str(array.dims[0])
        chunk = region_store.chunks_of(array, chunks)[0]
        rows = max(1, PART * array.sizes[first] // array.nbytes // chunk) * chunk
        for start in range(0, array.sizes[first], rows):
            part = slice(start, min(start + rows, array.sizes[first]))
            values = array.isel({first: part}).load(scheduler="synchronous").variable
            region_store.write(xr.Dataset({name: values}), store, {first: part})
