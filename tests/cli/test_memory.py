"""Tests of the reuse of freed memory."""

import ctypes
import subprocess
import sys

import pytest

from da4dvar.cli import memory as freed_memory

FAULTS = """
import resource
import torch
from da4dvar.cli.memory import keep_freed_memory
if {kept}:
    keep_freed_memory()
x, faults = torch.ones(2**24), []
for _ in range(60):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    x.add(1).add(1)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sum(faults[-4:]))
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="another C library")
def test_memory_is_not_asked_for_again():
    """Repeated work causes at least ten times fewer page faults once freed memory is kept."""
    plain, kept = (
        int(subprocess.check_output([sys.executable, "-c", FAULTS.format(kept=kept)]))
        for kept in (False, True)
    )
    assert kept < plain / 10


def test_a_library_without_the_setting_is_left_alone(monkeypatch):
    """A C library without mallopt, such as musl or that of macOS, causes no error."""
    monkeypatch.setattr(freed_memory.ctypes, "CDLL", lambda name: object())
    freed_memory.keep_freed_memory()
