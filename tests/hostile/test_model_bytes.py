"""Model files with missing, changed or additional bytes."""

from __future__ import annotations

import contextlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from door import limits
from hostile.models import parts

import da4dvar
from da4dvar.errors import ModelError
from da4dvar.modelfile.header import read

pytestmark = pytest.mark.hostile

# Places in the file: the length field, the header, and the tensors from first to last.
PLACES = [k / 40 for k in range(40)]


def loaded_or_refused(path: Path) -> da4dvar.Interpolator | None:
    """Load a model file; None if it is refused in one line."""
    with limits(), contextlib.suppress(ModelError):
        return da4dvar.load(path)
    return None


def same(one: Path, other: Path) -> bool:
    """Whether two files contain the same header and tensors."""
    (header, arrays), (header2, arrays2) = parts(one), parts(other)
    alike = all(np.array_equal(arrays[name], arrays2[name]) for name in arrays)
    return json.dumps(header) == json.dumps(header2) and arrays.keys() == arrays2.keys() and alike


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 9, 10, *PLACES[1:]])
def test_cut_short(model_path, tmp_path, kept):
    """Files truncated after some bytes, or some fraction, are refused."""
    whole = model_path.read_bytes()
    path = tmp_path / "m.safetensors"
    path.write_bytes(whole[: kept if isinstance(kept, int) else int(kept * len(whole))])
    assert loaded_or_refused(path) is None


@pytest.mark.parametrize("bit", range(8))
def test_one_bit_of_the_length_of_the_header(model_path, tmp_path, bit):
    """A false length of the header allocates no memory."""
    whole = bytearray(model_path.read_bytes())
    for byte in range(8):
        broken = whole.copy()
        broken[byte] ^= 1 << bit
        path = tmp_path / "m.safetensors"
        path.write_bytes(broken)
        assert loaded_or_refused(path) is None


@pytest.mark.parametrize("place", PLACES)
def test_one_bit_anywhere(model_path, tmp_path, place):
    """A file with one flipped bit is refused, or has the same content."""
    whole = model_path.read_bytes()
    at, bit = int(place * (len(whole) - 8)) + 8, int(place * 40) % 8
    path = tmp_path / "m.safetensors"
    path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << bit)]) + whole[at + 1 :])
    assert loaded_or_refused(path) is None or same(path, model_path)


def test_a_flipped_weight_is_damage(model_path, tmp_path):
    """A changed weight is refused, even if it is finite."""
    whole = bytearray(model_path.read_bytes())
    whole[-2] ^= 1
    path = tmp_path / "m.safetensors"
    path.write_bytes(whole)
    with pytest.raises(ModelError, match="damaged"):
        da4dvar.load(path)


@pytest.mark.parametrize("more", [b"\0", b"x" * 100, b"{}"])
def test_bytes_after_the_end(model_path, tmp_path, more):
    """Bytes after the last tensor are refused."""
    path = tmp_path / "m.safetensors"
    path.write_bytes(model_path.read_bytes() + more)
    assert loaded_or_refused(path) is None


def test_any_bytes_at_all(tmp_path):
    """Random bytes of 300 lengths are refused, also after a plausible beginning."""
    generator = np.random.default_rng(0)
    path = tmp_path / "m.safetensors"
    for length in range(300):
        noise = generator.bytes(length)
        for head in (b"", struct.pack("<Q", length), struct.pack("<Q", length) + b"{"):
            path.write_bytes(head + noise)
            assert loaded_or_refused(path) is None


@pytest.mark.parametrize(
    "declared",
    [
        {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [2**32, 2**32, 2**32], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [1.5], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 2**63]}},
        {"a": {"dtype": "F33", "shape": [1], "data_offsets": [0, 4]}},
        {"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}},
        {"a": "F32"},
        {"__metadata__": {"da4dvar": 5}},
        {"__metadata__": {"da4dvar": "{"}},
        {"__metadata__": {"da4dvar": "[" * 100_000}},
        {"__metadata__": {"da4dvar": '{"a":' * 100_000}},
        {"__metadata__": {"da4dvar": "1" * 10_000}},
        {"__metadata__": {"da4dvar": "[]"}},
        {"__metadata__": {"da4dvar": "null"}},
        {"__metadata__": {"da4dvar": '{"format": 1}'}},
        {"__metadata__": {"da4dvar": '{"format": 1, "format": 1}'}},
        {"__metadata__": {"da4dvar": '{"format": NaN}'}},
    ],
    ids=lambda declared: json.dumps(declared)[:60],
)
def test_a_declaration_that_cannot_be(tmp_path, declared):
    """Overflowing sizes, unknown types and malformed headers are refused."""
    text = json.dumps(declared).encode()
    path = tmp_path / "m.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(4))
    assert loaded_or_refused(path) is None


def test_a_hole_of_a_terabyte(tmp_path):
    """A sparse file that declares huge tensors takes no memory."""
    declared = {
        "model.a": {"dtype": "F32", "shape": [2**38], "data_offsets": [0, 2**40]},
        "__metadata__": {"da4dvar": "{}"},
    }
    text = json.dumps(declared).encode()
    path = tmp_path / "m.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    try:
        with path.open("r+b") as file:
            file.truncate(8 + len(text) + 2**40)
    except OSError:
        pytest.skip("this disk has no files of a terabyte")
    assert loaded_or_refused(path) is None


def test_reading_never_changes_the_file(model_path, tmp_path):
    """Reading changes neither valid nor broken files."""
    for end in (None, -5):
        path = tmp_path / "m.safetensors"
        path.write_bytes(model_path.read_bytes()[:end])
        before = path.read_bytes()
        with contextlib.suppress(ModelError):
            read(path)
        assert path.read_bytes() == before
