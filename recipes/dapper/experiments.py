"""The experiments on Lorenz-96 that DAPPER 1.7.1 ships, in the environment of DAPPER (see README)."""

from __future__ import annotations

import importlib
from typing import Any

import dapper.mods.Lorenz96
import dapper.tools.progressbar
import numpy as np
from dapper.dpr_config import rc

dapper.tools.progressbar.disable_progbar = True
rc.liveplotting = False
# All statistics but the error are left out, which makes the methods several times faster.
rc.comps["error_only"] = True

# Length of bocquet2010 in model time; the others take from 50 to 1024 in DAPPER.
LENGTH = 64.0
# Steps between observations, where they differ from those of the module.
EVERY = {"sakov2008-every-4": 4, "bocquet2015loc": 8}


def tendency(x: np.ndarray) -> np.ndarray:
    """Return dx/dt, shape of `x`; the same bits as DAPPER's function, in half of the time."""
    around = np.concatenate([x[..., -2:], x, x[..., :1]], axis=-1)
    return (around[..., 3:] - around[..., :-3]) * around[..., 1:-2] - x + dapper.mods.Lorenz96.Force


dapper.mods.Lorenz96.dxdt = tendency


def model_of(name: str) -> Any:
    """Return the hidden Markov model of an experiment, with the length of the series changed."""
    # bocquet2010_m40 changes the number of components in a dictionary that it shares with bocquet2010.
    importlib.import_module("dapper.mods.Lorenz96.bocquet2010")
    model = importlib.import_module(f"dapper.mods.Lorenz96.{name.split('-')[0]}").HMM.copy()
    model.tseq.dko = EVERY.get(name, model.tseq.dko)
    model.tseq.T = LENGTH
    return model
