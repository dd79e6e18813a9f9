"""End-to-end training lowers the error, can be interrupted and resumed, and works without a truth."""

from __future__ import annotations

import csv
import signal

import numpy as np
import pytest
import torch
from examples import WINDOW, make_sst, tiny_interpolator, train_tiny

import da4dvar
import da4dvar.training.prior
from da4dvar.errors import DataError, RecipeError
from da4dvar.fields.gaps.patterns import Random, Transplanted
from da4dvar.fields.scaling.standard import Unscaled
from da4dvar.simulate import lorenz96
from da4dvar.testing import seeded
from da4dvar.training.loop import EndToEnd
from da4dvar.training.plan import Training
from da4dvar.variational.dynamics.bilinear import Bilinear
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.priors.pca import PCA
from da4dvar.variational.solvers.fixed_point import FixedPoint
from da4dvar.variational.solvers.gradient_descent import GradientDescent
from da4dvar.variational.solvers.lstm import ConvLSTM

PLAN = {"batch": 4, "validate_every": 2, "validation_samples": 4, "device": "cpu"}


def weights(interpolator):
    """Return the parameters as one vector."""
    return torch.cat([p.detach().flatten() for p in interpolator.model.parameters()])


def test_training_lowers_the_error():
    """Sixty steps on the small example lower the validation error well below that of the first."""
    short, long = train_tiny(2), train_tiny(150)
    key = "validation_rmse_normalised"
    assert long.scores[key] < 0.8 * short.scores[key]


def test_the_same_seed_gives_the_same_model():
    """Two trainings with the same seed agree to the bit."""
    assert torch.equal(weights(train_tiny(3)), weights(train_tiny(3)))


def test_workers_prepare_the_same_samples():
    """The weights after some steps do not depend on who cuts the windows."""
    alone, helped = (train_tiny(3, workers=n) for n in (0, 2))
    assert torch.equal(weights(alone), weights(helped))


def test_a_training_that_was_cut_goes_on_where_it_was(tmp_path):
    """Four steps and two more after a restart equal six steps without interruption."""
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
    """Run a training that fails after a number of steps."""
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
    """The log holds the score of every validation."""
    truth = make_sst(70, seed=1)
    plan = Training(steps=4, **PLAN)
    tiny_interpolator().fit(truth, truth=truth, gaps=Random(0.4), training=plan, folder=tmp_path)
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert sum(bool(r["validation_rmse"]) for r in rows) == 2


def test_an_old_folder_does_not_leak_into_a_new_training(tmp_path):
    """A second training in the same folder keeps its own best weights."""
    truth = make_sst(70, seed=1)

    def run(seed, folder):
        plan = Training(steps=4, seed=seed, **PLAN)
        return tiny_interpolator(seed).fit(truth, truth=truth, gaps=Random(0.4), training=plan, folder=folder)

    run(1, tmp_path / "one")
    again = run(2, tmp_path / "one")
    assert torch.equal(weights(again), weights(run(2, tmp_path / "two")))


def test_without_truth_hidden_points_are_enough():
    """A model trains from data with gaps alone, with gaps taken from other times."""
    truth = make_sst(70, seed=1)
    gappy = truth.where(np.random.default_rng(0).random(truth.sst.shape) < 0.6)
    model = tiny_interpolator().fit(gappy, training=Training(steps=4, **PLAN))
    assert np.isfinite(model.scores["validation_rmse_normalised"])


def test_without_truth_the_loss_never_sees_a_seen_point():
    """The target is disjoint from the input, and both were observed."""
    from da4dvar.fields.channels import stack_variables
    from da4dvar.fields.gaps.patterns import own_gaps
    from da4dvar.training.samples import Samples

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
    """Each entry of a schedule holds for an equal part; without a schedule, the solver's own number does."""
    model = tiny_interpolator().model
    loop = EndToEnd(model, Training(steps=9, iterations=(1, 2, 3)))
    assert [loop.iterations_at(k) for k in range(10)] == [1, 1, 1, 2, 2, 2, 3, 3, 3, 3]
    assert EndToEnd(model, Training()).iterations_at(500) == 3


def test_too_little_data_says_so():
    """Data shorter than a window, or too short for validation, are refused."""
    with pytest.raises(DataError, match="too few"):
        tiny_interpolator().fit(make_sst(6), truth=make_sst(6), gaps=Random(0.4))


def test_a_plan_that_makes_no_sense_is_refused():
    """A negative number of steps or a wrong number of weights is refused."""
    with pytest.raises(RecipeError, match="steps"):
        Training(steps=-1)
    with pytest.raises(RecipeError, match="nu has 2"):
        Training(nu=(1.0, 0.1))
    with pytest.raises(RecipeError, match="prior_rate is -1"):
        Training(prior_rate=-1)


def neural_ode():
    """Return an untrained model of Lorenz-96 with eight components and unknown equations."""
    boundary = ("periodic", "zero")
    layout = da4dvar.Layout(["x"], axes=["component", "time"], periodic=["component"], window={"time": 12})
    return seeded(
        lambda: da4dvar.Interpolator(
            prior=Flow(Bilinear(8, reach=2), step=0.05),
            solver=ConvLSTM(1, boundary, width=4, iterations=2),
            layout=layout,
            scaling=Unscaled(),
        )
    )


def fit_neural_ode(folder, resume=False, gappy=False, **settings):
    """Train the model on a few series of Lorenz-96."""
    truth = lorenz96(series=6, steps=60, seed=3, components=8, number=4)[["x"]]
    if gappy:
        truth = truth.where(truth.time > 1)
    plan = Training(**{"steps": 4, "warmup": 1, **PLAN, **settings})
    return neural_ode().fit(
        truth,
        truth,
        validation=truth,
        validation_truth=truth,
        gaps=Random(0.5),
        training=plan,
        folder=folder,
        resume=resume,
    )


def dynamics_of(interpolator):
    """Return the learned coefficients of the prior as one vector."""
    return torch.cat([p.detach().flatten() for p in interpolator.model.cost.prior.parameters()])


def test_dynamics_are_learned_before_the_joint_training(tmp_path):
    """The constant and the damping of Lorenz-96 are found, whatever the rate of the joint training."""
    prior = fit_neural_ode(tmp_path, prior_steps=100, prior_rate=0).model.cost.prior
    assert prior.dynamics.constant.item() == pytest.approx(8, abs=0.05)
    assert prior.dynamics.linear[0].tolist() == pytest.approx([0, 0, -1, 0, 0], abs=0.05)


def test_the_prior_has_a_rate_of_its_own(tmp_path):
    """With a rate of 0 the prior keeps its parameters; without a rate it is trained like the rest."""
    start = neural_ode()
    kept = fit_neural_ode(tmp_path / "kept", prior_rate=0)
    moved = fit_neural_ode(tmp_path / "moved")
    assert torch.equal(dynamics_of(kept), dynamics_of(start))
    assert not torch.equal(weights(kept), weights(start))
    assert not torch.equal(dynamics_of(moved), dynamics_of(start))


def test_a_resumed_training_keeps_the_dynamics_that_it_had(tmp_path, monkeypatch):
    """A resumed training does not learn the dynamics again and ends with the same result."""
    settings = {"steps": 6, "prior_steps": 5, "prior_rate": 1e-4}
    whole = fit_neural_ode(tmp_path / "whole", **settings)
    cut_short(tmp_path / "cut", lambda: fit_neural_ode(tmp_path / "cut", **settings), after=4)
    monkeypatch.delattr(da4dvar.training.loop, "learn_prior")
    resumed = fit_neural_ode(tmp_path / "cut", resume=True, **settings)
    assert torch.equal(weights(whole), weights(resumed))


def test_dynamics_are_not_learned_from_gaps(tmp_path):
    """An incomplete truth is refused before anything is learned."""
    with pytest.raises(RecipeError, match="the truth has gaps"):
        fit_neural_ode(tmp_path, gappy=True, prior_steps=5)


def test_a_solver_that_cannot_run_its_iterations_again_is_refused():
    """A solver that cannot recompute its iterations is refused by name before training."""
    model = tiny_interpolator()
    model.model.solver = GradientDescent(0.1, iterations=2)
    truth, plan = make_sst(70, seed=1), Training(steps=4, checkpoint_iterations=True, **PLAN)
    with pytest.raises(RecipeError, match="class GradientDescent cannot recompute its iterations; leave it"):
        model.fit(truth, truth=truth, gaps=Random(0.4), training=plan)


def test_checkpoints_of_another_model_are_refused(tmp_path):
    """A changed model does not resume from the checkpoints of the old one."""
    truth, plan = make_sst(70, seed=1), Training(steps=4, **PLAN)
    settings = {"truth": truth, "gaps": Random(0.4), "folder": tmp_path, "training": plan}
    tiny_interpolator().fit(truth, **settings)
    other = tiny_interpolator()
    other.model.solver = ConvLSTM(WINDOW, ("zero", "zero"), width=5, iterations=3)
    with pytest.raises(RecipeError, match="checkpoints of another model; use its recipe, or remove"):
        other.fit(truth, **settings, resume=True)


def test_ctrl_c_is_no_silent_end(tmp_path, monkeypatch):
    """An interrupt is raised to the caller, and the signal handler is restored."""
    handler = signal.getsignal(signal.SIGINT)

    def pressed(self, sample, index):
        raise KeyboardInterrupt

    monkeypatch.setattr(EndToEnd, "training_step", pressed)
    truth, plan = make_sst(70, seed=1), Training(steps=4, **PLAN)
    with pytest.raises(KeyboardInterrupt):
        tiny_interpolator().fit(truth, truth=truth, gaps=Random(0.4), training=plan, folder=tmp_path)
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize("error", [KeyboardInterrupt, DataError])
def test_an_interrupted_training_leaves_a_usable_model(tmp_path, monkeypatch, error):
    """After an interruption the solver has its own number of iterations and the prior is trainable."""
    step = EndToEnd.training_step

    def failing(self, sample, index):
        step(self, sample, index)
        raise error

    monkeypatch.setattr(EndToEnd, "training_step", failing)
    model, truth = tiny_interpolator(), make_sst(70, seed=1)
    plan = Training(steps=4, iterations=(1,), prior_rate=0, **PLAN)
    with pytest.raises(error):
        model.fit(truth, truth=truth, gaps=Random(0.4), training=plan, folder=tmp_path)
    assert model.model.solver.iterations == 3
    assert all(p.requires_grad for p in model.model.cost.prior.parameters())


@pytest.mark.parametrize(
    ("solver", "learn_weights"), [(FixedPoint(), True), (GradientDescent(0.1, iterations=2), False)]
)
def test_a_model_with_nothing_to_learn_is_refused(solver, learn_weights):
    """A model without trainable parameters is refused, and can be fitted with 0 steps instead."""
    model = tiny_interpolator()
    model = da4dvar.Interpolator(
        prior=PCA(WINDOW, [5, 6], components=2),
        solver=solver,
        layout=model.layout,
        scaling=model.scaling,
        learn_weights=learn_weights,
    )
    truth = make_sst(70, seed=1).fillna(0.0)
    with pytest.raises(RecipeError, match=r"any parameter of the model; set train\.steps to 0, or"):
        model.fit(truth, truth=truth, gaps=Random(0.4), training=Training(steps=4, **PLAN))
    model.fit(truth, truth=truth, gaps=Random(0.4), training=Training(steps=0, **PLAN))


def losing(monkeypatch, when):
    """Make the gradient of the training steps in `when` not finite."""
    step = EndToEnd.training_step

    def of(self, sample, index):
        return step(self, sample, index) * (torch.nan if self.global_step in when else 1.0)

    monkeypatch.setattr(EndToEnd, "training_step", of)


def test_a_batch_without_a_finite_gradient_is_left_out(monkeypatch):
    """A step without a finite gradient is skipped, and the weights stay finite."""
    losing(monkeypatch, {2})
    learned = weights(train_tiny(6))
    assert learned.isfinite().all()
    assert not torch.equal(learned, weights(tiny_interpolator()))


def test_a_training_that_ran_away_ends(monkeypatch):
    """A training without finite gradients ends early with advice."""
    monkeypatch.setattr(da4dvar.training.loop, "MOST_SKIPPED", 3)
    losing(monkeypatch, range(1, 100))
    with pytest.raises(RecipeError, match="no finite gradient in the last 3 steps, up to step 3; lower"):
        train_tiny(100)
