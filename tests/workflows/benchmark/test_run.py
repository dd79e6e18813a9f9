"""A benchmark: rows from a folder of recipes, their table, and what a user may get wrong."""

import csv
import json

import numpy as np
import pytest
import xarray as xr
from door import refused

from da4dvar.errors import RecipeError
from da4dvar.fields.scores.metrics import r_score
from da4dvar.workflows.benchmark.rows import Benchmark, p_score
from da4dvar.workflows.benchmark.run import run_folder, tables
from da4dvar.workflows.recipe import Recipe

BENCHMARK = """
title = "short Lorenz-96"
rows = ["descent", "linear", "trained"]
[test]
simulate = { system = "lorenz96", series = 3, steps = 12, seed = 1, components = 8, number = 4 }
observed = { x = "x_observed" }
truth = { x = "x" }
[variants.noisy]
simulate = { system = "lorenz96", series = 2, steps = 12, components = 8, number = 4, noise_variance = 8 }
[interior]
time = [2, 9]
[pathways]
rows = ["descent"]
samples = 2
cost = { kind = "variational", prior = { kind = "flow", step = 0.05, dynamics = { kind = "lorenz96" } } }
[example]
sample = 1
rows = ["linear", "descent"]
"""

DESCENT = """
[row]
prior = "ODE"
joint = false
solver = "descent"
paper = 0.1
[data]
simulate = { system = "lorenz96", series = 4, steps = 12, seed = 2, components = 8, number = 4 }
truth = { x = "x" }
observed = { x = "x" }
noise = 1.4
train = { series = [0, 1] }
validation = { series = [2, 3] }
[layout]
variables = ["x"]
axes = ["component", "time"]
[scaling]
kind = "none"
[prior]
kind = "flow"
step = 0.05
dynamics = { kind = "lorenz96" }
[solver]
kind = "gradient_descent"
step = 0.01
iterations = 5
[cost]
initial = "linear"
[train]
steps = 0
"""


@pytest.fixture
def folder(tmp_path):
    """A benchmark with a row that needs no training, a baseline, and one that was never trained."""
    (tmp_path / "benchmark.toml").write_text(BENCHMARK)
    (tmp_path / "descent.toml").write_text(DESCENT)
    (tmp_path / "trained.toml").write_text(DESCENT.replace("steps = 0", "steps = 7"))
    (tmp_path / "linear.toml").write_text('[row]\nsolver = "linear"\n[baseline]\nkind = "linear"\n')
    return tmp_path


def test_a_row_is_scored_as_its_estimate_deserves(folder):
    """R-score, interior and standard error are those of the estimate; the P-score is that of the forecast."""
    benchmark = Benchmark(folder)
    seen, truth = benchmark.data()
    row = benchmark.row("linear")
    result, estimate = benchmark.run(row, None, seen, truth), row.estimate(seen, None)
    assert result["r_score"] == pytest.approx(float(r_score(estimate.x, truth.x)))
    inside = {"time": slice(2, 10)}
    assert result["interior"] == pytest.approx(float(r_score(estimate.x.isel(inside), truth.x.isel(inside))))
    each = [float(r_score(estimate.x[k], truth.x[k])) for k in range(3)]
    assert result["error"] == pytest.approx(np.std(each, ddof=1) / np.sqrt(3))
    assert (result["p_score"], result["parameters"], result["samples"]) == (None, None, 3)
    recipe = Recipe(Benchmark(folder).row("descent").tables, folder)
    model = recipe.train(folder)
    constant = xr.Dataset({"x": (("series", "time", "component"), np.full((1, 4, 8), 8.0))})
    assert p_score(model, constant) == pytest.approx(0, abs=1e-12)
    constant.x[0, 0, 0] = 9.0
    assert p_score(model, constant) > 1e-5


def test_writes_table_and_figures_and_keeps_earlier_rows(folder):
    """Rows of two runs share a table in the benchmark's order; a variant has a table of its own."""
    results = folder / "out"
    run_folder(folder, ["linear"], output=results)
    markdown = run_folder(folder, ["descent"], output=results)
    lines = markdown.splitlines()
    assert [line.split("|")[1].strip() for line in lines] == ["row", "---", "descent", "linear"]
    sheet = list(csv.DictReader((results / "table.csv").open()))
    kept = json.loads((results / "linear.json").read_text())
    assert float(sheet[1]["R-score"]) == kept["r_score"]
    assert all((results / f"{name}.png").stat().st_size > 10_000 for name in ("pathways", "example"))
    run_folder(folder, ["linear"], variant="noisy", output=results)
    assert json.loads((results / "noisy/linear.json").read_text())["r_score"] > kept["r_score"]


def test_markdown_shows_a_dash_where_there_is_nothing():
    """No number is made up for what was not measured, and a column that no row needs is left out."""
    markdown, sheet = tables({"a": {"r_score": 0.5, "p_score": None, "parameters": 1234, "seconds": 0.25}})
    assert "| a | - | - | - | - | 0.5000 | - | - | 0.250 | 1,234 | - |" in markdown
    assert sheet.splitlines()[1] == "a,,,,,0.5,,,0.25,1234,"
    assert "interior" not in markdown


@pytest.mark.parametrize(("arguments", "message"), [
    ((".", "--rows", "liner"), "there is no row 'liner'"),
    ((".", "--rows", "trained"), "train it first: da4dvar train"),
    ((".", "--variant", "quiet"), "no variant 'quiet'"), (("models",), "no benchmark.toml in this folder"),
])  # fmt: skip
def test_mistakes_are_one_line(folder, arguments, message):
    """What is wrong and what to do, with exit code 2."""
    assert message in refused("benchmark", *arguments, cwd=folder)


def test_a_row_that_says_nothing_of_itself_is_refused(folder):
    """A recipe without [row] is no row."""
    (folder / "linear.toml").write_text('[baseline]\nkind = "linear"\n')
    with pytest.raises(RecipeError, match=r"no table \[row\]"):
        Benchmark(folder).row("linear")
