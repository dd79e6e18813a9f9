"""What must be the same to continue an interrupted run: the version, the source, the model, the options."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from da4dvar.errors import DataError
from da4dvar.modelfile.write import header_of
from da4dvar.outofcore.fingerprint import check_settings, check_unchanged, fingerprint
from da4dvar.outofcore.source import Source

if TYPE_CHECKING:
    from da4dvar.interpolator import Interpolator


def identity(
    model: Interpolator, source: Source, files: Sequence[str], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """What a run is, as JSON keeps it."""
    found = {
        "version": version("da4dvar"),
        "source": fingerprint(source.ds, files),
        "model": digest(model),
        "settings": settings,
    }
    return dict(json.loads(json.dumps(found)))


def digest(model: Interpolator) -> str:
    """A hash of everything that a model file would hold."""
    found = hashlib.sha256(json.dumps(header_of(model), default=str, sort_keys=True).encode())
    arrays = {k: v.cpu().numpy() for k, v in model.model.state_dict().items()}
    for name, array in {**arrays, **model.scaling.arrays(), **model.covariates.arrays()}.items():
        found.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def check_same(then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with a run that was another one.

    Raises
    ------
    DataError
        If the version, the source, the model or an option is another.
    """
    if then.get("version") != now["version"]:
        raise DataError(
            f"this is da4dvar {now['version']}, but the interrupted run began with {then.get('version')}; "
            "continue with that version, or start over with --overwrite"
        )
    check_unchanged(then.get("source", {}), now["source"])
    if then.get("model") != now["model"]:
        raise DataError(
            "the model is not the one that the interrupted run began with; give that one, or start over "
            "with --overwrite"
        )
    check_settings(then.get("settings", {}), now["settings"])
