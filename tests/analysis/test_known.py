"""Values that a model cannot know are refused or reported, wherever a model is used."""

from __future__ import annotations

import dataclasses
import json
import warnings

import numpy as np
import pytest
import safetensors.numpy
import xarray as xr

import da4dvar
from da4dvar.analysis.known import in_windows
from da4dvar.analysis.quantiles import Known
from da4dvar.errors import Da4dvarWarning, DataError, ModelError
from da4dvar.fields.windows.grid import WindowGrid
from da4dvar.modelfile.header import CHECKSUM, KEY, checksum, parsed
from da4dvar.outofcore.interpolate_file import interpolate_file

KELVIN = r"'sst' \(without units\) has values around 28\d.*look like kelvin: .*'K', or continue with --force"


@pytest.fixture
def similar(model, truth) -> xr.Dataset:
    """The sea that the model was trained on, with gaps."""
    from examples import make_sst

    return make_sst(40, seed=1).sst.where(np.random.default_rng(0).random((40, 9, 8)) < 0.4).to_dataset()


def kelvin(ds: xr.Dataset) -> xr.Dataset:
    """Return data in kelvin that do not say so."""
    return ds.assign(sst=(ds.sst + 273.15).drop_attrs())


def without_quantiles(model: da4dvar.Interpolator) -> da4dvar.Interpolator:
    """Return the model as an older file holds it."""
    return model.replaced(known=Known())


@pytest.mark.parametrize("change", [lambda model: model, without_quantiles], ids=["new", "old"])
def test_kelvin_without_units_is_refused(model, similar, change):
    """In memory, with advice, in one line; also with a model file that holds no quantiles."""
    with pytest.raises(DataError, match=KELVIN) as caught:
        change(model).interpolate(kelvin(similar))
    assert "\n" not in str(caught.value)


def test_force_continues(model, similar):
    """In every face."""
    wrong = kelvin(similar)
    model.interpolate(wrong, force=True)
    da4dvar.interpolate(wrong, model, force=True)
    wrong.chunk(time=20).da4dvar.interpolate(model, force=True).compute()


def test_lazy_data_are_refused_when_they_are_computed(model, similar):
    """Nothing is read before; then the message is a DataError, not one of dask."""
    lazy = model.interpolate(kelvin(similar).chunk(time=20))
    with pytest.raises(DataError, match="more than ten standard deviations"):
        lazy.compute()
    model.interpolate(similar.chunk(time=20)).compute()


@pytest.mark.parametrize("memory", ["2GiB", "1MB"])
def test_files_are_refused(tmp_path, model, similar, memory, little_memory):
    """In memory and in regions, before anything is written."""
    kelvin(similar).to_netcdf(tmp_path / "in.nc")
    with pytest.raises(DataError, match=KELVIN):
        interpolate_file(tmp_path / "in.nc", tmp_path / "out.nc", model, memory=memory)
    assert not (tmp_path / "out.nc").exists()
    interpolate_file(tmp_path / "in.nc", tmp_path / "out.nc", model, memory=memory, force=True)
    assert (tmp_path / "out.nc").exists()


def test_a_calibration_is_refused_too(model, similar):
    """It uses the model."""
    with pytest.raises(DataError, match=KELVIN):
        model.calibrate(kelvin(similar), kelvin(similar))


def test_wrong_units_are_refused(model, similar):
    """Units that are there but cannot be."""
    wrong = similar.assign(sst=(similar.sst * 1.8 + 32).assign_attrs(units="degC"))
    with pytest.raises(DataError, match=r"\(in degC\).*look like degrees Fahrenheit"):
        model.interpolate(wrong)
    with pytest.raises(DataError, match="check its units and its fill values"):
        model.interpolate(similar.assign(sst=similar.sst * 100))


def test_a_few_glitches_are_reported_and_not_refused(model, similar):
    """Windows with values beyond those of the training are counted."""
    similar.sst[0, 5, 5] = 40.0
    with pytest.warns(Da4dvarWarning, match=r"sst: \d+ of \d+ windows hold values beyond those of the train"):
        model.interpolate(similar)


def test_usual_data_have_no_note(model, similar):
    """Those that the model was trained on, observed in other places."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Da4dvarWarning)
        model.interpolate(similar)


def test_windows_of_an_unusual_cost_are_counted(model, similar):
    """The largest cost of the training is the measure."""
    cheap = model.replaced(known=dataclasses.replace(model.known, costs=(0.0,) * 6 + (1e-9,)))
    with pytest.warns(Da4dvarWarning, match=r"\d+ of \d+ windows have a cost more than 3 times the largest"):
        cheap.interpolate(similar)


def test_quantiles_are_those_of_the_training(model):
    """In the model's units, normalised, and of the costs."""
    from examples import make_sst

    sst = make_sst(70, seed=1).sst.isel(time=slice(63))  # the last tenth is for validation
    found = model.known
    assert found.values["sst"][0] == pytest.approx(float(sst.min()))
    assert found.values["sst"][3] == pytest.approx(float(sst.median()), abs=0.01)
    assert found.values["sst"][-1] == pytest.approx(float(sst.max()))
    assert found.standardised["sst"][0] < -1 < 1 < found.standardised["sst"][-1]
    assert len(found.costs) == 7
    assert 0 < found.costs[0] <= found.costs[-1]


def rewritten(source, target, change):
    """Write a model file with another header and a checksum that fits."""
    with safetensors.safe_open(source, framework="numpy") as file:
        header = parsed(file.metadata()[KEY])
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    header.pop(CHECKSUM)
    change(header)
    header[CHECKSUM] = checksum(json.loads(json.dumps(header)), arrays)
    safetensors.numpy.save_file(arrays, target, {KEY: json.dumps(header)})


def test_quantiles_survive_a_model_file(tmp_path, model, model_path):
    """A file without any is of an earlier version and loads."""
    model.save(tmp_path / "again.safetensors")
    assert da4dvar.load(tmp_path / "again.safetensors").known == model.known
    rewritten(model_path, tmp_path / "old.safetensors", lambda header: header.pop("known"))
    assert da4dvar.load(tmp_path / "old.safetensors").known == Known()


@pytest.mark.parametrize(
    "change",
    [
        {"costs": [1.0]},
        {"values": {"sst": [3.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0]}},
        {"values": {"other": [0.0] * 7}},
        {"costs": "many"},
        {"standardised": {"sst": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, float("inf")]}},
    ],
)
def test_quantiles_that_are_none_are_refused(tmp_path, model_path, change):
    """A header may hold anything."""
    rewritten(model_path, tmp_path / "bad.safetensors", lambda header: header["known"].update(change))
    with pytest.raises(ModelError):
        da4dvar.load(tmp_path / "bad.safetensors")


def test_sums_over_windows_wrap_around():
    """As windows do along periodic dimensions."""
    grid = WindowGrid((4, 2), (3, 2), ((0, 2), (0,)))
    count = np.arange(8).reshape(1, 4, 2)
    np.testing.assert_array_equal(
        in_windows(count, grid), [[[0 + 1 + 2 + 3 + 4 + 5], [4 + 5 + 6 + 7 + 0 + 1]]]
    )


def test_a_shipped_model_refuses_kelvin():
    """Shipped models hold no quantiles, but a scaling."""
    time = xr.date_range("2011-03-01", periods=10)
    sst = 287.0 + np.random.default_rng(0).normal(size=(10, 8, 8))
    coords = {"time": time, "lat": -44.875 + 0.25 * np.arange(8), "lon": 147.125 + 0.25 * np.arange(8)}
    ds = xr.Dataset({"sst": (("time", "lat", "lon"), sst)}, coords)
    with pytest.raises(DataError, match="look like kelvin"):
        ds.da4dvar.interpolate("oisst-tasman")
    ds.sst.attrs["units"] = "Kelvin"
    with pytest.warns(Da4dvarWarning, match="the result is in Kelvin"):
        assert float(ds.da4dvar.interpolate("oisst-tasman").sst.mean()) > 280
