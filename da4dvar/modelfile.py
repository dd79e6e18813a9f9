"""The model file: safetensors, with a JSON header that says everything about the model."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.numpy
import torch

from da4dvar import config
from da4dvar.baselines import Baseline
from da4dvar.errors import ModelError, RecipeError, first_line
from da4dvar.fields.sensors import Sensor
from da4dvar.fields.store import write_whole
from da4dvar.header_checks import calibration_of, check_tables, check_whole, signature_of
from da4dvar.layout import Layout
from da4dvar.model_header import CHECKSUM, FORMAT, KEY, LARGEST_FILE, checksum, read
from da4dvar.shipped import find

if TYPE_CHECKING:
    from da4dvar.interpolator import Interpolator

COST_KEYS = ("rho", "observation_weight", "prior_weight", "learn_weights")


def versions() -> dict[str, str]:
    """Versions of what a model depends on."""
    names = ("da4dvar", "torch", "numpy", "xarray")
    return {"python": platform.python_version(), **{n: version(n) for n in names}}


def header_of(interpolator: Interpolator) -> dict[str, Any]:
    """Everything about an interpolator but its numbers."""
    if interpolator.signature is None:
        raise ModelError("the interpolator has not been fitted; there is nothing to save")
    cost = interpolator.model.cost
    return {
        "format": FORMAT,
        "layout": asdict(interpolator.layout),
        "scaling": config.describe("scaling", interpolator.scaling),
        "prior": config.describe("prior", cost.prior),
        "observation": config.describe("observation", cost.observation),
        "solver": config.describe("solver", interpolator.model.solver),
        "cost": {k: v for k, v in config.describe("cost", cost).items() if k in COST_KEYS},
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


def described(first_guess: Baseline | None) -> config.Table | None:
    """The table of a first guess, if there is one."""
    return None if first_guess is None else config.describe("baseline", first_guess)


def first_guess_of(table: config.Table | None) -> Baseline | None:
    """The first guess that a table describes.

    Raises
    ------
    RecipeError
        If it cannot be made, or a model file could not hold it.
    """
    if table is None:
        return None
    for key in ("history", "dynamics"):
        if key in table:
            raise RecipeError(
                f"first_guess: {key!r} is for a row of a benchmark; a model file cannot hold it"
            )
    made: Baseline = config.build("baseline", table)
    return made


def save(interpolator: Interpolator, path: Path) -> None:
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


def load(name: str | Path) -> Interpolator:
    """A model from a file, or one that ships with the package.

    Parameters
    ----------
    name : str or path
        A path, or the name of a shipped model.

    Returns
    -------
    Interpolator

    Raises
    ------
    ModelError
        If there is no such model, or the file is broken or inconsistent.

    Examples
    --------
    >>> load("oisst-tasman").layout.variables
    ('sst',)
    """
    path = find(name)
    header, arrays = read(path)
    try:
        return _assemble(header, arrays)
    except ModelError:
        raise
    # A header can be wrong in more ways than there are types: what it provokes is told, never shown.
    except Exception as error:
        raise ModelError(
            f"{path}: header and tensors do not fit together ({first_line(error)}); train or copy it anew"
        ) from error


def parts_of(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names begin with a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def check_known(interpolator: Interpolator, arrays: dict[str, np.ndarray]) -> None:
    """Refuse a tensor of the scaling, or of the covariates, that neither would write.

    Raises
    ------
    ValueError
    """
    for prefix, part in (("scaling.", interpolator.scaling), ("covariates.", interpolator.covariates)):
        if strange := parts_of(arrays, prefix).keys() - part.arrays().keys():
            raise ValueError(f"no part of a model has a tensor {prefix + min(strange)!r}")


def _assemble(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> Interpolator:
    from da4dvar.interpolator import Interpolator

    check_tables(header)
    for key, array in arrays.items():
        if not key.startswith(("model.", "scaling.", "covariates.")):
            raise ValueError(f"no part of a model has a tensor {key!r}")
        if key.startswith("model.") and not np.isfinite(array).all():
            raise ValueError(f"weights {key.removeprefix('model.')!r} are not finite")
    weights = {
        k.removeprefix("model."): torch.from_numpy(v.copy())
        for k, v in arrays.items()
        if k.startswith("model.")
    }
    # Sizes come from the file: built without memory, then compared with the tensors that are there.
    with torch.device("meta"):
        arguments = {
            "prior": config.build("prior", header["prior"]),
            "solver": config.build("solver", header["solver"]),
            "observation": config.build("observation", header["observation"]),
            "layout": config.call(Layout, header["layout"], "layout"),
            "scaling": config.build("scaling", header["scaling"]),
            "initial": header["initial"],
            "time": header["time"],
            "observation_error": header.get("observation_error"),
            "first_guess": first_guess_of(header.get("first_guess")),
            "covariates": header.get("covariates", []),
            "derived": header.get("derived", []),
            "sensors": [config.call(Sensor, t, "observations") for t in header.get("sensors", [])],
        }
        cost = {k: header["cost"][k] for k in COST_KEYS}
        interpolator = config.call(Interpolator, arguments | cost, "model")
    for name, tensor in interpolator.model.state_dict().items():
        if name in weights and weights[name].dtype != tensor.dtype:
            raise ValueError(f"weights {name!r} are of {weights[name].dtype}, expected {tensor.dtype}")
    interpolator.model.load_state_dict(weights, assign=True)
    interpolator.scaling.load(
        parts_of(arrays, "scaling.") | {k: np.array(v) for k, v in header["labels"].items()}
    )
    interpolator.covariates.load(parts_of(arrays, "covariates."))
    check_known(interpolator, arrays)
    interpolator.correction = tuple(map(float, header.get("correction", ())))
    interpolator.signature = signature_of(header)
    interpolator.scores, interpolator.provenance = header["scores"], header["provenance"]
    interpolator.calibration = calibration_of(header)
    check_whole(interpolator)
    return interpolator
