"""The wheel, in an environment of its own that has never seen the checkout."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import xarray as xr
from examples import make_sst

import da4dvar
from da4dvar.workflows.twin import hide

pytestmark = pytest.mark.slow
ROOT = Path(da4dvar.__file__).parents[1]
# The Pythons of this machine among those that the wheel is for.
PYTHONS = [path for minor in (11, 12, 13) if (path := shutil.which(f"python3.{minor}"))]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "da4dvar")


def run(*command: str | Path, cwd: Path) -> str:
    """What a command prints, run where no path leads to the checkout."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    options = {"cwd": cwd, "env": clean, "capture_output": True, "text": True}
    done = subprocess.run([*map(str, command)], **options, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, so that nothing an earlier build has left gets in."""
    folder = tmp_path_factory.mktemp("wheel")
    (folder / "source").mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / "source" / name)
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, folder / "source", cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module", params=PYTHONS)
def scripts(wheel, tmp_path_factory, request):
    """Where the commands of an environment are that holds the wheel, and what it asks for."""
    folder = tmp_path_factory.mktemp("clean")
    run(request.param, "-m", "venv", folder / "env", cwd=folder)
    pip = (folder / "env/bin/python", "-m", "pip", "install", "-q")
    run(*pip, "-c", ROOT / "constraints.txt", wheel, cwd=folder)
    return folder / "env/bin"


def test_it_holds_the_package_and_nothing_else(wheel):
    """Every module, every shipped model and card, the licence and the mark of types; no test, no data."""
    names = {n for n in zipfile.ZipFile(wheel).namelist() if not n.endswith("/")}
    files = [*ROOT.glob("da4dvar/**/*.py"), *ROOT.glob("da4dvar/pretrained/*")]
    package = {file.relative_to(ROOT).as_posix() for file in files}
    assert {n for n in names if ".dist-info/" not in n} == package | {"da4dvar/py.typed"}
    assert any(n.endswith("licenses/LICENSE") for n in names)


def test_it_fits_a_model_to_a_file(scripts, tmp_path):
    """Nothing else has to be installed to fill a file."""
    hide(make_sst(120), "random", 0.4, seed=3).to_netcdf(tmp_path / "gappy.nc")
    fit = ("interpolate", "gappy.nc", "filled.nc", "--minutes", "0.02")
    run(scripts / "da4dvar", *fit, cwd=tmp_path)
    with xr.open_dataset(tmp_path / "filled.nc") as filled:
        assert int((filled.sst_flag == 1).sum()) > 0


def test_it_works_outside_the_checkout(scripts, tmp_path):
    """Import, help, models, and a twin experiment that a shipped model fills well."""
    where = run(scripts / "python", "-c", "import da4dvar; print(da4dvar.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(scripts.parent)
    command = scripts / "da4dvar"
    assert "Usage:" in run(command, "--help", cwd=tmp_path)
    known = {model["name"] for model in json.loads(run(command, "models", "--json", cwd=tmp_path))}
    assert known == {"lorenz96", "lorenz96-ode", "mnist-inpainting", "oisst-tasman"}
    run(command, "simulate", "lorenz96", "l96.nc", "--series", "2", "--steps", "80", cwd=tmp_path)
    filling = ("interpolate", "l96.nc", "out.nc", "--model", "lorenz96", "--variable", "x=x_observed")
    run(command, *filling, cwd=tmp_path)
    with xr.open_dataset(tmp_path / "out.nc") as filled, xr.open_dataset(tmp_path / "l96.nc") as truth:
        estimate, x = filled.x[{"time": slice(20, 60)}], truth.x[{"time": slice(20, 60)}]
        assert float(((estimate - x) ** 2).mean()) < 0.05 * float((x**2).mean())
