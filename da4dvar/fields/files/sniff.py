"""What a file is that cannot be opened as NetCDF or Zarr, told from its first bytes."""

from __future__ import annotations

import re
from pathlib import Path

TABLE = (
    "read it with pandas and convert it: pandas.read_csv(...).set_index('time').to_xarray().to_netcdf(...)"
)
HEAD = 1024
# First bytes, what they mean, and what to do.
MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a zip archive", "unpack it and give the files in it"),
    (b"\x1f\x8b", "a gzip archive", "unpack it with gunzip or tar"),
    (b"BZh", "a bzip2 archive", "unpack it with bunzip2"),
    (b"\xfd7zXZ", "an xz archive", "unpack it with unxz"),
    (b"7z\xbc\xaf", "a 7-zip archive", "unpack it"),
    (b"BUFR", "a BUFR file", "convert it to NetCDF"),
    (b"\x0e\x03\x13\x01", "an HDF4 file", "convert it, for example with gdal_translate -of netCDF or h4toh5"),
    (b"version https://git-lfs", "a Git LFS pointer without the data", "fetch the data with git lfs pull"),
    (b"II*\x00", "a TIFF image", "convert it with gdal_translate -of netCDF"),
    (b"MM\x00*", "a TIFF image", "convert it with gdal_translate -of netCDF"),
    (b"%PDF", "a PDF document", "give a data file"),
    (b"\x89PNG", "an image", "give a data file"),
    (b"\xff\xd8\xff", "an image", "give a data file"),
    (b"PAR1", "a Parquet table", "convert it: pandas.read_parquet(...).set_index('time').to_xarray()"),
    (b"\x93NUMPY", "a NumPy array without labels", "give it dimensions: xarray.DataArray(array, dims=[...])"),
    (b"MATLAB 5.0", "a MATLAB file", "save it in MATLAB with nccreate and ncwrite"),
)


def what_is(path: str | Path) -> tuple[str, str] | None:
    """Return what a file is and what to do with it, or None if its first bytes do not tell.

    Parameters
    ----------
    path : str or path
        File that cannot be opened.

    Returns
    -------
    what, advice : str

    Examples
    --------
    >>> from tempfile import NamedTemporaryFile
    >>> with NamedTemporaryFile() as file:
    ...     _ = file.write(b"GRIB....7777")
    ...     file.flush()
    ...     what_is(file.name)[0]
    'a GRIB file'
    """
    try:
        with Path(path).open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return None
    if not head:
        return "an empty file", "download or write it again"
    for start, what, advice in MAGIC:
        if head.startswith(start):
            return what, advice
    # Messages of the telecommunication network put a header before the word GRIB.
    if b"GRIB" in head[:64]:
        return "a GRIB file", "convert it, for example with cdo -f nc copy INPUT OUTPUT.nc"
    if head[257:262] == b"ustar":
        return "a tar archive", "unpack it and give the files in it"
    return _text(head)


def _text(head: bytes) -> tuple[str, str] | None:
    """Return what a text is: a page, a document or a table."""
    try:
        text = head.decode("utf-8-sig", errors="strict" if len(head) < HEAD else "ignore").lstrip()
    except UnicodeDecodeError:
        return None
    if "\x00" in text:
        return None
    if re.match(r"<!doctype html|<html|<head", text, re.IGNORECASE):
        return "an HTML page", "open it in a browser; it is often the login or error page of a download"
    if text.startswith(("<?xml", "<")):
        return "an XML document", "it is often the error message of a download"
    if text.startswith(("{", "[")):
        return "a JSON document", "it is often the error message of a download"
    if text.startswith("netcdf ") or re.match(r"dimensions:", text):
        return "NetCDF as text (CDL)", "convert it with ncgen -o OUTPUT.nc INPUT"
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    if len(lines) > 1 and any(mark in lines[0] and mark in lines[1] for mark in (",", ";", "\t")):
        return "a table (CSV)", TABLE
    return "a text", "give a NetCDF file or a Zarr store"
