"""Results depend neither on what else is solved nor on the order of anything."""

import numpy as np
import xarray as xr
from examples import assert_bits
from guarantees.small import assert_close, data, kinds, model, often, parts, promise, seeds, seldom
from hypothesis import given
from hypothesis import strategies as st

pytestmark = promise


@often
@given(kind=kinds, seed=seeds, part=parts, batch_size=st.integers(1, 40))
def test_the_batch_size_changes_rounding_at_most(kind, seed, part, batch_size):
    """Batches of any size give the same results up to rounding."""
    ds = data(kind, seed=seed, part=part)
    assert_close(model(kind).interpolate(ds, batch_size=batch_size), model(kind).interpolate(ds))


@seldom
@given(
    kind=kinds, seed=seeds, part=parts,
    size=st.integers(1, 11), across=st.integers(3, 9), batch=st.integers(1, 40),
)  # fmt: skip
def test_chunks_change_rounding_at_most(kind, seed, part, size, across, batch):
    """Any chunks, of a single day as well, and along each dimension."""
    ds = data(kind, days=11, seed=seed, part=part)
    chunks = {d: size if d == "time" else across for d in ds.sst.dims}
    lazy = model(kind).interpolate(ds.chunk(chunks), batch_size=batch)
    assert lazy.sst.chunks is not None
    assert_close(lazy.compute(scheduler="synchronous"), model(kind).interpolate(ds))


@seldom
@given(kind=kinds, seed=seeds, workers=st.integers(1, 4))
def test_dasks_workers_do_not_change_a_bit(kind, seed, workers):
    """The same chunks give the same bits on one worker and on several."""
    lazy = model(kind).interpolate(data(kind, seed=seed).chunk(time=5), batch_size=4)
    together = lazy.compute(scheduler="threads", num_workers=workers)
    assert_bits(together, lazy.compute(scheduler="synchronous"))


def members(kind: str, seed: int, count: int = 4) -> xr.Dataset:
    """Return a data set with several samples along a dimension that is not in the layout."""
    some = [data(kind, days=8, seed=seed + k, part=(k + 1) / (count + 1)) for k in range(count)]
    return xr.concat(some, "member").assign_coords(member=np.arange(count))


chosen = st.lists(st.integers(0, 3), min_size=1, unique=True)


@often
@given(kind=kinds, seed=seeds, chosen=chosen, axis=st.integers(0, 2))
def test_other_samples_and_their_order_change_rounding_at_most(kind, seed, chosen, axis):
    """Some of the samples in any order, wherever their dimension is, give the answers that all give."""
    ds = members(kind, seed)
    dims = [d for d in ds.sst.dims if d != "member"]
    dims.insert(axis, "member")
    found = model(kind).interpolate(ds.isel(member=chosen).transpose(*dims))
    assert_close(found, model(kind).interpolate(ds).isel(member=chosen))


@often
@given(kind=kinds, seed=seeds, part=parts, order=st.permutations(range(3)), turned=st.sets(st.integers(0, 2)))
def test_the_order_of_dimensions_does_not_change_a_bit(kind, seed, part, order, turned):
    """Transposed and reversed dimensions give the same bits."""
    ds = data(kind, seed=seed, part=part)
    dims, known = list(ds.sst.dims), model(kind).layout.dims
    back = {known[k]: slice(None, None, -1) for k in turned if k < len(known)}
    other = ds.isel(back).transpose(*(dims[k] for k in order if k < len(dims)))
    found, expected = (model(kind).interpolate(d) for d in (other, ds))
    for name in expected.data_vars:
        again = found[name].isel(back, missing_dims="ignore").transpose(*expected[name].dims)
        np.testing.assert_array_equal(again.values, expected[name].values, err_msg=name)


@often
@given(kind=kinds, seed=seeds, part=parts, order=st.permutations(["sst", "sss", "depth", "wind"]))
def test_the_order_of_variables_does_not_change_a_bit(kind, seed, part, order):
    """Order of variables, and variables not in the model, have no effect."""
    ds = data(kind, seed=seed, part=part)
    more = ds.assign(depth=ds.sst.isel(time=0) * np.inf, wind=ds.sss * 0 + 3)
    plain = model(kind).interpolate(ds)
    # What is not in the model is carried along.
    assert_bits(model(kind).interpolate(more[list(order)])[list(plain.data_vars)], plain)
