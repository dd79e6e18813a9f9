"""The script of `recipes/tsi-bench` on a small made-up file."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

SCRIPT = Path(__file__).parents[2] / "recipes/tsi-bench/measure.py"


@pytest.fixture(scope="module")
def measure():
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("tsi_bench_measure", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Twenty months of seven series with a daily cycle, in the columns of the published file."""
    dates = pd.date_range("2016-07-01", "2018-02-28 23:00", freq="h", name="date")
    generator = np.random.default_rng(0)
    day = np.sin(2 * np.pi * dates.hour.to_numpy() / 24 + np.arange(7)[:, None]).T
    level = np.cumsum(0.1 * generator.standard_normal((len(dates), 1)), axis=0)
    values = day + level + 0.1 * generator.standard_normal((len(dates), 7))
    columns = ["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"]
    file = tmp_path_factory.mktemp("tsi") / "ETTh1.csv"
    pd.DataFrame(values, dates, columns).to_csv(file)
    return file


def test_parts_are_those_of_the_benchmark(measure, path):
    """14 months, 5 and the rest, in windows of two days that begin at midnight, in training units."""
    parts = measure.read(path)
    assert {name: part.shape[0] for name, part in parts.items()} == {
        "train": 213,
        "validation": 76,
        "test": 14,
    }
    table = pd.read_csv(path, index_col=0, parse_dates=True)
    months = table.loc[:"2017-08"]
    first = (table.loc["2017-09-01":"2017-09-02"] - months.mean()) / months.std(ddof=0)
    np.testing.assert_allclose(parts["validation"][0], first)


def test_cuts_are_those_of_the_benchmark(measure):
    """The fraction of each pattern, 36 steps in a row of a series, and blocks of 6 by 6."""
    shape, generator = (400, 48, 7), np.random.default_rng(0)
    cuts = {pattern: measure.cut(pattern, shape, generator) for pattern in measure.PATTERNS}
    for pattern, fraction in zip(measure.PATTERNS, (0.1, 0.5, 0.9, 0.5, 0.5), strict=True):
        assert abs(cuts[pattern].mean() - fraction) < 0.02, pattern
    one = cuts["subseq05"].transpose(0, 2, 1).reshape(-1, 48).astype(int)
    assert set(one.sum(1)) == {0, 36}
    assert (abs(np.diff(one, axis=1)).sum(1) <= 2).all()
    block = cuts["block05"]
    window, step, series = np.argwhere(block)[0]
    assert block[window, step : step + 6, series : series + 6].all()
    # A block of six series leaves out the first or the last alone.
    np.testing.assert_array_equal(block[:, :, 1:6].all(2), block[:, :, 3])


def test_the_table_has_every_method(measure, path, capsys):
    """On test months it is compared with the published errors; the joint Gaussian is below linear."""
    measure.main(path, "test", ["window_gaussian", "linear"], ["point09"], 1)
    title, _, own, linear = capsys.readouterr().out.splitlines()
    assert title == "test months, 14 windows, seeds 0 to 0"
    errors = [float(line.split()[2]) for line in (own, linear)]
    assert errors[0] < 0.8 * errors[1]
    assert own.count(" %") == 2
    assert "0.507 SAITS" in own
    assert "of 24" in own


def test_validation_is_not_compared(measure, path, capsys):
    """The published errors are of other months."""
    measure.main(path, "validation", ["linear"], ["point05"], 1)
    assert "SAITS" not in capsys.readouterr().out
