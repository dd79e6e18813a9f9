"""A model file holds everything about a model, and no code in it is ever executed."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import safetensors.numpy
import torch
import xarray as xr
from examples import tiny_interpolator

import da4dvar
from da4dvar.baselines.climatology import Climatology
from da4dvar.errors import ModelError
from da4dvar.modelfile.header import read
from da4dvar.modelfile.shipped import PRETRAINED, find


def test_a_saved_model_is_the_same_model(model, gappy, tmp_path):
    """A model gives the same bits after it is saved and loaded."""
    model.save(tmp_path / "again.safetensors")
    again = da4dvar.load(tmp_path / "again.safetensors")
    xr.testing.assert_equal(again.interpolate(gappy), model.interpolate(gappy))


def test_the_header_says_everything(model_path):
    """The header holds variables, units, dimensions, spacings, windows, scaling and scores (rule 7)."""
    header, _ = read(model_path)
    assert header["layout"]["window"] == {"time": 6, "lat": 5, "lon": 6}
    assert header["signature"]["variables"]["sst"]["units"] == "degC"
    assert header["signature"]["dims"]["time"]["spacing"] == 86400
    assert header["signature"]["dims"]["lat"]["role"] == "Y"
    assert header["scaling"]["kind"] == "anomaly"
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


def test_another_safetensors_file_is_refused(tmp_path):
    """A safetensors file without the header of a model is refused."""
    path = tmp_path / "other.safetensors"
    safetensors.numpy.save_file({"a": np.zeros(2)}, path)
    with pytest.raises(ModelError, match="not written by da4dvar"):
        da4dvar.load(path)


def test_an_unknown_name_offers_the_shipped_ones():
    """A misspelt name of a shipped model is answered with the known names."""
    with pytest.raises(ModelError, match="did you mean 'oisst-tasman'"):
        da4dvar.load("oisst-tasmann")


def test_a_missing_file_is_named():
    """A missing file is refused by its path."""
    with pytest.raises(ModelError, match="no such model file"):
        da4dvar.load("nowhere/model.safetensors")


def test_an_unfitted_model_is_not_saved(tmp_path):
    """A model that has not been fitted cannot be saved."""
    with pytest.raises(ModelError, match="not been fitted"):
        tiny_interpolator().save(tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_prior_from_elsewhere_cannot_be_named(model, tmp_path):
    """A class from outside the package cannot be saved, and the error says why."""
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


def test_a_part_that_no_table_can_hold_is_not_saved(model, gappy, tmp_path):
    """A component that a table cannot represent is refused when the model is saved."""
    path = tmp_path / "m.safetensors"
    model.first_guess = Climatology(history=gappy)
    with pytest.raises(ModelError, match="history is a Dataset"):
        model.save(path)
    model.first_guess, model.model.cost.rho = None, torch.square
    with pytest.raises(ModelError, match="rho is a "):
        model.save(path)
    assert not path.exists()
