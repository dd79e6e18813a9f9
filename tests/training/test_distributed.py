"""Training on two processes gives the result of one, can be resumed on one, and reports an error once."""

import csv
import os
import signal
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from cli.test_processes import process as from_the_shell
from examples import RECIPE, Exhausted, make_sst, tiny_interpolator
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from da4dvar.errors import DataError, RecipeError
from da4dvar.fields.gaps.patterns import GapPattern, Random
from da4dvar.interpolator import Interpolator
from da4dvar.training.batches import Share
from da4dvar.training.distributed import run_on
from da4dvar.training.plan import Training

# Five samples of a validation: one process has three of them, the other two.
PLAN = {"batch": 4, "validate_every": 10, "validation_samples": 5, "warmup": 1, "device": "cpu"}
RANDOM = Random(0.4)


def trained(
    folder: Path, number: int, resume: bool = False, gaps: GapPattern = RANDOM, **settings: Any
) -> Interpolator:
    """A tiny model after a few steps on so many devices."""
    truth, plan = make_sst(70, seed=1), Training(**{**PLAN, **settings})
    return tiny_interpolator().fit(
        truth, truth, gaps=gaps, training=plan, folder=folder, resume=resume, devices=number
    )


def logged(folder: Path) -> dict[str, list[float]]:
    """Return the columns of the log without missing entries."""
    rows = list(csv.DictReader((folder / "metrics.csv").open()))
    names = ("train_loss", "train_rmse", "validation_rmse")
    return {name: [float(r[name]) for r in rows if r[name]] for name in names}


@pytest.mark.slow
@pytest.mark.parametrize("again", [False, True])
def test_two_processes_train_as_one(tmp_path, again):
    """After 20 steps, loss, scores and weights equal those of one process with the same batches."""
    models = {}
    for devices in (1, 2):
        folder = tmp_path / str(devices)
        models[devices] = trained(folder, devices, steps=20, checkpoint_iterations=again).model
    one, two = logged(tmp_path / "1"), logged(tmp_path / "2")
    assert len(one["train_loss"]) == len(one["validation_rmse"]) == 2
    assert one.keys() == two.keys()
    for name, values in one.items():
        assert two[name] == pytest.approx(values, abs=1e-5), name
    assert_close(models[2].state_dict(), models[1].state_dict(), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_two_processes_are_resumed_on_one(tmp_path):
    """A training stopped on two processes and resumed on one gives the uninterrupted result."""
    plan = {"steps": 4, "validate_every": 2}
    whole = trained(tmp_path / "whole", 1, **plan).model
    with pytest.raises(DataError, match="no more gaps"):
        # The first process fails as it draws its fourth batch, after three of them and a validation.
        trained(tmp_path / "cut", 2, gaps=Exhausted(0.4, draws=10), **plan)
    assert torch.load(tmp_path / "cut" / "last.ckpt", weights_only=True)["global_step"] == 2
    resumed = trained(tmp_path / "cut", 1, resume=True, **plan).model
    assert_close(resumed.state_dict(), whole.state_dict(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("error", "message", "work"), [
    (RuntimeError, "ZeroDivisionError", (divmod, 1, 0)),
    (RecipeError, r"code 7.*too little memory", (os._exit, 7)),
    (RecipeError, "code 130", (signal.raise_signal, signal.SIGINT)),
])  # fmt: skip
def test_a_process_that_fails_is_reported(error, message, work):
    """A programming error comes with its traceback, a killed or interrupted process with its exit code."""
    with pytest.raises(error, match=message):
        run_on(1, *work)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system does not end them")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_the_one_that_started_it(tmp_path, how):
    """However that one is ended: the output of all of them closes long before their work is done."""
    script = tmp_path / "script.py"
    script.write_text(
        "import time\n"
        "from da4dvar.training.distributed import run_on\n"
        "def work():\n"
        "    print('started', flush=True)\n"
        "    time.sleep(120)\n"
        "if __name__ == '__main__':\n"
        "    run_on(1, work)\n"
    )
    pipe = subprocess.PIPE
    started = subprocess.Popen([sys.executable, str(script)], stdout=pipe, stderr=pipe, text=True)
    assert started.stdout is not None
    assert started.stdout.readline() == "started\n"
    started.send_signal(how)
    started.communicate(timeout=60)
    assert started.returncode == -how


@pytest.mark.parametrize(("changed", "number", "message"), [
    ({}, 3, "a batch of 4 samples does not divide among 3 devices"),
    ({"validation_samples": 1}, 2, "1 validation samples are too few for 2 devices"),
    ({}, 0, "devices is 0"),
    (
        {"device": "cuda", "batch": 64, "validation_samples": 64},
        64,
        "64 devices were asked for, but there are . GPUs",
    ),
])  # fmt: skip
def test_devices_that_do_not_go_with_the_plan_are_refused(tmp_path, changed, number, message):
    """An unsuitable number of devices is refused before anything is trained or written."""
    with pytest.raises(RecipeError, match=message):
        trained(tmp_path, number, steps=2, **changed)
    assert not list(tmp_path.iterdir())


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(1, 9), st.integers(1, 4))
def test_shares_are_the_batches(count, batch, processes):
    """Batches do not depend on the number of processes, and each sample goes to one process."""
    whole = list(Share(count, batch))
    for number, part in enumerate(whole):
        shares = [part[process::processes] for process in range(processes)]
        assert sorted(chain(*shares)) == part
        for process, share in enumerate(shares):
            assert not share or list(Share(count, batch, process, processes))[number] == share


def train_on_two(folder, recipe):
    """Train from the shell on two processes."""
    make_sst(70).to_netcdf(folder / "truth.nc")
    (folder / "recipe.toml").write_text(recipe.format(steps=2))
    return from_the_shell("train", "recipe.toml", "-o", "m.safetensors", "--devices", "2", cwd=folder)


@pytest.mark.slow
def test_a_mistake_of_a_process_is_one_line(tmp_path):
    """An error in both processes is reported once; without one, one model and one log are written."""
    done = train_on_two(tmp_path, RECIPE.replace("fraction = 0.4", "fraction = 1e-9"))
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "has both an observation and a target" in done.stderr
    assert not (tmp_path / "m.safetensors").exists()
    done = train_on_two(tmp_path, RECIPE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "wrote m.safetensors\n")
    written = {p.name for p in (tmp_path / "m.safetensors.checkpoints").iterdir()}
    assert written == {"best.ckpt", "last.ckpt", "metrics.csv"}
