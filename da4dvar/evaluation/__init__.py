"""Scores, figures and the report that compare an estimate with a truth.

Imports `api` and what lies below it. A measure of error itself belongs to `fields.scores`; a section of the
report is a file in `report`, a figure a function in `figures`.
"""
