"""Unusual, unsuitable or broken Zarr stores give the correct result or one line of error."""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from door import da4dvar, done_or_refused, refused
from examples import make_sst
from hostile.verbs import gappy

from da4dvar.fields.files.store import load_dataset
from da4dvar.outofcore.source import Source

pytestmark = pytest.mark.hostile

COMPUTE = ("interpolate", "in.zarr", "out.nc", "--model")


def store(
    folder: Path, version: int = 3, consolidated: bool = False, days: int = 12, **encoding: object
) -> Path:
    """in.zarr: a small sea with gaps, in chunks of some days."""
    encodings = {"sst": {"chunks": (4, 9, 8)} | encoding}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gappy(days).to_zarr(
            folder / "in.zarr", zarr_format=version, consolidated=consolidated, encoding=encodings
        )
    return folder / "in.zarr"


def chunks(path: Path, name: str = "sst") -> list[Path]:
    """Return the files with the chunks of a variable, for either version."""
    known = ("zarr.json", ".zarray", ".zattrs")
    return sorted(p for p in (path / name).rglob("*") if p.is_file() and p.name not in known)


@pytest.mark.parametrize("consolidated", [False, True])
@pytest.mark.parametrize("version", [2, 3])
def test_both_versions_are_read(tmp_path, model, model_path, version, consolidated):
    """The result is the same with and without consolidated metadata."""
    store(tmp_path, version, consolidated)
    assert done_or_refused(*COMPUTE, model_path, cwd=tmp_path)
    usual = model.interpolate(gappy())
    np.testing.assert_allclose(load_dataset(tmp_path / "out.nc").sst, usual.sst, atol=1e-5)


@pytest.mark.parametrize("verb", ["interpolate", "baseline", "gaps", "evaluate", "inspect"])
@pytest.mark.parametrize("how", ["cut", "noise", "empty"])
@pytest.mark.parametrize("version", [2, 3])
def test_a_chunk_that_is_broken(tmp_path, model_path, version, how, verb):
    """A broken chunk is never read as data."""
    path = chunks(store(tmp_path, version))[0]
    content = path.read_bytes()
    noise = np.random.default_rng(0).bytes(len(content))
    path.write_bytes({"cut": content[: len(content) // 2], "noise": noise, "empty": b""}[how])
    make_sst(12).to_netcdf(tmp_path / "truth.nc")
    arguments = {
        "interpolate": [*COMPUTE, model_path], "baseline": ["baseline", "in.zarr", "out.nc"],
        "gaps": ["gaps", "in.zarr", "out.nc", "--kind", "random"],
        "evaluate": ["evaluate", "in.zarr", "truth.nc"], "inspect": ["inspect", "in.zarr"],
    }  # fmt: skip
    assert "in.zarr" in refused(*arguments[verb], cwd=tmp_path)


def test_a_chunk_that_is_broken_where_memory_is_small(tmp_path, model_path, little_memory):
    """The same for what is read part by part; what was begun can be gone on with, once it is restored."""
    path = chunks(store(tmp_path, days=60))[2]
    whole = path.read_bytes()
    path.write_bytes(whole[:20])
    options = ("out.zarr", "--model", model_path, "--memory", "400KB")
    said = da4dvar("interpolate", "in.zarr", *options, cwd=tmp_path)
    assert said.code == 2
    assert "damaged or truncated" in said.err
    assert not (tmp_path / "out.zarr").exists()


@pytest.mark.parametrize("version", [2, 3])
def test_a_chunk_that_is_missing_is_a_gap(tmp_path, model_path, version):
    """A missing chunk holds the fill value, here NaN, as Zarr specifies."""
    chunks(store(tmp_path, version, **({"fill_value": np.nan} if version == 3 else {})))[0].unlink()
    assert done_or_refused(*COMPUTE, model_path, cwd=tmp_path)
    assert (load_dataset(tmp_path / "out.nc").sst_flag[:4] != 0).all()


@pytest.mark.parametrize("name", ["zarr.json", "sst/zarr.json", "time/zarr.json", "lat/zarr.json"])
@pytest.mark.parametrize("how", ["missing", "empty", "cut", "noise", "list", "nonsense", "deep"])
def test_metadata_that_are_broken(tmp_path, model_path, name, how):
    """Broken metadata of the store, a variable or its coordinates are refused."""
    path = store(tmp_path) / name
    text = path.read_text()
    contents = {
        "empty": "", "cut": text[: len(text) // 2], "noise": "\x00\x01\x02", "list": "[]",
        "nonsense": '{"zarr_format": 99, "node_type": "array"}', "deep": "[" * 100_000,
    }  # fmt: skip
    if how == "missing":
        path.unlink()
    else:
        path.write_text(contents[how])
    done = done_or_refused(*COMPUTE, model_path, cwd=tmp_path)
    assert done is None or (how == "missing" and name in ("time/zarr.json", "lat/zarr.json"))


@pytest.mark.parametrize("change", [
    {"shape": [10**12, 9, 8]}, {"shape": [-1, 9, 8]}, {"shape": [0, 9, 8]}, {"shape": [12, 9]},
    {"shape": "12"}, {"data_type": "float33"}, {"data_type": "complex64"}, {"data_type": "string"},
    {"fill_value": "x"}, {"codecs": []}, {"codecs": [{"name": "os.system"}]},
    {"dimension_names": ["a", "b", "c"]}, {"dimension_names": None},
    {"dimension_names": ["time", "time", "lon"]},
    {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [0, 0, 0]}}},
    {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [10**9, 10**9, 10**9]}}},
], ids=str)  # fmt: skip
def test_metadata_that_lie(tmp_path, model_path, change):
    """Shapes, types and codecs that contradict the chunks are refused."""
    path = store(tmp_path) / "sst" / "zarr.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    refused(*COMPUTE, model_path, cwd=tmp_path)


@pytest.mark.parametrize("dtype", ["complex64", "bool", "datetime64[ns]", "U5", "timedelta64[ns]"])
def test_numbers_of_another_kind(tmp_path, model_path, dtype):
    """Complex numbers, truth values, dates, texts and durations are no temperatures."""
    ds = gappy()
    values = np.zeros(ds.sst.shape, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds.assign(sst=(ds.sst.dims, values)).to_zarr(tmp_path / "in.zarr", consolidated=False)
    line = refused(*COMPUTE, model_path, cwd=tmp_path)
    assert "expected numbers" in line or "is in 'days'" in line
    if dtype.startswith("timedelta"):
        return  # durations in days are numbers that may be filled
    assert "no numeric variable" in refused("baseline", "in.zarr", "out.nc", cwd=tmp_path)
    assert "no numeric variable" in refused("gaps", "in.zarr", "out.nc", cwd=tmp_path)


@pytest.mark.parametrize("value", [
    {"a": {"b": 1}}, [1, "a", None], None, True, [], [[1, 2], [3]], 10**30, "a\u2028b", float("nan"),
], ids=repr)  # fmt: skip
def test_attributes_that_netcdf_does_not_have(tmp_path, model_path, value):
    """The result is written, with such attributes as text where necessary."""
    path = store(tmp_path)
    for place in (path / "zarr.json", path / "sst" / "zarr.json", path / "lat" / "zarr.json"):
        table = json.loads(place.read_text())
        table["attributes"]["made"] = value
        place.write_text(json.dumps(table))
    for output in ("out.nc", "out.zarr"):
        assert done_or_refused("interpolate", "in.zarr", output, "--model", model_path, cwd=tmp_path)
        assert "made" in load_dataset(tmp_path / output).sst.attrs


def test_what_is_no_store(tmp_path, model_path):
    """Files, arrays and empty folders are refused."""
    (tmp_path / "file.zarr").write_text("x")
    (tmp_path / "empty.zarr").mkdir()
    zarr.save_array(tmp_path / "array.zarr", np.zeros(5))
    for name in ("file.zarr", "empty.zarr", "array.zarr"):
        refused("interpolate", name, "out.nc", "--model", model_path, cwd=tmp_path)


def test_a_store_that_vanishes_while_it_is_read(tmp_path, model_path, monkeypatch):
    """A store that is deleted is not read as gaps."""
    path, load = store(tmp_path), xr.Dataset.load

    def late(self):
        shutil.rmtree(path)
        return load(self)

    monkeypatch.setattr(xr.Dataset, "load", late)
    said = da4dvar(*COMPUTE, model_path, cwd=tmp_path)
    assert said.code == 2
    assert "disappeared" in said.err
    assert not list(tmp_path.iterdir())


def test_a_store_that_vanishes_while_it_is_read_in_parts(tmp_path, model_path, monkeypatch, little_memory):
    """Nor where it is larger than the memory: the run ends, and the output does not get its name."""
    path, calls = store(tmp_path, days=60), []
    part = Source.part

    def late(self, cells):
        calls.append(cells)
        if len(calls) == 4:
            shutil.rmtree(path)
        return part(self, cells)

    monkeypatch.setattr(Source, "part", late)
    options = ("out.zarr", "--model", model_path, "--memory", "400KB")
    said = da4dvar("interpolate", "in.zarr", *options, cwd=tmp_path)
    assert len(calls) >= 4
    assert said.code == 2
    assert not (tmp_path / "out.zarr").exists()
