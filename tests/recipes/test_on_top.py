"""The training of `recipes/oisst-tasman/on_top.py` judges weights by the estimates of the package."""

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


def test_the_estimate_of_the_training_is_that_of_the_model(on_top):
    """Errors of 2010, by which weights are chosen, are those of the model that is written."""
    model, truth = on_top.untrained(), on_top.years()[0].sel(time=slice("2010-01-01", "2010-02-06"))
    torch.manual_seed(0)
    torch.nn.init.normal_(model.model.solver.out.convolution.weight, std=0.2)
    sampled = on_top.gappy(truth, "tracks", 11)
    fields = on_top.first_guess(model, truth, sampled)
    expected = model.states(model.interpolate(sampled, analysis=True))[0].values
    found, sea = on_top.estimate(model.frozen(), fields), np.isfinite(fields[2])
    assert np.abs(found - fields[2])[sea].max() > 0.1
    np.testing.assert_allclose(found[sea], expected[sea], atol=1e-4)
