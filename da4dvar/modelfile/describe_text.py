"""Descriptions of a model or a data set, as text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from textwrap import indent
from typing import Any

import tomli_w

from da4dvar.modelfile.summary import in_words, trained_on

Table = Mapping[str, Any]
# A TOML list of numbers or names over several lines.
LIST = re.compile(r"\[\n\s+([^\[\]]+),\n\s*\]")
LONGEST = 20  # entries of a list that are shown
PARTS = ("scaling", "prior", "observation", "solver", "cost", "first_guess", "sensors")


def text_of(described: Table) -> str:
    """Format the table returned by :func:`da4dvar.modelfile.describe.describe` as text."""
    sections = of_model(described) if "model" in described else of_dataset(described)
    return "\n\n".join(sections)


def of_model(model: Table) -> list[str]:
    """Return the sections about a model: purpose and origin, scores, components and recipes."""
    provenance, signature = model["provenance"], model["signature"]
    fills = [of_variable(name, attrs) for name, attrs in signature["variables"].items()]
    given = [of_variable(name, attrs) for name, attrs in signature.get("covariates", {}).items()]
    error = model.get("observation_error")
    facts = {
        "fills": fills,
        "needs": given,
        "dimensions": [of_dimension(n, d, model["layout"]) for n, d in signature["dims"].items()],
        "observations": [f"with errors of {error:.4g} (standard deviation)"] if error is not None else [],
        "error bars": of_calibration(model.get("calibration")),
        "size": [f"{model['parameters']:,} parameters, {model['bytes']:,} bytes"],
        "trained on": [trained_on(provenance), provenance.get("data", {}).get("source", "")],
        **of_training(provenance),
    }
    title = provenance.get("title")
    sections = [f"{model['model']}: {title}" if title else model["model"], in_columns(facts)]
    if model["scores"]:
        sections.append("scores\n" + in_columns({n: [of_score(s)] for n, s in model["scores"].items()}, 2))
    sections.append("model\n" + as_toml({part: model.get(part) for part in PARTS}))
    if recipe := provenance.get("recipe"):
        sections.append("recipe\n" + as_toml(recipe))
    return [*sections, *ancestors(provenance)]


def of_training(provenance: Table) -> dict[str, list[str]]:
    """Return the seed, the date and the versions of a training."""
    versions = ", ".join(f"{name} {number}" for name, number in provenance.get("versions", {}).items())
    found = {"seed": provenance.get("seed"), "finished": provenance.get("finished"), "versions": versions}
    return {name: [str(value)] for name, value in found.items() if value not in (None, "")}


def ancestors(provenance: Table) -> list[str]:
    """Return a section for each model that a model started from, latest first, with changes of the recipe."""
    sections = []
    while earlier := provenance.get("started_from"):
        recipe, later = earlier.get("recipe", {}), provenance.get("recipe", {})
        other = {name: table for name, table in recipe.items() if table != later.get(name)}
        facts = {"trained on": [trained_on(earlier)], **of_training(earlier)}
        lines = [f"started from: {earlier.get('title') or 'a model without a title'}", in_columns(facts, 2)]
        if other:
            lines += ["  recipe, where it differs", as_toml(other, 4)]
        sections.append("\n".join(lines))
        provenance = earlier
    return sections


def of_variable(name: str, attrs: Table) -> str:
    """Format a variable with its units and its long or standard name."""
    meaning = attrs.get("long_name") or attrs.get("standard_name")
    return f"{name} [{attrs.get('units', 'no units')}]" + (f", {meaning}" if meaning else "")


def of_dimension(name: str, dim: Table, layout: Table) -> str:
    """Format the step of a dimension and its windows."""
    said = [f"steps of {in_words(dim['spacing'], dim['dates'])}" if dim["spacing"] else "any steps"]
    window = layout["window"].get(name)
    said.append("not cut into windows" if window is None else f"windows of {window}")
    if window is not None and name in layout["overlap"]:
        said.append(f"overlap {layout['overlap'][name]:g}")
    said += ["periodic"] if name in layout["periodic"] else []
    said += ["as channels"] if name in layout["channels"] else []
    said += [f"{dim['size']} entries"] if dim.get("size") else []
    return f"{name}: {', '.join(said)}"


def of_calibration(calibration: Table | None) -> list[str]:
    """Describe the calibration of the error bars of a model."""
    if calibration is None:
        return ["not calibrated; run da4dvar calibrate before using --interval"]
    members = calibration["ensemble"]["members"]
    return [
        f"{name}: {members} members, calibrated on {entry['points']:,} hidden points"
        for name, entry in calibration["variables"].items()
    ]


def of_score(score: Any) -> str:
    """Format a score to four digits, or the description of a test."""
    return f"{score:.4g}" if isinstance(score, int | float) else str(score)


def of_dataset(table: Table) -> list[str]:
    """Return the sections about a data set: dimensions, variables, what would be filled, and attributes."""
    dims = {name: [of_range(entry)] for name, entry in table["dimensions"].items()}
    variables = {
        f"{name}({', '.join(entry['dims'])})": [of_values(entry)]
        for name, entry in table["variables"].items()
    }
    attributes = {name: text.splitlines() or [""] for name, text in table["attributes"].items()}
    filling = table.get("filling", {})
    sections = {"dimensions": dims, "variables": variables}
    for title, key in (("would be filled", "would_be_filled"), ("not filled", "not_filled")):
        sections[title] = {name: [text] for name, text in filling.get(key, {}).items()}
    remarks = {"cannot be filled": filling.get("error"), "remarks": "\n  ".join(filling.get("remarks", ()))}
    said = [f"{title}\n  {text}" for title, text in remarks.items() if text]
    shown = [f"{title}\n{in_columns(lines, 2)}" for title, lines in sections.items() if lines]
    return [*shown, *said, *([f"attributes\n{in_columns(attributes, 2)}"] if attributes else [])]


def of_range(dim: Table) -> str:
    """Format the size of a dimension, its first and last value and its step."""
    if "first" not in dim:
        return f"{dim['size']}, without a coordinate"
    step = "" if dim["step"] is None else f", in steps of {in_words(dim['step'], dim['dates'])}"
    step += ", uneven" if dim["uneven"] else ""
    first, last = (str(dim[end]).removesuffix(".000000000") for end in ("first", "last"))
    return f"{dim['size']}, from {first} to {last}{step}"


def of_values(variable: Table) -> str:
    """Format the type, units, gaps and range of a variable."""
    said = [variable["dtype"]]
    said += [f"in {variable['units']}"] if "units" in variable else []
    said += [f"missing: {variable['missing']}"] if "missing" in variable else []
    said += ["from {:.6g} to {:.6g}".format(*variable["range"])] if "range" in variable else []
    return ", ".join(said)


def in_columns(facts: Mapping[str, Iterable[str]], depth: int = 0) -> str:
    """Align names and their texts in two columns, with one line for each text."""
    width = max(map(len, facts), default=0) + 2
    lines = []
    for name, texts in facts.items():
        for k, text in enumerate(filter(None, texts)):
            lines.append(f"{'' if k else name:<{width}}{text}")
    return indent("\n".join(lines), " " * depth)


def as_toml(table: Table, depth: int = 2) -> str:
    """Format a table as in a recipe, with short lists on one line and without long ones."""
    text = tomli_w.dumps(readable(table)).strip()
    text = LIST.sub(lambda found: f"[{' '.join(found[1].split())}]", text)
    return indent(text, " " * depth)


def readable(value: Any) -> Any:
    """Remove None, which TOML cannot represent, and empty lists from a table, and shorten long lists."""
    if isinstance(value, Mapping):
        return {k: readable(v) for k, v in value.items() if v is not None and v != []}
    if isinstance(value, list):
        return [readable(v) for v in value] if len(value) <= LONGEST else f"list of {len(value)}"
    return value
