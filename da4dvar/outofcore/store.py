"""Zarr store to which labels are written first, and then values region by region."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from itertools import product
from pathlib import Path

import dask
import xarray as xr
import zarr

from da4dvar.errors import DataError
from da4dvar.fields.files.encoding import encoding_for
from da4dvar.outofcore.journal import flush


def create(template: xr.Dataset, store: Path, chunks: Mapping[str, int], exact: Collection[str] = ()) -> None:
    """Create a store with labels, coordinates and the shape of every variable, without computing values.

    Parameters
    ----------
    template : Dataset
        Output with lazy zeros for its values.
    store : path
        Path of the store.
    chunks : mapping of str to int
        Cells of a chunk along each dimension of the output.
    exact : collection of str
        Lazy variables whose values are those of their encoding, as they are copied from a file.
    """
    encoding = {}
    plain = template.copy()
    for name in map(str, template.variables):
        encoding[name] = encoding_for(template[name], ".zarr", name in exact)
        if template[name].chunks is not None:
            encoding[name]["chunks"] = chunks_of(template[name], chunks)
        plain[name].encoding = {}
    plain.to_zarr(store, mode="w", compute=False, encoding=encoding, zarr_format=3, consolidated=False)


def write(part: xr.Dataset, store: Path, region: Mapping[str, slice]) -> None:
    """Write a region of the output, and wait until it is on disk."""
    bare = part.drop_vars([n for n, v in part.variables.items() if n not in part.data_vars])
    for name in bare.variables:
        bare[name].encoding = {}
    bare.to_zarr(store, mode="r+", region=dict(region), consolidated=False, safe_chunks=False)
    group = zarr.open_group(store, mode="r")
    for name, array in bare.data_vars.items():
        kept = group[str(name)]
        assert isinstance(kept, zarr.Array)
        ranges = []
        for d, n, c in zip(array.dims, kept.shape, kept.chunks, strict=True):
            some = region.get(str(d), slice(0, n))
            ranges.append(range(some.start // c, -(-some.stop // c)))
        for index in product(*ranges):
            # A chunk that holds only the fill value is not written.
            if (file := store / str(name) / "c" / "/".join(map(str, index))).exists():
                flush(file)


def check(template: xr.Dataset, store: Path, chunks: Mapping[str, int]) -> None:
    """Check that a store is the one that would be created from a template.

    Raises
    ------
    DataError
    """

    def refuse(what: str) -> DataError:
        return DataError(
            f"{store}: its {what} differs from what this run writes; start over with --overwrite"
        )

    try:
        group = zarr.open_group(store, mode="r")
        with xr.open_zarr(store, chunks=None, consolidated=False, decode_timedelta=False) as kept:
            for name in map(str, template.variables):
                if name not in group or kept[name].shape != template[name].shape:
                    raise refuse(f"variable {name!r}")
                if template[name].chunks is None:
                    if not kept[name].variable.equals(template[name].variable):
                        raise refuse(f"coordinate {name!r}")
                elif (had := kept[name].encoding["chunks"]) != chunks_of(template[name], chunks):
                    raise refuse(f"chunk size of {name!r}, {had},")
    except (OSError, KeyError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{store}: cannot be read; start over with --overwrite") from error


def chunks_of(array: xr.DataArray, chunks: Mapping[str, int]) -> tuple[int, ...]:
    """Return the chunks of a variable: as given by dimension, and whole along other dimensions."""
    return tuple(max(1, min(n, chunks.get(str(d), n))) for d, n in array.sizes.items())


def to_netcdf(
    store: Path,
    template: xr.Dataset,
    output: Path,
    chunks: Mapping[str, int],
    exact: Collection[str] = (),
) -> None:
    """Copy a finished store to a NetCDF file in one thread, a few chunks at a time; see :func:`create`."""
    opened = xr.open_zarr(store, chunks={}, consolidated=False, decode_timedelta=False)
    opened = opened[[str(n) for n in template.data_vars]]
    encoding = {}
    for name in map(str, template.variables):
        encoding[name] = encoding_for(template[name], ".nc", name in exact)
        opened[name].encoding = {}
        # Zarr stores attributes as JSON, which loses the integer type that flag values must have.
        opened[name].attrs = dict(template[name].attrs)
        if template[name].chunks is not None and template[name].ndim:
            encoding[name]["chunksizes"] = chunks_of(template[name], chunks)

    # Written next to the store, so that an incomplete file on a full disk is removed with the journal.
    beside = store.with_name(f"new-{output.name}")
    with dask.config.set(scheduler="synchronous"):
        unlimited = template.encoding.get("unlimited_dims", ())
        opened.to_netcdf(beside, engine="netcdf4", encoding=encoding, unlimited_dims=unlimited)
    flush(beside)
    os.replace(beside, output)
