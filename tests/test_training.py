"""Learning end to end: it learns, it can be cut and resumed, and it needs no truth."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from examples import make_sst, tiny_interpolator, train_tiny

from da4dvar.errors import DataError, RecipeError
from da4dvar.fields.gaps import Random, Transplanted
from da4dvar.training import EndToEnd, Training

PLAN = {"batch": 4, "validate_every": 2, "validation_samples": 4, "devices": "cpu"}


def weights(interpolator):
    """The parameters as one vector."""
    return torch.cat([p.detach().flatten() for p in interpolator.model.parameters()])


def test_training_lowers_the_error():
    """Sixty steps on the small sea bring the validation error well below that of the first."""
    short, long = train_tiny(2), train_tiny(150)
    key = "validation_rmse_normalised"
    assert long.scores[key] < 0.8 * short.scores[key]


def test_the_same_seed_gives_the_same_model():
    """Two trainings with one seed agree to the last bit."""
    assert torch.equal(weights(train_tiny(3)), weights(train_tiny(3)))


def test_a_training_that_was_cut_goes_on_where_it_was(tmp_path):
    """Four steps, and two more after a restart, are the same as six in one go."""
    truth = make_sst(70, seed=1)

    def run(folder, resume=False):
        plan = Training(steps=6, warmup=1, rate=1e-3, **PLAN)
        model = tiny_interpolator()
        return model.fit(truth, truth=truth, gaps=Random(0.4), training=plan, folder=folder, resume=resume)

    whole = run(tmp_path / "whole")
    cut_short(tmp_path / "cut", lambda: run(tmp_path / "cut"), after=4)
    resumed = run(tmp_path / "cut", resume=True)
    assert torch.allclose(weights(whole), weights(resumed), atol=1e-6)


def cut_short(folder, training, after):
    """Run a training that dies after some steps."""
    original = EndToEnd.training_step

    def mortal(self, sample, index):
        if self.global_step >= after:
            raise KeyboardInterrupt
        return original(self, sample, index)

    EndToEnd.training_step = mortal
    try:
        training()
    except (KeyboardInterrupt, SystemExit):
        pass
    finally:
        EndToEnd.training_step = original
    assert (folder / "last.ckpt").exists()


def test_a_log_is_kept(tmp_path):
    """metrics.csv holds the validation score of every validation."""
    truth = make_sst(70, seed=1)
    plan = Training(steps=4, **PLAN)
    tiny_interpolator().fit(truth, truth=truth, gaps=Random(0.4), training=plan, folder=tmp_path)
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert sum(bool(r["validation_rmse"]) for r in rows) == 2


def test_an_old_folder_does_not_leak_into_a_new_training(tmp_path):
    """A second training in the same folder keeps its own best weights, not those of the first."""
    truth = make_sst(70, seed=1)

    def run(seed, folder):
        plan = Training(steps=4, seed=seed, **PLAN)
        return tiny_interpolator(seed).fit(truth, truth=truth, gaps=Random(0.4), training=plan, folder=folder)

    run(1, tmp_path / "one")
    again = run(2, tmp_path / "one")
    assert torch.equal(weights(again), weights(run(2, tmp_path / "two")))


def test_without_truth_hidden_points_are_enough():
    """A gappy file alone trains a model, by gaps taken from its own other times."""
    truth = make_sst(70, seed=1)
    gappy = truth.where(np.random.default_rng(0).random(truth.sst.shape) < 0.6)
    model = tiny_interpolator().fit(gappy, training=Training(steps=4, **PLAN))
    assert np.isfinite(model.scores["validation_rmse_normalised"])


def test_without_truth_the_loss_never_sees_a_seen_point():
    """What is sought is disjoint from what is seen, and both were observed."""
    from da4dvar.fields.gaps import own_gaps
    from da4dvar.fields.samples import Samples, stack_variables

    layout = tiny_interpolator().layout
    truth = make_sst(70, seed=1)
    gappy = truth.where(np.random.default_rng(0).random(truth.sst.shape) < 0.6)
    y = stack_variables(gappy, layout)
    pattern = own_gaps(y, layout, "time")
    assert isinstance(pattern, Transplanted)
    sample = Samples(y, None, pattern, layout).draw(np.random.default_rng(1))
    assert not (sample["mask"] & sample["sought"]).any()
    assert sample["sought"].any()


def test_the_number_of_iterations_grows():
    """Each entry of the schedule holds for an equal part of the training, the solver's own at last."""
    model = tiny_interpolator().model
    loop = EndToEnd(model, Training(steps=9, iterations=(1, 2, 3)))
    assert [loop.iterations_at(k) for k in range(10)] == [1, 1, 1, 2, 2, 2, 3, 3, 3, 3]
    assert EndToEnd(model, Training()).iterations_at(500) == 3


def test_too_little_data_says_so():
    """A window longer than the data, or nothing left to validate on."""
    with pytest.raises(DataError, match="too few"):
        tiny_interpolator().fit(make_sst(6), truth=make_sst(6), gaps=Random(0.4))


def test_a_plan_that_makes_no_sense_is_refused():
    """Zero steps, or weights of another number than the loss has terms."""
    with pytest.raises(RecipeError, match="steps"):
        Training(steps=0)
    with pytest.raises(RecipeError, match="nu has 2"):
        Training(nu=(1.0, 0.1))
