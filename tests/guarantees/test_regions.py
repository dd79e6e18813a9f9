"""From file to file, no bit depends on the order of files, regions or workers."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import pytest
import xarray as xr
from examples import assert_bits
from guarantees.small import LOCAL, assert_close, data, examples, model, seeds, seldom
from hypothesis import given
from hypothesis import strategies as st
from streams import opened

import da4dvar
from da4dvar.outofcore.schedulers import InProcess, Local, Scheduler

pytestmark = [
    pytest.mark.guarantee,
    pytest.mark.filterwarnings("ignore::da4dvar.errors.Da4dvarWarning"),
]
local = st.sampled_from(LOCAL)


@dataclass(frozen=True)
class Shuffled(InProcess):
    """Solver of the tiles in a random order."""

    seed: int = 0

    def solved(self, model, job, numbers, tell):
        order = list(numbers)
        random.Random(self.seed).shuffle(order)
        return super().solved(model, job, order, tell)


@contextmanager
def folder_of(ds: xr.Dataset, suffix: str = ".nc") -> Iterator[Path]:
    """Provide a folder with a data set, in.nc or in.zarr."""
    with tempfile.TemporaryDirectory() as name:
        plain = ds.drop_encoding()
        if suffix == ".nc":
            plain.to_netcdf(Path(name, "in.nc"))
        else:
            plain.to_zarr(Path(name, "in.zarr"), consolidated=False)
        yield Path(name)


def filled(
    folder: Path, kind: str, by: Scheduler, source: str = "in.nc", output: str = "out.zarr"
) -> xr.Dataset:
    """Return the output of a run in regions with a given scheduler."""
    with patch("da4dvar.outofcore.interpolate_file.scheduler_of", lambda _: by):
        da4dvar.interpolate_file(
            folder / source, folder / output, model(kind), scheduler="any", overwrite=True
        )
    return opened(folder / output).drop_attrs(deep=False)


@examples(4)
@given(kind=local, seed=seeds, order=seeds)
def test_regions_are_solved_in_any_order(kind, seed, order):
    """Regions in any order give the same bits, and all at once the same to rounding."""
    ds = data(kind, days=18, seed=seed)
    with folder_of(ds) as folder:
        expected = filled(folder, kind, InProcess(tiles=16))
        assert_bits(filled(folder, kind, Shuffled(tiles=16, seed=order)), expected)
    assert_close(expected, model(kind).interpolate(ds))


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_any_number_of_workers_gives_the_same_bits(workers):
    """Up to four workers; more divide the field into other regions."""
    with folder_of(data("learned", days=30)) as folder:
        expected = filled(folder, "learned", InProcess(tiles=16))
        assert_bits(filled(folder, "learned", Local("threads", workers)), expected)


@seldom
@given(
    kind=local,
    seed=seeds,
    cuts=st.sets(st.integers(1, 19), min_size=1, max_size=4),
    shuffle=st.randoms(use_true_random=False),
    suffix=st.sampled_from([".nc", ".zarr"]),
)
def test_the_order_of_files_does_not_change_a_bit(kind, seed, cuts, shuffle, suffix):
    """A series in several files, named in any order, is filled like one file."""
    ds = data(kind, days=20, seed=seed)
    ends = [0, *sorted(cuts), 20]
    with folder_of(ds, suffix) as folder:
        whole = opened(folder / f"in{suffix}")
        files = []
        for k, (first, last) in enumerate(pairwise(ends)):
            files.append(folder / f"part{k}{suffix}")
            part = whole.isel(time=slice(first, last)).drop_encoding()
            part.to_netcdf(files[-1]) if suffix == ".nc" else part.to_zarr(files[-1], consolidated=False)
        shuffle.shuffle(files)
        da4dvar.interpolate_file(folder / f"in{suffix}", folder / "one.nc", model(kind))
        da4dvar.interpolate_file(files, folder / "many.nc", model(kind))
        one, many = (opened(folder / f"{name}.nc").drop_attrs(deep=False) for name in ("one", "many"))
        assert_bits(many, one)
