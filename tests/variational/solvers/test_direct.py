"""Tests of direct regression by a sequence of U-Nets."""

from __future__ import annotations

import pytest
import torch
from variational.problems import domain, double

from da4dvar.variational.checks import check_channels
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.priors.unet import UNet
from da4dvar.variational.solvers.direct import Direct


@pytest.mark.parametrize("fold", [1, 2])
def test_nothing_that_a_network_makes_is_thrown_away(fold):
    """The last layers have as many channels as the state, and each affects the estimate."""
    solver = Direct(2, ("zero",), width=8, iterations=2, fold=fold).double()
    y, mask = double(3, 2, 8), domain(3, 2, 8)
    cost = VariationalCost(UNet(2, ("zero",), width=2)).double().given(y, mask)
    solver(cost, torch.zeros_like(y)).x.square().sum().backward()
    for network in solver.networks:
        for last in (network.fine.project.convolution, network.up):
            assert last.out_channels == 2 * fold
            assert (last.bias.grad != 0).all()


def test_further_inputs_are_not_covariates():
    """y and Ω are inputs of the networks but do not count as covariates."""
    check_channels(Direct(2, ("zero",), width=4, covariates=3), 3)
    check_channels(Direct(2, ("zero",), width=4), 0)
