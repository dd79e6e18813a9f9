"""Tests that need a separate process: every command from the shell, and imports at startup."""

import ctypes
import os
import subprocess
import sys

import pytest
from door import content
from examples import make_sst
from typer.main import get_command

from da4dvar.cli import app
from da4dvar.cli import memory as freed_memory

VERBS = {
    "interpolate": "gappy.nc out.nc --model MODEL",
    "baseline": "gappy.nc out.nc",
    "assimilate": "l96.nc out.nc --model lorenz96-ode --variable x=x_observed",
    "forecast": "l96.nc out.nc --model lorenz96-ode --steps 2",
    "gaps": "truth.nc out.nc",
    "evaluate": "gappy.nc truth.nc",
    "aggregate": "gappy.nc out.nc",
    "models": "",
    "inspect": "gappy.nc",
    "train": "recipe.toml -o out.safetensors",
    "calibrate": "MODEL gappy.nc truth.nc -o out.safetensors --members 2",
    "benchmark": "bench",
    "simulate": "lorenz63 out.nc --series 1 --steps 8",
}
SAYS = ("evaluate", "models", "inspect", "benchmark")


def process(*arguments, cwd):
    """Run da4dvar in a new process."""
    return subprocess.run(
        [sys.executable, "-m", "da4dvar", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=240,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )


@pytest.mark.parametrize("verb", get_command(app).commands)
def test_every_verb_from_the_shell(folder, model_path, verb):
    """Every command succeeds and writes only to stdout or to its output."""
    before = content(folder)
    if verb in ("calibrate", "evaluate"):
        make_sst(30).to_netcdf(folder / "truth.nc")
        before = content(folder)
    done = process(verb, *VERBS[verb].replace("MODEL", str(model_path)).split(), cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert bool(done.stdout) == (verb in SAYS)
    after = content(folder)
    assert {name: after.get(name) for name in before} == before
    new = {name.partition("/")[0].partition(".")[0] for name in after.keys() - before.keys()}
    assert new == {"benchmark": {"bench"}}.get(verb, set() if verb in SAYS else {"out"})


def test_a_mistake_from_the_shell(tmp_path):
    """A user error gives one line on stderr and exit code 2."""
    done = process("inspect", "gone.nc", cwd=tmp_path)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert done.stderr.startswith("error: gone.nc: no such file")


@pytest.mark.slow
def test_processes_fill_a_file_and_say_nothing_else(folder, model_path):
    """With --scheduler processes, no messages of dask reach the terminal."""
    options = ("--model", str(model_path), "--memory", "4GiB")
    alone = process("interpolate", "gappy.nc", "alone.nc", *options, "--scheduler", "threads", cwd=folder)
    before = content(folder)
    done = process("interpolate", "gappy.nc", "out.nc", *options, "--scheduler", "processes", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", alone.stderr.replace("alone.nc", "out.nc"))
    assert done.stderr.endswith("wrote out.nc\n")
    assert content(folder).keys() - before.keys() == {"out.nc"}


HEAVY = {"torch", "pytorch_lightning", "xarray", "dask", "distributed", "matplotlib"}
ASKED = {"_DA4DVAR_COMPLETE": "complete_bash", "COMP_WORDS": "da4dvar inspect lo", "COMP_CWORD": "2"}


@pytest.mark.parametrize(("command", "asked", "heavy", "said"), [
    ("--help", {}, HEAVY, "Usage:"),
    ("", ASKED, HEAVY | {"numpy"}, "lorenz96\nlorenz96-ode\n"),
    ("models", {}, {"torch"}, "oisst-tasman"), ("inspect lorenz96", {}, {"torch"}, "parameters"),
], ids=["help", "a tab", "models", "inspect"])  # fmt: skip
def test_what_is_quick_loads_nothing_that_takes_long(command, asked, heavy, said):
    """Rule 11: help, completion, models and inspect do not load heavy libraries."""
    code = (
        "import sys, da4dvar, da4dvar.cli\n"
        f"sys.argv = ['da4dvar', *{command.split()}]\n"
        "try:\n    da4dvar.cli.main()\nexcept SystemExit as end:\n    assert not end.code\n"
        f"assert not {heavy} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | asked, capture_output=True, text=True, check=True
    )
    assert said in done.stdout


FAULTS = """
import resource
import torch
from da4dvar.cli.memory import keep_freed_memory
if {kept}:
    keep_freed_memory()
x, faults = torch.ones(2**24), []
for _ in range(96):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    x.add(1).add(1)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sum(faults[8:]))
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="another C library")
def test_memory_is_not_asked_for_again():
    """Repeated work causes at least ten times fewer page faults once freed memory is kept.

    The allocator lays its blocks out anew now and then, so that the last few rounds alone prove nothing.
    """
    plain, kept = (
        int(subprocess.check_output([sys.executable, "-c", FAULTS.format(kept=kept)]))
        for kept in (False, True)
    )
    assert kept < plain / 10


def test_a_library_without_the_setting_is_left_alone(monkeypatch):
    """A C library without mallopt, such as musl or that of macOS, causes no error."""
    monkeypatch.setattr(freed_memory.ctypes, "CDLL", lambda name: object())
    freed_memory.keep_freed_memory()
