"""From file to file, no bit depends on the order of files, regions or workers."""

import random
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import xarray as xr
from examples import assert_bits
from guarantees.small import (
    LOCAL,
    assert_close,
    data,
    examples,
    fill_file,
    model,
    promise,
    seeds,
    seldom,
    write,
)
from hypothesis import given
from hypothesis import strategies as st
from streams import opened

from da4dvar.outofcore.schedulers import InProcess, Local, Scheduler

pytestmark = promise
local = st.sampled_from(LOCAL)


@dataclass(frozen=True)
class Shuffled(InProcess):
    """Solver of the tiles in a random order."""

    seed: int = 0

    def solved(self, model, job, numbers, tell):
        order = list(numbers)
        random.Random(self.seed).shuffle(order)
        return super().solved(model, job, order, tell)


def filled(ds: xr.Dataset, kind: str, *schedulers: Scheduler) -> list[xr.Dataset]:
    """The outputs of runs in regions, one for each scheduler."""
    outputs = []
    with tempfile.TemporaryDirectory() as folder:
        write(ds.drop_encoding(), Path(folder, "in.nc"))
        for number, by in enumerate(schedulers):
            fill_file(Path(folder, "in.nc"), Path(folder, f"{number}.zarr"), kind, by)
            outputs.append(opened(Path(folder, f"{number}.zarr")))
    return outputs


@examples(4)
@given(kind=local, seed=seeds, order=seeds)
def test_regions_are_solved_in_any_order(kind, seed, order):
    """Regions in any order give the same bits, and all at once the same to rounding."""
    ds = data(kind, days=18, seed=seed)
    expected, found = filled(ds, kind, InProcess(tiles=16), Shuffled(tiles=16, seed=order))
    assert_bits(found, expected)
    assert_close(expected, model(kind).interpolate(ds))


def test_any_number_of_workers_gives_the_same_bits():
    """Up to four workers of this machine; more cut the field in more regions, which moves rounding."""
    workers = [Local("threads", number) for number in (1, 2, 4)]
    expected, *others = filled(data("learned", days=30), "learned", InProcess(tiles=16), *workers)
    for found in others:
        assert_bits(found, expected)


@seldom
@given(
    kind=local, seed=seeds, cuts=st.sets(st.integers(1, 19), min_size=1, max_size=4),
    shuffle=st.randoms(use_true_random=False), suffix=st.sampled_from([".nc", ".zarr"]),
)  # fmt: skip
def test_the_order_of_files_does_not_change_a_bit(kind, seed, cuts, shuffle, suffix):
    """A series cut in files, which are named in any order, is what it was in one."""
    whole = data(kind, days=20, seed=seed).drop_encoding()
    with tempfile.TemporaryDirectory() as name:
        folder, files = Path(name), []
        for first, last in pairwise([0, *sorted(cuts), 20]):
            files.append(folder / f"part{first}{suffix}")
            write(whole.isel(time=slice(first, last)), files[-1])
        shuffle.shuffle(files)
        write(whole, folder / f"in{suffix}")
        fill_file(folder / f"in{suffix}", folder / "one.nc", kind)
        fill_file(files, folder / "many.nc", kind)
        assert_bits(opened(folder / "many.nc"), opened(folder / "one.nc"))
