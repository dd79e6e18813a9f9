"""What CONTRIBUTING.md shows is run as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr

import da4dvar

ROOT = Path(da4dvar.__file__).parents[1]
SECTIONS = dict(
    re.findall(
        r"^## (.+?)\n(.*?)(?=^## |\Z)", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE | re.DOTALL
    )
)


def code(section: str) -> str:
    """The blocks of a section, as one file."""
    return "\n".join(re.findall(r"```python\n(.*?)```", SECTIONS[section], re.DOTALL))


def test_the_code_passes_its_own_tests(tmp_path: Path) -> None:
    """Each section is a file that pytest collects: the contract holds for what it shows."""
    least = {"A prior": 6, "A solver": 12, "A baseline": 10}
    names = {section: f"test_{section.split()[-1]}.py" for section in least}
    for section, name in names.items():
        (tmp_path / name).write_text(code(section))
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-c", "/dev/null"]
    done = subprocess.run(
        [*command, *names.values()], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    for section, number in least.items():
        assert len(re.findall(rf"{names[section]}::.* PASSED", done.stdout)) >= number, section


def test_the_data_set_says_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that the section writes can be opened, with its units, its gaps and its dates."""
    monkeypatch.chdir(tmp_path)
    exec(code("A data set"), {})
    with xr.open_dataset("datasets/harbour/harbour.nc") as ds:
        assert ds.level.attrs["units"] == "m"
        assert int(ds.level.isnull().sum()) == 5
        assert ds.time.dtype.kind == "M"


def test_a_section_is_under_a_page() -> None:
    """Sixty lines, as printed."""
    for name, text in SECTIONS.items():
        assert len(text.splitlines()) <= 66, name


@pytest.mark.parametrize(
    "folder", sorted(p.parent for p in ROOT.glob("datasets/*/README.md")), ids=lambda p: p.name
)
def test_every_data_set_has_its_card(folder: Path) -> None:
    """What, from where and by which right: the rows that the section asks for; and the list names it."""
    card = (folder / "README.md").read_text()
    for row in ("files?", "variables?", "source", "licence"):
        assert re.search(rf"^\| {row} \|", card, re.MULTILINE), row
    assert f"]({folder.name}/README.md)" in (ROOT / "datasets/README.md").read_text()
