"""Data sets from and to files: NetCDF and Zarr, by suffix; whole or not at all."""

from __future__ import annotations

import glob
import os
import shutil
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import xarray as xr

from da4dvar.errors import DataError, first_line
from da4dvar.fields.files.encoding import encoding_for, evenly_chunked, plain_attributes

SUFFIXES = (".nc", ".zarr")
# Seconds within which what is still being written to a store is there.
LATE = 0.2
# What tells a Zarr store from a folder.
STORE = {"zarr.json", ".zgroup", ".zarray", ".zmetadata"}
Labelled = TypeVar("Labelled", xr.Dataset, xr.DataArray)


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
    for name in map(str, opened[0].data_vars):
        units = {str(ds[name].attrs.get("units")) for ds in opened if name in ds.variables}
        if len(units) > 1:
            raise DataError(
                f"{name!r} is in {' and '.join(sorted(units))} in the {len(opened)} files; "
                "convert them to one unit"
            )
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
            f"the {len(opened)} files do not join to one data set ({first_line(error)}); "
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

    Parameters
    ----------
    paths : path, glob or sequence of paths
        NetCDF files or Zarr stores; several are joined along their coordinates.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        Also if the file is cut short, which only reading shows.

    Examples
    --------
    >>> load_dataset("nowhere.nc")
    Traceback (most recent call last):
    ...
    da4dvar.errors.DataError: nowhere.nc: no such file; give the path of a NetCDF file or a Zarr store
    """
    ds = open_dataset(paths)
    try:
        whole = loaded(ds, str(paths))
    finally:
        ds.close()
    # What is missing of a store reads as gaps.
    for file in files_of([paths] if isinstance(paths, str | Path) else paths):
        if not os.path.exists(file):
            raise DataError(f"{file}: vanished while it was read; restore it")
    return whole


def loaded(data: Labelled, path: str) -> Labelled:
    """What was opened, read into memory; `data` itself stays as lazy as it is.

    Raises
    ------
    DataError
        If it cannot be.
    """
    try:
        return data.compute()
    except Exception as error:  # as in opening
        raise DataError(f"{path}: broken or cut short ({first_line(error)})") from error


def files_of(paths: Sequence[str | Path]) -> list[str]:
    """The files that paths and globs name.

    Raises
    ------
    DataError
        If a glob matches nothing, or nothing is named.
    """
    files: list[str] = []
    for path in map(str, paths):
        matches = sorted(glob.glob(path)) if glob.has_magic(path) else [path]
        if not matches:
            raise DataError(f"{path}: no file matches; check the pattern")
        files += matches
    if not files:
        raise DataError("no file is named; give one at least")
    return files


def _open_one(path: str) -> xr.Dataset:
    if not os.path.exists(path):
        raise DataError(f"{path}: no such file; give the path of a NetCDF file or a Zarr store")
    is_zarr = path.rstrip("/").endswith(".zarr")
    if not (os.path.isfile(path) or os.path.isdir(path)):
        # A pipe would be waited for without end.
        raise DataError(f"{path}: a pipe or a device; give the path of a NetCDF file or a Zarr store")
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
            f"{path}: not a NetCDF file or Zarr store that can be read ({first_line(error)})"
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
    check_apart(path, inputs)
    if os.path.exists(path) and not overwrite:
        raise DataError(f"{path}: exists already; say --overwrite to replace it, or name another")
    check_replaceable(path)
    folder = path.resolve().parent
    if not os.path.isdir(folder):
        raise DataError(f"{path}: there is no folder {path.parent}; create it first")
    if not os.access(folder, os.W_OK):
        raise DataError(f"{path}: not permitted to write in {path.parent}")


def check_apart(path: Path, inputs: Sequence[str | Path]) -> None:
    """Refuse an output that is an input, lies within one or holds one.

    Raises
    ------
    DataError
    """
    output = os.path.realpath(path)
    for one in inputs:
        source = os.path.realpath(one)
        both = os.path.exists(one) and os.path.exists(path)
        if source == output or (both and os.path.samefile(one, path)):
            raise DataError(f"{path}: output and input are the same; give the output another name")
        if os.path.exists(one) and f"{output}{os.sep}".startswith(f"{source}{os.sep}"):
            raise DataError(f"{path}: lies within the input {one}; give the output another place")
        if f"{source}{os.sep}".startswith(f"{output}{os.sep}"):
            raise DataError(f"{path}: holds the input {one}; give the output another place")


def check_replaceable(path: Path) -> None:
    """Refuse to replace a folder that holds something else than a Zarr store.

    Raises
    ------
    DataError
    """
    if os.path.isdir(path) and (held := set(os.listdir(path))) and not held & STORE:
        raise DataError(
            f"{path}: a folder that is no Zarr store, which is never replaced; remove it yourself, "
            "or name another"
        )


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
    if path.suffix == ".nc":
        plain.attrs = plain_attributes(ds.attrs)
    for name in plain.variables:
        plain[name].encoding = {}
        if path.suffix == ".nc":
            plain[name].attrs = plain_attributes(ds[name].attrs)

    def write(beside: Path) -> None:
        if path.suffix == ".nc":
            plain.to_netcdf(beside, engine="netcdf4", encoding=encoding)
        else:
            even = plain.assign({n: evenly_chunked(a) for n, a in plain.data_vars.items()})
            even.to_zarr(beside, encoding=encoding, zarr_format=3, consolidated=False)

    write_whole(path, write)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file or folder beside `path`, and rename it to `path` at the end."""
    check_replaceable(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.partial{path.suffix}")
    replaced = path.with_name(f".{path.name}.{os.getpid()}.replaced")
    try:
        write(beside)
        if path.is_dir():
            os.replace(path, replaced)
        os.replace(beside, path)
    except Exception as error:  # a full disk is told in many ways, and so is what a format cannot hold
        raise DataError(
            f"{path}: could not be written ({first_line(error)}); nothing was kept of it. "
            "Check the space on the disk and the permissions"
        ) from error
    finally:
        if replaced.exists() and not path.exists():
            os.replace(replaced, path)
        shutil.rmtree(replaced, ignore_errors=True)
        _remove(beside)


def _remove(leftover: Path) -> None:
    """Remove what a write that failed has left; the other writes of a store may still be under way."""
    for _ in range(5):
        if not leftover.is_dir():
            leftover.unlink(missing_ok=True)
            return
        shutil.rmtree(leftover, ignore_errors=True)
        time.sleep(LATE)


def add_history(ds: xr.Dataset, what: str) -> xr.Dataset:
    """The data set with a line on top of its ``history`` attribute."""
    line = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {what}"
    earlier = str(ds.attrs.get("history", ""))
    return ds.assign_attrs(history=f"{line}\n{earlier}" if earlier else line)
