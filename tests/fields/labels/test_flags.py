"""Codes of the flags of several communities."""

import numpy as np
import pytest
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.labels.flags import SCHEMES, in_scheme, scheme_of

OWN = xr.DataArray(np.array([0, 1, 2, 3], "int8"), dims="time", name="sst_flag")
# Observed, estimated, not estimable, estimated beyond what was scored.
CODES = {
    "da4dvar": [0, 1, 2, 3],
    "qartod": [2, 3, 9, 4],
    "seadatanet": [0, 8, 9, 3],
    "argo": [0, 8, 9, 3],
    "fluxnet": [0, 1, -1, 3],
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_codes_are_those_of_the_scheme(scheme):
    """Each code that is written has a meaning, and the attributes are those of CF; lazy stays lazy."""
    flag = in_scheme(OWN, scheme)
    assert flag.values.tolist() == CODES[scheme]
    assert (flag.dtype, flag.name, flag.attrs["standard_name"]) == (np.int8, "sst_flag", "status_flag")
    assert set(flag.values) <= set(flag.attrs["flag_values"])
    assert flag.attrs["flag_values"].dtype == flag.dtype
    assert len(flag.attrs["flag_meanings"].split()) == len(flag.attrs["flag_values"])
    assert "sst" in flag.attrs["long_name"]
    lazy = in_scheme(OWN.chunk(time=2), scheme)
    assert lazy.chunks is not None
    assert lazy.identical(flag)


def test_an_unknown_scheme_is_refused():
    """The message offers the nearest."""
    with pytest.raises(DataError, match=r"flags 'quartod': did you mean 'qartod'\?"):
        scheme_of("quartod")
