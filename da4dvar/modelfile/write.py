"""Write a model file: safetensors, with a JSON header that describes the model."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from da4dvar.analysis.model import Model
from da4dvar.baselines import Baseline
from da4dvar.config.registry import describe
from da4dvar.config.tables import Table
from da4dvar.errors import ModelError, RecipeError
from da4dvar.fields.files.store import write_whole
from da4dvar.modelfile.header import CHECKSUM, COST_KEYS, FORMAT, KEY, LARGEST_FILE, checksum


def versions() -> dict[str, str]:
    """Versions of what a model depends on."""
    names = ("da4dvar", "torch", "numpy", "xarray")
    return {"python": platform.python_version(), **{n: version(n) for n in names}}


def header_of(interpolator: Model) -> dict[str, Any]:
    """Everything about an interpolator but its numbers."""
    if interpolator.signature is None:
        raise ModelError("the interpolator has not been fitted; there is nothing to save")
    cost = interpolator.model.cost
    return {
        "format": FORMAT,
        "layout": asdict(interpolator.layout),
        "scaling": describe("scaling", interpolator.scaling),
        "prior": describe("prior", cost.prior),
        "observation": describe("observation", cost.observation),
        "solver": describe("solver", interpolator.model.solver),
        "cost": {k: v for k, v in describe("cost", cost).items() if k in COST_KEYS},
        "initial": interpolator.initial,
        "time": interpolator.time,
        "observation_error": interpolator.observation_error,
        "first_guess": described(interpolator.first_guess),
        "correction": interpolator.correction,
        "covariates": list(interpolator.covariates.names),
        "derived": list(interpolator.covariates.derived),
        "sensors": [asdict(sensor) for sensor in interpolator.sensors],
        "signature": interpolator.signature.to_dict(),
        "calibration": None if interpolator.calibration is None else interpolator.calibration.to_dict(),
        "scores": interpolator.scores,
        "provenance": interpolator.provenance,
    }


def described(first_guess: Baseline | None) -> Table | None:
    """The table of a first guess, if there is one."""
    return None if first_guess is None else describe("baseline", first_guess)


def save(interpolator: Model, path: Path) -> None:
    """Write a model file, whole or not at all.

    Raises
    ------
    ModelError
        If the model is not fitted or has a part that a file cannot name.
    """
    try:
        header = header_of(interpolator)
    except RecipeError as error:
        raise ModelError(f"{path}: cannot be saved; {error}") from error
    tensors = {
        f"model.{k}": np.array(v.cpu().numpy(), order="C") for k, v in interpolator.model.state_dict().items()
    }
    for name, array in tensors.items():
        if not np.isfinite(array).all():
            raise ModelError(f"{path}: weights {name!r} are not finite; train with a lower rate")
    tensors |= {f"covariates.{k}": np.array(v) for k, v in interpolator.covariates.arrays().items()}
    labels = {}
    for key, value in interpolator.scaling.arrays().items():
        if value.dtype.kind in "fiub":
            tensors[f"scaling.{key}"] = np.array(value, order="C")
        else:
            labels[key] = value.tolist()
    # As reading will find it: lists for tuples, texts for what JSON has not.
    whole = json.loads(json.dumps(header | {"labels": labels}, default=str))
    metadata = {KEY: json.dumps(whole | {CHECKSUM: checksum(whole, tensors)})}
    content = safetensors.numpy.save(tensors, metadata)
    if len(content) > LARGEST_FILE:
        raise ModelError(
            f"{path}: the model has over {LARGEST_FILE} bytes, more than is ever read; make it smaller"
        )
    write_whole(path, lambda beside: beside.write_bytes(content))
