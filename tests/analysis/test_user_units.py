"""An answer is in the user's units, whatever those of the model."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr

import da4dvar
from da4dvar.errors import Da4dvarWarning
from da4dvar.outofcore.interpolate_file import interpolate_file

# Offset, factor and tolerance of units that are not the model's degC.
UNITS = {"K": (273.15, 1.0), "degF": (32.0, 1.8), "Celsius": (0.0, 1.0)}


def in_units(ds: xr.Dataset, units: str) -> xr.Dataset:
    """Return data in other units."""
    offset, factor = UNITS[units]
    return ds.assign(sst=(ds.sst.astype("float64") * factor + offset).assign_attrs(ds.sst.attrs, units=units))


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("chunks", [None, {"time": 10}])
@pytest.mark.filterwarnings("ignore::da4dvar.errors.Da4dvarWarning")
def test_values_and_errors_are_in_the_users_units(model, gappy, units, chunks):
    """Values have the offset, standard errors have not, and observed values are the same to the bit."""
    offset, factor = UNITS[units]
    given = in_units(gappy, units)
    expected = model.interpolate(gappy, std=True, members=2)
    filled = model.interpolate(given if chunks is None else given.chunk(chunks), std=True, members=2)
    assert filled.sst.attrs["units"] == filled.sst_std.attrs["units"] == units
    np.testing.assert_allclose(filled.sst, expected.sst * factor + offset, rtol=1e-4)
    np.testing.assert_allclose(filled.sst_std, expected.sst_std * factor, rtol=1e-2, atol=1e-4)
    np.testing.assert_array_equal(filled.sst_flag, expected.sst_flag)
    observed = given.sst.notnull()
    np.testing.assert_array_equal(filled.sst.values[observed], given.sst.values[observed])


@pytest.mark.parametrize("name", ["gappy.nc", "gappy.zarr"])
@pytest.mark.filterwarnings("ignore::da4dvar.errors.Da4dvarWarning")
def test_files_in_regions_too(tmp_path, model, gappy, name, little_memory):
    """A file that is filled in regions has the values of one that is filled in memory."""
    given = in_units(gappy, "K").isel(lat=slice(None, None, -1))
    write = given.to_netcdf if name.endswith(".nc") else given.to_zarr
    write(tmp_path / name)
    interpolate_file(tmp_path / name, tmp_path / "out.nc", model, memory="1MB")
    expected = model.interpolate(given)
    with xr.open_dataset(tmp_path / "out.nc") as out:
        assert out.sst.attrs["units"] == "K"
        np.testing.assert_allclose(out.sst, expected.sst, rtol=1e-5)
        observed = given.sst.notnull()
        np.testing.assert_array_equal(out.sst.values[observed], given.sst.values[observed])


def test_a_conversion_is_said_and_a_spelling_is_not(model, gappy):
    """Celsius is degC; a conversion is reported with the units of the result."""
    with pytest.warns(Da4dvarWarning, match=r"from K to degC for the model; the result is in K"):
        model.interpolate(in_units(gappy, "K"))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", Da4dvarWarning)
        da4dvar.interpolate(in_units(gappy, "Celsius"), model)
    assert not [w for w in said if "degC" in str(w.message)]
