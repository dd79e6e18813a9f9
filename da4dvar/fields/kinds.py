"""The scalings and gap patterns that a recipe or a model file may name.

A new one is a line here; recipes, model files, the command line, its completion and tests read this list.
"""

# As "module:Class", so that nothing is imported before it is asked for. `da4dvar gaps --kind` offers those
# of BY_NAME, whose arguments it has options for; the others need the table of a recipe.
BY_NAME: dict[str, dict[str, str]] = {
    "gaps": {
        "random": "da4dvar.fields.gaps.patterns:Random",
        "blocks": "da4dvar.fields.gaps.patterns:Blocks",
        "squares": "da4dvar.fields.gaps.squares:Squares",
        "tracks": "da4dvar.fields.gaps.patterns:Tracks",
        "transplanted": "da4dvar.fields.gaps.patterns:Transplanted",
    },
}
KINDS: dict[str, dict[str, str]] = {
    "scaling": {
        "none": "da4dvar.fields.scaling.standard:Unscaled",
        "standard": "da4dvar.fields.scaling.standard:Standard",
        "anomaly": "da4dvar.fields.scaling.anomaly:Anomaly",
    },
    "gaps": {
        **BY_NAME["gaps"],
        "network": "da4dvar.fields.gaps.patterns:Network",
        "runs": "da4dvar.fields.gaps.runs:Runs",
    },
}
