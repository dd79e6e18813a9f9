"""A benchmark of images: a test set made of a file, and rows that learn from another part of it."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from da4dvar.config.tables import read_recipe
from da4dvar.fields.scores.metrics import r_score
from da4dvar.workflows.benchmark.figures import title_of
from da4dvar.workflows.benchmark.rows import Benchmark
from da4dvar.workflows.benchmark.run import run_folder
from da4dvar.workflows.recipe import Recipe

ROOT = Path(__file__).parents[3]
DIGITS = ROOT / "datasets" / "mnist" / "mnist_512.nc"
MNIST = ROOT / "recipes" / "mnist"

BENCHMARK = f"""
title = "some digits"
rows = ["descent", "dictionary"]
[test]
path = "{DIGITS}"
select = {{ sample = [60400, 60511] }}
truth = {{ digit = "digit" }}
gaps = {{ kind = "squares", number = 3, size = {{ y = 9, x = 9 }} }}
noise = 0.03
seed = 1
[variants.noisy]
noise = 0.3
[origin]
digit = 0.13
[pathways]
rows = ["descent"]
samples = 4
descent = {{ kind = "gradient_descent", step = 0.05, iterations = 3 }}
[example]
samples = [0, 2]
rows = ["descent"]
"""
DICTIONARY = f"""
[row]
prior = "dictionary"
paper_p = 0.21
solver = "Lasso"
[baseline]
kind = "sparse_coding"
history = {{ path = "{DIGITS}", select = {{ sample = [60000, 60199] }}, variables = ["digit"] }}
atoms = 20
coding = "lasso"
turns = 2
keep_observed = true
"""


@pytest.fixture
def folder(tmp_path):
    """A row of principal components and a dictionary."""
    (tmp_path / "benchmark.toml").write_text(BENCHMARK)
    text = (MNIST / "pca-fsgd.toml").read_text().replace("../../datasets/mnist/mnist.nc", str(DIGITS))
    text = text.replace("[0, 57999]", "[60000, 60199]").replace("[58000, 59999]", "[60200, 60299]")
    (tmp_path / "descent.toml").write_text(text.replace("components = 50", "components = 20"))
    (tmp_path / "dictionary.toml").write_text(DICTIONARY)
    return tmp_path


def test_rows_of_images_are_scored_and_drawn(folder):
    """R-score about the training mean, I-score, P-score of a model and of a dictionary; both figures."""
    markdown = run_folder(folder, series=12)
    assert "| I-score |" in markdown
    assert "interior" not in markdown
    for name in ("descent", "dictionary"):
        found = json.loads((folder / "results" / f"{name}.json").read_text())
        assert 0 < found["p_score"] < 0.5
        assert 0 < found["r_score"] < found["i_score"] < 2
        assert found["samples"] == 12
    for figure in ("pathways", "example"):
        assert (folder / "results" / f"{figure}.png").stat().st_size > 5000


def test_the_r_score_is_the_share_of_the_gaps_and_the_rest(folder):
    """What the two scores have in common: a dictionary that keeps what it saw errs there by the noise."""
    benchmark = Benchmark(folder, series=12)
    seen, truth = benchmark.data()
    row = benchmark.row("dictionary")
    result, departure = benchmark.run(row, None, seen, truth), truth.digit - 0.13
    share, power = float(seen.digit.isnull().mean()), float((departure**2).mean())
    noise = float(((seen - truth).digit ** 2).mean()) / power
    assert result["r_score"] == pytest.approx(share * result["i_score"] + (1 - share) * noise, rel=1e-4)
    estimate = row.baseline.interpolate(seen).digit - 0.13
    assert result["r_score"] == pytest.approx(float(r_score(estimate, departure)))


def test_a_test_set_of_a_file_has_gaps_and_noise_of_its_seed(folder):
    """It is the same each time, and a variant has other noise and is named in the titles of its figures."""
    seen, truth = Benchmark(folder).data()
    again, _ = Benchmark(folder, series=5).data()
    noisy, _ = Benchmark(folder, variant="noisy").data()
    assert (dict(truth.sizes), again.sizes["sample"]) == ({"sample": 112, "y": 28, "x": 28}, 5)
    assert float((noisy - truth).digit.std()) == pytest.approx(0.3, rel=0.03)
    assert float((seen - truth).digit.std()) == pytest.approx(0.03, rel=0.03)
    titles = [title_of(Benchmark(folder, variant)) for variant in (None, "noisy")]
    assert titles == ["some digits", "some digits (variant: noisy)"]


def test_a_variant_may_have_a_model_of_its_own(folder):
    """It is taken from the folder of the variant's name, and without one the usual model is."""
    models = folder / "models"
    (models / "noisy").mkdir(parents=True)
    row = Benchmark(folder).row("descent")
    model = row.interpolator()
    for place, title in (("descent", "usual"), ("noisy/descent", "noisy")):
        model.replaced(provenance={**model.provenance, "title": title}).save(models / f"{place}.safetensors")

    def title(variant):
        return Benchmark(folder, variant).row("descent").interpolator().provenance["title"]

    assert (title(None), title("noisy")) == ("usual", "noisy")
    (models / "noisy" / "descent.safetensors").unlink()
    assert title("noisy") == "usual"


@pytest.mark.parametrize("path", sorted(MNIST.glob("*.toml")), ids=lambda path: path.stem)
def test_the_recipes_of_the_digits_can_be_built(path):
    """Every table is known, and every model has the size of a digit."""
    tables = tomllib.loads(path.read_text())
    if "data" in tables:
        recipe = Recipe(read_recipe(path), MNIST)
        model = recipe.interpolator({"y": 28, "x": 28})
        assert np.isclose(float(tables["data"]["noise"]), 0.0308, atol=1e-4)
        assert model.initial == "observed"
    elif "rows" in tables:
        assert all((MNIST / f"{name}.toml").is_file() for name in tables["rows"])
    else:
        assert Benchmark(MNIST).row(path.stem).about["paper_p"] == 0.21
