"""Fixtures of the competition."""

from types import SimpleNamespace

import pytest
from watch import Watch


@pytest.fixture
def watch(monkeypatch) -> Watch:
    """Replace the time of the clock and of the competition."""
    watch = Watch()
    for name in ("compete.clocks", "timing.clocks", "clock.time"):
        monkeypatch.setattr(f"da4dvar.workflows.autofit.{name}", SimpleNamespace(monotonic=watch.monotonic))
    return watch
