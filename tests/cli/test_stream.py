"""--memory and --resume as a person meets them; what they do is tested in Python."""

from __future__ import annotations

import pytest
from cli.command import da4dvar, refused


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--memory", "much"], "memory is 'much', expected a size such as 500MB or 2GiB"),
        (["--memory", "1MB"], "give at least --memory"),
    ],
)
def test_memory_that_is_none_or_too_little_is_one_line(tmp_path, gappy, model_path, options, text):
    """Exit code 2, and nothing is left behind."""
    gappy.to_netcdf(tmp_path / "gappy.nc")
    line = refused("interpolate", "gappy.nc", "out.nc", "--model", model_path, *options, cwd=tmp_path)
    assert text in line
    assert [p.name for p in tmp_path.iterdir()] == ["gappy.nc"]


def test_a_fit_cannot_be_resumed(tmp_path, gappy):
    """It has no model that is there."""
    gappy.to_netcdf(tmp_path / "gappy.nc")
    assert "--resume is for a model" in refused(
        "interpolate", "gappy.nc", "o.nc", "--fit", "--resume", cwd=tmp_path
    )


def test_a_scheduler_that_is_none_is_one_line(tmp_path, gappy, model_path):
    """Before the model is read; and a fit has no use for one."""
    gappy.to_netcdf(tmp_path / "gappy.nc")
    line = refused(
        "interpolate", "gappy.nc", "out.nc", "--model", model_path, "--scheduler", "thread", cwd=tmp_path
    )
    assert "did you mean 'threads'" in line
    line = refused("interpolate", "gappy.nc", "o.nc", "--fit", "--scheduler", "threads", cwd=tmp_path)
    assert "--scheduler is for a model that is there" in line
    assert [p.name for p in tmp_path.iterdir()] == ["gappy.nc"]


@pytest.mark.slow
def test_processes_fill_a_file_and_say_nothing_else(tmp_path, gappy, model_path):
    """Neither dask's logs nor its goodbyes reach the terminal."""
    gappy.to_netcdf(tmp_path / "gappy.nc")
    done = da4dvar(
        *("interpolate", "gappy.nc", "out.nc", "--model", model_path, "--scheduler", "processes"),
        *("--memory", "4GiB"),
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "wrote out.nc\n")
    assert {p.name for p in tmp_path.iterdir()} == {"gappy.nc", "out.nc"}
