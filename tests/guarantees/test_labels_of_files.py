"""Labels are preserved from file to file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import xarray as xr
from guarantees.labelled import assert_coordinates, data_sets
from guarantees.small import examples, model
from hypothesis import given
from hypothesis import strategies as st
from streams import opened

import da4dvar
from da4dvar.outofcore.schedulers import InProcess

pytestmark = [
    pytest.mark.guarantee,
    pytest.mark.filterwarnings("ignore::da4dvar.errors.Da4dvarWarning"),
    pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning"),
    pytest.mark.filterwarnings("ignore:Unable to decode time axis"),
]


def write(ds: xr.Dataset, path: Path) -> None:
    """Write a file with xarray only."""
    if path.suffix == ".nc":
        ds.to_netcdf(path)
    else:
        ds.to_zarr(path, consolidated=False, zarr_format=3)


def packing(array: xr.DataArray) -> dict[str, object]:
    """Return how a variable is packed in its file and which number marks gaps; empty if not packed."""
    packed = array.encoding
    if packed["dtype"].kind not in "iu":
        return {}
    fill = packed.get("_FillValue", packed.get("missing_value"))
    return {k: packed.get(k) for k in ("dtype", "scale_factor", "add_offset")} | {"fill": fill}


def undecoded(path: Path) -> xr.Dataset:
    """Open a file without decoding it."""
    engine = "zarr" if path.suffix == ".zarr" else "netcdf4"
    options = {"consolidated": False} if engine == "zarr" else {}
    with xr.open_dataset(path, engine=engine, decode_cf=False, **options) as ds:
        return ds.load()


@examples(50)
@given(
    ds=data_sets(),
    suffixes=st.tuples(*[st.sampled_from([".nc", ".zarr"])] * 2),
    regions=st.booleans(),
    keep=st.booleans(),
)
def test_a_file_keeps_the_labels_of_its_source(ds, suffixes, regions, keep):
    """Labels and packing survive between NetCDF and Zarr, except where documented."""
    with tempfile.TemporaryDirectory() as folder:
        source, output = (Path(folder, f"{n}{s}") for n, s in zip(("in", "out"), suffixes, strict=True))
        write(ds, source)
        given, options = opened(source), {"scheduler": "any"} if regions else {}
        with patch("da4dvar.outofcore.interpolate_file.scheduler_of", lambda _: InProcess(tiles=4)):
            da4dvar.interpolate_file(source, output, model("learned"), keep_observed=keep, **options)
        found, raw = opened(output), undecoded(output)
    assert found.sst.dims == found.sst_flag.dims == given.sst.dims
    assert_coordinates(found.sst, given.sst)
    assert found.sst_flag.dtype == np.int8
    assert not any("_FillValue" in raw[name].attrs for name in ("time", "lat", "lon"))
    for name in ("units", "calendar"):
        assert found.time.encoding[name] == given.time.encoding[name]
    assert found.sst.attrs == given.sst.attrs | {"ancillary_variables": "sst_flag"}
    history = found.attrs.pop("history").split("\n")
    assert history[1:] == [given.attrs["history"]]
    assert found.attrs == {k: v for k, v in given.attrs.items() if k != "history"}
    if not regions:
        assert packing(found.sst) == packing(given.sst)
    if suffixes == (".nc", ".nc"):
        assert found.encoding["unlimited_dims"] == given.encoding["unlimited_dims"]
