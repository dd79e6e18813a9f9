"""Values that packed integers cannot hold never become other numbers or gaps."""

import numpy as np
import pytest
import xarray as xr

from da4dvar.fields.files.store import load_dataset, write_dataset

pytestmark = pytest.mark.hostile

TYPES = ["int8", "uint8", "int16", "uint16", "int32"]


def packed(values: list[float], dtype: str, fill: float | None, scale: float, offset: float) -> xr.Dataset:
    """Return values with the encoding of a packed file."""
    ds = xr.Dataset({"x": ("t", np.array(values, "float32"))})
    ds.x.encoding = {"dtype": np.dtype(dtype), "scale_factor": scale, "add_offset": offset}
    if fill is not None:
        ds.x.encoding["_FillValue"] = fill
    return ds


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
@pytest.mark.parametrize("offset", [0.0, 273.15])
@pytest.mark.parametrize("dtype", TYPES)
def test_near_the_ends_of_the_integers(tmp_path, dtype, offset, suffix):
    """Values in steps of a tenth of a code are kept to half a code."""
    info, scale = np.iinfo(dtype), 0.01
    for number, end in enumerate((info.min, info.max)):
        for step in range(-20, 21):
            ds = packed([offset, offset + scale * (end + step / 10)], dtype, None, scale, offset)
            path = tmp_path / f"a{number}{step}{suffix}"
            write_dataset(ds, path)
            back = load_dataset(path).x
            np.testing.assert_allclose(back, ds.x, atol=0.5001 * scale, rtol=1e-6)


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
@pytest.mark.parametrize("fill", [-9999, -32768, 32767, 0])
def test_near_the_fill_value(tmp_path, fill, suffix):
    """A value never becomes a gap, nor a gap a value."""
    for step in range(-12, 13):
        ds = packed([5.0, np.nan, 0.01 * (fill + step / 10)], "int16", fill, 0.01, 0.0)
        path = tmp_path / f"a{step}{suffix}"
        write_dataset(ds, path)
        back = load_dataset(path).x
        np.testing.assert_array_equal(back.isnull(), ds.x.isnull())
        np.testing.assert_allclose(back, ds.x, atol=0.00501, rtol=1e-6)


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
@pytest.mark.parametrize(("values", "packing"), [
    *(([5.0, np.nan], ("int8", fill, 0.1, 0.0)) for fill in (70000, -70000, np.nan, 255)),
    *(([5.0, 7.0], ("int16", -9999, scale, 0.0)) for scale in (0.0, np.nan, 1e-30, np.inf)),
    ([5.0, 7.0], ("int16", -9999, 0.01, np.nan)),
])  # fmt: skip
def test_a_packing_that_is_none(tmp_path, values, packing, suffix):
    """The file holds the numbers themselves if the fill value is no such integer, or the scale no scale."""
    ds = packed(values, *packing)
    write_dataset(ds, tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(load_dataset(tmp_path / f"a{suffix}").x, ds.x)
