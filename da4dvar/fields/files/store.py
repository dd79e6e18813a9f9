"""Reading and writing data sets as NetCDF or Zarr, by suffix. Outputs appear only when complete."""

from __future__ import annotations

import glob
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import xarray as xr

from da4dvar.errors import Da4dvarError, DataError, first_line
from da4dvar.fields.files.dated import with_dates
from da4dvar.fields.files.encoding import attributes_for, encoding_for, evenly_chunked, plain_attributes
from da4dvar.fields.files.opening import opened_raw
from da4dvar.fields.files.sniff import what_is
from da4dvar.fields.labels.carried import without_dangling
from da4dvar.fields.labels.units import same_units

SUFFIXES = (".nc", ".zarr")
# Other suffixes of NetCDF files, which are written if asked for.
ALIASES = (".nc4", ".cdf")
# Time in seconds for pending writes to a store to finish.
LATE = 0.2
# Files that distinguish a Zarr store from other folders.
STORE = {"zarr.json", ".zgroup", ".zarray", ".zmetadata"}
Labelled = TypeVar("Labelled", xr.Dataset, xr.DataArray)


def open_dataset(paths: str | Path | Sequence[str | Path], group: str | None = None) -> xr.Dataset:
    """Open a file, a glob or a list of files as one data set, lazily.

    Parameters
    ----------
    paths : path, glob or sequence of paths
        NetCDF files or Zarr stores. Several are joined along their coordinates, or, if they have no time
        dimension, by the date that each states.
    group : str, optional
        Group of each file to read, if the files keep their variables in groups.

    Returns
    -------
    Dataset
        Lazy data set; close it, or use it as a context manager.

    Raises
    ------
    DataError
        If a file is missing, is neither NetCDF nor Zarr, or the files cannot be joined.

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
    opened = [_open_one(f, group) for f in files]
    return opened[0] if len(opened) == 1 else _joined(opened, files)


def _joined(opened: Sequence[xr.Dataset], files: Sequence[str]) -> xr.Dataset:
    """Join data sets that follow each other along a coordinate, or state a date each."""
    opened = with_dates(opened, files)
    for name in map(str, opened[0].data_vars):
        units = {ds[name].attrs.get("units") for ds in opened if name in ds.variables}
        if any(not same_units(one, opened[0][name].attrs.get("units")) for one in units):
            raise DataError(
                f"{name!r} is in {' and '.join(sorted(map(str, units)))} in the {len(opened)} files; "
                "convert them to the same units"
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
            f"the {len(opened)} files cannot be joined to one data set ({first_line(error)}); "
            "give files that follow each other along one coordinate"
        ) from error


def open_in_parts(files: Sequence[str], group: str | None = None) -> xr.Dataset:
    """Open files as one data set that can be read in parts; several files are joined lazily.

    Raises
    ------
    DataError
        See :func:`open_dataset`.
    """
    if len(files) == 1:
        return _open_one(files[0], group)
    return _joined([_open_one(f, group).chunk() for f in files], files)


def load_dataset(paths: str | Path | Sequence[str | Path], group: str | None = None) -> xr.Dataset:
    """Open files like :func:`open_dataset` and read them into memory.

    Parameters
    ----------
    paths : path, glob or sequence of paths
        See :func:`open_dataset`.
    group : str, optional
        See :func:`open_dataset`.

    Returns
    -------
    Dataset
        Data set in memory.

    Raises
    ------
    DataError
        See :func:`open_dataset`; also if a file is truncated, which is only detected by reading it.

    Examples
    --------
    >>> load_dataset("nowhere.nc")
    Traceback (most recent call last):
    ...
    da4dvar.errors.DataError: nowhere.nc: no such file; give the path of a NetCDF file or a Zarr store
    """
    ds = open_dataset(paths, group)
    try:
        whole = loaded(ds, str(paths))
    finally:
        ds.close()
    # Missing chunks of a store are read as gaps.
    for file in files_of([paths] if isinstance(paths, str | Path) else paths):
        if not os.path.exists(file):
            raise DataError(f"{file}: disappeared while it was read; restore it")
    return whole


def loaded(data: Labelled, path: str) -> Labelled:
    """Return opened data read into memory; `data` itself stays lazy.

    Raises
    ------
    DataError
        If the data cannot be read.
    """
    with readable(path):
        return data.compute()


@contextmanager
def readable(path: str) -> Iterator[None]:
    """Turn a failure to read the values of a file within the body into an error of one line.

    Raises
    ------
    DataError
        If the body fails, other than by an error that users can mend.
    """
    try:
        yield
    except Da4dvarError:
        raise
    except Exception as error:  # see _open_one
        raise DataError(f"{path}: damaged or truncated ({first_line(error)})") from error


def files_of(paths: Sequence[str | Path]) -> list[str]:
    """Return the files that match paths and globs.

    Raises
    ------
    DataError
        If a glob matches nothing, a path is an address on the internet, or `paths` is empty.
    """
    files: list[str] = []
    for path in map(str, paths):
        if "://" in path:
            raise DataError(
                f"{path}: an address, but only local files are read; download it first, or with OPeNDAP "
                "save the part that you need: xarray.open_dataset(ADDRESS).sel(...).to_netcdf(FILE)"
            )
        is_pattern = glob.has_magic(path) and not os.path.exists(path)
        matches = sorted(glob.glob(path)) if is_pattern else [path]
        if not matches:
            raise DataError(f"{path}: no file matches; check the pattern")
        files += matches
    if not files:
        raise DataError("no file is given; give at least one")
    return files


def _open_one(path: str, group: str | None = None) -> xr.Dataset:
    if not os.path.exists(path):
        raise DataError(f"{path}: no such file; give the path of a NetCDF file or a Zarr store")
    if not (os.path.isfile(path) or os.path.isdir(path)):
        # Opening a pipe would block forever.
        raise DataError(f"{path}: a pipe or a device; give the path of a NetCDF file or a Zarr store")
    is_store = os.path.isdir(path)
    if is_store and not path.rstrip("/").endswith(".zarr") and not STORE & set(os.listdir(path)):
        raise DataError(
            f"{path}: a folder, not a Zarr store (it has no zarr.json or .zgroup); for the files in it, give "
            f"'{path.rstrip('/')}/*.nc'"
        )
    try:
        return opened_raw(path, is_store, group)
    except DataError:
        raise
    except PermissionError as error:
        raise DataError(f"{path}: not permitted to read it ({error.strerror})") from error
    except Exception as error:  # damaged files raise many kinds of errors in the libraries
        if known := what_is(path):
            raise DataError(f"{path}: not a NetCDF file but {known[0]}; {known[1]}") from error
        raise DataError(f"{path}: not a readable NetCDF file or Zarr store ({first_line(error)})") from error


def check_output(
    path: str | Path, inputs: Sequence[str | Path], overwrite: bool, suffixes: Sequence[str] = SUFFIXES
) -> None:
    """Raise an error for an output that cannot or must not be written, before any work is done.

    Raises
    ------
    DataError
        If the suffix is unsupported, the output exists and `overwrite` is false, the output overlaps an
        input, or its folder is missing or not writable.
    """
    path = Path(path)
    if path.suffix not in (*suffixes, *(ALIASES if ".nc" in suffixes else ())):
        raise DataError(f"{path}: unsupported suffix {path.suffix!r}; use {' or '.join(suffixes)}")
    check_apart(path, inputs)
    if os.path.exists(path) and not overwrite:
        raise DataError(f"{path}: already exists; use --overwrite to replace it, or choose another name")
    check_replaceable(path)
    folder = path.resolve().parent
    if not os.path.isdir(folder):
        raise DataError(f"{path}: there is no folder {path.parent}; create it first")
    if not os.access(folder, os.W_OK):
        raise DataError(f"{path}: not permitted to write in {path.parent}")


def check_apart(path: Path, inputs: Sequence[str | Path]) -> None:
    """Raise an error if an output is an input, lies inside one or contains one.

    Raises
    ------
    DataError
        If output and inputs overlap.
    """
    output = os.path.realpath(path)
    for one in inputs:
        source = os.path.realpath(one)
        both = os.path.exists(one) and os.path.exists(path)
        if source == output or (both and os.path.samefile(one, path)):
            raise DataError(f"{path}: output and input are the same; choose another name for the output")
        if os.path.exists(one) and f"{output}{os.sep}".startswith(f"{source}{os.sep}"):
            raise DataError(f"{path}: lies inside the input {one}; choose another place for the output")
        if f"{source}{os.sep}".startswith(f"{output}{os.sep}"):
            raise DataError(f"{path}: contains the input {one}; choose another place for the output")


def check_replaceable(path: Path) -> None:
    """Raise an error for a non-empty folder that is not a Zarr store, which is never replaced.

    Raises
    ------
    DataError
        If `path` is such a folder.
    """
    if os.path.isdir(path) and (held := set(os.listdir(path))) and not held & STORE:
        raise DataError(
            f"{path}: a folder that is not a Zarr store is never replaced; remove it yourself, "
            "or choose another name"
        )


def write_dataset(ds: xr.Dataset, path: str | Path, overwrite: bool = False) -> None:
    """Write a data set to a temporary name and move it to its destination when it is complete.

    Parameters
    ----------
    ds : Dataset
        Data set to write. Lazy data are computed chunk by chunk.
    path : str or path
        Destination that ends in ``.nc`` or ``.zarr``.
    overwrite : bool
        Whether to replace an existing file or store.

    Raises
    ------
    DataError
        If the destination exists or cannot be written. No partial output is left behind.

    Examples
    --------
    >>> write_dataset(xr.Dataset(), "result.csv")
    Traceback (most recent call last):
    ...
    da4dvar.errors.DataError: result.csv: unsupported suffix '.csv'; use .nc or .zarr
    """
    path = Path(path)
    check_output(path, [], overwrite)
    ds, suffix = without_dangling(ds), ".zarr" if path.suffix == ".zarr" else ".nc"
    encoding = {str(n): encoding_for(ds[n], suffix) for n in ds.variables}
    plain = ds.copy()
    if suffix == ".nc":
        plain.attrs = plain_attributes(ds.attrs)
    for name in plain.variables:
        plain[name].encoding = {}
        attrs = attributes_for(ds[name], encoding[str(name)])
        plain[name].attrs = plain_attributes(attrs) if suffix == ".nc" else attrs

    def write(beside: Path) -> None:
        if suffix == ".nc":
            plain.to_netcdf(beside, engine="netcdf4", encoding=encoding)
        else:
            even = plain.assign({n: evenly_chunked(a) for n, a in plain.data_vars.items()})
            even.to_zarr(beside, encoding=encoding, zarr_format=3, consolidated=False)

    write_whole(path, write)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` with a temporary path next to `path`, and rename the result to `path` at the end."""
    check_replaceable(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.partial{path.suffix}")
    replaced = path.with_name(f".{path.name}.{os.getpid()}.replaced")
    try:
        write(beside)
        if path.is_dir():
            os.replace(path, replaced)
        os.replace(beside, path)
    except Exception as error:  # full disks and unsupported data raise many kinds of errors
        raise DataError(
            f"{path}: could not be written ({first_line(error)}); no partial output was kept. "
            "Check the space on the disk and the permissions"
        ) from error
    finally:
        if replaced.exists() and not path.exists():
            os.replace(replaced, path)
        shutil.rmtree(replaced, ignore_errors=True)
        _remove(beside)


def write_text(path: Path, text: str) -> None:
    """Write a text file as a whole; see :func:`write_whole`."""
    write_whole(path, lambda beside: beside.write_text(text, encoding="utf-8"))


def _remove(leftover: Path) -> None:
    """Remove the remains of a failed write, although other writes to a store may still be in progress."""
    for _ in range(5):
        if not leftover.is_dir():
            leftover.unlink(missing_ok=True)
            return
        shutil.rmtree(leftover, ignore_errors=True)
        time.sleep(LATE)


def add_history(ds: xr.Dataset, what: str) -> xr.Dataset:
    """Return a data set with a new first line in its ``history`` attribute."""
    line = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {what}"
    earlier = str(ds.attrs.get("history", ""))
    return ds.assign_attrs(history=f"{line}\n{earlier}" if earlier else line)
