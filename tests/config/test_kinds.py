"""Kinds of other packages: registered, or found as entry points of installed packages."""

import pickle
import sys
from importlib.util import find_spec
from inspect import signature
from typing import ClassVar

import pytest
import torch
from examples import WINDOW, tiny_interpolator
from torch import Tensor, nn

import da4dvar
from da4dvar.cli import complete
from da4dvar.config import kinds
from da4dvar.config.kinds import BY_NAME, KINDS, by_name, class_of, kind_of, names, register
from da4dvar.config.registry import build, describe
from da4dvar.errors import Da4dvarWarning, RecipeError
from da4dvar.fields.gaps.patterns import Random
from da4dvar.variational.solvers.base import Solver
from da4dvar.variational.solvers.gradient_descent import GradientDescent
from da4dvar.workflows.autofit.candidates import classical
from da4dvar.workflows.autofit.character import Character
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


class Twice:
    """Parts `inner` and `others`, and an argument `first` that is text in spite of its name."""

    nested: ClassVar = {"inner": "solver", "others": ["solver"]}

    def __init__(self, inner: Solver, first: str = "inner", others: list[Solver] | None = None) -> None:
        self.inner, self.first, self.others = inner, first, others or []


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """Start each test with an empty register, and restore it afterwards."""
    monkeypatch.setattr(kinds, "REGISTERED", {section: {} for section in KINDS})


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return a function that installs a package with the given code and entry points."""
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
class Half:
    def __init__(self, fraction: float) -> None:
        self.fraction = fraction

    def draw(self, generator, sizes):
        return generator.random(tuple(sizes.values())) < self.fraction
"""


def test_a_registered_kind_is_one_like_any_other():
    """It can be built, is described, and appears in lists and error messages."""
    da4dvar.register("prior", "smooth", Smooth)
    made = build("prior", {"kind": "smooth"}, {"channels": 3, "boundary": ("zero",)})
    assert isinstance(made, Smooth)
    assert describe("prior", made) == {"kind": "smooth", "channels": 3, "width": -1}
    assert "smooth" in names("prior")
    with pytest.raises(RecipeError, match="did you mean 'smooth'"):
        build("prior", {"kind": "smoth"})


def test_a_model_with_a_registered_kind_is_saved_loaded_and_pickled(model, gappy, tmp_path):
    """A file gives the same estimate; a worker that can import the class need not register it."""
    register("prior", "smooth", Smooth)
    other = tiny_interpolator()
    other.model.cost.prior = Smooth(WINDOW)
    other.learned = model.learned
    other.save(tmp_path / "m.safetensors")
    loaded, kept = da4dvar.load(tmp_path / "m.safetensors"), pickle.dumps(other)
    assert loaded.interpolate(gappy).sst.equals(other.interpolate(gappy).sst)
    kinds.REGISTERED["prior"].clear()
    assert isinstance(pickle.loads(kept).model.cost.prior, Smooth)


def test_a_name_belongs_to_one_class(package):
    """A class may be registered again; neither another class nor a second package may have its name."""
    register("prior", "smooth", Smooth)
    again = type("Smooth", (nn.Module,), {"__module__": Smooth.__module__})
    register("prior", "smooth", again)
    for kind in ("smooth", "unet"):
        with pytest.raises(RecipeError, match=f"prior: kind '{kind}' is already .*; give .* another name"):
            register("prior", kind, nn.Tanh)
    assert class_of("prior", "smooth") is again
    package("gappythree", GAPPY, "gaps.half = gappythree:Half")
    package("gappyfour", GAPPY, "gaps.half = gappyfour:Half")
    with pytest.raises(RecipeError, match="gappyfour:Half and gappythree:Half"):
        class_of("gaps", "half")
    with pytest.raises(RecipeError, match=r"is already .*; give"):
        register("gaps", "half", Smooth)


@pytest.mark.parametrize(("section", "kind", "cls", "said"), [
    ("priors", "smooth", Smooth, "unknown section 'priors'; did you mean 'prior'"),
    ("cost", "mine", Smooth, "unknown section 'cost'"), ("prior", "", Smooth, "expected a name"),
    ("prior", "smooth", Smooth(1), "expected a class"),
    ("solver", "wrong", type("Wrong", (Twice,), {"nested": {"inner": "solvr"}}), "did you mean 'solver'"),
])  # fmt: skip
def test_what_cannot_be_registered_is_refused(section, kind, cls, said):
    """Sections, names and classes are checked, and nothing is registered."""
    with pytest.raises(RecipeError, match=said):
        register(section, kind, cls)
    assert not any(kinds.REGISTERED.values())


def test_a_class_says_which_of_its_arguments_are_parts():
    """`nested` decides and not the name; a class that does not keep an argument cannot be described."""
    register("solver", "twice", Twice)
    step = {"kind": "gradient_descent", "step": 0.1, "iterations": 3, "tolerance": 0.0, "keep": "last"}
    table = {"kind": "twice", "inner": step, "first": "text", "others": [step]}
    made = build("solver", table)
    assert isinstance(made.inner, GradientDescent)
    assert describe("solver", made) == table
    with pytest.raises(RecipeError, match=r"others is .*, expected a list of tables"):
        build("solver", table | {"others": step})

    class Forgets(Random):
        def __init__(self, fraction: float, power: int) -> None:
            super().__init__(fraction)

    register("gaps", "forgets", Forgets)
    with pytest.raises(RecipeError, match=r"does not keep its argument power; set self.power in __init__"):
        describe("gaps", Forgets(0.5, 2))


def test_an_entry_point_is_imported_when_it_is_needed(package):
    """Listing and completing its name imports nothing; the import may also register the class."""
    code = GAPPY + "\nimport da4dvar\nda4dvar.register('gaps', 'half', Half)\n"
    name = package("gappyone", code, "gaps.half = gappyone:Half")
    assert "half" in names("gaps")
    assert complete.kinds_of("gaps")("ha") == ["half"]
    with pytest.raises(RecipeError, match="unknown kind"):
        class_of("prior", "half")
    assert name not in sys.modules
    table = {"kind": "half", "fraction": 0.25}
    assert describe("gaps", build("gaps", table)) == table
    assert class_of("gaps", "half") is kinds.REGISTERED["gaps"]["half"] is sys.modules[name].Half


def test_an_entry_point_may_name_a_class_by_another_module_of_its_package(package, tmp_path):
    """Packages often gather their names at the top; the class can also be registered by that name."""
    package("gappytwo", "from gappyinner import Half", "gaps.half = gappytwo:Half")
    inner = GAPPY.replace("class Half:", "class Half:\n    __module__ = 'gappytwo.inner'\n")
    (tmp_path / "gappyinner.py").write_text(inner)
    cls = class_of("gaps", "half")
    assert (cls.__module__, kind_of("gaps", cls)) == ("gappytwo.inner", "half")
    register("gaps", "half", cls)


@pytest.mark.parametrize(("code", "point", "said"), [
    ("raise OSError('no library\\nat all')", "gaps.half = broken:Half", "broken:Half .no library"),
    ("", "gaps.half = broken:Half", "cannot be imported from broken:Half"),
    ("Half = 5", "gaps.half = broken:Half", "is 5, expected a class"),
    ("", "gaps.half = nowhere:Half", "cannot be imported from nowhere:Half"),
])  # fmt: skip
def test_a_broken_package_is_reported_in_one_line(package, code, point, said):
    """The line names the kind and the entry point."""
    package("broken", code, point)
    with pytest.raises(RecipeError, match=said) as refused:
        class_of("gaps", "half")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", ["os:system", "taker:Half", "half.more", "../half", "", None, 5, ["unet"]])
def test_a_file_names_kinds_and_never_an_import(package, kind):
    """Anything but a kind is refused, no package replaces a kind of this one, and nothing is imported."""
    name = package("taker", GAPPY, "gaps.random = taker:Half", "gaps.half = taker:Half")
    with pytest.raises(RecipeError, match="gaps: unknown kind"):
        build("gaps", {"kind": kind, "fraction": 0.5})
    assert class_of("gaps", "random") is Random
    assert describe("gaps", Random(0.5)) == {"kind": "random", "fraction": 0.5}
    assert name not in sys.modules


@pytest.mark.parametrize("kind", KINDS["baseline"])
def test_a_baseline_is_in_the_group_that_its_arguments_require(kind):
    """`BY_NAME` lists the baselines that require at most `time` and `history`."""
    parameters = signature(class_of("baseline", kind)).parameters
    needs = {n for n, p in parameters.items() if p.default is REQUIRED} - set(GIVEN)
    assert (kind in BY_NAME["baseline"]) == (not needs)


def test_the_candidates_of_a_fit_are_read_from_the_list():
    """`suits` decides for how many space dimensions a class is a candidate, also if it is registered."""

    def found(*space: str) -> dict:
        return {
            c.name: c.table for c in classical(Character("day", space, {"day": 9}, 0.5, 2, 2, False, False))
        }

    everywhere = ["linear", "climatology", "optimal_interpolation"]
    alone = ["kalman"] if find_spec("statsmodels") is not None else []
    assert list(found()) == [*everywhere, *alone]
    assert list(found("station")) == [*everywhere, "eof_iteration", "nearest_stations", "gaussian_em"]
    assert list(found("lat", "lon")) == [*everywhere, "eof_iteration"]
    register("baseline", "mean", type("Mean", (), {"suits": (2,), "__init__": lambda self: None}))
    assert found("lat", "lon")["mean"] == {"kind": "mean"}
    assert "mean" not in found()
    assert "mean" in by_name("baseline")


def test_a_fit_leaves_out_a_method_that_cannot_be_imported(package):
    """One warning names it; the fit compares the other methods."""
    package("broken", "raise OSError('no library')", "baseline.best = broken:Best")
    character = Character("day", (), {"day": 9}, 0.5, 2, 2, False, False)
    with pytest.warns(Da4dvarWarning, match=r"'best' .*no library.* is not compared") as said:
        found = classical(character)
    assert len(said) == 1
    assert [c.name for c in found][:3] == ["linear", "climatology", "optimal_interpolation"]
    assert "best" not in [c.name for c in found]
