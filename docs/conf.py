"""Sphinx configuration: pages in MyST, and tutorials that are executed at every build."""

import importlib
import logging
import os
import posixpath
import re
import tempfile
from importlib.util import find_spec
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

import da4dvar

project = "da4dvar"
author = copyright = "The da4dvar developers"
release = da4dvar.__version__
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
napoleon_google_docstring = False
napoleon_use_ivar = True
autodoc_typehints = "none"
templates_path = ["_templates"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 4
# Smart quotes would turn `--model` in running text into an en dash.
smartquotes = False
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True
# Kernels warn on each start that their messages are not encrypted, which never leave this machine.
profile = Path(tempfile.mkdtemp(prefix="ipython-"), "profile_default")
profile.mkdir()
(profile / "ipython_kernel_config.py").write_text("c.IPKernelApp.log_level = 40\n")
os.environ["IPYTHONDIR"] = str(profile.parent)
exclude_patterns = ["_build", "jupyter_execute"]
html_theme = "furo"
html_title = f"da4dvar {release}"
# MathJax comes from a package, with its fonts, so that formulas need no network. Its extension would do the
# same, but does not say that it may run in parallel.
html_static_path = ["_static", str(Path(find_spec("sphinx-mathjax-offline").origin).with_name("static"))]
mathjax_path = "mathjax/tex-chtml.js"
html_css_files = ["wide.css", "gallery.css", "dark.css"]
html_search_scorer = str(Path(__file__).with_name("_static") / "scorer.js")

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


def plain(name: str) -> str:
    """The name under which the reference documents an object that a docstring calls by its module."""
    parts = name.split(".")
    for number in range(len(parts) - 1, 1, -1):
        if parts[0] == "da4dvar" and parts[number] in dir(importlib.import_module(".".join(parts[:2]))):
            return ".".join([*parts[:2], *parts[number:]])
    return name


def by_module(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, shown: nodes.Element
) -> nodes.Element | None:
    """Resolve a reference to `da4dvar.variational.priors.unet.UNet` as one to `da4dvar.variational.UNet`."""
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py" or (name := plain(target)) == target:
        return None
    domain = env.domains["py"]
    return domain.resolve_xref(env, node["refdoc"], app.builder, node["reftype"], name, node, shown)


def described(app: Sphinx, tree: nodes.document) -> None:
    """Give figures that a page draws the heading above them as alternative text, in place of a file name."""
    for image in tree.findall(nodes.image):
        section = image.parent
        while section is not None and not isinstance(section, nodes.section):
            section = section.parent
        if "alt" not in image and section is not None:
            image["alt"] = f"Figure: {section[0].astext()}"


def setup(app: Sphinx) -> None:
    logging.getLogger("traitlets").setLevel(logging.WARNING)
    app.connect("include-read", from_here)
    app.connect("missing-reference", by_module)
    app.connect("doctree-read", described)
