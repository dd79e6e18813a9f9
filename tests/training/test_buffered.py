"""Buffered samples: every window is in one block, and reads are contiguous and no larger than the buffer."""

import tomllib

import dask.array
import numpy as np
import pytest
import torch
import xarray as xr
from examples import RECIPE, make_sst, tiny_interpolator, train_tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from da4dvar.config.tables import overlaid
from da4dvar.errors import RecipeError
from da4dvar.fields.gaps.patterns import Random
from da4dvar.layout import Layout
from da4dvar.training.buffered import BufferedSamples, block_sizes
from da4dvar.training.dataset import training_samples
from da4dvar.training.plan import Training
from da4dvar.training.samples import Sample, Samples
from da4dvar.workflows.recipe import Recipe

WINDOW = 4
LAYOUT = Layout(["x"], axes=["time"], window={"time": WINDOW})


def buffered(
    times: int = 50, starts: int = 5, blocks: int = 3, seed: int = 0
) -> tuple[BufferedSamples, list]:
    """A series that counts its times, and the reads that were made of it."""
    data = xr.DataArray(np.arange(times, dtype="float32")[None], dims=("variable", "time"))
    reads: list[slice] = []

    def read(part: slice) -> Samples:
        reads.append(part)
        return Samples(data.isel(time=part), data.isel(time=part), Random(0.8), LAYOUT)

    return BufferedSamples(read, times, WINDOW, starts, blocks, seed), reads


def drawn(source: BufferedSamples, number: int) -> Sample:
    """Draw the sample of a number as the training does."""
    return source.draw(number, np.random.default_rng([7, number]))


@settings(deadline=None)
@given(st.integers(WINDOW, 90), st.integers(1, 20), st.integers(1, 5))
def test_every_window_is_in_one_block(times, starts, blocks):
    """Each epoch visits every block once, and the blocks together hold every window once."""
    source, _ = buffered(times, starts, blocks)
    count = -(-(times - WINDOW + 1) // starts)
    rounds = range(0, -(-count // blocks) * blocks * starts, blocks * starts)
    met = [b for first in rounds for b in source.blocks_at(first)]
    assert sorted(met) == list(range(count))
    begun: list[int] = []
    for block in sorted(met):
        part = range(times)[source.slice_of(block)]
        begun += part[: len(part) - WINDOW + 1]
    assert begun == list(range(times - WINDOW + 1))


def test_blocks_are_read_once_in_an_order_of_the_seed():
    """Each block is read once, a sample depends on its number alone, and epochs and seeds differ."""
    source, reads = buffered()
    for number in range(30):
        drawn(source, number)
    assert len(reads) == 6
    assert reads[0].start < reads[1].start < reads[2].start
    assert len({r.start for r in reads}) == 6
    whole, resumed = buffered()[0], buffered()[0]
    samples = [drawn(whole, number) for number in range(60)]
    for number in (41, 7, 59):
        for name, array in drawn(resumed, number).items():
            np.testing.assert_array_equal(array, samples[number][name])
    orders = [
        [buffered(200, 5, 3, seed)[0].blocks_at(first + k) for k in range(0, 150, 15)]
        for seed, first in ((0, 0), (0, 210), (1, 0))
    ]
    assert orders[0] != orders[1]
    assert orders[0] != orders[2]


def test_windows_are_met_about_equally_often():
    """Windows are drawn about equally often, and a block without observations does not end the training."""
    source, _ = buffered(44, 5, 3)
    starts = [int(drawn(source, number)["target"].min()) for number in range(20 * 45)]
    counts = np.bincount(starts, minlength=41)
    assert counts.min() > 0.4 * counts.mean()
    assert counts.max() < 2 * counts.mean()
    source, _ = buffered(blocks=2, times=13)
    read = source.read

    def empty(part: slice) -> Samples:
        samples = read(part)
        if part.start == 0:
            samples = Samples(samples.observed * np.nan, samples.observed * np.nan, None, LAYOUT)
        return samples

    source.read = empty
    assert all(drawn(source, number)["sought"].any() for number in range(10))


def test_a_buffer_of_less_than_two_windows_is_refused():
    """The error states the sizes of a time and of a window."""
    with pytest.raises(RecipeError, match="fewer than two windows of 15 times with 10 bytes"):
        block_sizes(200, 10, 15)


PLAN = {"steps": 4, "batch": 4, "validate_every": 2, "validation_samples": 4, "device": "cpu"}


def lazy(ds: xr.Dataset, largest: list[int]) -> xr.Dataset:
    """Return the data as dask arrays of ten times per chunk that record the number of times in each read."""

    def read(block: np.ndarray) -> np.ndarray:
        largest.append(len(block))
        return block

    values = dask.array.from_array(ds.sst.values, chunks=(10, -1, -1))
    return ds.assign(sst=ds.sst.copy(data=values.map_blocks(read, meta=ds.sst.values[:0])))


def test_blocks_are_those_of_the_loaded_data():
    """Blocks are those of the loaded data to the bit, and no read is larger than the buffer."""
    ds, model = make_sst(200), tiny_interpolator()
    model.prepare(ds)
    plan = Training(buffer=200 * 9 * 8 * 4, **PLAN)
    source = training_samples(model, ds.chunk(time=10), ds.chunk(time=10), Random(0.4), 0.0, plan)
    assert isinstance(source, BufferedSamples)
    part = source.slice_of(3)
    np.testing.assert_array_equal(source.read(part).observed, model.states(ds).isel(time=part))
    largest: list[int] = []
    ds = lazy(make_sst(300), largest)
    held: list[int] = []
    model, plan = tiny_interpolator(), Training(buffer=2 * 60 * 9 * 8 * 4, **PLAN)
    model.prepare(ds)
    source = training_samples(model, ds, None, Random(0.4), 0.0, plan)
    assert isinstance(source, BufferedSamples)
    for number in range(100):
        source.draw(number, np.random.default_rng([0, number]))
        held.append(sum(s.observed.sizes["time"] for s in source._held[1]))
    assert max(held) <= 60
    assert max(largest) <= 10


def test_data_that_fit_are_loaded_as_before():
    """A buffer that holds all data does not change the trained weights."""
    truth, settings = make_sst(70, seed=1), PLAN | {"steps": 3, "validate_every": 3}
    plan = Training(buffer="1GiB", **settings)
    fitted = tiny_interpolator().fit(truth, truth=truth, gaps=Random(0.4), training=plan)
    before = train_tiny(3).model.state_dict()
    assert all(torch.equal(before[name], w) for name, w in fitted.model.state_dict().items())
    assert isinstance(training_samples(fitted, truth.chunk(time=10), None, Random(0.4), 0.0, plan), Samples)


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_a_recipe_trains_from_a_file_in_blocks(tmp_path, suffix):
    """A recipe with `[train] buffer` trains from NetCDF and from Zarr."""
    ds = make_sst(70)
    ds.sst.encoding = {}
    ds.to_netcdf(tmp_path / "truth.nc") if suffix == ".nc" else ds.to_zarr(tmp_path / "truth.zarr")
    tables = config_of(f'data.path="truth{suffix}"', 'train.buffer="40 kB"')
    recipe = Recipe(tables, tmp_path)
    assert recipe.data("train").seen.sst.chunks is not None
    fitted = recipe.train(tmp_path / "folder")
    assert np.isfinite(fitted.scores["validation_rmse_normalised"])


def config_of(*settings: str) -> dict:
    """Return the recipe of the small example with settings changed."""
    return overlaid(tomllib.loads(RECIPE.format(steps=2)), settings)


@pytest.mark.parametrize(("settings", "message"), [
    (['train.buffer="much"'], "expected a size such as '2GiB'"),
    (['train.buffer="1 kB"'], "fewer than two windows of 6 times"),
    (['data.path=["truth.nc"]', 'train.buffer="40 kB"'], "one file or Zarr store"),
])  # fmt: skip
def test_a_buffer_that_cannot_be_is_refused(tmp_path, settings, message):
    """An invalid buffer is refused with the expected value."""
    make_sst(70).to_netcdf(tmp_path / "truth.nc")
    with pytest.raises(RecipeError, match=message):
        Recipe(config_of(*settings), tmp_path).train(tmp_path / "folder")
