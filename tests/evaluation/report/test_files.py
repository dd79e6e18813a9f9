"""The page and the figures of a report, for grids, stations, series and repetitions."""

from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from da4dvar.evaluation.report.files import report_files
from da4dvar.evaluation.report.page import page
from da4dvar.evaluation.report.part import Part, Table
from da4dvar.evaluation.scores import evaluate_files

TIME = ("time", pd.date_range("2001-01-01", periods=30))
GRID = {"time": TIME, "lat": np.arange(5.0), "lon": np.arange(6.0)}
PLACES = {"lat": ("station", [1.0, 2, 3]), "lon": ("station", [5.0, 5, 6])}
STATIONS = {"time": TIME, "station": list("abc"), **PLACES}
ALL = {"series", "classes", "reliability", "spectra"}
LAYOUTS = {
    "grid": (("time", "lat", "lon"), (30, 5, 6), GRID, ALL | {"map"}),
    "stations": (("time", "station"), (30, 3), STATIONS, ALL | {"map", "stations"}),
    "series": (("time",), (30,), {"time": TIME}, ALL),
    "batch": (("member", "time", "y", "x"), (2, 30, 5, 6), {}, ALL | {"map"}),
}


def write(folder, dims, sizes, coords, hidden_only=False, bars=True):
    """Write est.nc, truth.nc and seen.nc; return their paths."""
    generator = np.random.default_rng(0)
    attrs = {"units": "m s-1", "long_name": "Speed of the wind"}
    truth = xr.Dataset({"v": (dims, generator.standard_normal(sizes), attrs)}, coords)
    estimate = truth + 0.5 * generator.standard_normal(sizes)
    estimate.v.attrs = truth.v.attrs
    if bars:
        estimate["v_std"] = estimate.v * 0 + 0.5
        estimate["v_lower_90"], estimate["v_upper_90"] = estimate.v - 1, estimate.v + 1
    command = "da4dvar interpolate a b --model /home/someone/<sea>.safetensors"
    estimate.attrs["history"] = f"2026-01-01T00:00:00Z {command}"
    seen = truth.where(generator.random(sizes) < 0.4)
    (truth.where(seen.isnull()) if hidden_only else truth).to_netcdf(folder / "truth.nc")
    estimate.to_netcdf(folder / "est.nc")
    seen.to_netcdf(folder / "seen.nc")
    return [str(folder / f"{n}.nc") for n in ("est", "truth", "seen")]


class Reader(HTMLParser):
    """Parser that records the elements of a page and checks that they close in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_has_its_figures_and_a_page_of_its_own(layout, tmp_path):
    """The page is self-contained, titled by the long name, and does not change the scores."""
    *shape, kinds = LAYOUTS[layout]
    paths = write(tmp_path, *shape)
    folder = tmp_path / "f" if layout == "stations" else None
    scores = report_files(*paths, report=tmp_path / "r.html", figures=folder)
    assert scores == evaluate_files(*paths)
    if folder is not None:
        assert {p.name for p in folder.iterdir()} == {f"v-{k}.png" for k in kinds}
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    reader = Reader(text)
    assert reader.open == []
    images = [a for tag, a in reader.found if tag == "img"]
    assert len(images) == len(kinds)
    assert all(a["src"].startswith("data:image/png;base64,") and a["alt"] for a in images)
    assert not {"script", "link", "iframe"} & {tag for tag, _ in reader.found}
    links, ids = ([a[key] for _, a in reader.found if key in a] for key in ("href", "id"))
    assert sorted(links) == sorted(f"#{name}" for name in ids)
    for said in ("m s⁻¹", "<h2>Speed of the wind (v)</h2>", "&lt;sea&gt;.safetensors"):
        assert said in text
    for hidden in ("http", str(tmp_path), "/home"):
        assert hidden not in text


def test_a_truth_of_hidden_points_and_no_error_bars(tmp_path):
    """The text explains what cannot be drawn and, without observations, names the option for them."""
    paths = write(tmp_path, *LAYOUTS["grid"][:3], hidden_only=True, bars=False)
    report_files(*paths[:2], report=tmp_path / "r.html")
    assert "--observed" in (tmp_path / "r.html").read_text()
    report_files(*paths, report=tmp_path / "r.html", at="2001-01-03", overwrite=True)
    text = (tmp_path / "r.html").read_text()
    assert text.count("<img") == 3
    for said in ("every line has a gap", "has no error bars", "No model was given", "time 2001-01-03"):
        assert said in text


def test_figures_are_replaced_all_or_none(tmp_path):
    """Without `overwrite`, an existing figure stops the run before anything is written."""
    paths = write(tmp_path, *LAYOUTS["series"][:3], bars=False)
    (tmp_path / "f").mkdir()
    (tmp_path / "f/v-series.png").write_text("mine")
    with pytest.raises(ValueError, match=r"v-series\.png: exists already"):
        report_files(*paths, report=tmp_path / "r.html", figures=tmp_path / "f")
    assert [p.name for p in (tmp_path / "f").iterdir()] == ["v-series.png"]
    assert not (tmp_path / "r.html").exists()
    report_files(*paths, figures=tmp_path / "f", overwrite=True)
    assert (tmp_path / "f/v-series.png").read_bytes()[:4] == b"\x89PNG"


def test_a_page_escapes_what_it_is_given():
    """Names and text from files are escaped, and headings do not skip a level."""
    part = Part("x", "<b>", ["1 < 2 & <u>"], [Table(["a<", "b"], [["<i>", "4"]])])
    reader = Reader(page("<t>", [("<s>", [part])]))
    assert not {"b", "i", "s", "t", "u"} & {tag for tag, _ in reader.found}
    assert reader.open == []
    levels = [int(tag[1]) for tag, _ in reader.found if tag in ("h1", "h2", "h3")]
    assert all(after - before <= 1 for before, after in pairwise(levels))
