"""--memory and --resume as a person meets them; what they do is tested in Python."""

from __future__ import annotations

import pytest
from cli.command import refused


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
