"""What the README, the pages and CONTRIBUTING.md show can be typed, followed and run as it stands."""

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import xarray as xr

import da4dvar
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
SECTION = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
SECTIONS = dict(SECTION.findall((ROOT / "CONTRIBUTING.md").read_text()))
INCLUDE = re.compile(r"^```\{include\} (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LISTS = re.compile(r"currentmodule:: (\S+)\n(.*?)(?=\.\. currentmodule|```)", re.DOTALL)
INCLUDES = [
    (page, *found)
    for page in sorted((ROOT / "docs").rglob("*.md"))
    for found in INCLUDE.findall(page.read_text("utf-8"))
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_command_has_the_options_that_are_shown(arguments):
    """Verb, options and types of their values are those of the command line; no file is opened."""
    verb, *rest = arguments
    VERBS[verb].make_context(verb, rest)


def test_the_links_of_the_readme_lead_to_files():
    """The files that README.md links to and the targets of make that it names exist."""
    links = re.findall(r"\]\((?!https?:|#)([^)\s]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert len(links) > 20
    assert not [link for link in links if not (ROOT / link).exists()]
    targets = set(re.findall(r"\bmake ([a-z]+)", (ROOT / "README.md").read_text("utf-8")))
    assert {"demo", "test", "check"} <= targets
    assert targets <= set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def passage(text: str, options: str) -> str:
    """The part of a file that an include takes; what is looked for must be there."""
    for where, mark in re.findall(r'^:(start-after|end-before): "(.*)"$', options, re.MULTILINE):
        before, found, after = text.partition(mark)
        assert found, f"no {mark!r}"
        text = after if where == "start-after" else before
    return text


@pytest.mark.parametrize(("page", "path", "options"), INCLUDES, ids=lambda x: getattr(x, "stem", ""))
def test_an_included_passage_is_there_and_whole(page, path, options):
    """A README that is rewritten leaves no page without its table, and no fence cut in two."""
    text = passage((page.parent / path).read_text("utf-8"), options)
    assert text.strip()
    assert len(re.findall(r"^```", text, re.MULTILINE)) % 2 == 0


def test_every_public_name_has_a_page():
    """The reference lists each name that a package offers, under a module from which it can be imported."""
    pages = "".join(file.read_text("utf-8") for file in sorted((ROOT / "docs/reference").glob("*.md")))
    listed = {
        (module, name)
        for module, names in LISTS.findall(pages)
        for name in re.findall(r"^   (\w+)$", names, re.MULTILINE)
    }
    assert len(listed) > 150
    assert [(m, n) for m, n in sorted(listed) if not hasattr(importlib.import_module(m), n)] == []
    parts = [f.parent for f in (ROOT / "da4dvar").glob("*/__init__.py")]
    packages = {f"da4dvar.{p.name}": importlib.import_module(f"da4dvar.{p.name}") for p in parts}
    offered = {(m, n) for m, package in packages.items() for n in getattr(package, "_PUBLIC", ())}
    offered |= {("da4dvar", name) for name in da4dvar._PUBLIC}
    assert sorted(offered - listed - {("da4dvar.fields", "open_dataset")}) == []


def code(section: str) -> str:
    """The blocks of a section, as one file."""
    return "\n".join(re.findall(r"```python\n(.*?)```", SECTIONS[section], re.DOTALL))


def test_the_code_passes_its_own_tests(tmp_path):
    """Each section is a file that pytest collects: the contract holds for what it shows."""
    least = {"A prior": 6, "A solver": 12, "A baseline": 10}
    names = {section: f"test_{section.split()[-1]}.py" for section in least}
    for section, name in names.items():
        (tmp_path / name).write_text(code(section))
    # Without a root of their own, pytest 8.0 names the tests by their path from /dev.
    options = ["-v", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", "."]
    command = [sys.executable, "-m", "pytest", *options, *names.values()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    for section, number in least.items():
        assert len(re.findall(rf"{names[section]}::.* PASSED", done.stdout)) >= number, section


def test_the_data_set_says_what_it_is(tmp_path, monkeypatch):
    """The file that the section writes can be opened, with its units, its gaps and its dates."""
    monkeypatch.chdir(tmp_path)
    exec(code("A data set"), {})
    with xr.open_dataset("datasets/harbour/harbour.nc") as ds:
        assert (ds.level.attrs["units"], int(ds.level.isnull().sum())) == ("m", 5)
        assert ds.time.dtype.kind == "M"


def test_a_section_is_under_a_page():
    """Sections of CONTRIBUTING.md are under a page, and each data set has a card and is listed."""
    for name, text in SECTIONS.items():
        assert len(text.splitlines()) <= 66, name
    cards = sorted(ROOT.glob("datasets/*/README.md"))
    assert cards
    for card in cards:
        for row in ("files?", "variables?", "source", "licence"):
            assert re.search(rf"^\| {row} \|", card.read_text(), re.MULTILINE), f"{card}: {row}"
        assert f"]({card.parent.name}/README.md)" in (ROOT / "datasets/README.md").read_text()
