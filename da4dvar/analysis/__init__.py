"""Application of a learned model to labelled data.

`model` holds a network and the record of what was learned. `problem` sets up the minimisation of U for a data
set, `analyse` solves it window by window, and `ensemble`, `calibration` and `error_bars` estimate the error.
The package imports those up to `baselines` and depends on neither training nor model files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from da4dvar import attached

# Imported on first use: names are public here, and modules load what they need.
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

__getattr__, __dir__ = attached(__name__, _PUBLIC)
