"""Sphinx configuration: pages in MyST, and tutorials that are executed at every build."""

import importlib.metadata
import logging
import posixpath
import re
from pathlib import Path

from sphinx.application import Sphinx

project = "da4dvar"
author = copyright = "The da4dvar developers"
release = importlib.metadata.version("da4dvar")
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
napoleon_google_docstring = False
napoleon_use_ivar = True
autodoc_typehints = "none"
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 4
# Smart quotes would turn `--model` in running text into an en dash.
smartquotes = False
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True
exclude_patterns = ["_build", "jupyter_execute"]
html_theme = "furo"
html_title = "da4dvar"
html_static_path = ["_static"]
html_css_files = ["tables.css", "gallery.css"]

LINK = re.compile(r"\]\((?![a-z]+:|/)([^)\s]+)\)")
# READMEs that are included in a page, and pages that they link to, relative to this folder, and the page.
PAGES = {
    r"\.\./recipes/([^/]+)/README\.md": r"benchmarks/\1.md",
    r"\.\./datasets/README\.md": "data.md",
    r"\.\./docs/": "",
}
CARD = re.compile(r"\.\./datasets/([^/]+)/README\.md")


def from_here(app: Sphinx, path: Path, parent: str, content: list[str]) -> None:
    """Rewrite the links of an included README as links to pages of the documentation or to files."""
    readme = path.as_posix()

    def link(match: re.Match[str]) -> str:
        file, mark, anchor = match[1].partition("#")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(readme), file)) if file else readme
        if card := CARD.fullmatch(target):
            return f"](/data.md#{card[1]})"
        for source, page in PAGES.items():
            target = re.sub(source, page, target)
        # A Markdown file that is not a page is offered for download.
        kind = "path:" if target.startswith("../") and target.endswith(".md") else ""
        return f"]({kind}/{target}{mark}{anchor})"

    content[0] = LINK.sub(link, content[0])


def setup(app: Sphinx) -> None:
    logging.getLogger("traitlets").setLevel(logging.WARNING)
    app.connect("include-read", from_here)
