"""Training from data larger than the buffer reads blocks and never loads all data."""

from __future__ import annotations

from pathlib import Path

import dask.array
import numpy as np
import pytest
import torch
import xarray as xr
from examples import RECIPE, make_sst, tiny_interpolator, train_tiny
from numpy.testing import assert_allclose

from da4dvar.config.tables import overlaid
from da4dvar.errors import RecipeError
from da4dvar.fields.gaps.patterns import Random
from da4dvar.fields.scaling.anomaly import Anomaly
from da4dvar.fields.scaling.standard import Standard
from da4dvar.training.buffered import BufferedSamples
from da4dvar.training.dataset import training_samples
from da4dvar.training.plan import Training
from da4dvar.training.samples import Samples
from da4dvar.workflows.recipe import Recipe

PLAN = {"steps": 4, "batch": 4, "validate_every": 2, "validation_samples": 4, "device": "cpu"}


def lazy(ds: xr.Dataset, largest: list[int]) -> xr.Dataset:
    """Return the data as dask arrays of ten times per chunk that record the number of times in each read."""

    def read(block: np.ndarray) -> np.ndarray:
        largest.append(len(block))
        return block

    values = dask.array.from_array(ds.sst.values, chunks=(10, -1, -1)).map_blocks(
        read, meta=ds.sst.values[:0]
    )
    return ds.assign(sst=ds.sst.copy(data=values))


@pytest.mark.parametrize("scaling", [Standard, lambda: Anomaly(harmonics=2)])
def test_scaling_by_parts_is_that_of_the_whole(scaling) -> None:
    """Scaling fitted to lazy data with gaps agrees with that of loaded data up to rounding."""
    ds = make_sst(400)
    ds = ds.where(np.random.default_rng(0).random(ds.sst.shape) < 0.7)
    dims = ("time", "lat", "lon")
    whole, parts = scaling().fit(ds, ["sst"], dims), scaling().fit(ds.chunk(time=37), ["sst"], dims)
    for name, array in whole.arrays().items():
        if array.dtype.kind == "f":
            assert_allclose(parts.arrays()[name], array, rtol=1e-5, atol=1e-6)


def test_blocks_are_those_of_the_loaded_data() -> None:
    """The normalised values of a block equal those of the loaded data at these times to the bit."""
    ds, model = make_sst(200), tiny_interpolator()
    model.prepare(ds)
    plan = Training(buffer=200 * 9 * 8 * 4, **PLAN)
    source = training_samples(model, ds.chunk(time=10), ds.chunk(time=10), Random(0.4), 0.0, plan)
    assert isinstance(source, BufferedSamples)
    part = source.slice_of(3)
    np.testing.assert_array_equal(source.read(part).observed, model.states(ds).isel(time=part))


def test_data_that_fit_are_loaded_as_before() -> None:
    """A buffer that holds all data does not change the trained weights."""
    truth = make_sst(70, seed=1)
    plan = Training(steps=3, buffer="1GiB", **{k: v for k, v in PLAN.items() if k != "steps"})
    plan = Training(**{**plan.__dict__, "validate_every": 3})
    fitted = tiny_interpolator().fit(truth, truth=truth, gaps=Random(0.4), training=plan)
    before = train_tiny(3).model.state_dict()
    assert all(torch.equal(before[name], w) for name, w in fitted.model.state_dict().items())
    fits = training_samples(fitted, truth.chunk(time=10), None, Random(0.4), 0.0, plan)
    assert isinstance(fits, Samples)


def test_no_read_is_larger_than_the_buffer() -> None:
    """Training on lazy data never reads more at once than the buffer holds."""
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


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_a_recipe_trains_from_a_file_in_blocks(tmp_path: Path, suffix: str) -> None:
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
    import tomllib

    return overlaid(tomllib.loads(RECIPE.format(steps=2)), settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (['train.buffer="much"'], "expected a size such as '2GiB'"),
        (['train.buffer="1 kB"'], "fewer than two windows of 6 times"),
        (['data.path=["truth.nc"]', 'train.buffer="40 kB"'], "one file or Zarr store"),
    ],
)
def test_a_buffer_that_cannot_be_is_refused(tmp_path: Path, settings: list[str], message: str) -> None:
    """An invalid buffer is refused with the expected value."""
    make_sst(70).to_netcdf(tmp_path / "truth.nc")
    with pytest.raises(RecipeError, match=message):
        Recipe(config_of(*settings), tmp_path).train(tmp_path / "folder")
