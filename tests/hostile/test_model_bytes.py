"""Model files with missing, changed or additional bytes."""

import contextlib
import json
import struct

import numpy as np
import pytest
from door import limits
from hostile.models import parts

import da4dvar
from da4dvar.errors import ModelError

pytestmark = pytest.mark.hostile

# Places in the file: the length field, the header, and the tensors from first to last.
PLACES = [k / 40 for k in range(40)]


def refused(path, content=None):
    """Whether a model file, of these bytes if they are given, is refused in one line; it never changes."""
    if content is not None:
        path.write_bytes(content)
    before = path.stat()
    with limits(), contextlib.suppress(ModelError):
        return not da4dvar.load(path)
    assert (path.stat().st_mtime_ns, path.stat().st_size) == (before.st_mtime_ns, before.st_size)
    return True


def flipped(content, at, bit):
    """The bytes with one bit changed."""
    changed = bytearray(content)
    changed[at] ^= 1 << bit
    return bytes(changed)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.safetensors"


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 9, 10, *PLACES[1:]])
def test_cut_short(model_path, path, kept):
    """After some bytes, or some part of it."""
    whole = model_path.read_bytes()
    assert refused(path, whole[: kept if isinstance(kept, int) else int(kept * len(whole))])


@pytest.mark.parametrize("bit", range(8))
def test_one_bit_of_the_length_of_the_header(model_path, path, bit):
    """In each of its eight bytes: nothing is taken for so long a header."""
    whole = model_path.read_bytes()
    for byte in range(8):
        assert refused(path, flipped(whole, byte, bit))


@pytest.mark.parametrize("place", PLACES)
def test_one_bit_anywhere(model_path, path, place):
    """The file is refused, or says the same: the checksum is of the header and of every tensor."""
    whole = model_path.read_bytes()
    if not refused(path, flipped(whole, int(place * (len(whole) - 8)) + 8, int(place * 40) % 8)):
        (header, arrays), (header2, arrays2) = parts(path), parts(model_path)
        assert json.dumps(header) == json.dumps(header2)
        np.testing.assert_equal(arrays, arrays2)


def test_a_flipped_weight_is_damage(model_path, path):
    """A number that is finite but not the one that was learned."""
    path.write_bytes(flipped(model_path.read_bytes(), -2, 0))
    with pytest.raises(ModelError, match="damaged"):
        da4dvar.load(path)


@pytest.mark.parametrize("more", [b"\0", b"x" * 100, b"{}"])
def test_bytes_after_the_end(model_path, path, more):
    """What follows the last tensor belongs to none."""
    assert refused(path, model_path.read_bytes() + more)


def test_any_bytes_at_all(path):
    """Noise, in 300 lengths and with heads that pretend to be of the format."""
    generator = np.random.default_rng(0)
    for length in range(300):
        noise, size = generator.bytes(length), struct.pack("<Q", length)
        assert all(refused(path, head + noise) for head in (b"", size, size + b"{"))


@pytest.mark.parametrize("declared", [
    {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 4]}},
    {"a": {"dtype": "F32", "shape": [2**32, 2**32, 2**32], "data_offsets": [0, 4]}},
    {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
    {"a": {"dtype": "F32", "shape": [1.5], "data_offsets": [0, 4]}},
    {"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}},
    {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 2**63]}},
    {"a": {"dtype": "F33", "shape": [1], "data_offsets": [0, 4]}},
    {"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}},
    {"a": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}, {"a": "F32"},
    {"__metadata__": {"da4dvar": 5}}, {"__metadata__": {"da4dvar": "{"}},
    {"__metadata__": {"da4dvar": "[" * 100_000}}, {"__metadata__": {"da4dvar": '{"a":' * 100_000}},
    {"__metadata__": {"da4dvar": "1" * 10_000}}, {"__metadata__": {"da4dvar": "[]"}},
    {"__metadata__": {"da4dvar": "null"}}, {"__metadata__": {"da4dvar": '{"format": 1}'}},
    {"__metadata__": {"da4dvar": '{"format": 1, "format": 1}'}},
    {"__metadata__": {"da4dvar": '{"format": NaN}'}},
], ids=lambda declared: json.dumps(declared)[:60])  # fmt: skip
def test_a_declaration_that_cannot_be(path, declared):
    """Sizes that overflow, types that are none, a header that is no table, or is one without end."""
    text = json.dumps(declared).encode()
    assert refused(path, struct.pack("<Q", len(text)) + text + bytes(4))


def test_a_hole_of_a_terabyte(path):
    """A file that is nothing but a declaration and a hole takes no memory."""
    declared = {
        "model.a": {"dtype": "F32", "shape": [2**38], "data_offsets": [0, 2**40]},
        "__metadata__": {"da4dvar": "{}"},
    }
    text = json.dumps(declared).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    try:
        with path.open("r+b") as file:
            file.truncate(8 + len(text) + 2**40)
    except OSError:
        pytest.skip("this disk has no files of a terabyte")
    assert refused(path)
