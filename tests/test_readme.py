"""The commands that the README and *Start here* show can be typed as they stand."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from da4dvar.cli import app

ROOT = Path(__file__).parents[1]
VERBS = typer.main.get_command(app).commands
FENCES = re.compile(r"^```\S*(?: ipython3)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = [
    shlex.split(line, comments=True)[1:]
    for page in ("README.md", "docs/start-here.md")
    for block in FENCES.findall((ROOT / page).read_text("utf-8"))
    for line in block.replace("\\\n", "").splitlines()
    if line.startswith("da4dvar ") and "--help" not in line
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_command_has_the_options_that_are_shown(arguments: list[str]) -> None:
    """Verb, options and types of their values are those of the command line; no file is opened."""
    verb, *rest = arguments
    VERBS[verb].make_context(verb, rest)


def test_the_links_of_the_readme_lead_to_files() -> None:
    """A page that is moved takes its link along."""
    links = re.findall(r"\]\((?!https?:|#)([^)\s]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert len(links) > 20
    assert not [link for link in links if not (ROOT / link).exists()]


def test_the_make_targets_of_the_readme_exist() -> None:
    """`make demo` and its like."""
    targets = set(re.findall(r"\bmake ([a-z]+)", (ROOT / "README.md").read_text("utf-8")))
    assert {"demo", "test", "check"} <= targets
    assert targets <= set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
