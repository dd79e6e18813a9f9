"""Reading of model files: safetensors with a JSON header that describes the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from da4dvar.analysis.model import Model
from da4dvar.baselines import Baseline
from da4dvar.config.kinds import UnknownKindError
from da4dvar.config.registry import build, call
from da4dvar.config.tables import Table
from da4dvar.errors import ModelError, RecipeError, first_line
from da4dvar.fields.sensors import Sensor
from da4dvar.layout import Layout
from da4dvar.modelfile.checks import calibration_of, check_tables, check_whole, known_in, signature_of
from da4dvar.modelfile.header import COST_KEYS, read

Built = TypeVar("Built", bound=Model)


def first_guess_of(table: Table | None) -> Baseline | None:
    """Build the first guess that a table describes; None without a table.

    Raises
    ------
    RecipeError
        If it cannot be built, or a model file cannot store it.
    """
    if table is None:
        return None
    for key in ("history", "dynamics"):
        if key in table:
            raise RecipeError(
                f"first_guess: {key!r} is allowed in rows of a benchmark only, since a model file cannot "
                "store it; leave it out"
            )
    made: Baseline = build("baseline", table)
    return made


def read_model(path: Path, cls: type[Built]) -> Built:
    """Read a model file and return the model as an instance of a class.

    Parameters
    ----------
    path : Path
        Path of the model file.
    cls : type
        `Model`, or a subclass with the same arguments.

    Returns
    -------
    Model
        Instance of `cls`.

    Raises
    ------
    ModelError
        If the file does not exist, or is broken or inconsistent.
    """
    header, arrays = read(path)
    try:
        return _assemble(header, arrays, cls)
    except ModelError:
        raise
    except UnknownKindError as error:
        raise ModelError(f"{path}: {error}") from error
    # A header can be wrong in more ways than there are types of exceptions.
    except Exception as error:
        raise ModelError(
            f"{path}: header and tensors are inconsistent ({first_line(error)}); train or copy it again"
        ) from error


def parts_of(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Return the arrays whose names begin with a prefix, with the prefix removed."""
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def check_known(interpolator: Model, arrays: dict[str, np.ndarray]) -> None:
    """Check that the file holds no unknown tensors of the scaling or the covariates.

    Raises
    ------
    ValueError
    """
    for prefix, part in (("scaling.", interpolator.scaling), ("covariates.", interpolator.covariates)):
        if strange := parts_of(arrays, prefix).keys() - part.arrays().keys():
            raise ValueError(f"unknown tensor {prefix + min(strange)!r}")


def _assemble(header: dict[str, Any], arrays: dict[str, np.ndarray], cls: type[Built]) -> Built:
    check_tables(header)
    for key, array in arrays.items():
        if not key.startswith(("model.", "scaling.", "covariates.")):
            raise ValueError(f"unknown tensor {key!r}")
        if key.startswith("model.") and not np.isfinite(array).all():
            raise ValueError(f"weights {key.removeprefix('model.')!r} are not finite")
    weights = {
        k.removeprefix("model."): torch.from_numpy(v.copy())
        for k, v in arrays.items()
        if k.startswith("model.")
    }
    # Sizes come from the file, so the model is built without memory and then compared with the tensors.
    with torch.device("meta"):
        arguments = {
            "prior": build("prior", header["prior"]),
            "solver": build("solver", header["solver"]),
            "observation": build("observation", header["observation"]),
            "layout": call(Layout, header["layout"], "layout"),
            "scaling": build("scaling", header["scaling"]),
            "initial": header["initial"],
            "time": header["time"],
            "observation_error": header.get("observation_error"),
            "first_guess": first_guess_of(header.get("first_guess")),
            "covariates": header.get("covariates", []),
            "derived": header.get("derived", []),
            "sensors": [call(Sensor, t, "observations") for t in header.get("sensors", [])],
        }
        cost = {k: header["cost"][k] for k in COST_KEYS}
        interpolator = call(cls, arguments | cost, "model")
    # Rounded weights are stored in half precision, all of them or none.
    if {w.dtype for w in weights.values() if w.is_floating_point()} == {torch.float16}:
        weights = {k: w.float() if w.is_floating_point() else w for k, w in weights.items()}
    for name, tensor in interpolator.model.state_dict().items():
        if name in weights and weights[name].dtype != tensor.dtype:
            raise ValueError(f"weights {name!r} have type {weights[name].dtype}, expected {tensor.dtype}")
    interpolator.model.load_state_dict(weights, assign=True)
    interpolator.scaling.load(
        parts_of(arrays, "scaling.") | {k: np.array(v) for k, v in header["labels"].items()}
    )
    interpolator.covariates.load(parts_of(arrays, "covariates."))
    check_known(interpolator, arrays)
    interpolator = interpolator.replaced(
        signature=signature_of(header),
        correction=tuple(map(float, header.get("correction", ()))),
        scores=header["scores"],
        provenance=header["provenance"],
        calibration=calibration_of(header),
        known=known_in(header),
    )
    check_whole(interpolator)
    return interpolator
