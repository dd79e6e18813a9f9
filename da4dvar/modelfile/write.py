"""Writing of model files: safetensors with a JSON header that describes the model."""

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
    """Return the versions of Python and the packages that a model depends on."""
    names = ("da4dvar", "torch", "numpy", "xarray")
    return {"python": platform.python_version(), **{n: version(n) for n in names}}


def header_of(interpolator: Model) -> dict[str, Any]:
    """Return the header of a model: everything except its tensors.

    Raises
    ------
    ModelError
        If the model has not been fitted.
    RecipeError
        If it has a component that a file cannot represent.
    """
    if interpolator.signature is None:
        raise ModelError("the interpolator has not been fitted; call fit before save")
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
        "known": asdict(interpolator.known),
        "scores": interpolator.scores,
        "provenance": interpolator.provenance,
    }


def described(first_guess: Baseline | None) -> Table | None:
    """Return the table that describes a first guess, or None without one."""
    return None if first_guess is None else describe("baseline", first_guess)


def save(interpolator: Model, path: Path) -> None:
    """Write a model file; if this fails, no incomplete file is left.

    Parameters
    ----------
    interpolator : Model
        Fitted model.
    path : Path
        Path of the file.

    Raises
    ------
    ModelError
        If the model has not been fitted, has a component that a file cannot represent, has weights that are
        not finite, or is too large.
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
            raise ModelError(f"{path}: weights {name!r} are not finite; train again with a lower rate")
    tensors = in_half(tensors)
    tensors |= {f"covariates.{k}": np.array(v) for k, v in interpolator.covariates.arrays().items()}
    labels = {}
    for key, value in interpolator.scaling.arrays().items():
        if value.dtype.kind in "fiub":
            tensors[f"scaling.{key}"] = np.array(value, order="C")
        else:
            labels[key] = value.tolist()
    # The checksum is that of the header as read back: lists for tuples, strings for types unknown to JSON.
    whole = json.loads(json.dumps(header | {"labels": labels}, default=str))
    metadata = {KEY: json.dumps(whole | {CHECKSUM: checksum(whole, tensors)})}
    content = safetensors.numpy.save(tensors, metadata)
    if len(content) > LARGEST_FILE:
        raise ModelError(
            f"{path}: the model has more than {LARGEST_FILE} bytes, which cannot be read; make it smaller"
        )
    write_whole(path, lambda beside: beside.write_bytes(content))


def in_half(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return float32 arrays as float16 if that changes none of their values, otherwise as they are.

    Weights that were rounded after the training thus take half the space.

    Examples
    --------
    >>> in_half({"weight": np.float32([0.5, 3.0])})["weight"].dtype, in_half({"weight": np.float32([0.1])})
    (dtype('float16'), {'weight': array([0.1], dtype=float32)})
    """
    single = {k: v for k, v in tensors.items() if v.dtype == np.float32}
    with np.errstate(over="ignore"):
        half = {k: v.astype("float16") for k, v in single.items()}
    exact = all(np.array_equal(half[k].astype("float32"), v) for k, v in single.items())
    return tensors | half if exact else tensors
