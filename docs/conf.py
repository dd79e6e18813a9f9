"""Sphinx configuration."""

import importlib.metadata

project = "da4dvar"
author = "The da4dvar developers"
release = importlib.metadata.version("da4dvar")
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
napoleon_google_docstring = False
napoleon_use_ivar = True
autodoc_typehints = "none"
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "da4dvar"
