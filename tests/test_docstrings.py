"""What docs/reference lists is documented in full: by numpydoc's own validation, and a little more."""

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from numpydoc.docscrape import NumpyDocString, get_doc_object
from numpydoc.validate import validate

import da4dvar

PACKAGE = Path(da4dvar.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
PAGES = [file.read_text("utf-8") for file in sorted((PACKAGE.parent / "docs/reference").glob("*.md"))]
LISTS = re.compile(r"currentmodule:: (\S+)\n(.*?)(?=\.\. currentmodule|```)", re.DOTALL)
LISTED = [
    f"{module}.{name}"
    for page in PAGES
    for module, names in LISTS.findall(page)
    for name in re.findall(r"^   (\w+)$", names, re.MULTILINE)
]
# Of these, the other members are for the package itself, and have a line.
USED = {
    "da4dvar.baselines.Analysis": {"estimate", "standard_error", "local"},
    "da4dvar.baselines.CoarseSpace": set(),
    "da4dvar.fields.Anomaly": {"climatology", "fit_climatology"},
    "da4dvar.testing.PriorContract": {"make", "states"},
    "da4dvar.testing.SolverContract": {"make", "make_cost", "problem"},
    "da4dvar.testing.GapPatternContract": {"make"},
    "da4dvar.testing.ScalingContract": {"make", "data"},
    "da4dvar.testing.Neighbour": set(),
    "da4dvar.variational.Background": {"isotropic", "residual", "term"},
}
# Documented as well, for those who change the package.
INNER = [
    *(f"da4dvar.errors.{n}" for n in ("warn", "first_line", "check_least", "nearest", "need")),
    *(f"da4dvar.evaluation.figures.{n}" for n in ("maps", "shared_range", "labelled", "pretty")),
    *(f"da4dvar.evaluation.figures.{n}" for n in ("columns_of_images", "pathways", "gallery")),
    *(f"da4dvar.variational.solvers.base.{n}" for n in ("solution", "per_sample")),
    *(f"da4dvar.config.registry.{n}" for n in ("build", "describe")),
    "da4dvar.variational.cost.refuse_inference_mode",
    "da4dvar.variational.linear_weights.linear_weights",
    "da4dvar.training.loss.mean_over",
    "da4dvar.baselines.fit_points.fit_points",
    "da4dvar.workflows.coordinates.coordinates_of",
]
# Docstring; sections known and in order; a summary of one line that ends; every parameter, by its name, in
# the order of the signature; what comes back; examples.
CHECKS = {"GL03", "GL06", "GL07", "GL08", "SS01", "SS03", "SS06", "RT01", "YD01", "EX01"}
CHECKS |= {"PR01", "PR02", "PR03", "PR05", "PR10"}
# "See ..." in place of the sections, where another docstring holds word for word.
REFERRED = re.compile(r":(?:meth|func):`([\w.]+)`")


@dataclass(frozen=True)
class Listed:
    """A public object: its full name, and whether it is a class, a function, a method or a property."""

    name: str
    kind: str
    thing: Any

    @property
    def doc(self) -> str:
        return inspect.getdoc(self.thing) or ""

    @property
    def parameters(self) -> set[str]:
        try:
            return set(inspect.signature(self.thing).parameters) - {"self", "cls"}
        except ValueError:  # an exception takes what its base does, which is built in
            return set()


def found(name: str) -> Any:
    """The object of a dotted name, in the innermost module that there is."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            thing = inspect.getattr_static(thing, part) if inspect.isclass(thing) else getattr(thing, part)
        return thing
    raise LookupError(name)


def with_members(name: str) -> Iterator[Listed]:
    """A class or function, and the members that its page shows: its own, public and with a docstring."""
    thing = found(name)
    yield Listed(name, "class" if inspect.isclass(thing) else "function", thing)
    own = [n for n in vars(thing) if n[0] != "_"] if inspect.isclass(thing) else []
    for member in [n for n in own if n in USED.get(name, own)]:
        value = inspect.getattr_static(thing, member)
        value = getattr(value, "__func__", value)  # of a class method or a static one
        # The tests of a contract are a line each; what has no docstring says no more than its base.
        if member.startswith("test_") or not getattr(value, "__doc__", None):
            continue
        if isinstance(value, property) or inspect.isfunction(value):
            kind = "property" if isinstance(value, property) else "method"
            yield Listed(f"{name}.{member}", kind, value)


def raised(thing: Any) -> set[str]:
    """The exceptions that the body of a function raises by name; of a class, where it is made."""
    makers = (
        [vars(thing).get(n) for n in ("__init__", "__post_init__")] if inspect.isclass(thing) else [thing]
    )
    bodies = [m for m in makers if m and m.__module__ == thing.__module__]
    names = set()
    for body in bodies:
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(body)))
        except OSError:  # a dataclass writes the constructor itself
            continue
        names |= {ast.unparse(node.exc.func) for node in uncaught(tree) if isinstance(node.exc, ast.Call)}
    return names


def uncaught(node: ast.AST) -> Iterator[ast.Raise]:
    """The raise statements that are not within a `try` with handlers."""
    if isinstance(node, ast.Raise):
        yield node
    caught = node.body if isinstance(node, ast.Try) and node.handlers else []
    for part in ast.iter_child_nodes(node):
        if part not in caught:
            yield from uncaught(part)


def referred(one: Listed) -> Listed | None:
    """Where a docstring of one paragraph sends its reader, if it is to something with the same parameters."""
    match = REFERRED.search(one.doc)
    if match is None or "\n\n" in one.doc:
        return None
    for around in ("", f"{one.thing.__module__}.", f"{one.name.rpartition('.')[0]}."):
        place = around + match[1]
        try:
            other = Listed(place, one.kind, found(place))
        except (LookupError, AttributeError):
            continue
        return other if one.parameters - {"ds"} <= other.parameters else None
    return None


def faults(one: Listed) -> list[str]:
    """What is missing in a docstring, or wrong."""
    if one.kind == "property":
        return [] if one.doc.split("\n")[0].endswith((".", ":")) else ["a line that says what it is"]
    doc = NumpyDocString(one.doc)
    if one.kind != "class" and (other := referred(one)) is not None:
        return [f"{other.name}: {fault}" for fault in faults(other)]
    # Examples of a method are those of its class; a class without a constructor has no parameters.
    left_out = {"EX01"} if one.kind == "method" else set()
    left_out |= {"PR01"} if one.parameters == {"args", "kwargs"} else set()
    told = validate(get_doc_object(one.thing))["errors"]
    missing = [f"{code}: {said}" for code, said in told if code in CHECKS - left_out]
    if one.kind in ("class", "function") and not any(">>>" in line for line in doc["Examples"]):
        missing.append("an example that is run")
    if "+SKIP" in one.doc:
        missing.append("an example that is not skipped")
    gives = inspect.signature(one.thing).return_annotation if one.kind != "class" else None
    if gives not in (None, "None", inspect.Parameter.empty) and not (doc["Returns"] or doc["Yields"]):
        missing.append("a section on what is returned")
    said = {kind for entry in doc["Raises"] for kind in re.split(r"[, ]+", entry.type)}
    missing += [f"a line on when it raises {name}" for name in sorted(raised(one.thing) - said)]
    return missing


@pytest.mark.parametrize("name", [*LISTED, *INNER])
def test_what_is_listed_is_documented_in_full(name):
    """Summary, parameters, what is returned and raised, and an example; nothing that is not there."""
    listed = list(with_members(name))
    assert listed
    assert {one.name: missing for one in listed if (missing := faults(one))} == {}


def test_every_public_name_is_listed():
    """What `da4dvar.__all__` names is in the reference."""
    listed = [id(one.thing) for name in LISTED for one in with_members(name)]
    assert [n for n in da4dvar.__all__ if id(getattr(da4dvar, n)) not in listed] == ["__version__"]


def test_every_name_says_what_it_is():
    """A line for every module, class, function and method without an underscore, listed or not."""
    lines = [(str(f.relative_to(PACKAGE)), *opening) for f in FILES for opening in opening_lines(f)]
    assert [line for line in lines if not re.fullmatch(r"\S.*[.:]", line[-1])] == []


def opening_lines(file: Path) -> Iterator[tuple[str, str]]:
    """The first paragraph of every public docstring of a file; a method may inherit that of its base."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    left: list[tuple[str, Any, bool]] = [(file.stem, tree, False)]
    while left:
        name, node, inherits = left.pop()
        doc = ast.get_docstring(node)
        if doc or not inherits:
            yield name, (doc or "").split("\n\n")[0]
        for part in [] if isinstance(node, ast.FunctionDef) else node.body:
            if isinstance(part, ast.FunctionDef | ast.ClassDef) and not part.name.startswith("_"):
                overrides = isinstance(node, ast.ClassDef) and bool(node.bases) and part.name == "forward"
                left.append((f"{name}.{part.name}", part, overrides))


def lacking(number: int, other: str) -> int:
    """This says something
    in two lines"""
    if number < 0:
        raise ValueError(other)
    return number


def sending(error: ValueError) -> str:
    """The same; see :func:`da4dvar.errors.first_line`."""


def sending_elsewhere(message: str) -> str:
    """The same; see :func:`da4dvar.errors.first_line`."""


def test_what_is_lacking_is_found():
    """A docstring that lacks everything, and two that send to another, which does for the first alone."""
    told, none, one = (
        faults(Listed(f"{__name__}.{f.__name__}", "function", f))
        for f in (lacking, sending, sending_elsewhere)
    )
    for code in ("SS03", "SS06", "PR01", "RT01", "EX01", "returned", "raises ValueError", "is run"):
        assert code in "\n".join(told)
    assert none == [] != one
