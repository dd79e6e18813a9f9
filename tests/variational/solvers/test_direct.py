"""Direct regression: U-Nets in a row that make a change of the state, and nothing else."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from variational.problems import domain, double

from da4dvar.testing import SolverContract
from da4dvar.variational.checks import check_channels
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.priors.unet import UNet
from da4dvar.variational.solvers.direct import Direct


class TestPlane(SolverContract):
    """Two networks in two dimensions, with covariates."""

    shape = (2, 6, 7)
    covariates: ClassVar[int] = 1
    # U is only reported: its gradient is of no use to the networks, and its weights are not learned.
    test_inference_mode_is_refused = None
    test_gradients_reach_all_that_is_learned = None

    def make(self) -> Direct:
        return Direct(2, ("zero", "periodic"), width=4, iterations=2, covariates=1)


@pytest.mark.parametrize("fold", [1, 2])
def test_nothing_that_a_network_makes_is_thrown_away(fold: int) -> None:
    """Every channel of both last layers acts on the estimate, and there are as many as those of the state."""
    solver = Direct(2, ("zero",), width=8, iterations=2, fold=fold).double()
    y, mask = double(3, 2, 8), domain(3, 2, 8)
    cost = VariationalCost(UNet(2, ("zero",), width=2)).double().given(y, mask)
    solver(cost, torch.zeros_like(y)).x.square().sum().backward()
    for network in solver.networks:
        for last in (network.fine.project.convolution, network.up):
            assert last.out_channels == 2 * fold
            assert (last.bias.grad != 0).all()


def test_only_covariates_are_asked_of_the_data() -> None:
    """That a network reads y and Ω as well makes them no covariates."""
    check_channels(Direct(2, ("zero",), width=4, covariates=3), 3)
    check_channels(Direct(2, ("zero",), width=4), 0)
