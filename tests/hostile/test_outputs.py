"""Outputs that would destroy data: inputs, folders with other things, places without permission."""

import os
import shutil
from pathlib import Path

import pytest
import xarray as xr
from door import begun, content, da4dvar, ended, errors, refused
from examples import make_sst
from hostile.verbs import OUTPUTS, arguments, prepare
from unprivileged import NOBODY, open_folder

pytestmark = pytest.mark.hostile


@pytest.mark.parametrize("verb", OUTPUTS)
def test_a_folder_of_other_things_is_never_replaced(tmp_path, model_path, verb):
    """A folder with other files is not replaced, even with --overwrite."""
    prepare(tmp_path)
    (tmp_path / OUTPUTS[verb]).mkdir()
    (tmp_path / OUTPUTS[verb] / "thesis.txt").write_text("years of work")
    assert "folder" in refused(*arguments(verb, model_path), "--overwrite", cwd=tmp_path)


@pytest.mark.parametrize("command", [
    ["interpolate", "in.zarr", "in.zarr/out.zarr", "--model", "MODEL"],
    ["interpolate", "folder.zarr/gappy.nc", "folder.zarr", "--model", "MODEL", "--overwrite"],
    ["interpolate", "gappy.nc", "link.nc", "--model", "MODEL", "--overwrite"],
    ["interpolate", "gappy.nc", "hard.nc", "--model", "MODEL", "--overwrite"],
    ["interpolate", "gappy.nc", "out.nc", "--save", "gappy.nc", "--overwrite"],
    ["interpolate", "gappy.nc", "out.nc", "--save", "out.nc", "--overwrite"],
    ["interpolate", "gappy.nc", "out.nc", "--save", "no/m.safetensors"],
    ["baseline", "gappy.nc", "truth.nc", "--method", "climatology", "--history", "truth.nc", "--overwrite"],
    ["baseline", "gappy*.nc", "gappy.nc", "--overwrite"],
    ["gaps", "truth.nc", "gappy.nc", "--kind", "transplanted", "--masks", "gappy.nc:sst", "--overwrite"],
    ["gaps", "truth.nc", "./truth.nc", "--overwrite"],
    ["train", "recipe.toml", "-o", "recipe.toml", "--overwrite"],
    ["calibrate", "MODEL", "gappy.nc", "truth.nc", "-o", "truth.nc", "--overwrite"],
    ["evaluate", "gappy.nc", "truth.nc", "--report", "truth.nc", "--overwrite"],
    ["evaluate", "gappy.nc", "truth.nc", "--figures", "truth.nc", "--overwrite"],
], ids=lambda c: " ".join(c)[:60])  # fmt: skip
def test_what_is_read_is_not_written_over(tmp_path, model_path, command):
    """No input is overwritten, under any name or link and for any option."""
    prepare(tmp_path)
    with xr.open_dataset(tmp_path / "gappy.nc") as ds:
        ds.load().drop_encoding().to_zarr(tmp_path / "in.zarr", consolidated=False)
    (tmp_path / "folder.zarr").mkdir()
    shutil.copy(tmp_path / "gappy.nc", tmp_path / "folder.zarr")
    (tmp_path / "link.nc").symlink_to("gappy.nc")
    os.link(tmp_path / "gappy.nc", tmp_path / "hard.nc")
    refused(*(str(model_path) if part == "MODEL" else part for part in command), cwd=tmp_path)


@pytest.mark.parametrize("verb", OUTPUTS)
def test_a_folder_that_may_not_be_written(model_path, verb):
    """Every verb reports this before any work."""
    with open_folder() as folder:
        prepare(folder)
        shutil.copy(model_path, folder / "m.safetensors")
        before = content(folder)

        def nobody() -> None:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)

        said = ended(begun(*arguments(verb, Path("m.safetensors")), cwd=folder, limit=nobody), folder)
        assert said.code == 2, said
        assert len(errors(said)) == 1
        assert "not permitted to write" in said.err
        assert content(folder) == before


@pytest.mark.parametrize("name", [
    "a\nb.nc", "a b.nc", "-.nc", "ä.nc", "caf\udce9.nc", "a:b.nc", "'.nc", "x" * 240 + ".nc",
    "x" * 300 + ".nc",
])  # fmt: skip
@pytest.mark.parametrize("side", ["input", "output", "missing"])
def test_names_of_any_letters(tmp_path, model_path, name, side):
    """A file with such a name is filled, or refused in one line that can be printed."""
    make_sst(12).to_netcdf(tmp_path / "in.nc")
    source, output = "in.nc", "out.nc"
    if side == "output":
        output = name
    else:
        source = name
    if side == "input":
        try:
            (tmp_path / "in.nc").rename(tmp_path / name)
        except OSError:
            pytest.skip("no file can have that name")
    before = content(tmp_path)
    arguments = ["interpolate", "--model", str(model_path), "--", source, output]
    said = da4dvar(*arguments, cwd=tmp_path)
    assert said.code in (0, 2)
    after = content(tmp_path)
    assert {n: after[n] for n in before} == before
    if said.code:
        assert after == before
        assert len(errors(said)) == 1, said.err


def test_results_that_nobody_reads_to_the_end(files, tmp_path):
    """There is no traceback if the reader stops early, as `head -1` does."""
    reading, writing = os.pipe()
    os.close(reading)
    child = begun("inspect", "gappy.nc", cwd=files, limit=lambda: os.dup2(writing, 1))
    os.close(writing)
    said = ended(child, files)
    assert "Traceback" not in said.err
