"""What comes in with labels goes out with them, from file to file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from guarantees.labelled import assert_attributes, assert_coordinates, data_sets
from guarantees.small import examples, fill_file, promise, suffixes, write
from hypothesis import given
from hypothesis import strategies as st
from streams import opened

from da4dvar.outofcore.schedulers import InProcess

pytestmark = [
    *promise,
    pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning"),
    pytest.mark.filterwarnings("ignore:Unable to decode time axis"),
]


def packing(array: xr.DataArray) -> dict[str, object]:
    """How a variable is packed in its file, and by what number a gap; nothing of one that is not packed."""
    packed = array.encoding
    if packed["dtype"].kind not in "iu":
        return {}
    fill = packed.get("_FillValue", packed.get("missing_value"))
    return {k: packed.get(k) for k in ("dtype", "scale_factor", "add_offset")} | {"fill": fill}


@examples(50)
@given(ds=data_sets(), suffixes=suffixes, regions=st.booleans(), keep=st.booleans())
def test_a_file_keeps_the_labels_of_its_source(ds, suffixes, regions, keep):
    """NetCDF and Zarr, one to the other; packed as it was, but for a file that is filled in regions."""
    with tempfile.TemporaryDirectory() as folder:
        source, output = (Path(folder, f"{n}{s}") for n, s in zip(("in", "out"), suffixes, strict=True))
        write(ds, source, zarr_format=3)
        given = opened(source)
        fill_file(source, output, "learned", InProcess(tiles=4) if regions else None, keep_observed=keep)
        found, raw = opened(output), opened(output, decode_cf=False)
    assert found.sst.dims == found.sst_flag.dims == given.sst.dims
    assert_coordinates(found.sst, given.sst)
    assert found.sst_flag.dtype == np.int8
    assert not any("_FillValue" in raw[name].attrs for name in ("time", "lat", "lon"))
    for name in ("units", "calendar"):
        assert found.time.encoding[name] == given.time.encoding[name]
    assert found.sst.attrs == given.sst.attrs | {"ancillary_variables": "sst_flag"}
    assert_attributes(found, given)
    if not regions:
        assert packing(found.sst) == packing(given.sst)
    if suffixes == (".nc", ".nc"):
        assert found.encoding["unlimited_dims"] == given.encoding["unlimited_dims"]
