"""Tables to objects and back."""

from __future__ import annotations

import pytest
import torch

from da4dvar.config.kinds import KINDS, class_of
from da4dvar.config.registry import build, call, describe
from da4dvar.config.tables import read_recipe
from da4dvar.errors import RecipeError
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.dynamics.lorenz63 import Lorenz63
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.observation import LearnedOperator, LinearOperator
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.priors.unet import UNet
from da4dvar.variational.solvers.chain import Chain
from da4dvar.variational.solvers.gradient_descent import GradientDescent
from da4dvar.variational.solvers.levenberg_marquardt import LevenbergMarquardt
from da4dvar.variational.solvers.lstm import ConvLSTM

THINGS = {
    "prior": [UNet(3, ("zero", "periodic"), width=4, downsampling=(1, 2)), Flow(Lorenz96(7.0), 0.05)],
    "solver": [
        GradientDescent(0.1),
        ConvLSTM(2, ("reflect",), width=4, state_scale=4.0),
        Chain(GradientDescent(0.1), LevenbergMarquardt(), VariationalCost(Flow(Lorenz63(), 0.01))),
    ],
    "observation": [LinearOperator([[0.5, 0.5]]), LearnedOperator(2, ("zero",))],
}


@pytest.mark.parametrize(("section", "thing"), [(s, t) for s, things in THINGS.items() for t in things])
def test_described_and_built_again_it_is_the_same(section, thing):
    """`build` inverts `describe`: the same table, and parameters of the same shapes."""
    table = describe(section, thing)
    again = build(section, table)
    assert describe(section, again) == table
    assert [p.shape for p in again.parameters()] == [p.shape for p in thing.parameters()]


@pytest.mark.parametrize(("section", "kind"), [(s, k) for s, kinds in KINDS.items() for k in kinds])
def test_every_kind_is_a_class(section, kind):
    """The dictionary of kinds names what exists."""
    assert isinstance(class_of(section, kind), type)


def test_a_typo_is_answered_with_the_nearest_name():
    """In a kind and in a key."""
    with pytest.raises(RecipeError, match="did you mean 'unet'"):
        build("prior", {"kind": "unett"})
    with pytest.raises(RecipeError, match="did you mean 'iterations'"):
        build("solver", {"kind": "lstm", "itertions": 3})


def test_what_the_class_refuses_is_the_users_mistake():
    """A value out of range, or of the wrong type, is a RecipeError that names its table."""
    for table in ({"kind": "gradient_descent", "step": -1.0}, {"kind": "gradient_descent", "step": "x"}):
        with pytest.raises(RecipeError, match="gradient_descent"):
            build("solver", table)
    with pytest.raises(RecipeError, match="no `kind`"):
        build("solver", {})


def test_the_surroundings_offer_what_the_table_does_not_say():
    """Channels and boundary come from the layout, unless the table has them."""
    offered = {"channels": 5, "boundary": ("zero",)}
    assert build("prior", {"kind": "unet", "width": 4}, offered).channels == 5
    assert build("prior", {"kind": "unet", "width": 4, "channels": 3}, offered).channels == 3


def test_settings_are_laid_over_a_recipe(tmp_path):
    """--set takes TOML values, makes tables that are missing, and takes other text as a string."""
    path = tmp_path / "r.toml"
    path.write_text("[solver]\nkind = 'lstm'\niterations = 3\n")
    recipe = read_recipe(path, ["solver.iterations=10", "train.rate=1e-3", "cost.initial=linear"])
    assert recipe["solver"] == {"kind": "lstm", "iterations": 10}
    assert recipe["train"]["rate"] == 1e-3
    assert recipe["cost"]["initial"] == "linear"


@pytest.mark.parametrize("setting", ["iterations", "=3", "solver.iterations.deep=3"])
def test_a_malformed_setting_is_refused(tmp_path, setting):
    """A setting without a key, a value or a table to go to."""
    path = tmp_path / "r.toml"
    path.write_text("[solver]\niterations = 3\n")
    with pytest.raises(RecipeError, match="--set"):
        read_recipe(path, [setting])


def test_a_recipe_that_is_no_toml_is_refused(tmp_path):
    """Missing, or not TOML."""
    with pytest.raises(RecipeError, match="no such recipe"):
        read_recipe(tmp_path / "r.toml")
    (tmp_path / "r.toml").write_text("{")
    with pytest.raises(RecipeError, match="not a TOML recipe"):
        read_recipe(tmp_path / "r.toml")


def test_building_on_the_meta_device_takes_no_memory():
    """A size that a file claims costs nothing until its tensors are there."""
    with torch.device("meta"):
        build("prior", {"kind": "unet", "channels": 10**5, "boundary": ["zero"], "width": 10**5})


@pytest.mark.parametrize(
    ("section", "kind"), [(section, kind) for section, kinds in KINDS.items() for kind in kinds]
)
def test_every_kind_is_known_by_the_name_of_its_class(section: str, kind: str) -> None:
    """What a table can name, a model file can write down again."""
    cls = class_of(section, kind)
    assert KINDS[section][kind] == f"{cls.__module__}:{cls.__qualname__}"


@pytest.mark.parametrize(
    "text",
    [
        "a" + ".a" * 100_000 + " = 1",
        "a = " + "[" * 100_000,
        "a = " + "1" * 10_000,
        "title = '" + "x" * 2**20 + "'",
    ],
    ids=lambda text: text[:8],
)
def test_a_recipe_without_end_is_refused(tmp_path, text):
    """Depth, digits and length that the library would take minutes or a traceback for."""
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(RecipeError, match="not a TOML recipe"):
        read_recipe(tmp_path / "r.toml")


def test_what_is_no_table_or_list_is_refused():
    """A number for a table of arguments, and for a list of tables."""
    for section, table in (
        ("observation", {"kind": "sensors", "operators": 5}),
        ("baseline", {"kind": "combination", "methods": "linear"}),
    ):
        with pytest.raises(RecipeError, match="expected a list of tables"):
            build(section, table)
    with pytest.raises(RecipeError, match="layout: got 5, expected a table"):
        call(dict, 5, "layout")
