"""A model file holds everything about a model, is protected by a checksum, and no code in it is executed."""

import json
import pickle

import numpy as np
import pytest
import safetensors.numpy
import torch
import xarray as xr
from examples import tiny_interpolator
from hostile.models import parts

import da4dvar
from da4dvar.baselines.climatology import Climatology
from da4dvar.errors import ModelError
from da4dvar.modelfile.checks import numbers
from da4dvar.modelfile.header import KEY, checksum, parsed, read
from da4dvar.modelfile.shipped import PRETRAINED, find


def test_a_saved_model_is_the_same_model(model, gappy, tmp_path, model_path):
    """A model gives the same bits after it is saved and loaded; older files have no checksum."""
    model.save(tmp_path / "again.safetensors")
    again = da4dvar.load(tmp_path / "again.safetensors")
    xr.testing.assert_equal(again.interpolate(gappy), model.interpolate(gappy))
    header, arrays = parts(model_path)
    safetensors.numpy.save_file(arrays, tmp_path / "m.safetensors", {KEY: json.dumps(header)})
    assert da4dvar.load(tmp_path / "m.safetensors").signature is not None


def test_the_header_says_everything(model_path):
    """The header holds variables, units, dimensions, spacings, windows, scaling and scores (rule 7)."""
    header, _ = read(model_path)
    assert header["layout"]["window"] == {"time": 6, "lat": 5, "lon": 6}
    assert header["signature"]["variables"]["sst"]["units"] == "degC"
    assert header["signature"]["dims"]["time"]["spacing"] == 86400
    assert (header["signature"]["dims"]["lat"]["role"], header["scaling"]["kind"]) == ("Y", "anomaly")
    assert header["solver"]["iterations"] == 3
    assert header["scores"]["validation_rmse_normalised"] > 0


def test_a_pickle_is_refused_and_never_loaded(tmp_path):
    """A pickle, also in the format of torch, is refused by its first bytes."""

    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    plain, zipped = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    plain.write_bytes(pickle.dumps(Trap()))
    torch.save({"trap": Trap()}, zipped)
    for path in (plain, zipped):
        with pytest.raises(ModelError, match="pickle"):
            da4dvar.load(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(("name", "message"), [
    ("other.safetensors", "not written by da4dvar"), ("oisst-tasmann", "did you mean 'oisst-tasman'"),
    ("nowhere/model.safetensors", "no such model file"),
])  # fmt: skip
def test_what_is_no_model_is_refused(tmp_path, monkeypatch, name, message):
    """A safetensors file of something else, a misspelt shipped model and a missing file are told apart."""
    monkeypatch.chdir(tmp_path)
    safetensors.numpy.save_file({"a": np.zeros(2)}, "other.safetensors")
    with pytest.raises(ModelError, match=message):
        da4dvar.load(name)


def test_what_a_file_cannot_hold_is_not_saved(tmp_path, model, gappy):
    """Unfitted models, parts that no table can represent, and classes from outside the package."""
    with pytest.raises(ModelError, match="not been fitted"):
        tiny_interpolator().save(tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []
    path = tmp_path / "m.safetensors"
    model.first_guess = Climatology(history=gappy)
    with pytest.raises(ModelError, match="history is a Dataset"):
        model.save(path)
    model.first_guess, model.model.cost.rho = None, torch.square
    with pytest.raises(ModelError, match="rho is a "):
        model.save(path)
    assert not path.exists()
    model.model.cost.prior = torch.nn.Tanh()
    with pytest.raises(ModelError, match="Tanh has no kind, expected one of"):
        model.save(tmp_path / "m.safetensors")


@pytest.mark.parametrize("path", sorted(PRETRAINED.glob("*.safetensors")), ids=lambda p: p.stem)
def test_shipped_models_are_small_and_say_where_they_come_from(path):
    """Each shipped model is under 5 MB, loads, and holds recipe, seed, scores and versions."""
    assert path.stat().st_size < 5e6
    header, _ = read(find(path.stem))
    assert {"recipe", "seed", "versions", "finished"} <= set(header["provenance"])
    assert header["scores"]
    assert da4dvar.load(path.stem).layout.variables


def test_the_checksum_is_of_names_types_shapes_and_values():
    """The checksum depends on header, names, types, shapes and values, but not on their order."""
    arrays = {"a": np.zeros((2, 3), "f4"), "b": np.ones(1, "f4")}
    known = checksum({"x": 1, "y": 2}, arrays)
    assert checksum({"y": 2, "x": 1}, dict(reversed(arrays.items()))) == known
    for header, tensors in (
        ({"x": 1, "y": 3}, arrays),
        ({"x": 1, "y": 2}, {"a": arrays["a"].reshape(3, 2), "b": arrays["b"]}),
        ({"x": 1, "y": 2}, {"a": arrays["a"].astype("i4"), "b": arrays["b"]}),
        ({"x": 1, "y": 2}, {"c": arrays["a"], "b": arrays["b"]}),
        ({"x": 1, "y": 2}, {"a": arrays["a"], "b": arrays["b"] * 2}),
    ):
        assert checksum(header, tensors) != known


def test_a_header_is_read_at_any_depth():
    """A duplicate key is refused, and numbers, but not Booleans, are found in nested tables and lists."""
    assert parsed('{"a": {"b": 1}}') == {"a": {"b": 1}}
    with pytest.raises(ValueError, match="holds 'b' twice"):
        parsed('{"a": [{"b": 1, "b": 2}]}')
    table = {"a": 1, "b": [2.5, {"c": 3}], "d": True, "e": "4"}
    assert list(numbers(table, "x")) == [("x.a", 1), ("x.b", 2.5), ("x.b.c", 3)]
