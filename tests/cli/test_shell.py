"""Tests of tab completion and of the help texts."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from door import ran as said
from typer.main import get_command

from da4dvar.cli import app, complete
from da4dvar.modelfile import shipped
from da4dvar.simulate import SYSTEMS

VERBS = get_command(app).commands


@pytest.fixture
def shell(tmp_path):
    """Create a folder with the command da4dvar, as an installation puts it on the path."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin/da4dvar"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m da4dvar "$@"\n')
    command.chmod(0o755)
    return tmp_path


def ran(folder: Path, *command: str | Path, **variables: str) -> str:
    """Return the output of a command that has da4dvar on its path and the folder as its home."""
    path = f"{folder}/bin{os.pathsep}{os.environ['PATH']}"
    known = os.environ | {"PATH": path, "HOME": str(folder)} | variables
    done = subprocess.run(
        [*map(str, command)], cwd=folder, env=known, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def as_shell(folder: Path, name: str) -> Path:
    """Create a link to an available shell under this name."""
    path = folder / "bin" / name
    path.symlink_to(shutil.which("bash") or "/bin/sh")
    return path


@pytest.mark.parametrize(("name", "sign"), [("bash", "complete -o default"), ("zsh", "#compdef da4dvar")])
def test_completions_are_shown_for_the_shell_that_asks(name, sign, shell):
    """--show-completion prints the script for the current shell."""
    script = ran(shell, as_shell(shell, name), "-c", "da4dvar --show-completion; true")
    assert sign in script
    assert f"_DA4DVAR_COMPLETE=complete_{name}" in script


def test_completions_are_installed_for_the_next_start_of_bash(shell):
    """--install-completion adds the script to .bashrc."""
    ran(shell, as_shell(shell, "bash"), "-c", "da4dvar --install-completion >&1; true")
    (script,) = (shell / ".bash_completions").iterdir()
    assert str(script) in (shell / ".bashrc").read_text()


def test_the_model_is_completed(shell):
    """The Tab key after --model offers shipped models and model files in bash, and works in zsh."""
    (shell / "old.safetensors").touch()
    (shell / "old.nc").touch()
    script = ran(shell, as_shell(shell, "bash"), "-c", "da4dvar --show-completion; true")
    for begun, expected in {
        "oi": ["oisst-tasman"],
        "lorenz96-": ["lorenz96-ode"],
        "ol": ["old.safetensors"],
    }.items():
        words = f"COMP_WORDS=(da4dvar interpolate a.nc b.nc --model {begun}); COMP_CWORD=5"
        tab = f'{script}\n{words}\n_da4dvar_completion da4dvar\nprintf "%s\\n" "${{COMPREPLY[@]}}"'
        assert ran(shell, "bash", "-c", tab).split() == expected
    asked = {
        "_DA4DVAR_COMPLETE": "complete_zsh",
        "_TYPER_COMPLETE_ARGS": "da4dvar interpolate a b --model oi",
    }
    assert '"oisst-tasman"' in ran(shell, "da4dvar", **asked)


def test_what_is_offered_is_what_there_is():
    """The names copied into the completion module equal those of the modules they come from."""
    assert set(complete.SYSTEMS) == set(SYSTEMS)
    assert complete.models("")[: len(shipped.names())] == shipped.names()


def test_files_are_offered_with_the_folders_on_the_way(tmp_path, monkeypatch):
    """Completion offers Zarr stores and other folders, and takes brackets literally."""
    monkeypatch.chdir(tmp_path)
    for name in ("in.zarr", "inner", "in[1]"):
        (tmp_path / name).mkdir()
    for name in ("in.nc", "in.txt", "in[1]/a.nc"):
        (tmp_path / name).touch()
    assert complete.models_and_data("in") == ["in.nc", "in.zarr", "in[1]/", "inner/"]
    assert complete.models_and_data("in[") == ["in[1]/"]
    assert complete.models_and_data("in[1]/") == ["in[1]/a.nc"]


def examples(verb: str) -> list[str]:
    """Return the example commands in the help of a command."""
    lines = map(str.strip, (VERBS[verb].help or "").splitlines())
    return [line.removeprefix("Example: ") for line in lines if line.startswith("Example: ")]


@pytest.mark.parametrize("verb", VERBS)
def test_the_examples_of_a_verb_are_commands_that_it_takes(verb):
    """Every command has examples, all of which the parser accepts, and the options --quiet and -q."""
    assert examples(verb)
    for example in examples(verb):
        program, name, *arguments = shlex.split(example)
        assert (program, name) == ("da4dvar", verb)
        context = VERBS[verb].make_context(verb, arguments)
        assert "quiet" in context.params
    (option,) = [p for p in VERBS[verb].params if p.name == "quiet"]
    assert option.opts == ["--quiet", "-q"]


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_is_plain_and_fits_a_terminal(verb, monkeypatch):
    """Help has no truncated summary, no Python type and no line over 80 columns, and names the output."""
    monkeypatch.setenv("COLUMNS", "200")
    text = said(*filter(None, [verb]), "--help").out
    assert max(map(len, text.splitlines())) <= 80
    assert not re.search(r"\w\.\.\.$|list\[|<\w", text, re.MULTILINE)
    assert ("INPUT... OUTPUT" in text) == (verb in ("interpolate", "baseline", "assimilate"))
    assert ("Options without --model:" in text) == (verb == "interpolate")
