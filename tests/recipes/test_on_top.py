"""The network of `recipes/oisst-tasman/on_top.py` and the estimate of a year from windows."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parents[2] / "recipes/oisst-tasman"


@pytest.fixture(scope="module")
def on_top():
    """The script as a module, which imports its neighbour `measure`."""
    sys.path.insert(0, str(FOLDER))
    spec = importlib.util.spec_from_file_location("on_top", FOLDER / "on_top.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(FOLDER))
    sys.modules.pop("measure", None)


@pytest.fixture
def fields():
    """Truth, observations, first guess and standard error of 20 days, with land in a corner."""
    generator = np.random.default_rng(0)
    made = generator.standard_normal((4, 20, 32, 32)).astype("float32")
    made[1][generator.random(made[1].shape) < 0.9] = np.nan
    made[3] = np.abs(made[3])
    made[:, :, :8, :8] = np.nan
    return made


def test_an_untrained_network_returns_the_first_guess(on_top, fields):
    found = on_top.estimate(on_top.Correction(), fields)
    sea = np.isfinite(fields[2])
    np.testing.assert_allclose(found[sea], fields[2][sea], atol=1e-5)


def test_the_correction_changes_sign_with_the_anomalies(on_top, fields):
    torch.manual_seed(0)
    net = on_top.Correction()
    torch.nn.init.normal_(net.out.weight)
    negative = fields * np.array([-1, -1, -1, 1], "float32")[:, None, None, None]
    found, mirrored = on_top.estimate(net, fields), on_top.estimate(net, negative)
    sea = np.isfinite(fields[2])
    assert np.abs(found - fields[2])[sea].max() > 0.1
    np.testing.assert_allclose(mirrored[sea], -found[sea], atol=1e-4)
