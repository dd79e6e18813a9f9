"""Data sets from and to files: NetCDF and Zarr, by suffix; whole or not at all."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from da4dvar.errors import DataError

SUFFIXES = (".nc", ".zarr")
PACKING = ("dtype", "scale_factor", "add_offset", "_FillValue")
CALENDAR = ("units", "calendar")
COMPRESSION = ("zlib", "complevel", "shuffle")


def open_dataset(paths: str | Path | Sequence[str | Path]) -> xr.Dataset:
    """Open a file, a glob or a list of files as one data set, lazily.

    Parameters
    ----------
    paths : path, glob or sequence of paths
        NetCDF files or Zarr stores; several are joined along their coordinates.

    Returns
    -------
    Dataset
        To be closed, or used as a context manager.

    Raises
    ------
    DataError
        If a file is missing, is neither NetCDF nor Zarr, or the files do not fit together.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> days = xr.Dataset({"sst": ("time", [10.0, 11.0, 12.0])}, {"time": [0, 1, 2]})
    >>> with TemporaryDirectory() as folder:
    ...     write_dataset(days.isel(time=[0, 1]), f"{folder}/a.nc")
    ...     write_dataset(days.isel(time=[2]), f"{folder}/b.nc")
    ...     with open_dataset(f"{folder}/*.nc") as ds:
    ...         ds.sst.values
    array([10., 11., 12.])
    """
    files = files_of([paths] if isinstance(paths, str | Path) else paths)
    opened = [_open_one(f) for f in files]
    return opened[0] if len(opened) == 1 else _joined(opened)


def _joined(opened: Sequence[xr.Dataset]) -> xr.Dataset:
    """Data sets that follow each other, as one."""
    try:
        joined = xr.combine_by_coords(
            opened,
            data_vars="minimal",
            coords="minimal",
            compat="override",
            join="exact",
            combine_attrs="override",
        )
        return joined if isinstance(joined, xr.Dataset) else joined.to_dataset()
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"the {len(opened)} files do not join to one data set ({_line(error)}); "
            "give files that follow each other along one coordinate"
        ) from error


def open_in_parts(files: Sequence[str]) -> xr.Dataset:
    """Files as one data set of which parts can be read: several are joined without reading them.

    Raises
    ------
    DataError
        See :func:`open_dataset`.
    """
    if len(files) == 1:
        return _open_one(files[0])
    return _joined([_open_one(f).chunk() for f in files])


def load_dataset(paths: str | Path | Sequence[str | Path]) -> xr.Dataset:
    """The same as :func:`open_dataset`, read into memory.

    Raises
    ------
    DataError
        Also if the file is cut short, which only reading shows.
    """
    ds = open_dataset(paths)
    try:
        loaded = ds.load()
    except Exception as error:  # as in opening
        raise DataError(f"{paths}: broken or cut short ({_line(error)})") from error
    finally:
        ds.close()
    return loaded


def files_of(paths: Sequence[str | Path]) -> list[str]:
    """The files that paths and globs name.

    Raises
    ------
    DataError
        If a glob matches nothing.
    """
    files: list[str] = []
    for path in map(str, paths):
        matches = sorted(glob.glob(path)) if glob.has_magic(path) else [path]
        if not matches:
            raise DataError(f"{path}: no file matches; check the pattern")
        files += matches
    return files


def _open_one(path: str) -> xr.Dataset:
    if not os.path.exists(path):
        raise DataError(f"{path}: no such file; give the path of a NetCDF file or a Zarr store")
    is_zarr = path.rstrip("/").endswith(".zarr")
    if os.path.isdir(path) and not is_zarr:
        raise DataError(f"{path}: a folder that is no Zarr store; a store's name ends in .zarr")
    try:
        if is_zarr:
            store: xr.Dataset = xr.open_zarr(path, chunks=None, consolidated=False, decode_timedelta=False)
            return store
        return xr.open_dataset(path, engine="netcdf4", decode_timedelta=False)
    except PermissionError as error:
        raise DataError(f"{path}: not permitted to read it ({error.strerror})") from error
    except Exception as error:  # the libraries beneath raise whatever a broken file provokes
        raise DataError(
            f"{path}: not a NetCDF file or Zarr store that can be read ({_line(error)})"
        ) from error


def check_output(
    path: str | Path, inputs: Sequence[str | Path], overwrite: bool, suffixes: Sequence[str] = SUFFIXES
) -> None:
    """Refuse an output that cannot or must not be written, before any work is done.

    Raises
    ------
    DataError
    """
    path = Path(path)
    if path.suffix not in suffixes:
        raise DataError(f"{path}: a file of which kind? End its name in {' or '.join(suffixes)}")
    same = [p for p in inputs if os.path.exists(p) and os.path.exists(path) and os.path.samefile(p, path)]
    if same:
        raise DataError(f"{path}: output and input are the same; give the output another name")
    if os.path.exists(path) and not overwrite:
        raise DataError(f"{path}: exists already; say --overwrite to replace it, or name another")
    folder = path.resolve().parent
    if not os.path.isdir(folder):
        raise DataError(f"{path}: there is no folder {path.parent}; create it first")
    if not os.access(folder, os.W_OK):
        raise DataError(f"{path}: not permitted to write in {path.parent}")


def write_dataset(ds: xr.Dataset, path: str | Path, overwrite: bool = False) -> None:
    """Write a data set beside its destination and move it there once it is whole.

    Parameters
    ----------
    ds : Dataset
        A lazy one is computed chunk by chunk.
    path : str or path
        Ends in ``.nc`` or ``.zarr``.
    overwrite : bool
        Replace what is there.

    Raises
    ------
    DataError
        If the destination exists, or it cannot be written: nothing is left behind.

    Examples
    --------
    >>> write_dataset(xr.Dataset(), "result.csv")
    Traceback (most recent call last):
    ...
    da4dvar.errors.DataError: result.csv: a file of which kind? End its name in .nc or .zarr
    """
    path = Path(path)
    check_output(path, [], overwrite)
    encoding = {str(n): encoding_for(ds[n], path.suffix) for n in ds.variables}
    plain = ds.copy()
    for name in plain.variables:
        plain[name].encoding = {}

    def write(beside: Path) -> None:
        if path.suffix == ".nc":
            plain.to_netcdf(beside, engine="netcdf4", encoding=encoding)
        else:
            even = plain.assign({n: _evenly_chunked(a) for n, a in plain.data_vars.items()})
            even.to_zarr(beside, encoding=encoding, zarr_format=3, consolidated=False)

    write_whole(path, write)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file or folder beside `path`, and rename it to `path` at the end."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.partial{path.suffix}")
    replaced = path.with_name(f".{path.name}.{os.getpid()}.replaced")
    try:
        write(beside)
        if path.is_dir():
            os.replace(path, replaced)
        os.replace(beside, path)
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"{path}: could not be written ({_line(error)}); nothing was kept of it. "
            "Check the space on the disk and the permissions"
        ) from error
    finally:
        if replaced.exists() and not path.exists():
            os.replace(replaced, path)
        for leftover in (beside, replaced):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)


def add_history(ds: xr.Dataset, what: str) -> xr.Dataset:
    """The data set with a line on top of its ``history`` attribute."""
    line = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {what}"
    earlier = ds.attrs.get("history")
    return ds.assign_attrs(history=f"{line}\n{earlier}" if earlier else line)


def _evenly_chunked(array: xr.DataArray) -> xr.DataArray:
    """The array in chunks of one size, as Zarr has them."""
    return array if array.chunks is None else array.chunk({d: max(c) for d, c in array.chunksizes.items()})


def encoding_for(array: xr.DataArray, suffix: str) -> dict[str, Any]:
    """The part of a variable's encoding that the new file can have."""
    kept = (*PACKING, *(COMPRESSION if suffix == ".nc" else ()))
    if array.dtype.kind == "M" or array.dtype == object:
        kept += CALENDAR
    encoding = {k: v for k, v in array.encoding.items() if k in kept}
    if "dtype" in encoding and array.dtype.kind == "f" and not _fits(array, encoding):
        encoding = {k: v for k, v in encoding.items() if k not in PACKING}
    if suffix == ".nc" and array.dtype.kind in "OSU":
        encoding = {k: v for k, v in encoding.items() if k not in COMPRESSION}
    return encoding


def _fits(array: xr.DataArray, encoding: Mapping[str, Any]) -> bool:
    """Whether packed integers can hold the values; an unread lazy array is not taken to."""
    packed = np.dtype(encoding["dtype"])
    if packed.kind not in "iu":
        return True
    if array.chunks is not None:
        return False
    finite = np.isfinite(array.values)
    if not finite.any():
        return "_FillValue" in encoding
    if not finite.all() and "_FillValue" not in encoding:
        return False
    scale, offset = encoding.get("scale_factor", 1.0), encoding.get("add_offset", 0.0)
    codes = np.rint((array.values[finite].astype("float64") - offset) / scale)
    info = np.iinfo(packed)
    fill = encoding.get("_FillValue")
    return bool(codes.min() >= info.min and codes.max() <= info.max and not (codes == fill).any())


def _line(error: BaseException) -> str:
    """The first line of an error's text."""
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__
