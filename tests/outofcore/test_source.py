"""A part of a source equals the same part of the whole under the names of the model."""

from __future__ import annotations

import dask
import dask.array
import numpy as np
import pytest
import xarray as xr
from examples import make_sst

from da4dvar.fields.labels.conform import conform
from da4dvar.fields.labels.signature import Signature
from da4dvar.outofcore.source import Source


def changed(ds: xr.Dataset) -> xr.Dataset:
    """Return the data in other units, under other names, transposed and with latitude reversed."""
    out = ds.assign(sst=(ds.sst + 273.15).assign_attrs(ds.sst.attrs | {"units": "K"}))
    out = out.assign(good=out.sst.notnull() & (out.lon > 150.4))
    out = out.rename(sst="skin", lat="y").isel(y=slice(None, None, -1))
    return out.transpose("lon", "time", "y")


@pytest.mark.parametrize("cells", [{"time": slice(3, 9), "lat": slice(2, 7)}, {"lat": slice(8, 9)}])
def test_a_part_is_conformed_as_the_whole_is(cells):
    """Names, units, direction, mask and values of a part are those of the whole."""
    signature = Signature.of(make_sst(), ["sst"], ["time", "lat", "lon"], [])
    ds, names = changed(make_sst(20)), {"variable": {"sst": "skin"}, "mask": "good", "dim": {"lat": "y"}}
    source = Source.of(ds, signature, **names)
    whole, part = conform(ds, signature, **names), source.part(cells)
    xr.testing.assert_allclose(part.data, whole.data.isel(cells))
    assert (part.dims, part.flipped, part.attrs) == (whole.dims, whole.flipped, whole.attrs)
    there = part.restore(part.data["sst"]).transpose("lon", "time", "y")
    expected = whole.restore(whole.data["sst"]).transpose(*there.dims).isel(source.users(cells))
    np.testing.assert_allclose(there, expected)
    assert source.whole.notes == whole.notes


def test_no_value_is_read_to_match_labels():
    """Matching the labels of a source reads no values."""
    signature = Signature.of(make_sst(), ["sst"], ["time", "lat", "lon"], [])
    ds = make_sst()
    read = dask.delayed(lambda: pytest.fail("values were read"))()
    never = dask.array.from_delayed(read, ds.sst.shape, "float32")
    assert Source.of(ds.assign(sst=ds.sst.copy(data=never)), signature).whole.data.sst.shape == ds.sst.shape
