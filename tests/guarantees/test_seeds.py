"""The same seed gives the same numbers on the same machine with the same number of threads."""

import json
import os
import re
import subprocess
import sys

import numpy as np
from examples import RECIPE, assert_bits, make_sst
from guarantees import classical
from guarantees.small import data, kinds, model, often, promise, seeds, seldom
from hypothesis import given
from hypothesis import strategies as st
from streams import opened

from da4dvar.modelfile.header import CHECKSUM, read

pytestmark = promise
COMMANDS = (
    "simulate lorenz63 l63.nc --series 2 --steps 20 --seed 5",
    "gaps truth.nc gappy.nc --kind tracks --fraction 0.3 --seed 5",
    "train recipe.toml -o model.safetensors --set train.seed=5",
    "interpolate gappy.nc filled.nc --model model.safetensors --members 2 --seed 5",
    "interpolate gappy.nc filled.zarr --model model.safetensors --members 2 --seed 5",
    "baseline gappy.nc eofs.nc --method eof_iteration",
)

# All commands run in one process, because loading torch takes most of the time of a command.
SESSION = """
import sys
from da4dvar.cli import app
for line in sys.stdin:
    sys.argv = ["da4dvar", *line.split(), "--quiet"]
    app(sys.argv[1:], standalone_mode=False)
"""


@often
@given(kind=kinds, seed=seeds, lazy=st.booleans())
def test_members_are_the_same(kind, seed, lazy):
    """The ensemble depends on the seed, and on nothing else."""
    ds = data(kind, 8, part=0.5)
    ds = ds.chunk(time=4) if lazy else ds
    first, second = (model(kind).interpolate(ds, members=2, seed=seed).compute() for _ in range(2))
    assert_bits(second, first)
    other = model(kind).interpolate(ds, members=2, seed=seed + 1)
    assert not np.array_equal(other.sst_std, first.sst_std, equal_nan=True)


@seldom
@given(name=st.sampled_from(classical.SEEDED), seed=st.integers(0, 99))
def test_classical_methods_that_draw_are_the_same(name, seed):
    """Methods that draw validation points, pairs, members or atoms are the same."""
    ds = classical.gappy()
    first = classical.METHODS[name](seed=seed).interpolate(ds)
    np.random.seed(None)  # noqa: NPY002
    assert_bits(classical.METHODS[name](seed=seed).interpolate(ds), first)


def undated(attrs: dict[str, object]) -> str:
    """Attributes without the times of the history."""
    return re.sub(r"[-0-9]{10}T[:0-9]{8}Z ", "", str(attrs))


def test_the_same_commands_write_the_same_files(tmp_path):
    """Values, attributes (without the time of day) and weights are the same."""
    one, other = tmp_path / "one", tmp_path / "other"
    for hash_seed, folder in enumerate((one, other)):
        folder.mkdir()
        make_sst(70).to_netcdf(folder / "truth.nc")
        (folder / "recipe.toml").write_text(RECIPE.format(steps=2))
        # Sets have an order of their own in each process.
        env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": str(hash_seed)}
        command = [sys.executable, "-c", SESSION]
        subprocess.run(command, input="\n".join(COMMANDS), text=True, cwd=folder, env=env, check=True)
    outputs = sorted(p.name for p in one.iterdir() if p.suffix in (".nc", ".zarr"))
    assert outputs == ["eofs.nc", "filled.nc", "filled.zarr", "gappy.nc", "l63.nc", "truth.nc"]
    for name in outputs:
        here, there = opened(one / name), opened(other / name)
        if name.endswith(".nc"):  # a store is a folder, whose entries have no order
            assert list(here.variables) == list(there.variables)
        assert_bits(here, there)
        assert undated(here.attrs) == undated(there.attrs)
        assert all(str(here[v].attrs) == str(there[v].attrs) for v in here.variables)
    (first, weights), (second, others) = (read(folder / "model.safetensors") for folder in (one, other))
    for header in (first, second):
        header["provenance"].pop("finished")
        header.pop(CHECKSUM)  # it covers the header and therefore the time of day
    assert (json.dumps(first), list(weights)) == (json.dumps(second), list(others))
    assert all(weights[k].tobytes() == others[k].tobytes() for k in weights)
