"""Observed values come back bit for bit, and a complete field is returned unchanged."""

import tempfile
from pathlib import Path

import numpy as np
import xarray as xr
from guarantees import classical
from guarantees.small import (
    LOCAL,
    data,
    fill_file,
    kinds,
    model,
    names,
    often,
    promise,
    seeds,
    seldom,
    suffixes,
    write,
)
from hypothesis import given
from hypothesis import strategies as st
from streams import opened

from da4dvar.outofcore.schedulers import InProcess

pytestmark = promise
floats = st.sampled_from(["float16", "float32", "float64", ">f4", ">f8"])


def to_the_last_digit(ds: xr.Dataset, dtype: str) -> xr.Dataset:
    """Add noise to the values that only the given type can represent."""
    noise = np.random.default_rng(0).standard_normal(ds.sst.shape)
    return (ds.astype("float64") * (1 + 1e-9 * xr.DataArray(noise, dims=ds.sst.dims))).astype(dtype)


def bits(array: xr.DataArray, at: np.ndarray) -> bytes:
    """Return the bytes of the values at some places."""
    return array.values[at].tobytes()


@often
@given(
    kind=kinds, seed=seeds, part=st.sampled_from([0.2, 0.9, 1.0]), dtype=floats,
    order=st.permutations(range(3)), turned=st.booleans(), lazy=st.booleans(),
)  # fmt: skip
def test_observed_values_are_kept_to_the_bit(kind, seed, part, dtype, order, turned, lazy):
    """Of any type and order, in chunks or not, or all of a complete field; zeros keep their sign."""
    ds = data(kind, seed=seed, part=part)
    ds = to_the_last_digit(ds.fillna(15.0) if part == 1.0 else ds, dtype)
    ds.sst[0] = ds.sst[0] * -0.0
    ds = ds.transpose(*(ds.sst.dims[k] for k in order if k < ds.sst.ndim))
    ds = ds.isel(time=slice(None, None, -1)) if turned else ds
    # A first day of zeros lies apart from all else, like an undeclared fill value or a wrong unit.
    filled = model(kind).interpolate(ds.chunk(time=5) if lazy else ds, fill_value="none", force=True)
    for name in names(kind):
        seen = ds[name].notnull().values
        assert (filled[name].dtype, bits(filled[name], seen)) == (ds[name].dtype, bits(ds[name], seen))
        assert (filled[f"{name}_flag"].values[seen] == 0).all()


@often
@given(kind=kinds, seed=seeds, dtype=st.sampled_from(["int8", "uint8", "int16", "int32"]))
def test_whole_numbers_are_kept_too(kind, seed, dtype):
    """Integers under a mask are returned as real numbers of the same value."""
    ds = data(kind, seed=seed, part=1.0)
    seen = np.random.default_rng(seed).random(ds.sst.shape) < 0.5
    whole = {n: ds[n].fillna(15).round().astype(dtype) for n in names(kind)}
    masked = ds.assign(whole | {"mask": (ds.sst.dims, seen)})
    filled = model(kind).interpolate(masked, mask="mask")
    for name in names(kind):
        np.testing.assert_array_equal(filled[name].values[seen], whole[name].values[seen])


PACKINGS = (
    {},
    {"dtype": "int16", "scale_factor": 0.01, "_FillValue": -32768},
    {"dtype": "int16", "scale_factor": np.float32(0.01), "_FillValue": -32768},
    {"dtype": "int32", "scale_factor": 1e-3, "add_offset": 273.15, "_FillValue": -1},
)


@seldom
@given(
    kind=st.sampled_from(LOCAL), seed=seeds, part=st.sampled_from([0.3, 1.0]),
    packing=st.sampled_from(PACKINGS), suffixes=suffixes, regions=st.booleans(),
)  # fmt: skip
def test_a_file_holds_the_observed_values_as_they_were(kind, seed, part, packing, suffixes, regions):
    """Packed numbers are kept, or their values if the output is unpacked."""
    ds = data(kind, seed=seed, part=part)[names(kind)]
    ds = ds.fillna(15.0) if part == 1.0 else ds
    for name in names(kind):
        ds[name].encoding = {**packing}
    with tempfile.TemporaryDirectory() as folder:
        source, output = (Path(folder, f"{n}{s}") for n, s in zip(("in", "out"), suffixes, strict=True))
        write(ds, source)
        fill_file(source, output, kind, InProcess(tiles=4) if regions else None)
        before, after = (opened(path, decode_cf=False) for path in (source, output))
        known, found = xr.decode_cf(before), xr.decode_cf(after)
        for name in names(kind):
            seen = known[name].notnull().values
            if after[name].dtype == before[name].dtype:
                assert bits(after[name], seen) == bits(before[name], seen)
            else:
                assert regions or not packing
                np.testing.assert_array_equal(found[name].values[seen], known[name].values[seen])
            if part == 1.0:
                assert (found[f"{name}_flag"] == 0).all()


@often
@given(st.sampled_from(classical.KEEPS_OBSERVED), seeds, st.sampled_from([0.5, 0.9]), st.booleans())
def test_classical_methods_that_keep_observed_values_keep_every_bit(name, seed, part, lazy):
    """This holds for gappy and for complete fields."""
    method = classical.METHODS[name]()
    # Cubes around zero, where subtracting and adding a mean leaves rounding errors.
    for ds in ((classical.gappy(seed, part) - 15) ** 3, (classical.complete() - 15) ** 3):
        found = method.interpolate(ds.chunk(time=7) if lazy else ds)
        for variable in ds.data_vars:
            seen = ds[variable].notnull().values
            assert bits(found[variable], seen) == bits(ds[variable], seen)
