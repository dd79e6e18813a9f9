"""Application of a learned model to labelled data.

`model` holds a network and the record of what was learned. `problem` sets up the minimisation of U for a data
set, `analyse` solves it window by window, and `ensemble`, `calibration` and `error_bars` estimate the error.
The package imports those up to `baselines` and depends on neither training nor model files.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# Imported on first use (PEP 562): names are public here, and modules load what they need.
_PUBLIC = {
    "Assimilated": "assimilate",
    "CalibratedEnsemble": "ensemble",
    "Calibration": "calibration",
    "Ensemble": "ensemble",
    "ErrorParts": "ensemble",
    "calibrate": "error_bars",
}

__all__ = [*_PUBLIC]

if TYPE_CHECKING:
    from da4dvar.analysis.assimilate import Assimilated as Assimilated
    from da4dvar.analysis.calibration import Calibration as Calibration
    from da4dvar.analysis.ensemble import CalibratedEnsemble as CalibratedEnsemble
    from da4dvar.analysis.ensemble import Ensemble as Ensemble
    from da4dvar.analysis.ensemble import ErrorParts as ErrorParts
    from da4dvar.analysis.error_bars import calibrate as calibrate


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__]
