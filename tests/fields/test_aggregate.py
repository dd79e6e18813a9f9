"""Means, sums, trends and days above a threshold, with intervals from samples."""

import numpy as np
import pytest
import xarray as xr
from door import ran, refused

import da4dvar
from da4dvar.errors import Da4dvarWarning, DataError
from da4dvar.fields.labels.flags import in_scheme
from da4dvar.fields.labels.samples import with_samples

pytestmark = pytest.mark.filterwarnings("ignore:.* has no samples")


def sea(samples: int = 39, days: int = 90) -> xr.Dataset:
    """A filled field with land in a corner, samples around it, and flags."""
    generator = np.random.default_rng(0)
    values = 18 + generator.standard_normal((days, 3, 4))
    values[:, 0, 0] = np.nan
    dims = ("time", "lat", "lon")
    ds = xr.Dataset(
        {"sst": (dims, values, {"units": "degC", "long_name": "temperature"})},
        {
            "time": xr.date_range("2001-01-01", periods=days),
            "lat": ("lat", [0.0, 30.0, 60.0], {"units": "degrees_north"}),
            "lon": ("lon", [0.0, 10.0, 20.0, 30.0], {"units": "degrees_east"}),
        },
    )
    seen = generator.random(values.shape) < 0.25
    flag = xr.DataArray(np.where(np.isnan(values), 2, np.where(seen, 0, 1)), dims=dims)
    ds["sst_flag"] = in_scheme(flag.rename("sst_flag"))
    error = generator.standard_normal((samples, 1, 1, 1)) + 0.1 * generator.standard_normal(
        (samples, days, 3, 4)
    )
    drawn = xr.DataArray(values + np.where(seen, 0, error), dims=("realization", *dims))
    return with_samples(ds, "sst", drawn)


def area(ds: xr.Dataset) -> xr.DataArray:
    """The cosine of the latitude where there is a value."""
    return np.cos(np.radians(ds.lat)) * ds.sst.notnull()


def test_a_mean_is_weighted_by_area_and_has_the_interval_of_its_samples():
    """Of each month; the interval is wide, since errors are the same in all cells; labels say what it is."""
    ds = sea()
    out = da4dvar.aggregate(ds, ["lat", "lon"], "month")
    january = ds.sel(time="2001-01")
    expected = float((january.sst * area(january)).sum() / area(january).sum())
    assert float(out.sst[0]) == pytest.approx(expected)
    np.testing.assert_array_equal(out.time, xr.date_range("2001-01-01", periods=3, freq="MS"))
    assert (out.sst_lower_90 < out.sst).all()
    assert (out.sst_upper_90 > out.sst).all()
    # 75 % of the cells have a common error of 1 degree.
    assert float((out.sst_upper_90 - out.sst_lower_90).mean()) == pytest.approx(2 * 1.645 * 0.75, rel=0.4)
    assert out.sst.attrs == {"long_name": "mean of temperature", "units": "degC"}
    assert out.sst_samples.dims == ("realization", "time")
    share = ((january.sst_flag == 0) * area(january)).sum() / area(january).sum()
    assert float(out.sst_observed[0]) == pytest.approx(float(share))


def test_an_interval_of_few_samples_contains_its_share():
    """The truth, drawn like the samples, is in nine tenths of the intervals of 90 % of 19 samples."""
    drawn = np.random.default_rng(0).standard_normal((20, 4000))
    ds = xr.Dataset({"x": (("time", "place"), drawn[:1])})
    ds = with_samples(ds, "x", xr.DataArray(drawn[1:, None], dims=("realization", "time", "place")))
    out = da4dvar.aggregate(ds, (), variable="x")
    inside = (out.x_lower_90 <= drawn[0]) & (drawn[0] <= out.x_upper_90)
    assert float(inside.mean()) == pytest.approx(0.9, abs=0.02)


def test_days_above_a_threshold_in_other_units_are_those_of_the_samples():
    """Each value counts for its step, and the mean over samples is the number."""
    ds = sea()
    out = da4dvar.aggregate(ds, stat="days-above=292.15 K")
    above = (ds.sst_samples > 19).sum("time")
    weight = area(ds.isel(time=0))
    expected = float(((above * weight).sum(["lat", "lon"]) / weight.sum()).mean())
    assert float(out.sst) == pytest.approx(expected)
    assert out.sst.attrs == {"long_name": "days above 292.15 K of temperature", "units": "days"}
    hourly = ds.assign_coords(time=xr.date_range("2001-01-01", periods=90, freq="h"))
    of_hours = da4dvar.aggregate(hourly, stat="days-above=19")
    assert float(of_hours.sst) == pytest.approx(expected / 24)
    below = da4dvar.aggregate(ds, stat="days-below=19 degC")
    assert float(below.sst + out.sst) == pytest.approx(90)


def test_the_number_of_days_is_within_its_interval():
    """Even if a single sample passes the threshold, so that both quantiles are 0."""
    ds = xr.Dataset({"x": ("time", np.zeros(10))}, {"time": xr.date_range("2001-01-01", periods=10)})
    drawn = xr.DataArray(np.zeros((39, 10)), dims=("realization", "time"))
    drawn[0, 4] = 2.0
    out = da4dvar.aggregate(with_samples(ds, "x", drawn), (), stat="days-above=1")
    assert float(out.x) == pytest.approx(1 / 39)
    assert (float(out.x_lower_90), float(out.x_upper_90)) == (0.0, float(out.x))
    below = da4dvar.aggregate(with_samples(ds, "x", drawn), (), stat="days-below=1")
    assert (float(below.x_lower_90), float(below.x_upper_90)) == (float(below.x), 10.0)


def test_a_trend_is_per_year():
    """The slope of the area mean, of data with gaps too."""
    ds = sea(days=800)
    line = ds.time.dt.dayofyear * 0 + np.arange(800) / 365.2425 * 3
    ds["sst"] = (line + 0 * ds.sst).where(ds.time.dt.day != 5).assign_attrs(units="K")
    out = da4dvar.aggregate(ds.drop_vars("sst_samples"), stat="trend")
    assert float(out.sst) == pytest.approx(3)
    assert out.sst.attrs["units"] == "K year-1"


def test_a_sum_is_an_integral_over_the_area():
    """One everywhere is the area: of a globe of latitudes and longitudes, or as the file says."""
    lat, lon = np.arange(-89.5, 90), np.arange(0.5, 360)
    ones = xr.Dataset({"ice": (("lat", "lon"), np.ones((180, 360)))}, {"lat": lat, "lon": lon})
    out = da4dvar.aggregate(ones, stat="sum")
    assert float(out.ice) == pytest.approx(4 * np.pi * 6.371e6**2, rel=2e-3)
    assert out.ice.attrs["units"] == "m2"
    given = ones.assign(cells=(("lat", "lon"), np.full((180, 360), 2.0), {"units": "km2"}))
    given.ice.attrs["cell_measures"] = "area: cells"
    out = da4dvar.aggregate(given, stat="sum", variable="ice")
    assert (float(out.ice), out.ice.attrs["units"]) == (2 * 180 * 360, "km2")


def test_what_cannot_be_aggregated_is_refused():
    """Unknown dimensions, periods and statistics, other units, and too few samples, in one line each."""
    ds = sea()
    for given, line in {
        ("depth",): "there is no dimension 'depth' to aggregate over: .*lat",
        ("realization",): "there is no dimension 'realization'",
        ("lat", "fortnight"): "period 'fortnight': .*day",
        ("lat", None, "median"): "stat 'median': .*mean",
        (
            "lat",
            None,
            "days-above=3 m",
        ): "in 'm', expected units that can be converted to 'degC'",
        ("lat", None, "days-above=warm"): "stat 'days-above=warm'",
    }.items():
        with pytest.raises(DataError, match=line):
            da4dvar.aggregate(ds, *given)
    with pytest.raises(DataError, match=r"39 samples are too few .* of 99 %, expected 199 or more"):
        da4dvar.aggregate(ds, level=0.99)
    with pytest.raises(DataError, match="level is 90"):
        da4dvar.aggregate(ds, level=90)
    with pytest.raises(DataError, match="no units, so that 'degC' cannot be converted"):
        da4dvar.aggregate(ds.sst.drop_attrs(), stat="days-above=3 degC")
    with pytest.raises(DataError, match="no dates, which a period of a month needs"):
        da4dvar.aggregate(ds.assign_coords(time=np.arange(90.0)), period="month")
    with pytest.raises(DataError, match="there is no variable 'ssh'"):
        da4dvar.aggregate(ds, variable="ssh")


def test_data_without_samples_have_no_interval():
    """A warning says so; the number itself is there."""
    with pytest.warns(Da4dvarWarning, match="sst has no samples, so that its mean has no interval"):
        out = da4dvar.aggregate(sea().drop_vars("sst_samples"))
    assert list(out.data_vars) == ["sst", "sst_observed"]


def test_the_command_writes_a_file(tmp_path):
    """With the command in its history; a mistake gives one line."""
    sea().to_netcdf(tmp_path / "filled.nc")
    ran("aggregate", "filled.nc", "out.nc", "--over", "lat,lon", "--period", "month", cwd=tmp_path)
    with xr.open_dataset(tmp_path / "out.nc") as out:
        expected = da4dvar.aggregate(sea(), ["lat", "lon"], "month")
        np.testing.assert_allclose(out.sst_upper_90, expected.sst_upper_90)
        assert "da4dvar aggregate filled.nc out.nc" in out.attrs["history"]
    line = refused("aggregate", "filled.nc", "other.nc", "--over", "lat,depth", cwd=tmp_path)
    assert "there is no dimension 'depth'" in line
