"""The same seed gives the same numbers on the same machine with the same number of threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from examples import RECIPE, assert_bits, make_sst, tiny_interpolator
from guarantees import classical
from guarantees.small import data, examples, kinds, model, often, seeds, seldom
from hypothesis import given
from hypothesis import strategies as st
from streams import opened

from da4dvar.fields.gaps.patterns import Random
from da4dvar.modelfile.header import CHECKSUM, read
from da4dvar.simulate import SYSTEMS
from da4dvar.training.loop import Training
from da4dvar.workflows.twin import hide

pytestmark = [
    pytest.mark.guarantee,
    pytest.mark.filterwarnings("ignore::da4dvar.errors.Da4dvarWarning"),
]
KINDS_OF_GAPS = {"random": {}, "blocks": {"block": {"time": "3", "lat": "2", "lon": "2"}}, "tracks": {}}
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


def stirred() -> None:
    """Change the state of the global generators, which must have no effect."""
    np.random.seed(None)  # noqa: NPY002


@seldom
@given(system=st.sampled_from(["lorenz63", "lorenz96"]), seed=seeds)
def test_a_twin_experiment_is_the_same(system, seed):
    """Truth, observations and noise are the same."""
    first = SYSTEMS[system](1, 4, seed, step=0.1)
    stirred()
    assert_bits(SYSTEMS[system](1, 4, seed, step=0.1), first)


@often
@given(kind=st.sampled_from(sorted(KINDS_OF_GAPS)), seed=seeds, fraction=st.sampled_from([0.1, 0.5]))
def test_gaps_are_the_same(kind, seed, fraction):
    """Draws of every kind of gap pattern are the same."""
    first = hide(make_sst(12), kind, fraction, seed=seed, **KINDS_OF_GAPS[kind])
    stirred()
    assert_bits(hide(make_sst(12), kind, fraction, seed=seed, **KINDS_OF_GAPS[kind]), first)


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


@examples(3)
@given(seed=seeds)
def test_a_training_is_the_same(seed):
    """Three training steps give the same bits of every weight."""
    truth = make_sst(40, seed=1)

    def trained() -> dict[str, bytes]:
        plan = Training(steps=3, batch=2, validate_every=3, validation_samples=2, devices="cpu", seed=seed)
        made = tiny_interpolator().fit(truth, truth=truth, gaps=Random(0.4), training=plan)
        return {k: v.numpy().tobytes() for k, v in made.model.state_dict().items()}

    first = trained()
    stirred()
    assert trained() == first


@seldom
@given(name=st.sampled_from(classical.SEEDED), seed=st.integers(0, 99))
def test_classical_methods_that_draw_are_the_same(name, seed):
    """Methods that draw validation points, pairs, members or atoms are the same."""
    ds = classical.gappy()
    first = classical.METHODS[name](seed=seed).interpolate(ds)
    stirred()
    assert_bits(classical.METHODS[name](seed=seed).interpolate(ds), first)


def run_all(folder: Path, hash_seed: int) -> None:
    """Run all commands in one process, with its own order of sets."""
    folder.mkdir()
    make_sst(70).to_netcdf(folder / "truth.nc")
    (folder / "recipe.toml").write_text(RECIPE.format(steps=2))
    subprocess.run(
        [sys.executable, "-c", SESSION],
        input="\n".join(COMMANDS),
        text=True,
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": str(hash_seed)},
        check=True,
        capture_output=True,
    )


def undated(attrs: dict[str, object]) -> dict[str, object]:
    """Return attributes with the times of day in the history removed."""
    lines = str(attrs.get("history", "")).split("\n")
    return {k: str(v) for k, v in attrs.items()} | {
        "history": [line.partition("Z ")[2] or line for line in lines]
    }


def test_the_same_commands_write_the_same_files(tmp_path):
    """Values, attributes (without the time of day) and weights are the same."""
    one, other = tmp_path / "one", tmp_path / "other"
    for hash_seed, folder in enumerate((one, other)):
        run_all(folder, hash_seed)
    outputs = sorted(p.name for p in one.iterdir() if p.suffix in (".nc", ".zarr"))
    assert outputs == ["eofs.nc", "filled.nc", "filled.zarr", "gappy.nc", "l63.nc", "truth.nc"]
    for name in outputs:
        here, there = opened(one / name), opened(other / name)
        if name.endswith(".nc"):  # a store is a folder, whose entries have no order
            assert list(here.variables) == list(there.variables)
        assert_bits(here, there)
        assert undated(here.attrs) == undated(there.attrs)
        for variable in here.variables:
            assert str(here[variable].attrs) == str(there[variable].attrs)
    (first, weights), (second, others) = (read(folder / "model.safetensors") for folder in (one, other))
    for header in (first, second):
        header["provenance"].pop("finished")
        header.pop(CHECKSUM)  # it covers the header and therefore the time of day
    assert json.dumps(first) == json.dumps(second)
    assert list(weights) == list(others)
    assert all(weights[k].tobytes() == others[k].tobytes() for k in weights)
