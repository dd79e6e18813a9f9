"""From a recipe, a table or a file to a result.

`recipe` trains a model as a TOML file says, `twin` makes gaps, `autofit` fits a model to one file,
`benchmark` runs a folder of recipes. Imports everything but `cli`.
"""
