"""The observation error as an input: λ_o follows it, and invalid values are refused."""

import numpy as np
import pytest
import torch
import xarray as xr
from torch.testing import assert_close

from da4dvar.analysis.problem import reweighted, stated_error
from da4dvar.errors import DataError
from da4dvar.fields.scaling.standard import Unscaled
from da4dvar.interpolator import Interpolator
from da4dvar.layout import Layout
from da4dvar.simulate import lorenz96
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.model import VariationalModel
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.solvers.chain import Chain
from da4dvar.variational.solvers.gradient_descent import GradientDescent
from da4dvar.variational.solvers.levenberg_marquardt import LevenbergMarquardt


def source(**attrs: object) -> dict[str, xr.DataArray]:
    """An observed variable with attributes."""
    return {"x": xr.DataArray(np.zeros(3), dims="time", attrs=attrs)}


@pytest.mark.parametrize(("attrs", "given", "trained", "counts"), [
    ({}, None, 1.0, None), ({"observation_error_std": 0.5}, None, 1.0, 0.5),
    ({"observation_error_std": 0.5}, 2.0, 1.0, 2.0), ({"observation_error_std": 0.5}, None, None, None),
])  # fmt: skip
def test_an_argument_takes_precedence_over_the_attribute(attrs, given, trained, counts):
    """An argument takes precedence; a model without an error to compare with ignores the attribute."""
    assert stated_error(source(**attrs), given, trained) == counts


@pytest.mark.parametrize(("attrs", "given", "trained", "message"), [
    ({}, 1.0, None, "trained without a stated observation error"),
    ({}, 0.0, 1.0, "expected a standard deviation above 0"),
    ({}, 0.0, None, "expected a standard deviation above 0"),
    ({}, float("nan"), 1.0, "expected a standard deviation above 0"),
    ({"observation_error_std": "large"}, None, 1.0, "is 'large', expected a number"),
    ({"observation_error_std": -1.0}, None, 1.0, "above 0"),
])  # fmt: skip
def test_invalid_errors_are_refused(attrs, given, trained, message):
    """The message states the value and what was expected."""
    with pytest.raises(DataError, match=message):
        stated_error(source(**attrs), given, trained)


def test_an_error_in_another_unit_is_refused():
    """The message has the value, the standard deviation of the variable and its unit."""
    with pytest.raises(DataError, match=r"is 273, over ten times the standard deviation 0.9 .*, degC"):
        stated_error(source(units="degC"), 273.0, 0.1, spread=0.9)
    assert stated_error(source(units="degC"), 5.0, 0.1, spread=0.9) == 5.0


def test_all_costs_of_a_chain_are_reweighted_once():
    """λ_o changes once in each cost, in nested chains and shared costs too; the given model is unchanged."""
    flow = Flow(Lorenz96(), 0.05)
    first = Chain(
        GradientDescent(0.1), GradientDescent(0.1), cost=VariationalCost(flow, observation_weight=3.0)
    )
    solver = Chain(first, LevenbergMarquardt(), weights=(0.5, 1e3))
    model = VariationalModel(VariationalCost(flow, observation_weight=2.0), solver)
    other = reweighted(model, 4.0)
    assert_close(other.cost.log_weights.exp(), torch.tensor([8.0, 1.0]))
    assert other.solver.weights == (2.0, 1e3)
    assert_close(other.solver.first.cost.log_weights.exp(), torch.tensor([12.0, 1.0]))
    assert_close(model.cost.log_weights.exp(), torch.tensor([2.0, 1.0]))
    assert model.solver.weights == (0.5, 1e3)
    shared, step = VariationalCost(flow, observation_weight=3.0), GradientDescent(0.1)
    second = Chain(Chain(step, step, cost=shared), step, weights=(0.5, 1e3))
    model = VariationalModel(shared, Chain(step, second, cost=VariationalCost(flow)))
    other = reweighted(model, 4.0)
    assert_close(other.cost.log_weights.exp(), torch.tensor([12.0, 1.0]))
    assert_close(other.solver.cost.log_weights.exp(), torch.tensor([4.0, 1.0]))
    assert other.solver.second.weights == (2.0, 1e3)


def test_a_smaller_error_gives_a_closer_fit():
    """A smaller error reduces the misfit to the observations, as an argument or as an attribute."""
    ds = lorenz96(2, 16, seed=1, components=8, number=4)
    seen = xr.Dataset({"x": ds.x_observed.drop_attrs()})
    model = Interpolator(
        prior=Flow(Lorenz96(), 0.05),
        solver=LevenbergMarquardt(iterations=10, ladder=(1.0,)),
        layout=Layout(["x"], axes=["component", "time"], periodic=["component"]),
        scaling=Unscaled(),
        observation_weight=0.5,
        prior_weight=5.0,
        initial="linear",
        observation_error=2**0.5,
    ).prepare(seen)
    usual, close = (
        model.interpolate(seen, analysis=True),
        model.interpolate(seen, observation_error=0.1, analysis=True),
    )

    def misfit(filled: xr.Dataset) -> float:
        return float(((filled.x - seen.x) ** 2).mean())

    assert misfit(close) < 0.1 * misfit(usual)
    said = seen.assign(x=seen.x.assign_attrs(observation_error_std=0.1))
    np.testing.assert_array_equal(model.interpolate(said, analysis=True).x.values, close.x.values)
    same = seen.assign(x=seen.x.assign_attrs(observation_error_std=2**0.5))
    np.testing.assert_array_equal(model.interpolate(same, analysis=True).x.values, usual.x.values)
