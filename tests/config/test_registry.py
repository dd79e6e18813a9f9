"""Construction of objects from tables, and the inverse."""

import pytest

from da4dvar.config.kinds import KINDS, class_of, path_of
from da4dvar.config.registry import arguments_of, build, call, describe, nested_in
from da4dvar.config.tables import overlaid, read_recipe
from da4dvar.errors import RecipeError
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.dynamics.lorenz63 import Lorenz63
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.kernels import Separable, SumOfSeparable
from da4dvar.variational.observation import LearnedOperator, LinearOperator
from da4dvar.variational.priors.covariance import Covariance
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.priors.unet import UNet
from da4dvar.variational.solvers.chain import Chain
from da4dvar.variational.solvers.control_variable import ControlVariable
from da4dvar.variational.solvers.gradient_descent import GradientDescent
from da4dvar.variational.solvers.levenberg_marquardt import LevenbergMarquardt
from da4dvar.variational.solvers.lstm import ConvLSTM

THINGS = {
    "prior": [
        UNet(3, ("zero", "periodic"), width=4, downsampling=(1, 2)),
        Flow(Lorenz96(7.0), 0.05),
        Covariance(2, [3], SumOfSeparable([Separable(1.0, 2.0, 3.0, period=1.0)], 0.1), [[0.5], [1], [4]]),
    ],
    "solver": [
        GradientDescent(0.1),
        ControlVariable(GradientDescent(0.1)),
        ConvLSTM(2, ("reflect",), width=4, state_scale=4.0),
        Chain(GradientDescent(0.1), LevenbergMarquardt(), VariationalCost(Flow(Lorenz63(), 0.01))),
    ],
    "observation": [LinearOperator([[0.5, 0.5]]), LearnedOperator(2, ("zero",))],
}


@pytest.mark.parametrize(("section", "thing"), [(s, t) for s, things in THINGS.items() for t in things])
def test_build_inverts_describe(section, thing):
    """The rebuilt object has the same table, and parameters of the same shapes."""
    table = describe(section, thing)
    again = build(section, table)
    assert describe(section, again) == table
    assert [p.shape for p in again.parameters()] == [p.shape for p in thing.parameters()]


@pytest.mark.parametrize(("section", "kind"), [(s, k) for s, kinds in KINDS.items() for k in kinds])
def test_every_kind_is_known_by_the_path_of_its_class(section, kind):
    """The path in the list is that of the class, so that a file can name it; `nested` names its arguments."""
    cls = class_of(section, kind)
    assert path_of(cls) == KINDS[section][kind]
    assert set(nested_in(cls)) <= set(arguments_of(cls))


@pytest.mark.parametrize(("section", "table", "message"), [
    ("prior", {"kind": "unett"}, "did you mean 'unet'"),
    ("solver", {"kind": "lstm", "itertions": 3}, "did you mean 'iterations'"),
    ("solver", {"kind": "gradient_descent", "step": -1.0}, "gradient_descent"),
    ("solver", {"kind": "gradient_descent", "step": "x"}, "gradient_descent"),
    ("solver", {}, "no `kind`"),
    ("observation", {"kind": "sensors", "operators": 5}, "expected a list of tables"),
    ("baseline", {"kind": "combination", "methods": "linear"}, "expected a list of tables"),
    ("prior", 5, "prior: got 5, expected a table"),
])  # fmt: skip
def test_a_table_that_describes_no_object_is_refused(section, table, message):
    """Misspelt names, values out of range and values of the wrong type are errors in the recipe."""
    with pytest.raises(RecipeError, match=message):
        build(section, table)


def test_arguments_are_a_table_over_offered_ones():
    """Channels and boundary come from the layout unless the table gives them; a number is no table."""
    offered = {"channels": 5, "boundary": ("zero",)}
    assert build("prior", {"kind": "unet", "width": 4}, offered).channels == 5
    assert build("prior", {"kind": "unet", "width": 4, "channels": 3}, offered).channels == 3
    with pytest.raises(RecipeError, match="layout: got 5, expected a table"):
        call(dict, 5, "layout")


def test_settings_override_a_recipe(tmp_path):
    """--set reads TOML values, creates missing tables, and takes other text as a string."""
    (tmp_path / "r.toml").write_text("[solver]\nkind = 'lstm'\niterations = 3\n")
    settings = ["solver.iterations=10", "train.rate=1e-3", "cost.initial=linear"]
    solver = {"kind": "lstm", "iterations": 10}
    wanted = {"solver": solver, "train": {"rate": 1e-3}, "cost": {"initial": "linear"}}
    assert read_recipe(tmp_path / "r.toml", settings) == wanted


@pytest.mark.parametrize("setting", ["iterations", "=3", "solver.iterations.deep=3"])
def test_a_malformed_setting_is_refused(setting):
    """A setting needs a key, a value and a table that can hold it."""
    with pytest.raises(RecipeError, match="--set"):
        overlaid({"solver": {"iterations": 3}}, [setting])


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "no such recipe"), ("{", "not a TOML recipe"), ("a" + ".a" * 100_000 + " = 1", "100 parts")],
    ids=["missing", "not TOML", "long key"],
)
def test_a_file_that_is_not_a_recipe_is_refused(tmp_path, text, message):
    """Also quickly where tomllib would take minutes."""
    if text is not None:
        (tmp_path / "r.toml").write_text(text)
    with pytest.raises(RecipeError, match=message):
        read_recipe(tmp_path / "r.toml")
