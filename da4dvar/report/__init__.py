"""The report of an evaluation: one HTML page, and its figures as single files."""

from da4dvar.report.files import report_files

__all__ = ["report_files"]
