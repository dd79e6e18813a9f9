"""Contracts of priors, solvers, baselines, gap patterns and scalings, as tests to inherit.

A part that is written outside this package is tested by a class of a few lines in a file that pytest
collects. The contracts of parts that take labelled data are in ``arrays``, those of parts that take tensors
in ``tensors``.

Examples
--------
>>> from da4dvar.testing import PriorContract
>>> from da4dvar.variational.priors.unet import UNet
>>> class TestMyPrior(PriorContract):
...     shape = (2, 8, 9)
...
...     def make(self):
...         return UNet(channels=2, boundary=("zero", "periodic"), width=3)
"""

from da4dvar.testing.arrays import BaselineContract, GapPatternContract, ScalingContract, labelled_sea
from da4dvar.testing.tensors import Neighbour, PriorContract, SolverContract, normal, seeded

__all__ = [
    "BaselineContract",
    "GapPatternContract",
    "Neighbour",
    "PriorContract",
    "ScalingContract",
    "SolverContract",
    "labelled_sea",
    "normal",
    "seeded",
]
