"""Scores, figures and the report that compare an estimate with a truth.

This package imports `api` and the packages below it. Measures of error are in `fields.scores`; each section
of the report is a module in `report`, each figure a function in `figures`.
"""
