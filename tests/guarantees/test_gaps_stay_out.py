"""Unobserved values are never used, and results are finite wherever their flag says so."""

import tempfile
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from examples import assert_bits
from guarantees import classical
from guarantees.small import data, kinds, model, names, often, parts, promise, seeds, seldom
from hypothesis import given
from hypothesis import strategies as st
from streams import opened

import da4dvar
from da4dvar.errors import DataError
from da4dvar.fields.gaps.patterns import Random
from da4dvar.testing import normal
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.priors.unet import UNet

pytestmark = promise
ANYTHING = (np.nan, np.inf, -np.inf, 1e30, -32768.0, 0.0, 15.0)


def assert_flags_are_true(filled: xr.Dataset, kind: str) -> None:
    """Check that flag 2 marks exactly the NaN, and that values and standard errors are finite."""
    for name in names(kind):
        flag, value = filled[f"{name}_flag"].values, filled[name].values
        np.testing.assert_array_equal(flag == 2, np.isnan(value))
        for one in [n for n in filled.data_vars if n == name or str(n).startswith(f"{name}_")]:
            assert np.isfinite(filled[one].values[flag != 2]).all(), one


@often
@given(
    kind=kinds, seed=seeds, part=parts, days=st.integers(1, 20), keep=st.booleans(), lazy=st.booleans(),
    dtype=st.sampled_from(["float16", "float32", "float64"]),
)  # fmt: skip
def test_a_value_is_finite_or_flagged(kind, seed, part, days, dtype, keep, lazy):
    """Flags are correct for any gaps and types, with observed values and with the analysis."""
    ds = data(kind, days, seed, part)
    ds = ds.astype(dtype).chunk(time=4) if lazy else ds.astype(dtype)
    filled = model(kind).interpolate(ds, analysis=not keep).compute()
    assert_flags_are_true(filled, kind)
    for name in names(kind):
        flag, seen = filled[f"{name}_flag"].values, ds[name].notnull().values
        assert (flag[~seen] != 0).all()
        assert (flag[seen] != 1).all()


@seldom
@given(kind=kinds, seed=seeds, part=parts)
def test_a_standard_error_is_there_where_a_value_is(kind, seed, part):
    """With an ensemble, there is a standard error wherever there is a value."""
    assert_flags_are_true(model(kind).interpolate(data(kind, 10, seed, part), members=2, seed=seed), kind)


@often
@given(kind=kinds, seed=seeds, part=parts, rubbish=st.sampled_from(ANYTHING), lazy=st.booleans())
def test_what_a_mask_hides_does_not_matter(kind, seed, part, rubbish, lazy):
    """Values in masked cells have the effect of NaN, to the bit."""
    ds = data(kind, seed=seed, part=part)
    seen = np.logical_and.reduce([ds[n].notnull() for n in names(kind)])
    if not seen.any():
        return
    mask = xr.DataArray(seen.astype("int8"), dims=ds.sst.dims)
    hidden = ds.assign({n: ds[n].where(mask == 1, np.float32(rubbish)) for n in names(kind)})
    hidden["mask"] = mask
    gaps = ds.assign({n: ds[n].where(mask == 1) for n in names(kind)})
    hidden, gaps = (hidden.chunk(time=5), gaps.chunk(time=5)) if lazy else (hidden, gaps)
    found = model(kind).interpolate(hidden, mask="mask").compute().drop_vars("mask")
    assert_bits(found, model(kind).interpolate(gaps).compute())


@often
@given(seed=st.integers(0, 99), rubbish=st.sampled_from(ANYTHING))
def test_the_cost_does_not_see_what_is_outside_its_domain(seed, rubbish):
    """U and its gradient do not depend on y outside Ω, to the bit."""
    cost = VariationalCost(UNet(2, ("zero", "zero"), width=3))
    x, y = normal(3, 2, 5, 6, seed=seed), normal(3, 2, 5, 6, seed=seed + 100)
    mask = normal(3, 2, 5, 6, seed=seed + 200) > 0
    found = [cost.given(torch.where(mask, y, v), mask).gradient(x) for v in (0.0, rubbish)]
    assert all(map(torch.equal, *[(g, *terms) for g, terms in found]))


@seldom
@given(seed=seeds, part=parts, declared=st.sampled_from(["_FillValue", "missing_value"]))
def test_a_fill_value_is_a_gap(seed, part, declared):
    """A file with gaps stored as a declared number is filled like one with NaN."""
    ds = data("learned", seed=seed, part=part)
    numbers = ds[["sst"]].drop_encoding().fillna(-999.0)
    # To xarray, the attribute is one like others: the number is written as it stands.
    numbers.sst.attrs[declared] = np.float32(-999)
    numbers.sst.encoding["_FillValue"] = None
    with tempfile.TemporaryDirectory() as name:
        source, output = Path(name, "in.nc"), Path(name, "out.nc")
        numbers.to_netcdf(source)
        da4dvar.interpolate_file(source, output, model("learned"))
        found, given_back = opened(output), opened(source)
    xr.testing.assert_equal(given_back.sst, ds.sst)
    expected = model("learned").interpolate(ds)
    for one in ("sst", "sst_flag"):
        np.testing.assert_array_equal(found[one].values, expected[one].values)


@often
@given(kind=kinds, seed=seeds, huge=st.sampled_from([9.96921e36, -1e30, 1e20]), day=st.integers(0, 19))
def test_a_number_that_no_solver_can_take_spoils_its_windows_only(kind, seed, huge, day):
    """A huge undeclared fill value only affects its windows."""
    ds = data(kind, 20, seed, 0.5)
    spoilt = ds.copy(deep=True)
    spoilt.sst[{"time": day} | {d: 4 for d in ds.sst.dims if d != "time"}] = np.float32(huge)
    if kind == "first guess":
        return
    found, expected = (model(kind).interpolate(d) for d in (spoilt, ds))
    assert_flags_are_true(found, kind)
    assert (found.sst_flag.values[expected.sst_flag.values == 2] == 2).all()
    far = np.abs(np.arange(20) - day) > 6
    np.testing.assert_allclose(found.sst.values[far], expected.sst.values[far], rtol=1e-5, atol=1e-5)


@often
@given(name=classical.methods, seed=seeds, infinite=st.sampled_from([np.inf, -np.inf]))
def test_an_infinite_value_is_a_gap_to_a_classical_method(name, seed, infinite):
    """Infinite values have the effect of NaN, or are rejected."""
    ds = classical.gappy(seed)
    where = xr.DataArray(Random(0.1).draw(np.random.default_rng(seed), ds.sst.sizes), dims=ds.sst.dims)
    broken, gap = (ds.assign({n: ds[n].where(~where, v) for n in ds.data_vars}) for v in (infinite, np.nan))
    try:
        found = classical.METHODS[name]().interpolate(broken)
    except DataError:
        return
    assert_bits(found, classical.METHODS[name]().interpolate(gap))
