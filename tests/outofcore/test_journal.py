"""Files of the journal are complete once they have their name, and one run at a time holds it."""

import sys

import numpy as np
import pytest

from da4dvar.errors import DataError
from da4dvar.outofcore import journal as module
from da4dvar.outofcore.journal import Journal


@pytest.fixture
def journal(tmp_path):
    """Return the journal of an output with a recorded plan."""
    made = Journal(tmp_path / "out.zarr")
    with made.locked():
        made.begin({"plan": 1}, (3, 2))
    return made


def test_what_never_began_leaves_nothing(tmp_path, monkeypatch):
    """A run that fails before its plan is recorded, or on a system without locks, leaves no folder."""
    failed = Journal(tmp_path / "out.zarr")

    def fail():
        with failed.locked():
            raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        fail()
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(DataError, match="needs a POSIX system"), Journal(tmp_path / "out.zarr").locked():
        pass
    assert list(tmp_path.iterdir()) == []


def test_parts_come_back_and_go_with_their_region(journal):
    """Parts are returned bit for bit until their region is finished, and terms for their windows."""
    part = np.random.default_rng(0).standard_normal((2, 3)).astype("float32")
    journal.put((1, 0), (0, 0), part)
    np.testing.assert_array_equal(journal.take((1, 0), (0, 0)), part)
    assert not journal.finished((1, 0))
    journal.finish((1, 0))
    assert journal.finished((1, 0))
    assert not list(journal.folder.glob("part-*"))
    journal.put_terms((slice(1, 3), slice(0, 2)), np.arange(8, dtype="float32").reshape(2, 2, 2))
    np.testing.assert_array_equal(journal.take_terms((slice(2, 3), slice(0, 2))), [[[2, 3]], [[6, 7]]])


def test_nothing_half_written_has_its_name(journal, monkeypatch):
    """A disk that is full while a part is written leaves no part; a broken plan is refused."""

    def full(path, *_, **__):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.np, "save", full)
    with pytest.raises(OSError, match="No space"):
        journal.put((1, 0), (0, 0), np.zeros(3))
    assert not list(journal.folder.glob("part-*"))
    (journal.folder / "plan.json").write_text("{")
    with pytest.raises(DataError, match=r"plan\.json cannot be read"):
        journal.plan()
