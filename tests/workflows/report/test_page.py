"""The page that `da4dvar interpolate --report` writes."""

import json
import re

import numpy as np
import pytest
import xarray as xr
from door import content, ran, refused
from evaluation.report.test_files import Reader
from workflows.autofit.test_fit import network
from workflows.autofit.test_regions import field

from da4dvar.evaluation.report.page import LARGE, image
from da4dvar.workflows.report import write

QUICK = ("--method", "linear", "--minutes", "0.02")


def series() -> xr.Dataset:
    """One series against numbers that are not dates, with a hole longer than any that can be hidden."""
    t = np.arange(120.0)
    values = np.where((t % 9 < 2) | (t > 40) & (t < 95), np.nan, np.sin(t / 9))
    return xr.Dataset(
        {"level": ("time", values, {"units": "m", "long_name": "Level <of> the sea"})}, {"time": t}
    )


def winds() -> xr.Dataset:
    """A direction and a speed of two members on a grid without coordinates, one cell never observed."""
    generator = np.random.default_rng(0)
    shape = (60, 2, 5, 6)
    direction, speed = 360 * generator.random(shape), 9 + generator.random(shape)
    for values in (direction, speed):
        values[generator.random(shape) < 0.2] = np.nan
        values[:, :, 0, 0] = np.nan
    dims = ("time", "member", "y", "x")
    attrs = {"standard_name": "wind_from_direction", "units": "degree"}
    times = xr.date_range("2001-01-01", periods=60)
    return xr.Dataset({"dir": (dims, direction, attrs), "speed": (dims, speed)}, {"time": times})


FILES = {"grid": lambda: field(40, 24), "stations": network, "series": series, "winds": winds}
# Number of figures, for each variable: gaps, methods, maps at two times, series.
FIGURES = {"grid": 5, "stations": 3, "series": 3, "winds": 10}


@pytest.mark.parametrize("kind", FILES)
def test_a_page_of_its_own(kind, tmp_path):
    """It needs no other file, describes each figure, and does not change the filled file."""
    FILES[kind]().to_netcdf(tmp_path / "gappy.nc")
    said = ran("interpolate", "gappy.nc", "filled.nc", *QUICK, "--report", "r.html", cwd=tmp_path)
    assert said.err.endswith("wrote r.html\n")
    ran("interpolate", "gappy.nc", "plain.nc", *QUICK, cwd=tmp_path)
    with xr.open_dataset(tmp_path / "filled.nc") as one, xr.open_dataset(tmp_path / "plain.nc") as other:
        xr.testing.assert_identical(one.drop_attrs(deep=False), other.drop_attrs(deep=False))
    text = (tmp_path / "r.html").read_text("utf-8")
    reader = Reader(text)
    assert reader.open == []
    images = [a for tag, a in reader.found if tag == "img"]
    assert len(images) == FIGURES[kind]
    assert all(a["src"].startswith("data:image/") and len(a["alt"]) > 20 for a in images)
    assert not {"script", "link", "iframe"} & {tag for tag, _ in reader.found}
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in reader.found
    for part in ("In short", "What was in the file", "Gaps in the file", "Where to trust the result"):
        assert part in text
    assert "http" not in text
    assert str(tmp_path) not in text
    assert "--report r.html" in text


def cells(text: str, head: str) -> list[list[str]]:
    """The rows of the first table whose header has a text."""
    tables = re.findall(r"<table.*?</table>", text, re.DOTALL)
    table = next(t for t in tables if head in t)
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]


def test_the_numbers_are_those_of_the_file(tmp_path):
    """Shares of flags, scores and notes agree with the filled file and the scores as JSON, in any codes."""
    series().to_netcdf(tmp_path / "gappy.nc")
    options = ["--minutes", "0.05", "--report", "r.html", "--flags", "argo", "--json", "--bounds=level=-1:"]
    said = ran("interpolate", "gappy.nc", "filled.nc", *options, cwd=tmp_path)
    found = json.loads(said.out)["scores"]["level"]
    text = (tmp_path / "r.html").read_text("utf-8")
    with xr.open_dataset(tmp_path / "filled.nc") as filled:
        flags = [int((filled.level_flag == code).sum()) for code in (0, 8, 3, 9)]
        assert "level_std" not in filled
        assert filled.level.attrs["ancillary_variables"] == "level_flag"
    assert [row[:2] for row in cells(text, ">meaning<")[1:]] == [
        [k, str(n)] for k, n in zip("0132", flags, strict=True)
    ]
    methods = cells(text, ">to the first<")
    assert methods[1][0] == f"{found['winner']} (chosen)"
    assert [row[0] for row in methods[2:-1]] == sorted(found["rmse"], key=lambda m: found["rmse"][m][0])[1:]
    assert methods[1][1] == f"{found['rmse'][found['winner']][0]:.3g}"
    assert "The longest has 54 steps (time 41 to 94)" in text
    for line in said.err.splitlines():
        if line.startswith("note: "):
            assert line.removeprefix("note: ") in text
    assert "Level &lt;of&gt; the sea (level)" in text


def test_a_file_larger_than_memory(tmp_path):
    """Its page has the shares and the maps, and says that gap lengths and series are missing."""
    field().to_netcdf(tmp_path / "gappy.nc")
    options = ("--method", "linear", "--memory", "40MB", "--minutes", "0.1", "--report", "r.html")
    ran("interpolate", "gappy.nc", "out.zarr", *options, cwd=tmp_path)
    text = (tmp_path / "r.html").read_text("utf-8")
    assert "did not fit in --memory" in text
    assert "gaps in time" not in text
    images = [a["alt"] for tag, a in Reader(text).found if tag == "img"]
    assert [sum(word in alt for alt in images) for word in ("Share", "RMSE", "Maps", "Series")] == [
        1,
        1,
        2,
        0,
    ]
    out = xr.open_zarr(tmp_path / "out.zarr", consolidated=False)
    assert f"{int((out.sst_flag == 1).sum()):,}" in text


MISTAKES = {
    ("--report", "r.pdf"): ".html",
    ("--report", "no/r.html"): "create it first",
    ("--report", "mine.html"): "--overwrite",
    ("--report", "r.html", "--method", "nothing"): "unknown",
}


@pytest.mark.parametrize("options", MISTAKES)
def test_nothing_is_written_when_a_run_fails(options, tmp_path, monkeypatch):
    """The path is checked before the file is read, and a run that fails leaves no page."""
    network().to_netcdf(tmp_path / "gappy.nc")
    (tmp_path / "mine.html").write_text("mine")
    before = content(tmp_path)
    if "nothing" not in options:
        monkeypatch.setattr("da4dvar.workflows.autofit.file.open_in_parts", None)
    line = refused("interpolate", "gappy.nc", "filled.nc", "--minutes", "0.02", *options, cwd=tmp_path)
    assert MISTAKES[options] in line or "nothing" in options
    assert content(tmp_path) == before


def test_no_gaps_no_figures(tmp_path):
    """A file without gaps has a page that says so."""
    network().fillna(0.0).to_netcdf(tmp_path / "full.nc")
    ran("interpolate", "full.nc", "filled.nc", *QUICK, "--report", "r.html", cwd=tmp_path)
    text = (tmp_path / "r.html").read_text("utf-8")
    assert "No variable had gaps that could be filled" in text
    assert "<img" not in text


def test_a_page_stays_small(tmp_path, monkeypatch):
    """Rough fields become JPEG, and a page that is too large loses the figures of its last variables."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5))
    figure.subplots().imshow(np.random.default_rng(0).random((500, 500)))
    kind, data = image(figure)
    assert (kind, len(data) < 3 * LARGE) == ("jpeg", True)
    monkeypatch.setattr(write, "LARGEST", 250_000)
    winds().to_netcdf(tmp_path / "gappy.nc")
    ran("interpolate", "gappy.nc", "filled.nc", *QUICK, "--report", "r.html", cwd=tmp_path)
    assert (tmp_path / "r.html").stat().st_size < 250_000
    text = (tmp_path / "r.html").read_text("utf-8")
    assert "Figures are shown for 1 of 2 variables" in text
    assert text.count("Where to trust the result</h3>") == 2
