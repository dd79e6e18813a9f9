"""Scores at hidden points: weights, standard errors over shapes, and what is printed of them."""

from dataclasses import replace

import numpy as np
import pytest

from da4dvar.workflows.autofit.comparison import Residuals, cautions, compared, text_of, verdict


def residuals(shapes: int = 30, size: int = 8, seed: int = 0) -> Residuals:
    """Errors that are the same within each shape, of a method and of one with errors twice as large."""
    generator = np.random.default_rng(seed)
    shape = np.repeat(np.arange(shapes), size)
    common = generator.standard_normal(shapes)[shape]
    other = 2 * generator.standard_normal(shapes)[shape]
    number = shape.size
    return Residuals(
        {"good": common, "bad": other}, {}, np.ones(number), shape,
        np.where(shape % 2 == 0, 1, 5), shape == 1, *[np.full(number, 0.5)] * 4,
    )  # fmt: skip


def test_weights_count_in_every_score():
    """Σ w e² / Σ w, over all points and in a class."""
    found = replace(
        residuals(2, 2), error={"m": np.array([1.0, 1.0, 3.0, 3.0])}, weight=np.array([3.0, 3.0, 1.0, 1.0])
    )
    assert found.mean_square("m") == 3
    assert found.mean_square("m", np.array([False, True, True, False])) == 3
    assert found.rmse("m")[0] == pytest.approx(np.sqrt(3))
    assert np.isnan(found.mean_square("m", np.zeros(4, dtype=bool)))


def test_the_standard_error_is_that_over_shapes():
    """The spread of the RMSE over many draws, which points that are alike would hide."""
    draws = [residuals(seed=seed).rmse("good") for seed in range(300)]
    spread = np.std([r for r, _ in draws])
    assert np.mean([e for _, e in draws]) == pytest.approx(spread, rel=0.15)
    alone = replace(residuals(), shape=np.arange(240))
    assert alone.rmse("good")[1] < residuals().rmse("good")[1] / 2
    assert replace(residuals(), shape=np.zeros(240, int)).rmse("good")[1] == np.inf


def test_the_gain_is_paired_over_shapes():
    """Two methods with nearly the same errors differ for certain, however scattered these are."""
    found = residuals()
    near = replace(found, error={"a": found.error["good"], "b": 1.1 * found.error["good"]})
    gain, error = near.gain("a", "b")
    assert gain == pytest.approx(1 - 1 / 1.21)
    assert 0 < error < gain / 3
    assert near.gain("b", "a")[0] < 0
    exact = replace(found, error={"a": 0 * found.error["good"]})
    assert exact.gain("a", "a") == (0, 0)


def test_open_gaps_have_a_class_of_their_own():
    """Classes of fewer than ten points are not shown."""
    found = residuals()
    assert {name: int(at.sum()) for name, at in found.classes().items()} == {"1": 120, "4-7": 112}
    ends = replace(found, ends=found.shape < 4)
    assert {name: int(at.sum()) for name, at in ends.classes().items()} == {
        "1": 104,
        "4-7": 104,
        "open end": 32,
    }


def test_the_best_is_the_winner_unless_another_is_given():
    """The gain is that over the next one."""
    found = compared("sst", residuals(), {"slow": "about 2 min"}, "degC")
    assert (found.winner, found.ranked()) == ("good", ["good", "bad"])
    assert found.gain[0] == pytest.approx(residuals().gain("good", "bad")[0])
    assert (found.longest, found.farthest, found.shapes) == (5, 0.5, 30)
    assert found.points == {"all": 240, "1": 120, "4-7": 112}
    assert compared("sst", residuals(), {}, "", "bad").winner == "bad"
    assert compared("sst", residuals(), {}, "", "bad").gain[0] < 0


def test_the_text_says_who_won_and_by_how_much():
    """A line with error and standard error in units, and a table with the best first."""
    found = compared("sst", residuals(), {"slow": "about 2 min are needed"}, "degC")
    text = text_of([found, replace(found, variable="chl")])
    line = text.splitlines()[0]
    root, error = found.rmse["good"]
    assert line.startswith(f"sst: filled by good; expect an error of {root:.3g} ± {error:.3g} degC (RMSE")
    assert f"next is bad, {100 * (found.rmse['bad'][0] / root - 1):+.1f} %" in line
    rows = [part.split()[0] for part in text.splitlines()[2:6]]
    assert rows == ["RMSE", "points", "good", "bad"]
    assert "not compared: slow (about 2 min are needed)" in text
    assert "chl: filled by good" in text


def test_the_noise_of_observations_is_stated_where_it_counts():
    """Hidden points are observations, with their noise; the field has an error of √(RMSE² − noise²)."""
    found = compared("sst", residuals(), {}, "degC")
    root = found.rmse["good"][0]
    noisy = replace(found, noise=0.8 * root)
    assert noisy.rmse_of_field == pytest.approx(0.6 * root)
    assert f"hidden points; {0.6 * root:.3g} without the noise of observations)" in verdict(noisy)
    for little in (0.0, 0.1 * root, 2 * root):
        assert "noise" not in verdict(replace(found, noise=little))


def test_what_is_not_certain_is_said():
    """A gain within two standard errors, few shapes, gaps beyond, changes at observed points."""
    equal = replace(residuals(), error={"a": residuals().error["good"], "b": residuals(seed=5).error["good"]})
    assert "which is not certain" in verdict(compared("x", equal, {}, ""))
    near = replace(residuals(), error={"a": residuals().error["good"], "b": 1.1 * residuals().error["good"]})
    assert "not certain" not in verdict(compared("x", near, {}, ""))
    assert "next is" not in verdict(compared("x", replace(near, error={"a": near.error["a"]}), {}, ""))
    assert cautions(compared("x", residuals(), {}, "")) == []
    few = replace(compared("x", residuals(4), {}, ""), beyond=0.25, change=(0.1, 0.7))
    said = cautions(few)
    assert "only 4 independent gaps" in said[0]
    assert "25.0 % of the values to be filled are in gaps longer than 5 steps" in said[1]
    assert "0.1 (rms), at most 0.7" in said[2]


def test_the_scale_multiplies_every_error_and_is_said():
    """Of all methods and classes alike, so that neither the order nor the gain changes."""
    plain = compared("sst", residuals(), {}, "degC")
    scaled = compared("sst", replace(residuals(), scale=1.25), {}, "degC")
    for name in plain.rmse:
        assert scaled.rmse[name] == pytest.approx([1.25 * n for n in plain.rmse[name]])
        assert scaled.by_class[name] == pytest.approx({k: 1.25 * n for k, n in plain.by_class[name].items()})
    assert scaled.gain == plain.gain
    assert "harder than the hidden points: errors are multiplied by 1.25" in cautions(scaled)[0]
    easier = compared("sst", replace(residuals(), scale=0.8), {}, "degC")
    assert "easier than the hidden points: errors are multiplied by 0.80" in cautions(easier)[0]
    assert cautions(compared("sst", replace(residuals(), scale=1.02), {}, "degC")) == []
