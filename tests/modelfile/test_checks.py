"""The header of a model file is complete and consistent, and protected by a checksum."""

from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors.numpy
from hostile.models import changed, parts

import da4dvar
from da4dvar.errors import ModelError
from da4dvar.modelfile.checks import numbers
from da4dvar.modelfile.header import KEY, checksum, parsed


def test_a_file_without_a_checksum_is_read(model_path, tmp_path):
    """Older files without a checksum are read."""
    header, arrays = parts(model_path)
    safetensors.numpy.save_file(arrays, tmp_path / "m.safetensors", {KEY: json.dumps(header)})
    assert da4dvar.load(tmp_path / "m.safetensors").signature is not None


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


def test_a_key_twice_is_no_header():
    """A duplicate key is refused at any depth."""
    assert parsed('{"a": {"b": 1}}') == {"a": {"b": 1}}
    with pytest.raises(ValueError, match="holds 'b' twice"):
        parsed('{"a": [{"b": 1, "b": 2}]}')


def test_numbers_are_found_wherever_they_are():
    """Numbers are found in nested tables and lists; Booleans are not numbers."""
    table = {"a": 1, "b": [2.5, {"c": 3}], "d": True, "e": "4"}
    assert list(numbers(table, "x")) == [("x.a", 1), ("x.b", 2.5), ("x.b.c", 3)]


def test_a_scaling_that_is_not_there_is_missed(model_path, tmp_path):
    """A file without the tensors of its scaling is refused."""

    def without(arrays):
        for name in [n for n in arrays if n.startswith("scaling.")]:
            del arrays[name]

    with pytest.raises(ModelError, match="variables of the scaling are"):
        da4dvar.load(changed(model_path, tmp_path / "m.safetensors", arrays=without))
