"""A solver and an operator from elsewhere are treated by what they say of themselves, not by their class."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from examples import WINDOW, make_sst, tiny_interpolator
from torch import Tensor, nn

import da4dvar
from da4dvar.analysis.problem import reweighted
from da4dvar.errors import ModelError, RecipeError
from da4dvar.fields.gaps.patterns import Random
from da4dvar.fields.scaling.standard import Unscaled
from da4dvar.fields.sensors import Sensor
from da4dvar.testing import seeded
from da4dvar.training.plan import Training
from da4dvar.training.warm_start import take_weights
from da4dvar.variational.cost import Cost, VariationalCost
from da4dvar.variational.model import VariationalModel
from da4dvar.variational.observation import Identity, Observation, Sensors
from da4dvar.variational.solvers.base import Solution, Solver, Watch
from da4dvar.variational.solvers.fixed_point import FixedPoint
from da4dvar.variational.solvers.lstm import ConvLSTM


class Polished(Solver):
    """A learned solver, then steps on a cost with another λ_o: a chain of somebody else's."""

    def __init__(self, begin: Solver, weight: float = 1.0) -> None:
        super().__init__()
        self.polish, self.begin, self.weight = nn.Linear(1, 1), begin, weight
        self.iterations = begin.iterations

    @property
    def learned_part(self) -> Solver:
        return self.begin.learned_part

    def reweigh(self, factor: float) -> None:
        self.weight *= factor

    def forward(self, cost: Cost, x0: Tensor, watch: Watch | None = None) -> Solution:
        found = self.begin(cost, x0, watch)
        return replace(found, x=found.x + 1e-3 * self.polish(found.x[..., None])[..., 0])


class Copied(FixedPoint):
    """Somebody else's solver that puts y into the state, as the one that it inherits from."""


class Weighed(Observation):
    """H(x) = [x, …, x], with weights of its own that are not learned."""

    def __init__(self, of: Sequence[int]) -> None:
        super().__init__()
        self.of, self.weights = list(of), [1.0] * len(of)

    def weigh(self, errors: Sequence[float]) -> None:
        self.weights = [(min(errors) / error) ** 2 for error in errors]

    def weighted(self, misfit: Tensor) -> Tensor:
        parts = misfit.chunk(len(self.of), dim=1)
        return torch.cat([w**0.5 * part for w, part in zip(self.weights, parts, strict=True)], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x] * len(self.of), dim=1)


class Halved(Observation):
    """H(x) sees every other channel."""

    keeps_channels = False

    def forward(self, x: Tensor) -> Tensor:
        return x[:, ::2]


def lstm(channels: int = WINDOW) -> ConvLSTM:
    return seeded(lambda: ConvLSTM(channels, ("zero", "zero"), width=6, iterations=3))


def test_another_observation_error_reaches_the_weights_of_a_foreign_solver():
    """λ_o of a foreign solver follows the observation error, and its learned part starts from a model."""
    model = VariationalModel(VariationalCost(nn.Identity()), Polished(Polished(lstm(), 2.0), 3.0))
    other = reweighted(model, 4.0)
    assert (other.solver.weight, other.solver.begin.weight) == (12.0, 8.0)
    assert (model.solver.weight, model.solver.begin.weight) == (3.0, 2.0)
    start, model = tiny_interpolator(1), tiny_interpolator().with_solver(Polished(lstm()))
    polish = model.model.solver.polish.weight.clone()
    take_weights(model, start)
    for name, value in start.model.solver.state_dict().items():
        assert torch.equal(model.model.solver.begin.state_dict()[name], value), name
    assert torch.equal(model.model.solver.polish.weight, polish)


def test_a_training_runs_the_learned_part_of_a_foreign_solver():
    """Weights beside it stay as they are; those of its learned part change."""
    truth = make_sst(70, seed=1)
    model = tiny_interpolator().with_solver(Polished(lstm()))
    before = {name: value.clone() for name, value in model.model.state_dict().items()}
    plan = Training(steps=2, batch=4, validate_every=2, validation_samples=4, device="cpu")
    model.fit(truth, truth=truth, gaps=Random(0.4), training=plan)
    changed = {n for n, v in model.model.state_dict().items() if not torch.equal(v, before[n])}
    assert any(name.startswith("solver.begin.") for name in changed)
    assert not any(name.startswith("solver.polish.") for name in changed)


def test_a_foreign_solver_within_another_must_fit_the_layout(tmp_path, monkeypatch):
    """The check of a model file looks at every solver, however deep."""
    from da4dvar.config import kinds

    monkeypatch.setitem(kinds.REGISTERED, "solver", {"polished": Polished})
    monkeypatch.setattr(Polished, "nested", {"begin": "solver"}, raising=False)
    truth = make_sst(400)
    for channels, fits in ((WINDOW, True), (WINDOW + 1, False)):
        model = tiny_interpolator().with_solver(Polished(lstm(channels)))
        model.replaced(**vars(model.prepared(truth))).save(tmp_path / "m.safetensors")
        if fits:
            assert isinstance(da4dvar.load(tmp_path / "m.safetensors").model.solver, Polished)
        else:
            with pytest.raises(ModelError, match="ConvLSTM has 7 channels, the layout 6"):
                da4dvar.load(tmp_path / "m.safetensors")


def test_a_foreign_operator_weighs_its_sensors():
    """U_O = λ_o Σ w ‖x − y‖², as by Sensors, which refuses an operator that changes the channels."""
    x, y = torch.zeros(1, 2, 4), torch.ones(1, 4, 4)
    for operator in (Sensors([Identity(), Identity()]), Weighed([0, 0])):
        operator.weigh([0.1, 0.4])
        cost = VariationalCost(nn.Identity(), operator).given(y, y.isfinite())
        torch.testing.assert_close(cost.terms(x).observation, torch.tensor([8 + 8 / 16]))
    with pytest.raises(ValueError, match="Halved of a sensor changes the number of channels"):
        Sensors([Identity(), Halved()])
    assert len(Sensors([nn.Identity()]).operators) == 1


def test_a_model_takes_a_foreign_operator_of_its_sensors():
    """Of as many sensors, of the same variables; its weights are those of their errors."""
    sensors = [Sensor("good", "sst", 0.1), Sensor("bad", "sst", 0.2)]

    def model(**change: object) -> da4dvar.Interpolator:
        tiny = tiny_interpolator()
        parts: dict = {"observation": Weighed([0, 0]), "solver": lstm()} | change
        return da4dvar.Interpolator(
            tiny.model.cost.prior, layout=tiny.layout, scaling=tiny.scaling, sensors=sensors, **parts
        )

    ds = make_sst(400)
    seen = ds.assign(good=ds.sst, bad=ds.sst).drop_vars("sst")
    prepared = model()
    prepared.prepared(seen, ds)
    assert prepared.model.cost.observation.weights == pytest.approx([1.0, 0.25])
    with pytest.raises(RecipeError, match=r"has 1, of .0."):
        model(observation=Weighed([0]))
    with pytest.raises(RecipeError, match="Copied requires observations of the state itself"):
        model(solver=Copied(3))


def test_a_foreign_scaling_that_learns_nothing_is_loaded(tmp_path, monkeypatch):
    """It says so, as the one of this package does; one that does not say it lacks what it learned."""
    from da4dvar.config import kinds

    class Same(Unscaled):
        pass

    monkeypatch.setitem(kinds.REGISTERED, "scaling", {"same": Same})
    model = tiny_interpolator()
    learned = model.prepared(make_sst(400))
    model.replaced(**(vars(learned) | {"scaling": Same()})).save(tmp_path / "m.safetensors")
    assert isinstance(da4dvar.load(tmp_path / "m.safetensors").scaling, Same)
    monkeypatch.setattr(Same, "learns", True)
    with pytest.raises(ModelError, match="variables of the scaling are"):
        da4dvar.load(tmp_path / "m.safetensors")
