"""Variables that are not filled, in files that are filled in regions."""

from functools import partial

import numpy as np
import pytest
import streams
import xarray as xr
from examples import gappy_sst

from da4dvar.errors import Da4dvarWarning
from da4dvar.fields.files import opening
from da4dvar.outofcore import rest

fill = partial(streams.fill, memory="400KB")


@pytest.fixture
def files(tmp_path, little_memory, monkeypatch):
    """A file of more than fits, with a packed field, a flag, text and bounds; what is large is small here."""
    for module in (opening, rest):
        monkeypatch.setattr(module, "PART", 4096)
    ds = gappy_sst(60)
    wind = (ds.sst.fillna(1) / 4).rename("wind")
    ds = ds.assign(
        wind=wind.drop_attrs().assign_attrs(units="m s-1", grid_mapping="nowhere"),
        quality=ds.sst.notnull().astype("int8").assign_attrs(flag_values=np.array([0, 1], "int8")),
        lat_bnds=(("lat", "bnds"), np.stack([ds.lat, ds.lat], 1)),
        site=((), "Tasman"),
    )
    ds.wind.encoding = {"dtype": "int16", "scale_factor": 0.01, "_FillValue": -9999}
    ds.to_netcdf(tmp_path / "in.nc")
    return tmp_path


@pytest.mark.parametrize("output", ["out.nc", "out.zarr"])
def test_what_is_not_filled_is_kept(files, model, output):
    """With its packing, whether large or small; attributes that name nothing are gone."""
    source, filled = streams.opened(files / "in.nc"), fill(files, model, output)
    for name in ("wind", "quality", "lat_bnds", "site"):
        xr.testing.assert_equal(filled[name].variable, source[name].variable)
    assert filled.wind.attrs == {"units": "m s-1"}
    assert filled.wind.encoding["dtype"] == np.dtype("int16")
    assert filled.quality.dtype == np.int8


def test_regions_are_filled_under_a_condition(files, model):
    """The mask is applied part by part."""
    seen = fill(files, model, mask="quality>=1")
    xr.testing.assert_allclose(seen.sst, fill(files, model, "other.zarr").sst, rtol=1e-4)
    with pytest.raises(ValueError, match="no observation at all"):
        fill(files, model, "none.zarr", mask="quality>1")


def test_absent_times_are_inserted_in_parts(files, model):
    """With a note, and with the result of the file in memory."""
    ds = streams.opened(files / "in.nc").drop_isel(time=[20, 21]).drop_encoding()
    ds.to_netcdf(files / "holes.nc")
    with pytest.warns(Da4dvarWarning, match="2 steps of 1 day are absent"):
        filled = fill(files, model, source="holes.nc")
    assert filled.sizes["time"] == 60
    with pytest.warns(Da4dvarWarning, match="2 steps of 1 day are absent"):
        whole = streams.fill(files, model, "whole.zarr", source="holes.nc", memory="4GiB")
    xr.testing.assert_allclose(filled.sst, whole.sst, rtol=1e-4)
