"""A filled variable: observed values to the bit, flags, error bars, and everything else as it was."""

import numpy as np
import pytest
import xarray as xr

from da4dvar.errors import Da4dvarError
from da4dvar.fields.bounds import Bounds
from da4dvar.fields.labels.filled import delivered, finished

GAPS = np.array([[False, True, False], [True, False, False], [False, False, True], [False, True, True]])


def gappy(dtype: str = "float64") -> xr.Dataset:
    """Four days of three stations, numbers that no estimate hits, and a variable that is not filled."""
    values = (np.pi * np.random.default_rng(0).standard_normal((4, 3))).astype(dtype)
    ds = xr.Dataset(
        {
            "t2m": (("time", "station"), np.where(GAPS, np.nan, values).astype(dtype), {"units": "K"}),
            "depth": ("station", [1.0, np.nan, 3.0]),
        },
        coords={"time": xr.date_range("2001-01-01", periods=4), "station": list("cab")},
        attrs={"title": "three stations"},
    )
    ds.t2m.attrs["ancillary_variables"] = "t2m_qc"
    return ds


def estimate(ds: xr.Dataset, value: float = 7.0) -> xr.DataArray:
    """An estimate with its dimensions in another order."""
    return xr.full_like(ds.t2m, value).transpose()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_observed_values_come_back_to_the_bit(dtype):
    """In the type of the input, with everything else as it was."""
    ds = gappy(dtype)
    out = delivered(ds, "t2m", estimate(ds).astype("float64"))
    assert out.t2m.dtype == dtype
    assert out.t2m.values[~GAPS].tobytes() == ds.t2m.values[~GAPS].tobytes()
    assert (out.t2m.values[GAPS] == 7).all()
    np.testing.assert_array_equal(out.t2m_flag, GAPS)
    assert out.t2m.attrs == {"units": "K", "ancillary_variables": "t2m_qc t2m_flag"}
    xr.testing.assert_identical(out.drop_vars(["t2m", "t2m_flag"]), ds.drop_vars("t2m"))
    assert "ancillary_variables" not in ds.depth.attrs
    assert ds.t2m.attrs["ancillary_variables"] == "t2m_qc"


def test_packed_values_are_written_as_they_were(tmp_path):
    """The counts of a packed file are the same in the output."""
    ds = gappy("float32")
    ds.t2m.encoding = {"dtype": "int16", "scale_factor": 0.01, "add_offset": 5.0, "_FillValue": -32768}
    ds.to_netcdf(tmp_path / "in.nc")
    with xr.open_dataset(tmp_path / "in.nc") as packed:
        delivered(packed.load(), "t2m", estimate(packed)).to_netcdf(tmp_path / "out.nc")
    counts = [xr.open_dataset(tmp_path / n, mask_and_scale=False).t2m.load() for n in ("in.nc", "out.nc")]
    assert counts[0].dtype == counts[1].dtype == np.int16
    np.testing.assert_array_equal(counts[0].values[~GAPS], counts[1].values[~GAPS])
    assert (counts[1].values[GAPS] == 200).all()


def test_labels_that_differ_in_the_last_digit_lose_nothing():
    """Values are taken by position, not by label."""
    ds = gappy().assign_coords(station=[0.1, 0.2, 0.3])
    near = estimate(ds).assign_coords(station=np.array([0.1, 0.2, 0.3], "float32").astype(float))
    assert delivered(ds, "t2m", near).t2m.notnull().all()


def test_an_analysis_replaces_observed_values_too():
    """Their flag says that they were observed."""
    out = delivered(gappy(), "t2m", estimate(gappy()), analysis=True)
    assert (out.t2m == 7).all()
    np.testing.assert_array_equal(out.t2m_flag, GAPS)


def test_every_value_has_its_flag():
    """2 where there is no estimate or it is not allowed, 3 beyond what was scored; never at observations."""
    ds = gappy()
    where = estimate(ds)
    where[:, 0] = np.nan  # the first day
    allowed = xr.full_like(ds.t2m, True, dtype=bool)
    allowed[3, 1] = False
    beyond = xr.full_like(ds.t2m, False, dtype=bool)
    beyond[2:] = True
    out = delivered(ds, "t2m", where, allowed=allowed, beyond=beyond)
    assert out.t2m_flag.values.tolist() == [[0, 2, 0], [1, 0, 0], [0, 0, 3], [0, 2, 3]]
    np.testing.assert_array_equal(out.t2m.isnull(), out.t2m_flag == 2)
    other = delivered(ds, "t2m", where, allowed=allowed, beyond=beyond, scheme="argo")
    assert other.t2m_flag.values.tolist() == [[0, 9, 0], [8, 0, 0], [0, 0, 3], [0, 9, 3]]


def test_error_bars_are_where_values_are():
    """With units, and listed as ancillary variables."""
    ds, where = gappy(), estimate(gappy())
    where[:, 0] = np.nan
    std = xr.full_like(ds.t2m, 0.5)
    out = delivered(ds, "t2m", where, std=std, intervals={0.9: (where - 1, where + 1)})
    names = ["t2m_flag", "t2m_std", "t2m_lower_90", "t2m_upper_90"]
    assert out.t2m.attrs["ancillary_variables"].split() == ["t2m_qc", *names]
    for name in names[1:]:
        assert out[name].attrs["units"] == "K"
        assert out[name].isnull().equals(out.t2m.isnull()) or name != "t2m_std"
    assert float(out.t2m_upper_90[3, 1] - out.t2m_lower_90[3, 1]) == 2


def test_what_a_model_filled_is_finished():
    """Bounds, the largest gap and the codes are applied; observed values stay, even out of bounds."""
    values = np.array([5.0, -1.0, -1.0, 2.0, -3.0, 0.5])
    seen = np.array([True, False, False, True, False, True])
    ds = xr.Dataset({"pr": ("time", values), "pr_flag": ("time", (~seen).astype("int8"))})
    ds["pr_std"] = ds.pr * 0 + 1
    out = finished(ds, ["pr"], "time", bounds={"pr": Bounds(0.0, 4.0)}, max_gap=2, scheme="qartod")
    np.testing.assert_array_equal(out.pr, [5, np.nan, np.nan, 2, 0, 0.5])
    assert out.pr_flag.values.tolist() == [2, 9, 9, 2, 3, 2]
    np.testing.assert_array_equal(out.pr_std.isnull(), out.pr.isnull())
    with pytest.raises(Da4dvarError, match="flags 'nowhere'"):
        finished(ds, ["pr"], "time", bounds={}, scheme="nowhere")
