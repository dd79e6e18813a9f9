"""How long users wait: a package is run alone where its run is missing."""

import importlib
import json
import sys
from pathlib import Path

import pytest

SPEED = Path(__file__).parents[2] / "recipes/speed"


@pytest.fixture
def waiting(monkeypatch, tmp_path):
    """The module, with a file of its own for the runs."""
    for folder in (SPEED, SPEED.parent / "comparison"):
        monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # which the script removes
    module = importlib.import_module("waiting")
    monkeypatch.setattr(module, "RUNS", tmp_path / "waiting.jsonl")
    yield module
    for name in ("waiting", "compare", "measuring", "minutes"):
        sys.modules.pop(name, None)


def test_a_run_that_was_removed_is_done_alone(waiting, monkeypatch, capsys):
    """The others of its line are kept, and the table has one row for each package, da4dvar first."""
    small = {"work": "EOFs", "size": "small", "date": "2026-01-01"}
    took = {"seconds": 3.0, "clock": 3.0, "gib": 2.0}
    waiting.RUNS.write_text(json.dumps(small | {"runs": {"pyDINEOF": took}}) + "\n")
    assert "pyDINEOF | 3.0 | 2.00 |" in waiting.table(
        [json.loads(line) for line in waiting.RUNS.read_text().splitlines()]
    )
    asked = []

    def runs_of(work, size, names, other, dapper):
        asked.append((work, size, names))
        return {name: took | {"seconds": 6.0} for name in names}

    monkeypatch.setattr(waiting, "runs_of", runs_of)
    waiting.main("", "", ["small"], ["EOFs"])
    assert asked == [("EOFs", "small", ["da4dvar"])]
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| EOFs")]
    assert [row.split(" | ")[2:4] for row in rows] == [["da4dvar", "6.0"], ["pyDINEOF", "3.0"]]
    assert " | 0.50 | 1.00 |" in rows[1]
    waiting.main("", "", ["small"], ["EOFs"])
    assert len(asked) == 1
