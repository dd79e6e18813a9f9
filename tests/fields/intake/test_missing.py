"""Gaps that are declared in unusual ways or not at all, and values that are no gaps."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.files.store import load_dataset, open_dataset, write_dataset
from da4dvar.fields.intake.attributes import numbers
from da4dvar.fields.intake.missing import with_gaps

N = 2000
RNG = np.random.default_rng(7)
GAP = RNG.random(N) < 0.2
SST = RNG.normal(15, 3, N)
RAIN = np.where(RNG.random(N) < 0.8, 0, np.round(RNG.gamma(0.5, 8, N), 1))
FLOW = np.exp(RNG.normal(3, 1.5, N))


def data(values: Any, attrs: Any = None, encoding: Any = None, dims: Any = ("time",)) -> xr.Dataset:
    ds = xr.Dataset({"x": (dims, values, attrs or {})})
    ds["x"].encoding = encoding or {}
    return ds


def gaps(ds: xr.Dataset, fill_value: Any = "auto") -> np.ndarray:
    return with_gaps(ds, fill_value)[0]["x"].isnull().values


@pytest.mark.parametrize(
    ("values", "mark"),
    [
        (SST, -9999.0),
        (SST, -99.9),
        (SST, 999.9),
        (SST, 1e20),
        (SST, 9.969209968386869e36),
        (SST + 273.15, 0.0),
        (RAIN, -99.9),
        (RAIN, -999.0),
        (FLOW, -999.0),
        (FLOW, -99.0),
        (np.linspace(0, 3000, N), -99.0),
        (SST, -888.0),
        (SST * 0.1, 32.767 * 10),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_mark_apart_from_all_values_is_a_gap(values: Any, mark: Any, dtype: str) -> None:
    """An undeclared fill value becomes NaN, with a line that says how to undo it."""
    ds = data(np.where(GAP, mark, values).astype(dtype))
    out, notes = with_gaps(ds)
    np.testing.assert_array_equal(out.x.isnull(), GAP)
    np.testing.assert_array_equal(out.x.values[~GAP], ds.x.values[~GAP])
    assert out.x.dtype == dtype
    assert len(notes) == 1
    assert f"x: {GAP.sum()} values of" in notes[0]
    assert "--fill-value x=none" in notes[0]
    assert not gaps(ds, "none").any()
    assert not gaps(ds, "x=none").any()


@pytest.mark.parametrize(
    "values",
    [
        RAIN,
        np.clip(SST * 5, 0, 100),
        RNG.poisson(0.01, N),
        np.where(RNG.random(N) < 0.002, 50.0, RNG.poisson(0.3, N)),
        RNG.integers(0, 10, N),
        (RNG.random(N) < 0.3).astype(float),
        np.clip(500 * np.sin(np.arange(N) / 4), 0, None),
        np.round(RNG.normal(1000, 8, N)),
        np.round(RNG.normal(0, 100, N)),
        np.full(N, 5.0),
        np.where(GAP, 0.0, 5.0),
        np.r_[SST, -9999.0],
        np.r_[RAIN, [300.0] * 3],
        np.r_[FLOW, [FLOW.max() * 3] * 4],
        np.clip(RNG.normal(0.4, 0.5, N), -1, 1),
        RNG.uniform(-11000, 0, N),
    ],
)
def test_values_are_no_gaps(values: Any) -> None:
    """Zeros, saturated values, plateaus and outliers are kept, without a line."""
    out, notes = with_gaps(data(values))
    assert not notes
    xr.testing.assert_identical(out, data(values))


@pytest.mark.parametrize(("values", "mark"), [(SST + 5, 0.0), (SST, 99.0), (RAIN, -1.0), (FLOW / 99, -9.0)])
def test_doubtful_values_are_kept_and_reported(values: Any, mark: Any) -> None:
    """A value off the others, but not far enough, is kept, and a line says how to make it a gap."""
    ds = data(np.where(GAP, mark, values))
    out, notes = with_gaps(ds)
    xr.testing.assert_identical(out, ds)
    assert len(notes) == 1
    assert f"--fill-value x={mark:g}" in notes[0]
    np.testing.assert_array_equal(gaps(ds, f"x={mark:g}"), GAP)


def test_several_marks() -> None:
    """Marks at both ends, and two on one side, are found together."""
    values = np.where(GAP, -9999.0, SST)
    values[:10], values[10:20], values[20:30] = -8888, 9999, 5
    expected = GAP.copy()
    expected[:20], expected[20:30] = True, False
    np.testing.assert_array_equal(gaps(data(values)), expected)


@pytest.mark.parametrize(
    "attrs",
    [
        {"missing_value": "-5"},
        {"missing_value": np.float64(-5)},
        {"fill_value": -5.0},
        {"FillValue": "-5.0f"},
        {"_fillvalue": -5},
        {"missing": -5},
        {"nodata": "-5"},
        {"NODATA_value": -5},
        {"no_data": np.array([-5.0])},
    ],
    ids=str,
)
def test_declarations_of_any_spelling(attrs: Any) -> None:
    """A value near the others is a gap if an attribute of another name or type says so."""
    (name,) = attrs
    ds = data(np.where(GAP, -5.0, SST).astype("float32"), attrs)
    out, notes = with_gaps(ds)
    np.testing.assert_array_equal(out.x.isnull(), GAP)
    assert repr(name) in notes[0]
    assert gaps(ds, "none").any() == (name == "missing_value")


def test_a_fill_value_of_another_precision() -> None:
    """A missing_value in double precision marks single-precision values."""
    ds = data(np.where(GAP, -99.99, SST).astype("float32"), encoding={"missing_value": np.float64(-99.99)})
    np.testing.assert_array_equal(gaps(ds, "none"), GAP)


@pytest.mark.parametrize("limit", [{"valid_min": np.int16(0)}, {"valid_range": np.array([0, 5000], "i2")}])
def test_a_valid_range_in_packed_counts(tmp_path: Path, limit: Any) -> None:
    """Limits of the packed type are counts (CF 2.5.1), and stay true of a file that is written again."""
    packing = {"dtype": "int16", "scale_factor": 0.01, "add_offset": 0.0, "_FillValue": -32768}
    values = np.where(GAP, -327.67, np.clip(SST, 0.0, 50.0))
    data(values, limit, packing).to_netcdf(tmp_path / "a.nc")
    out, notes = with_gaps(load_dataset(tmp_path / "a.nc"), "none")
    np.testing.assert_array_equal(out.x.isnull(), GAP)
    assert f"{GAP.sum()} values outside the valid range" in notes[0]
    write_dataset(out, tmp_path / "b.nc")
    again, notes = with_gaps(load_dataset(tmp_path / "b.nc"))
    assert not notes
    assert again.x.encoding["dtype"] == "int16"
    np.testing.assert_array_equal(again.x, out.x)


def test_a_valid_range_in_units_of_a_packed_variable() -> None:
    """Limits of another type than the packed one are in units."""
    packing = {"dtype": np.dtype("int16"), "scale_factor": 0.01, "add_offset": 0.0}
    assert gaps(data(SST.round(2), {"valid_max": 15.0}, packing)).sum() == (SST.round(2) > 15).sum()


def test_a_valid_range_by_mistake() -> None:
    """A range that leaves nothing, such as one in other units, is not applied, with a line."""
    out, notes = with_gaps(data(SST + 273.15, {"valid_range": [-3.0, 45.0]}))
    assert not out.x.isnull().any()
    assert "not applied" in notes[0]


def test_a_valid_range_of_an_unpacked_file_masks_nothing(tmp_path: Path) -> None:
    """Where an estimate does not fit the packing, the output has no limit that masks good values."""
    packing = {"dtype": "int16", "scale_factor": 0.001, "add_offset": 0.0, "_FillValue": -1}
    write_dataset(
        data(SST, {"valid_min": np.int16(1), "valid_max": np.int16(32767)}, packing), tmp_path / "a.nc"
    )
    read = load_dataset(tmp_path / "a.nc")
    read["x"].values[0] = -1.5  # neither packed nor valid
    write_dataset(read, tmp_path / "b.nc")
    assert not set(load_dataset(tmp_path / "b.nc").x.attrs) & {"valid_min", "valid_max"}
    read["x"].values[0] = 1.00049  # valid, but the fill value lies out of the packed type
    read["x"].encoding["_FillValue"] = 99999
    write_dataset(read, tmp_path / "c.nc")
    assert load_dataset(tmp_path / "c.nc").x.attrs["valid_max"] == pytest.approx(32.767)


def test_flags_within_measurements() -> None:
    """Flag values that mean that nothing was measured are gaps; a class that is a measurement is not."""
    ice = np.round(RNG.uniform(1, 100, N))
    ice[:40], ice[40:80], ice[80:120], ice[120:160] = 251, 254, 0, 50
    attrs = {"flag_values": np.array([0, 50, 251, 254]), "flag_meanings": "ice_free bad_half pole_hole land"}
    out, notes = with_gaps(data(ice, attrs))
    np.testing.assert_array_equal(np.flatnonzero(out.x.isnull()), np.arange(80))
    assert "251 pole_hole, 254 land" in notes[0]


@pytest.mark.parametrize(
    "attrs", [{"flag_values": [0, 1, 99], "flag_meanings": "a b c"}, {"flag_masks": [1, 2, 64]}]
)
def test_a_flag_variable_is_left_alone(attrs: Any) -> None:
    """Variables of nothing but flags have no undeclared gaps."""
    assert not gaps(
        data(np.where(GAP, 9999, RNG.integers(0, 2, N)), attrs | {"flag_values": [0, 1, 9999]})
    ).any()


@pytest.mark.parametrize(
    ("dtype", "mark"), [("int16", -32768), ("uint16", 65535), ("uint8", 255), ("int32", -9999)]
)
def test_integers_return_as_integers(tmp_path: Path, dtype: str, mark: Any) -> None:
    """Integers with gaps become floats in memory, and are integers with a fill value in the output."""
    values = np.where(GAP, mark, np.clip(np.round(SST * 5), 0, 200)).astype(dtype)
    write_dataset(data(values), tmp_path / "a.nc")
    out, _ = with_gaps(load_dataset(tmp_path / "a.nc"))
    np.testing.assert_array_equal(out.x.isnull(), GAP)
    write_dataset(out, tmp_path / "b.nc")
    with xr.open_dataset(tmp_path / "b.nc", mask_and_scale=False) as raw:
        assert raw.x.dtype == dtype
        assert raw.x.attrs["_FillValue"] == mark
        np.testing.assert_array_equal(raw.x, values)


def test_integers_in_memory_are_written_as_integers(tmp_path: Path) -> None:
    """Integers that no file gave an encoding are written as they were."""
    values = np.where(GAP, -9999, np.round(SST)).astype("int32")
    write_dataset(with_gaps(data(values))[0], tmp_path / "a.nc")
    with xr.open_dataset(tmp_path / "a.nc", mask_and_scale=False) as raw:
        assert raw.x.dtype == "int32"
        np.testing.assert_array_equal(raw.x, values)


def test_a_given_number() -> None:
    """A number declares a gap; one that does not occur is reported; other text is refused."""
    ds = data(np.where(GAP, 7.0, SST))
    np.testing.assert_array_equal(gaps(ds, 7), GAP)
    np.testing.assert_array_equal(gaps(ds, "7.0,-1"), GAP)
    assert with_gaps(ds, -5)[1] == ["no variable has the fill value -5"]
    with pytest.raises(DataError, match="expected a number, 'auto' or 'none'"):
        with_gaps(ds, "nix")
    with pytest.raises(DataError, match="there are: x"):
        with_gaps(ds, "y=-9")


def test_infinite_values_are_neither_gaps_nor_in_the_way() -> None:
    """Infinite values stay, for the error that names them."""
    values = np.where(GAP, -9999.0, SST)
    values[:5] = -np.inf
    out, _ = with_gaps(data(values))
    assert np.isinf(out.x.values).sum() == 5
    np.testing.assert_array_equal(out.x.isnull()[5:], GAP[5:])


def test_large_lazy_data_are_judged_by_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dask data stay lazy, few blocks are computed, and the line says that it was a sample."""
    dask = pytest.importorskip("dask.array")
    computed = []

    def block(block_info: Any = None) -> Any:
        computed.append(1)
        k = block_info[None]["chunk-location"][0]
        return np.where(GAP[:100], -9999.0, SST[:100] + k)

    monkeypatch.setattr("da4dvar.fields.intake.missing.SAMPLE", 1000)
    lazy = dask.map_blocks(block, chunks=((100,) * 50,), dtype=float, meta=np.zeros(0))
    out, notes = with_gaps(data(lazy))
    assert out.x.chunks is not None
    assert len(computed) <= 10
    assert "8 of 50 blocks" in notes[0]
    np.testing.assert_array_equal(out.x.isnull(), np.tile(GAP[:100], 50))


def test_a_file_that_is_not_read_stays_lazy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data of an opened file are sampled and masked without reading them as a whole."""
    monkeypatch.setattr("da4dvar.fields.intake.missing.SAMPLE", 1000)
    write_dataset(data(np.where(GAP, -9999.0, SST).reshape(100, 20), dims=("time", "y")), tmp_path / "a.nc")
    with open_dataset(tmp_path / "a.nc") as ds:
        out, notes = with_gaps(ds)
        assert out.x.chunks is not None
        assert "8 of 100 entries of 'time'" in notes[0]
        np.testing.assert_array_equal(out.x.isnull().values.ravel(), GAP)


def test_the_fill_value_zero_of_zarr_2(tmp_path: Path) -> None:
    """Zeros of a Zarr 2 store are gaps only if they lie apart, and no time is missing."""
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    for name, values in (("x", RAIN), ("sst", np.where(GAP, 0, SST + 273.15)), ("time", np.arange(N))):
        array = group.create_array(name, shape=(N,), dtype=values.dtype, fill_value=0)
        array[:] = values
        array.attrs["_ARRAY_DIMENSIONS"] = ["time"]
    group["time"].attrs["units"] = "days since 2000-01-01"
    ds = load_dataset(tmp_path / "a.zarr")
    assert ds.time.notnull().all()
    out, notes = with_gaps(ds)
    np.testing.assert_array_equal(out.x, RAIN)
    np.testing.assert_array_equal(out.sst.isnull(), GAP)
    assert any(n.startswith("x: ") and "--fill-value x=0" in n for n in notes)


def test_numbers_of_attributes() -> None:
    """Attributes may be numbers, lists or text; what is neither is no number."""
    assert numbers("[-9999, -99]") == [-9999, -99]
    assert numbers(b"-1.e34") == [-1e34]
    assert numbers(np.array([1, 2])) == [1, 2]
    assert numbers("NaN") == numbers("missing") == numbers(None) == numbers("") == []
