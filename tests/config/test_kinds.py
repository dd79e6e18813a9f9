"""Kinds of other people: registered, or found as entry points of installed packages."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from examples import WINDOW, tiny_interpolator
from torch import Tensor, nn

import da4dvar
from da4dvar.cli import complete
from da4dvar.config import kinds
from da4dvar.config.kinds import BY_NAME, KINDS, by_name, class_of, kind_of, names, register
from da4dvar.config.registry import arguments_of, build, describe
from da4dvar.errors import ModelError, RecipeError
from da4dvar.fields.gaps.patterns import Random
from da4dvar.variational.cost import Cost
from da4dvar.variational.solvers.base import Solution, Solver, Watch
from da4dvar.variational.solvers.gradient_descent import GradientDescent
from da4dvar.workflows.autofit.character import Character
from da4dvar.workflows.autofit.fit import candidates
from da4dvar.workflows.fill import GIVEN, REQUIRED


class Smooth(nn.Module):
    """Φ(x) = a x̄, x̄ the mean of both neighbours along the last axis."""

    def __init__(self, channels: int, width: int = -1) -> None:
        super().__init__()
        self.channels, self.width = channels, width
        self.weights = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        a = self.weights.reshape(-1, *[1] * (x.ndim - 2))
        return a * (x.roll(1, -1) + x.roll(-1, -1)) / 2


class Twice(Solver):
    """A solver that runs another one twice; its argument `first` is text, not a solver."""

    nested: ClassVar = {"inner": "solver", "others": ["solver"]}

    def __init__(self, inner: Solver, first: str = "inner", others: list[Solver] | None = None) -> None:
        super().__init__()
        self.inner, self.first, self.others = inner, first, others or []
        self.iterations = 2 * inner.iterations

    def forward(self, cost: Cost, x0: Tensor, watch: Watch | None = None) -> Solution:
        return self.inner(cost, self.inner(cost, x0, watch).x, watch)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is registered before a test, nor after it."""
    monkeypatch.setattr(kinds, "REGISTERED", {section: {} for section in KINDS})


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes an installed package of some code and entry points, each of a name of its own."""
    made = []

    def make(name: str, code: str, *points: str) -> str:
        (tmp_path / f"{name}.py").write_text(code)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[da4dvar.kinds]\n" + "\n".join(points) + "\n")
        made.append(name)
        monkeypatch.syspath_prepend(tmp_path)
        return name

    yield make
    for name in made:
        sys.modules.pop(name, None)


GAPPY = """
import numpy as np


class Half:
    def __init__(self, fraction: float) -> None:
        self.fraction = fraction

    def draw(self, generator, sizes):
        return generator.random(tuple(sizes.values())) < self.fraction
"""


def test_a_registered_kind_is_one_like_any_other():
    """It is built, described, named in lists and in errors."""
    da4dvar.register("prior", "smooth", Smooth)
    made = build("prior", {"kind": "smooth"}, {"channels": 3, "boundary": ("zero",)})
    assert isinstance(made, Smooth)
    assert describe("prior", made) == {"kind": "smooth", "channels": 3, "width": -1}
    assert "smooth" in names("prior")
    with pytest.raises(RecipeError, match="did you mean 'smooth'"):
        build("prior", {"kind": "smoth"})


def test_a_model_with_a_registered_kind_is_saved_and_loaded(model, gappy, tmp_path, monkeypatch):
    """The same estimate comes back; without the class the file is refused in a line that says what to do."""
    register("prior", "smooth", Smooth)
    other = tiny_interpolator()
    other.model.cost.prior = Smooth(WINDOW)
    other.learned = model.learned
    other.save(tmp_path / "m.safetensors")
    loaded = da4dvar.load(tmp_path / "m.safetensors")
    assert loaded.interpolate(gappy).sst.equals(other.interpolate(gappy).sst)
    monkeypatch.setattr(kinds, "REGISTERED", {section: {} for section in KINDS})
    with pytest.raises(ModelError) as refused:
        da4dvar.load(tmp_path / "m.safetensors")
    said = str(refused.value)
    assert said.startswith(f"{tmp_path / 'm.safetensors'}: prior: unknown kind 'smooth'; there are: ")
    assert said.endswith("must be installed or registered first")
    assert "\n" not in said


def test_a_name_belongs_to_one_class():
    """Of this package or registered; the same class may come again, also when a notebook defines it anew."""
    register("prior", "smooth", Smooth)
    register("prior", "smooth", Smooth)
    again = type("Smooth", (nn.Module,), {"__module__": Smooth.__module__})
    register("prior", "smooth", again)
    assert class_of("prior", "smooth") is again
    for kind in ("smooth", "unet"):
        with pytest.raises(RecipeError, match=f"prior: kind '{kind}' is already .*; give .* another name"):
            register("prior", kind, nn.Tanh)
    assert class_of("prior", "smooth") is again


@pytest.mark.parametrize(
    ("section", "kind", "cls", "said"),
    [
        ("priors", "smooth", Smooth, "unknown section 'priors'; did you mean 'prior'"),
        ("cost", "mine", Smooth, "unknown section 'cost'"),
        ("prior", "", Smooth, "expected a name"),
        ("prior", "smooth", Smooth(1), "expected a class"),
        ("solver", "wrong", type("Wrong", (Twice,), {"nested": {"inner": "solvr"}}), "did you mean 'solver'"),
    ],
)
def test_what_cannot_be_registered_is_refused(section, kind, cls, said):
    """In a line, and nothing is registered."""
    with pytest.raises(RecipeError, match=said):
        register(section, kind, cls)
    assert not any(kinds.REGISTERED.values())


def test_a_class_says_which_of_its_arguments_are_parts():
    """The name of an argument does not decide: `first` is text here, and `inner` and `others` are solvers."""
    register("solver", "twice", Twice)
    step = {"kind": "gradient_descent", "step": 0.1, "iterations": 3, "tolerance": 0.0, "keep": "last"}
    table = {"kind": "twice", "inner": step, "first": "text", "others": [step]}
    made = build("solver", table)
    assert isinstance(made.inner, GradientDescent)
    assert describe("solver", made) == table
    with pytest.raises(RecipeError, match=r"others is .*, expected a list of tables"):
        build("solver", table | {"others": step})


def test_a_bound_is_that_of_the_class_not_of_the_name():
    """A width below 1 is refused by the U-Net, which says so; another class may have another meaning."""
    register("prior", "smooth", Smooth)
    assert build("prior", {"kind": "smooth", "channels": 1, "width": -3}).width == -3
    with pytest.raises(RecipeError, match="width is 0, expected 1 or more"):
        build("prior", {"kind": "unet", "channels": 1, "boundary": ["zero"], "width": 0})


def test_a_class_that_forgets_an_argument_is_not_described():
    """Nothing could build it again."""

    class Forgets(Random):
        def __init__(self, fraction: float, power: int) -> None:
            super().__init__(fraction)

    register("gaps", "forgets", Forgets)
    with pytest.raises(RecipeError, match=r"does not keep its argument power; set self.power in __init__"):
        describe("gaps", Forgets(0.5, 2))


def test_an_entry_point_is_imported_when_it_is_asked_for(package):
    """Its name is listed and completed without that; the class is found both ways."""
    name = package("gappyone", GAPPY, "gaps.half = gappyone:Half")
    assert "half" in names("gaps")
    assert complete.kinds_of("gaps")("ha") == ["half"]
    with pytest.raises(RecipeError, match="unknown kind"):
        class_of("prior", "half")
    assert name not in sys.modules
    pattern = build("gaps", {"kind": "half", "fraction": 0.25})
    assert name in sys.modules
    assert describe("gaps", pattern) == {"kind": "half", "fraction": 0.25}


def test_an_entry_point_may_name_a_class_by_another_module_of_its_package(package, tmp_path):
    """As packages do that gather their names at the top; the class may be registered by that name as well."""
    package("gappytwo", "from gappyinner import Half", "gaps.half = gappytwo:Half")
    inner = GAPPY.replace("class Half:", "class Half:\n    __module__ = 'gappytwo.inner'\n")
    (tmp_path / "gappyinner.py").write_text(inner)
    cls = class_of("gaps", "half")
    assert cls.__module__ == "gappytwo.inner"
    assert kind_of("gaps", cls) == "half"
    register("gaps", "half", cls)


@pytest.mark.parametrize(
    ("code", "point", "said"),
    [
        ("raise OSError('no library\\nat all')", "gaps.half = broken:Half", "broken:Half .no library"),
        ("", "gaps.half = broken:Half", "cannot be imported from broken:Half"),
        ("Half = 5", "gaps.half = broken:Half", "is 5, expected a class"),
        ("", "gaps.half = nowhere:Half", "cannot be imported from nowhere:Half"),
    ],
)
def test_a_broken_package_is_told_in_a_line(package, code, point, said):
    """With the kind and where it should come from."""
    package("broken", code, point)
    with pytest.raises(RecipeError, match=said) as refused:
        class_of("gaps", "half")
    assert "\n" not in str(refused.value)


def test_two_packages_with_one_name_are_told_apart_by_nobody(package):
    """Neither is taken; and a name of one of them is not for another class to register."""
    package("gappythree", GAPPY, "gaps.half = gappythree:Half")
    package("gappyfour", GAPPY, "gaps.half = gappyfour:Half")
    with pytest.raises(RecipeError, match="gappyfour:Half and gappythree:Half"):
        class_of("gaps", "half")
    with pytest.raises(RecipeError, match=r"is already .*; give"):
        register("gaps", "half", Smooth)


def test_a_package_may_register_what_it_also_names(package):
    """The entry point finds the module, and importing it registers the class."""
    code = GAPPY + "\nimport da4dvar\nda4dvar.register('gaps', 'half', Half)\n"
    package("gappyfive", code, "gaps.half = gappyfive:Half")
    assert class_of("gaps", "half") is kinds.REGISTERED["gaps"]["half"]


def test_no_package_takes_a_name_of_this_one(package):
    """Whatever it calls itself, a file gets the class that it was written with."""
    name = package("taker", GAPPY, "gaps.random = taker:Half", "gaps.half = taker:Half")
    assert class_of("gaps", "random") is Random
    assert describe("gaps", Random(0.5)) == {"kind": "random", "fraction": 0.5}
    assert name not in sys.modules


@pytest.mark.parametrize("kind", ["os:system", "taker:Half", "half.more", "../half", "", None, 5, ["unet"]])
def test_a_file_names_kinds_and_never_an_import(package, kind):
    """What is not the name of a kind is refused, and nothing is imported."""
    name = package("taker", GAPPY, "gaps.half = taker:Half")
    with pytest.raises(RecipeError, match="gaps: unknown kind"):
        build("gaps", {"kind": kind, "fraction": 0.5})
    assert name not in sys.modules


@pytest.mark.parametrize("kind", KINDS["baseline"])
def test_a_baseline_is_in_the_group_that_its_arguments_say(kind):
    """The one list has two groups: those that need `time` and `history` alone, and those that need more."""
    import inspect

    parameters = inspect.signature(class_of("baseline", kind)).parameters
    needs = {n for n, p in parameters.items() if p.default is REQUIRED} - set(GIVEN)
    assert (kind in BY_NAME["baseline"]) == (not needs)


def tried(*space: str) -> dict:
    """The candidates for a small variable with these dimensions of space."""
    return candidates({"sst": Character("day", space, {"day": 9}, 0.5, 2, 2, False, False)})


def test_the_candidates_of_a_fit_are_read_from_the_list():
    """Each class says for how many dimensions of space it is; a registered one is among them."""
    everywhere = ["linear", "climatology", "optimal_interpolation"]
    assert list(tried()) == everywhere
    assert list(tried("station")) == [*everywhere, "eof_iteration", "nearest_stations"]
    assert list(tried("lat", "lon")) == [*everywhere, "eof_iteration"]

    class Mean:
        suits = (2,)

        def interpolate(self, ds):
            return ds.fillna(ds.mean())

    register("baseline", "mean", Mean)
    assert tried("lat", "lon")["mean"] == {"kind": "mean"}
    assert "mean" not in tried()
    assert "mean" in by_name("baseline")


def test_a_pickled_model_needs_its_class_alone(model):
    """A worker that can import the class has no need of the registration."""
    register("prior", "smooth", Smooth)
    model.model.cost.prior = Smooth(WINDOW)
    kept = pickle.dumps(model)
    kinds.REGISTERED["prior"].clear()
    assert isinstance(pickle.loads(kept).model.cost.prior, Smooth)


def test_arguments_of_every_kind_are_kept():
    """What `describe` asks of a user's class holds for those of this package: `nested` names arguments."""
    for section, known in KINDS.items():
        for kind in known:
            cls = class_of(section, kind)
            assert set(getattr(cls, "nested", {})) <= set(arguments_of(cls)), kind
