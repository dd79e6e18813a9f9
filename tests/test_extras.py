"""What is said where an extra of the package is not installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import xarray as xr
from examples import make_sst, tiny_interpolator
from workflows.test_recipe import recipe

from da4dvar.errors import DataError
from da4dvar.workflows.autofit.fit import fit_to


@pytest.mark.parametrize(
    "learn",
    [
        lambda folder: tiny_interpolator().fit(make_sst(30)),
        lambda folder: recipe(folder).train(folder),
        lambda folder: fit_to(xr.Dataset(), {"sst": "sst"}, "time", 1),
    ],
    ids=["fit", "train", "fit_to"],
)
def test_a_training_says_what_it_lacks(learn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install, before any data are read."""
    known = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *_: None if name == "pytorch_lightning" else known(name)
    )
    with pytest.raises(DataError, match=r"needs pytorch_lightning, .*; pip install 'da4dvar\[train\]'"):
        learn(tmp_path)
