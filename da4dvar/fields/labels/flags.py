"""The flag of every value: whether it was observed or estimated, in the codes of several communities."""

from __future__ import annotations

import numpy as np
import xarray as xr

from da4dvar.errors import DataError, nearest
from da4dvar.fields.labels.output import FLAGS

# For each scheme, the code of each of FLAGS, and the meanings of the codes. Observed values get the code of
# values without quality control where the scheme has one, as their quality was not checked.
SCHEMES: dict[str, tuple[tuple[int, ...], dict[int, str]]] = {
    "da4dvar": (tuple(FLAGS.values()), {code: name for name, code in FLAGS.items()}),
    # IOOS QARTOD: https://ioos.noaa.gov/project/qartod
    "qartod": (
        (2, 3, 9, 4),
        {1: "pass", 2: "not_evaluated", 3: "suspect_or_of_high_interest", 4: "fail", 9: "missing"},
    ),
    # SeaDataNet L20: https://vocab.nerc.ac.uk/collection/L20
    "seadatanet": (
        (0, 8, 9, 3),
        {0: "no_quality_control", 3: "probably_bad_value", 8: "interpolated_value", 9: "missing_value"},
    ),
    # Argo reference table 2: https://vocab.nerc.ac.uk/collection/RR2
    "argo": (
        (0, 8, 9, 3),
        {0: "no_qc_performed", 3: "probably_bad_data", 8: "estimated_value", 9: "missing_value"},
    ),
    # FLUXNET2015: https://fluxnet.org/data/fluxnet2015-dataset/data-processing
    "fluxnet": (
        (0, 1, -1, 3),
        {-1: "missing", 0: "measured", 1: "good_quality_gapfill", 2: "medium", 3: "poor"},
    ),
}


def scheme_of(name: str) -> str:
    """Return the name of a scheme of flags.

    Raises
    ------
    DataError
        If there is no such scheme.
    """
    if name not in SCHEMES:
        raise DataError(f"flags {name!r}: {nearest(name, SCHEMES)}")
    return name


def in_scheme(flag: xr.DataArray, scheme: str = "da4dvar") -> xr.DataArray:
    """Translate the flags of this package into the codes of a community, with CF attributes.

    Parameters
    ----------
    flag : DataArray of int
        0 observed, 1 estimated, 2 not estimable, 3 estimated beyond what was scored.
    scheme : {"da4dvar", "qartod", "seadatanet", "argo", "fluxnet"}
        Codes to use.

    Returns
    -------
    DataArray of int8

    Raises
    ------
    DataError
        If there is no such scheme.

    Examples
    --------
    >>> in_scheme(xr.DataArray([0, 1, 2, 3], name="sst_flag"), "argo").values
    array([0, 8, 9, 3], dtype=int8)
    """
    codes, meanings = SCHEMES[scheme_of(scheme)]
    table = np.array(codes, dtype="int8")
    out: xr.DataArray = xr.apply_ufunc(lambda f: table[f], flag, dask="parallelized", output_dtypes=["int8"])
    out.attrs = {
        "long_name": flag.attrs.get(
            "long_name", f"origin of each value of {str(flag.name).removesuffix('_flag')}"
        ),
        "standard_name": "status_flag",
        "flag_values": np.array(list(meanings), dtype="int8"),
        "flag_meanings": " ".join(meanings.values()),
    }
    out.encoding = {}
    return out.rename(flag.name)


def from_scheme(flag: xr.DataArray) -> xr.DataArray:
    """Translate flags in the codes of a community back into those of this package.

    Parameters
    ----------
    flag : DataArray of int8
        Flags as :func:`in_scheme` returns them.

    Returns
    -------
    DataArray of int8
        0 observed, 1 estimated, 2 not estimable, 3 estimated beyond what was scored.

    Raises
    ------
    DataError
        If the attribute ``flag_meanings`` is that of no scheme.

    Examples
    --------
    >>> flag = xr.DataArray([0, 1, 2, 3], name="sst_flag")
    >>> from_scheme(in_scheme(flag, "fluxnet")).values
    array([0, 1, 2, 3], dtype=int8)
    """
    codes = _codes_of(flag)
    if codes is None:
        raise DataError(
            f"{flag.name}: the meanings of its flags are unknown, expected those of {', '.join(SCHEMES)}"
        )
    # Codes below 0 count from the end of the table.
    table = np.zeros(256, dtype="int8")
    table[list(codes)] = list(FLAGS.values())
    out: xr.DataArray = xr.apply_ufunc(lambda f: table[f], flag, dask="parallelized", output_dtypes=["int8"])
    return out


def observed_code(flag: xr.DataArray) -> int | None:
    """Return the code of observed values in a variable of flags; None if its meanings are not known.

    Examples
    --------
    >>> observed_code(in_scheme(xr.DataArray([0, 1], name="sst_flag"), "qartod"))
    2
    """
    codes = _codes_of(flag)
    return None if codes is None else codes[0]


def _codes_of(flag: xr.DataArray) -> tuple[int, ...] | None:
    """Return the code of each of FLAGS in a variable of flags; None if its meanings are not known."""
    said = flag.attrs.get("flag_meanings")
    for codes, meanings in SCHEMES.values():
        if said == " ".join(meanings.values()):
            return codes
    return None
