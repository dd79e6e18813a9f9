"""Output data sets: estimates with the labels of the input data."""

import numpy as np
import pytest
import xarray as xr

from da4dvar.fields.labels.conform import conform
from da4dvar.fields.labels.output import labelled, labelled_values
from da4dvar.fields.labels.signature import Signature
from da4dvar.fields.windows.grid import WindowGrid
from da4dvar.fields.windows.reconstruct import reconstruct
from da4dvar.layout import Layout

DIMS = ("time", "lat", "lon")
LAYOUT = Layout(
    ["sst"], ["lat", "lon"], ["time"], periodic=["lon"],
    window={"time": 4, "lon": 4}, overlap={"time": 0.0, "lon": 0.5},
)  # fmt: skip


def sea() -> xr.Dataset:
    """Return twelve days of which the middle four are not observed."""
    generator = np.random.default_rng(0)
    values = 15 + generator.standard_normal((12, 4, 8))
    values[generator.random(values.shape) < 0.6] = np.nan
    values[4:8] = np.nan
    ds = xr.Dataset(
        {"sst": (DIMS, values.astype("float32"), {"units": "degC", "ancillary_variables": "error"})},
        coords={
            "time": xr.date_range("2001-01-01", periods=12),
            "lat": ("lat", [0.0, 1.0, 2.0, 3.0], {"axis": "Y", "standard_name": "latitude"}),
            "lon": ("lon", np.arange(0.0, 360, 45), {"axis": "X"}),
            "area": (("lat", "lon"), np.ones((4, 8))),
            "depth": 5.0,
        },
        attrs={"title": "a small sea"},
    )
    ds.sst.encoding = {"dtype": np.dtype("int16"), "scale_factor": 0.01, "_FillValue": -1}
    return ds


def average(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of the observations of each window, and as terms their mean and number."""
    flat = y.reshape(len(y), -1)
    mean = np.nanmean(flat, axis=1)
    return np.zeros_like(y) + mean.reshape(-1, 1, 1, 1, 1), np.stack([mean, np.isfinite(flat).sum(1)])


def estimated(ds: xr.Dataset) -> xr.Dataset:
    """Fill a data set by the averages of its windows."""
    conformed = conform(ds, Signature.of(sea(), ["sst"], DIMS, []))
    y = conformed.data.to_dataarray().astype("float32")
    y = y.transpose("variable", *(d for d in y.dims if d not in ("variable", *DIMS)), *DIMS)
    grid = WindowGrid.of(LAYOUT, {str(d): n for d, n in y.sizes.items()})
    x, weight, terms = reconstruct(y, grid, average, 3)
    coords = {d: conformed.data[d] for d in conformed.data.coords}
    estimates = x.assign_coords(variable=["sst"]).to_dataset("variable").assign_coords(coords)
    return labelled(conformed, estimates, weight, terms, grid, LAYOUT, analysis=True)


@pytest.mark.parametrize(("dtype", "huge"), [("float32", np.inf), ("float16", 1e6), ("float64", -np.inf)])
def test_what_the_type_cannot_hold_is_no_estimate(dtype, huge):
    """Infinite values, and those out of range of the dtype, are NaN with flag 2."""
    ds = sea().astype(dtype)
    conformed = conform(ds, Signature.of(sea(), ["sst"], DIMS, []))
    estimates = sea()[["sst"]].fillna(15.0)
    estimates.sst[3, 2, 1] = huge
    out = labelled_values(conformed, estimates, xr.ones_like(estimates.sst), False)
    assert (np.isnan(out.sst.values) == (out.sst_flag.values == 2)).all()
    assert np.argwhere(out.sst_flag.values == 2).tolist() == [[3, 2, 1]]


def test_flags_are_those_of_cf():
    """Flags have CF attributes and neither units nor packing of the variable."""
    flag = estimated(sea()).sst_flag
    assert (flag.dtype, flag.attrs["standard_name"]) == (np.int8, "status_flag")
    assert flag.attrs["flag_meanings"].split() == ["observed", "estimated", "not_estimable", "beyond_scored"]
    np.testing.assert_array_equal(flag.attrs["flag_values"], np.array([0, 1, 2, 3], "int8"))
    assert flag.attrs["flag_values"].dtype == flag.dtype
    assert "sst" in flag.attrs["long_name"]
    assert "units" not in flag.attrs
    assert flag.encoding == {}


def test_terms_are_at_the_centres_of_the_windows():
    """Terms are at the window centres, around a circle too, with the user's dimensions and members."""
    out = estimated(sea())
    assert out.observation_term.dims == ("window_time", "window_lat", "window_lon")
    np.testing.assert_array_equal(out.window_time.values, sea().time.values[[2, 6, 10]])
    np.testing.assert_array_equal(out.window_lat.values, [2.0])
    np.testing.assert_array_equal(out.window_lon.values, [90.0, 180.0, 270.0, 0.0])
    assert out.window_lat.attrs["standard_name"] == "latitude"
    assert "axis" not in out.window_lat.attrs
    seen = sea().sst.notnull().values
    np.testing.assert_array_equal(
        out.prior_term.values[0, 0, :2], [seen[:4, :, :4].sum(), seen[:4, :, 2:6].sum()]
    )
    assert np.isnan(out.observation_term.values[1]).all()
    for name in ("observation_term", "prior_term"):
        assert out[name].attrs["units"] == "1"
        assert "cost" in out[name].attrs["long_name"]
    ds = xr.concat([sea(), sea() + 1], xr.DataArray([7, 8], dims="member", name="member"))
    ds["sst"].attrs["units"] = "degC"
    out = estimated(ds.rename(time="date", lat="y"))
    assert out.prior_term.dims == ("member", "window_date", "window_y", "window_lon")
    np.testing.assert_array_equal(out.member.values, [7, 8])
    difference = out.observation_term.isel(member=1) - out.observation_term.isel(member=0)
    np.testing.assert_allclose(difference.isel(window_date=[0, 2]), 1, rtol=1e-4)
