"""End-to-end training lowers the error, can be interrupted and resumed, and works without a truth."""

import csv
import signal

import numpy as np
import pytest
import torch
from examples import WINDOW, make_sst, tiny_interpolator, train_tiny

import da4dvar
import da4dvar.training.prior
from da4dvar.errors import DataError, RecipeError
from da4dvar.fields.channels import stack_variables
from da4dvar.fields.gaps.patterns import Random, Transplanted, own_gaps
from da4dvar.fields.scaling.standard import Unscaled
from da4dvar.simulate import lorenz96
from da4dvar.testing import seeded
from da4dvar.training.loop import EndToEnd
from da4dvar.training.plan import Training
from da4dvar.training.samples import Samples
from da4dvar.variational.dynamics.bilinear import Bilinear
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.priors.pca import PCA
from da4dvar.variational.solvers.fixed_point import FixedPoint
from da4dvar.variational.solvers.gradient_descent import GradientDescent
from da4dvar.variational.solvers.lstm import ConvLSTM

PLAN = {"batch": 4, "validate_every": 2, "validation_samples": 4, "device": "cpu"}


TRUTH = make_sst(70, seed=1)


def fit(folder=None, model=None, resume=False, truth=TRUTH, **settings):
    """Train the small model, or another, for four steps unless the settings say otherwise."""
    plan = Training(**{"steps": 4, **PLAN, **settings})
    model = model or tiny_interpolator(settings.get("seed", 0))
    return model.fit(truth, truth, gaps=Random(0.4), training=plan, folder=folder, resume=resume)


def weights(model):
    """Return the parameters as one vector."""
    return torch.cat([p.detach().flatten() for p in getattr(model, "model", model).parameters()])


def test_training_lowers_the_error():
    """A training of 150 steps lowers the error, and workers do not change the weights."""
    short, long = train_tiny(2), train_tiny(150)
    key = "validation_rmse_normalised"
    assert long.scores[key] < 0.8 * short.scores[key]
    alone, helped = (train_tiny(3, workers=n) for n in (0, 2))
    assert torch.equal(weights(alone), weights(helped))


def test_a_folder_is_resumed_or_begun_again(tmp_path):
    """A resumed training equals one without interruption; a new one in an old folder starts over."""
    settings = {"steps": 6, "warmup": 1, "rate": 1e-3}
    whole = fit(tmp_path / "whole", **settings)
    cut_short(tmp_path / "cut", lambda: fit(tmp_path / "cut", **settings), after=4)
    resumed = fit(tmp_path / "cut", resume=True, **settings)
    assert torch.allclose(weights(whole), weights(resumed), atol=1e-6)
    fit(tmp_path / "one", seed=1)
    again, alone = fit(tmp_path / "one", seed=2), fit(tmp_path / "two", seed=2)
    assert torch.equal(weights(again), weights(alone))
    rows = list(csv.DictReader((tmp_path / "two" / "metrics.csv").open()))
    assert sum(bool(r["validation_rmse"]) for r in rows) == 2


def cut_short(folder, training, after):
    """Run a training that fails after a number of steps."""
    original = EndToEnd.training_step

    def mortal(self, sample, index):
        if self.global_step >= after:
            raise KeyboardInterrupt
        return original(self, sample, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EndToEnd, "training_step", mortal)
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            training()
    assert (folder / "last.ckpt").exists()


def test_without_truth_hidden_points_are_enough():
    """Without a truth, the target is disjoint from the input, with gaps taken from other times."""
    gappy = TRUTH.where(np.random.default_rng(0).random(TRUTH.sst.shape) < 0.6)
    model = tiny_interpolator().fit(gappy, training=Training(steps=4, **PLAN))
    assert np.isfinite(model.scores["validation_rmse_normalised"])
    y = stack_variables(gappy, model.layout)
    pattern = own_gaps(y, model.layout, "time")
    assert isinstance(pattern, Transplanted)
    sample = Samples(y, None, pattern, model.layout).draw(np.random.default_rng(1))
    assert not (sample["mask"] & sample["sought"]).any()
    assert sample["sought"].any()


def test_the_number_of_iterations_grows():
    """Each entry of a schedule holds for an equal part; without a schedule, the solver's own number does."""
    model = tiny_interpolator().model
    loop = EndToEnd(model, Training(steps=9, iterations=(1, 2, 3)))
    assert [loop.iterations_at(k) for k in range(10)] == [1, 1, 1, 2, 2, 2, 3, 3, 3, 3]
    assert EndToEnd(model, Training()).iterations_at(500) == 3


def test_what_cannot_be_trained_is_refused(tmp_path):
    """Short data, dynamics with gaps, checkpoints of another model, solvers that cannot recompute."""
    with pytest.raises(DataError, match="too few"):
        tiny_interpolator().fit(make_sst(6), truth=make_sst(6), gaps=Random(0.4))
    with pytest.raises(RecipeError, match="the truth has gaps"):
        fit_neural_ode(tmp_path, gappy=True, prior_steps=5)
    fit(tmp_path)
    other = tiny_interpolator().with_solver(ConvLSTM(WINDOW, ("zero", "zero"), width=5, iterations=3))
    with pytest.raises(RecipeError, match="checkpoints of another model; use its recipe, or remove"):
        fit(tmp_path, other, resume=True)
    model = tiny_interpolator().with_solver(GradientDescent(0.1, iterations=2))
    with pytest.raises(RecipeError, match="class GradientDescent cannot recompute its iterations; leave it"):
        fit(model=model, checkpoint_iterations=True)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("steps", -1, "steps"), ("nu", (1.0, 0.1), "nu has 2"), ("prior_rate", -1, "prior_rate is -1")],
)
def test_a_plan_that_makes_no_sense_is_refused(name, value, message):
    """A negative number or a wrong number of weights is refused."""
    with pytest.raises(RecipeError, match=message):
        Training(**{name: value})


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
    held_out = {"validation": truth, "validation_truth": truth}
    options = {"gaps": Random(0.5), "training": plan, "folder": folder, "resume": resume}
    return neural_ode().fit(truth, truth, **held_out, **options)


def test_dynamics_are_learned_before_the_joint_training(tmp_path):
    """Lorenz-96 is found, whatever the joint rate; with a rate of 0 the prior keeps its parameters."""
    prior = fit_neural_ode(tmp_path, prior_steps=100, prior_rate=0).model.cost.prior
    assert prior.dynamics.constant.item() == pytest.approx(8, abs=0.05)
    assert prior.dynamics.linear[0].tolist() == pytest.approx([0, 0, -1, 0, 0], abs=0.05)
    start = neural_ode()
    kept = fit_neural_ode(tmp_path / "kept", prior_rate=0)
    moved = fit_neural_ode(tmp_path / "moved")
    priors = [weights(m.model.cost.prior) for m in (start, kept, moved)]
    assert torch.equal(priors[1], priors[0])
    assert not torch.equal(weights(kept), weights(start))
    assert not torch.equal(priors[2], priors[0])


def test_a_resumed_training_keeps_the_dynamics_that_it_had(tmp_path, monkeypatch):
    """A resumed training does not learn the dynamics again and ends with the same result."""
    settings = {"steps": 6, "prior_steps": 5, "prior_rate": 1e-4}
    whole = fit_neural_ode(tmp_path / "whole", **settings)
    cut_short(tmp_path / "cut", lambda: fit_neural_ode(tmp_path / "cut", **settings), after=4)
    monkeypatch.delattr(da4dvar.training.loop, "learn_prior")
    resumed = fit_neural_ode(tmp_path / "cut", resume=True, **settings)
    assert torch.equal(weights(whole), weights(resumed))


@pytest.mark.parametrize("error", [KeyboardInterrupt, DataError])
def test_an_interrupted_training_leaves_a_usable_model(tmp_path, monkeypatch, error):
    """An interrupt reaches the caller; signal handler, number of iterations and prior are as before."""
    step, handler = EndToEnd.training_step, signal.getsignal(signal.SIGINT)

    def failing(self, sample, index):
        step(self, sample, index)
        raise error

    monkeypatch.setattr(EndToEnd, "training_step", failing)
    model = tiny_interpolator()
    with pytest.raises(error):
        fit(tmp_path, model, iterations=(1,), prior_rate=0)
    assert signal.getsignal(signal.SIGINT) is handler
    assert model.model.solver.iterations == 3
    assert all(p.requires_grad for p in model.model.cost.prior.parameters())


@pytest.mark.parametrize(
    ("solver", "learn"), [(FixedPoint(), True), (GradientDescent(0.1, iterations=2), False)]
)
def test_a_model_with_nothing_to_learn_is_refused(solver, learn):
    """A model without trainable parameters is refused, and can be fitted with 0 steps instead."""
    tiny, prior = tiny_interpolator(), PCA(WINDOW, [5, 6], components=2)
    model = da4dvar.Interpolator(prior, solver, tiny.layout, tiny.scaling, learn_weights=learn)
    truth = TRUTH.fillna(0.0)
    with pytest.raises(RecipeError, match=r"any parameter of the model; set train\.steps to 0, or"):
        fit(model=model, truth=truth)
    fit(model=model, truth=truth, steps=0)


def test_a_prior_that_can_be_fitted_is_fitted_once():
    """Any prior with `fit` and `fitted` learns from complete windows, without a class of this package."""

    class Typical(torch.nn.Module):
        fits, typical = 0, 0.0

        @property
        def fitted(self):
            return self.fits > 0

        def fit(self, states, seed):
            self.fits, self.typical = self.fits + 1, float(states.mean())

        def forward(self, x):
            return torch.full_like(x, self.typical)

    tiny = tiny_interpolator()
    model = da4dvar.Interpolator(Typical(), FixedPoint(), tiny.layout, tiny.scaling, learn_weights=False)
    truth = TRUTH.fillna(0.0)
    for _ in range(2):
        fit(model=model, truth=truth, steps=0)
    prior = model.model.cost.prior
    assert prior.fits == 1
    assert prior.typical != 0


def losing(monkeypatch, when):
    """Make the gradient of the training steps in `when` not finite."""
    step = EndToEnd.training_step

    def of(self, sample, index):
        return step(self, sample, index) * (torch.nan if self.global_step in when else 1.0)

    monkeypatch.setattr(EndToEnd, "training_step", of)


def test_a_batch_without_a_finite_gradient_is_left_out(monkeypatch):
    """A step without a finite gradient is skipped; after several in a row, the training ends with advice."""
    losing(monkeypatch, {2})
    learned = weights(train_tiny(6))
    assert learned.isfinite().all()
    assert not torch.equal(learned, weights(tiny_interpolator()))
    monkeypatch.setattr(da4dvar.training.loop, "MOST_SKIPPED", 3)
    losing(monkeypatch, range(1, 100))
    with pytest.raises(RecipeError, match="no finite gradient in the last 3 steps, up to step 3; lower"):
        train_tiny(100)
