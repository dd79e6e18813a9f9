"""Tests of the commands models and inspect, with their text and JSON output."""

import json
import tomllib

import numpy as np
import pytest
import xarray as xr
from door import ran

import da4dvar
from da4dvar.cli.shell import as_text
from da4dvar.modelfile import describe as inspection
from da4dvar.modelfile import shipped
from da4dvar.modelfile.describe import describe
from da4dvar.modelfile.describe_text import as_toml, text_of
from da4dvar.modelfile.summary import summaries


def test_models_lists_what_ships():
    """Text and JSON have titles, training data, also of assembled models, scores and parameters."""
    text = ran("models").out
    for name in shipped.names():
        model = da4dvar.load(name)
        assert f"{name}: {model.provenance['title']}" in text
    assert "trained on  NOAA OISST v2" in text
    assert "time 1990-01-01 to 2009-12-31" in text
    assert "rmse_tracks 0.344, rmse_clouds 0.173" in text
    found = {model["name"]: model for model in json.loads(ran("models", "--json").out)}
    assert sorted(found) == shipped.names()
    for name, model in found.items():
        loaded = da4dvar.load(name)
        assert model["scores"] == loaded.scores
        assert model["parameters"] == sum(t.numel() for t in loaded.model.state_dict().values())
        assert list(model["variables"]) == list(loaded.layout.variables)
    trained_on = {model["name"]: model["trained_on"] for model in summaries()}
    assert (
        trained_on["lorenz96-ode"] == trained_on["lorenz96"] == "Lorenz-96 twin experiment, series 0 to 1999"
    )


@pytest.mark.parametrize("name", shipped.names())
def test_inspect_shows_all_that_a_model_knows(name):
    """The text has the title, variables, steps, seed, versions and every score, and no raw tables."""
    text = ran("inspect", name).out
    model = da4dvar.load(name)
    provenance = model.provenance
    for known in ("title", "seed", "finished"):
        assert str(provenance[known]) in text
    for package, number in provenance["versions"].items():
        assert f"{package} {number}" in text
    for variable, attrs in model.signature.variables.items():
        assert f"{variable} [{attrs['units']}]" in text
    for score in model.scores:
        assert score in text
    for dim, steps in model.signature.dims.items():
        assert f"{dim}: {'steps of ' if steps.spacing else 'any steps'}" in text
    assert not any(raw in text for raw in ("{'", "None", "nan"))
    while provenance := provenance.get("started_from"):
        assert f"started from: {provenance['title']}" in text


def test_the_recipe_that_is_shown_is_the_recipe():
    """The recipe in the text is valid TOML for da4dvar train and equals the stored recipe."""
    described = describe("oisst-tasman")
    shown = text_of(described).partition("\n\nrecipe\n")[2].partition("\n\nstarted from")[0]
    assert tomllib.loads(shown) == described["provenance"]["recipe"]


def test_inspect_as_json_is_the_header(model_path):
    """JSON has the complete header; the text needs no title, recipe or seed."""
    described = describe(str(model_path))
    loaded = da4dvar.load(model_path)
    assert (described["scores"], described["signature"]) == (loaded.scores, loaded.signature.to_dict())
    assert (described["provenance"], described["bytes"]) == (loaded.provenance, model_path.stat().st_size)
    text = text_of(described)
    assert text.startswith("tiny.safetensors\n")
    assert "trained on    not recorded" in text
    assert "not calibrated" in text


def test_a_data_set_in_words(tmp_path, gappy):
    """The text has the range and step of each dimension, and the units and gaps of each variable."""
    gappy.drop_vars("lon").to_netcdf(tmp_path / "gappy.nc")
    text = text_of(describe(str(tmp_path / "gappy.nc")))
    assert "time  30, from 2001-03-01T00:00:00 to 2001-03-30T00:00:00, in steps of 1 day" in text
    assert "lat   9, from -40.0 to -38.0, in steps of 0.25" in text
    assert "lon   8, without a coordinate" in text
    assert "sst(time, lat, lon)  float" in text
    assert ", in degC, missing: 6" in text


def test_uneven_levels_are_said_to_be_so(tmp_path):
    """The step that most levels have is no step of all."""
    soil = xr.Dataset({"sm": ("depth", [0.2, 0.3, 0.4])}, {"depth": [5.0, 10.0, 30.0]})
    soil.to_netcdf(tmp_path / "soil.nc")
    text = text_of(describe(str(tmp_path / "soil.nc")))
    assert "depth  3, from 5.0 to 30.0, in steps of 12.5, uneven" in text


def test_toml_has_no_null_and_json_no_nan():
    """None and empty lists are omitted from TOML; NaN and infinity are null in JSON."""
    shown = as_toml({"a": None, "b": [], "c": {"d": None, "e": 1}, "f": [{"g": None, "h": 2}]})
    assert tomllib.loads(shown) == {"c": {"e": 1}, "f": [{"h": 2}]}
    assert json.loads(as_text({"a": [float("nan"), 1.5], "b": float("inf")})) == {"a": [None, 1.5], "b": None}


def test_a_data_set_is_looked_at_in_parts(monkeypatch, tmp_path):
    """Reading a data set in parts gives the same description, even if some parts hold only gaps."""
    values = np.arange(60.0).reshape(5, 4, 3)
    values[1:3] = np.nan
    xr.Dataset({"x": (("a", "b", "c"), values), "n": ((), 3)}).to_netcdf(tmp_path / "x.nc")
    whole = describe(str(tmp_path / "x.nc"))
    sizes = []
    monkeypatch.setattr(inspection, "PART", 13)
    monkeypatch.setattr(inspection, "loaded", lambda part, path: sizes.append(part.size) or part.load())
    assert (describe(str(tmp_path / "x.nc")), sizes) == (whole, [12] * 5 + [1])
    assert (whole["variables"]["x"]["missing"], whole["variables"]["x"]["range"]) == ("40.0 %", [0.0, 59.0])
