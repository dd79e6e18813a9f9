"""Short summaries of models: what they fill, their training data and their scores."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from da4dvar.modelfile import shipped
from da4dvar.modelfile.header import read_shapes

Table = Mapping[str, Any]
SECONDS = {"day": 86400.0, "hour": 3600.0, "minute": 60.0, "second": 1.0}


def summaries() -> list[dict[str, Any]]:
    """Return the summary of each shipped model."""
    return [summary(name, *read_shapes(shipped.find(name))) for name in shipped.names()]


def summary(name: str, header: Table, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Summarise a model for users who choose one.

    Parameters
    ----------
    name : str
        Name of the model.
    header : mapping
        Header of the model file.
    shapes : mapping of str to tuple of int
        Shapes of the arrays of the model file.

    Returns
    -------
    dict
        Name, title, variables with units, steps of the dimensions, training data, scores and size.
    """
    signature, provenance = header["signature"], header["provenance"]
    return {
        "name": name,
        "title": provenance.get("title", ""),
        "variables": {n: attrs.get("units") for n, attrs in signature["variables"].items()},
        "steps": {n: in_words(dim["spacing"], dim["dates"]) for n, dim in signature["dims"].items()},
        "trained_on": trained_on(provenance),
        "scores": header["scores"],
        "parameters": parameters(shapes),
    }


def parameters(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Return the number of learned parameters."""
    return sum(prod(shape) for name, shape in shapes.items() if name.startswith("model."))


def trained_on(provenance: Table) -> str:
    """Describe the data that the weights were trained on.

    Examples
    --------
    >>> recipe = {"data": {"train": {"time": ["1990", "2009"]}}}
    >>> trained_on({"data": {"title": "a sea"}, "recipe": recipe})
    'a sea, time 1990 to 2009'
    """
    # A model that was assembled without training has the weights of the model it started from.
    while "started_from" in provenance and provenance["recipe"].get("train", {}).get("steps") == 0:
        provenance = provenance["started_from"]
    recipe = provenance.get("recipe", {}).get("data", {})
    source = provenance.get("data", {}).get("title") or recipe.get("path") or "not recorded"
    ranges = [f"{dim} {first} to {last}" for dim, (first, last) in recipe.get("train", {}).items()]
    return ", ".join([str(source), *ranges])


def in_words(step: float | None, dates: bool) -> str:
    """Format the step of a coordinate, which is in seconds for dates.

    Examples
    --------
    >>> in_words(86400.0, True), in_words(5400.0, True), in_words(0.25, False), in_words(None, False)
    ('1 day', '1.5 hours', '0.25', 'any')
    """
    if step is None:
        return "any"
    if not dates:
        return f"{step:.4g}"
    unit = next((u for u, length in SECONDS.items() if abs(step) >= length), "second")
    number = f"{step / SECONDS[unit]:.4g}"
    return f"{number} {unit}" if number in ("1", "-1") else f"{number} {unit}s"


def text_of(models: list[dict[str, Any]]) -> str:
    """Format summaries as text, a few lines each."""
    blocks = []
    for model in models:
        fills = ", ".join(f"{n} [{units or 'no units'}]" for n, units in model["variables"].items())
        steps = ", ".join(f"{name} {step}" for name, step in model["steps"].items())
        lines = {
            "fills": f"{fills}; steps: {steps}",
            "trained on": model["trained_on"],
            "scores": scores_of(model["scores"]),
            "size": f"{model['parameters']:,} parameters",
        }
        described = [f"  {name:<11} {text}" for name, text in lines.items() if text]
        blocks.append("\n".join([f"{model['name']}: {model['title']}", *described]))
    return "\n\n".join(blocks)


def scores_of(scores: Table) -> str:
    """Format scores in one line; test scores, with a description of the test, take precedence."""
    numbers = {n: s for n, s in scores.items() if isinstance(s, int | float)}
    tested = {n.removeprefix("test_"): s for n, s in numbers.items() if n.startswith("test_")}
    line = ", ".join(f"{name} {score:.4g}" for name, score in (tested or numbers).items())
    return f"{line} ({scores['test']})" if "test" in scores else line
