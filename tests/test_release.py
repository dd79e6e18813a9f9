"""The checklist of a release: each check finds what is wrong."""

import runpy
import shutil
from types import SimpleNamespace

import pytest
from test_dependencies import ROOT

release = SimpleNamespace(**runpy.run_path(str(ROOT / ".ci/release.py")))
FILES = ("pyproject.toml", "CITATION.cff", "CHANGELOG.md", "da4dvar/__init__.py", release.RECIPE)


@pytest.fixture
def copy(tmp_path):
    """The files that state a version or what is required."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def change(path, old, new):
    """Replace a text that is there."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_files_agree(copy):
    """One version and the same requirements, in the project as it is; a difference is named."""
    assert release.one_version(ROOT) == release.requirements(ROOT) == []
    version = release.versions(ROOT)["pyproject.toml"]
    change(copy / release.RECIPE, f'version: "{version}"', 'version: "9.9"')
    assert f"{release.RECIPE} says 9.9" in release.one_version(copy)
    change(copy / "pyproject.toml", '"torch>=2.4"', '"torch>=2.5"')
    assert release.requirements(copy) == [
        "the recipe lacks pytorch >=2.5",
        "pyproject.toml lacks pytorch >=2.4",
    ]


def test_the_changelog_names_the_version(copy):
    """Its newest section has the version and a date."""
    version = release.versions(copy)["pyproject.toml"]
    first = "# Changes\n\n## {}\n\n- A change.\n"
    (copy / "CHANGELOG.md").write_text(first.format("Unreleased"))
    assert release.changelog(copy) == [
        f"CHANGELOG.md begins with 'Unreleased', expected '{version}, YYYY-MM-DD'"
    ]
    (copy / "CHANGELOG.md").write_text(first.format(f"{version}, 2026-12-24"))
    assert release.changelog(copy) == []


def test_a_wheel_that_lacks_a_file_or_is_large(tmp_path, monkeypatch):
    """Both are said."""
    import zipfile

    with zipfile.ZipFile(tmp_path / "da4dvar-1-py3-none-any.whl", "w") as wheel:
        for name in release.git(ROOT, "ls-files", "da4dvar").split()[1:]:
            wheel.writestr(name, "")
    (lacking,) = release.complete(ROOT, tmp_path / "da4dvar-1-py3-none-any.whl")
    assert lacking.endswith("lacks da4dvar/__init__.py")
    with (tmp_path / "da4dvar-1-py3-none-any.whl").open("ab") as file:
        file.truncate(release.LARGEST)
    monkeypatch.setattr(zipfile.ZipFile, "namelist", lambda self: ["da4dvar/__init__.py"])
    monkeypatch.setattr(zipfile, "ZipFile", lambda path: SimpleNamespace(namelist=lambda: []))
    assert "expected less than 10 MB" in release.complete(ROOT, tmp_path / "da4dvar-1-py3-none-any.whl")[-1]
