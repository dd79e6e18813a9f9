"""Scores, figures and the report that compare an estimate with a truth.

This package imports `api` and the packages below it. Measures of error are in `fields.scores`; each section
of the report is a module in `report`, each figure a function in `figures`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from da4dvar import attached

# Imported on first use: names are public here, and modules load what they need.
_PUBLIC = {
    "evaluate_files": "scores",
    "report_files": "report.files",
    "scores_of": "scores",
    "table_of": "text",
    "uncertainty_score": "uncertainty",
}

__all__ = [*_PUBLIC]

if TYPE_CHECKING:
    from da4dvar.evaluation.report.files import report_files as report_files
    from da4dvar.evaluation.scores import evaluate_files as evaluate_files
    from da4dvar.evaluation.scores import scores_of as scores_of
    from da4dvar.evaluation.text import table_of as table_of
    from da4dvar.evaluation.uncertainty import uncertainty_score as uncertainty_score

__getattr__, __dir__ = attached(__name__, _PUBLIC)
