"""Workflows that lead from a recipe or a file to a result.

`recipe` trains a model from a TOML file, `fill` applies a classical method, `twin` hides values, `autofit`
fits a model to a single file, and `benchmark` runs a folder of recipes. Imports everything except `cli`.
"""
