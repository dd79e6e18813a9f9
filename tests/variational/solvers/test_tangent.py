"""Tests of the Jacobian of a flow, computed along few directions."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close
from variational.problems import double

from da4dvar.variational.dynamics.bilinear import Bilinear
from da4dvar.variational.dynamics.lorenz63 import Lorenz63
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.solvers.tangent import Tangent

FLOWS = {
    "Lorenz-96": (Flow(Lorenz96(), 0.05), (1, 40), 14),
    "short Lorenz-96": (Flow(Lorenz96(), 0.05), (1, 9), 9),
    "Lorenz-63": (Flow(Lorenz63(), 0.01), (3,), 3),
    "learned": (Flow(Bilinear(6), 0.1), (2, 6), 6),
    "learned, periodic": (Flow(Bilinear(7, reach=2), 0.1), (1, 7), 7),
}


@pytest.mark.parametrize("name", FLOWS)
def test_agrees_with_the_dense_jacobian(name):
    """For each time and sample, the Jacobian is that of torch, with no more directions than needed."""
    flow, shape, directions = FLOWS[name]
    flow = flow.double()
    x = 3 * double(2, *shape, 5)
    tangent = Tangent(flow, x)
    assert len(tangent.directions) <= directions
    forecast, found = tangent(x)
    assert_close(forecast, flow.forecast(x))
    n = tangent.size
    for sample in range(2):
        for time in range(5):
            state = x[sample : sample + 1, ..., time : time + 1]
            dense = torch.autograd.functional.jacobian(flow.forecast, state).reshape(n, n)
            assert_close(found[sample, time], dense)
