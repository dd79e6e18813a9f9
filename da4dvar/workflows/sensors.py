"""Tables [[observations]] of a recipe: several sensors that observe one state."""

from __future__ import annotations

from collections.abc import Mapping

from da4dvar.config.registry import call
from da4dvar.config.tables import Table, check_keys
from da4dvar.errors import RecipeError
from da4dvar.fields.sensors import Sensor, check_sensors
from da4dvar.layout import Layout

KEYS = ("variable", "of", "operator", "error", "gaps")


def sensors_of(tables: Table, layout: Layout) -> list[Sensor]:
    """Return the sensors of a recipe; empty if it has none.

    Parameters
    ----------
    tables : dict
        Tables of the recipe. Each of `observations` has a `variable` and an `error`, and may have `of` (the
        observed variable of the layout, by default the first), an `operator` and `gaps`.
    layout : Layout
        Layout of the recipe.

    Returns
    -------
    list of Sensor

    Raises
    ------
    RecipeError
        If a table is incomplete or contradicts the rest of the recipe.

    Examples
    --------
    >>> table = {"variable": "tracks", "error": 0.1}
    >>> sensors_of({"observations": [table]}, Layout(["sst"], axes=["lat"]))
    [Sensor(variable='tracks', of='sst', error=0.1)]
    """
    given = tables.get("observations", [])
    if not isinstance(given, list) or not all(isinstance(table, Mapping) for table in given):
        raise RecipeError(f"observations: got {given!r}, expected tables [[observations]]")
    if given and "observation" in tables:
        raise RecipeError("recipe: got [observation] and [[observations]], expected one of them")
    if given:
        for key, why in (
            ("hidden", "observations of a sensor cannot serve as the truth; give `truth`"),
            ("observed", "each table of observations names its own variable"),
            ("noise", "the data must already contain the errors of the sensors"),
        ):
            if tables.get("data", {}).get(key):
                raise RecipeError(f"data: {key!r} cannot be used with [[observations]] ({why}); leave it out")
    sensors = []
    for number, table in enumerate(given, start=1):
        check_keys(table, KEYS, f"observations, table {number}")
        for key in ("variable", "error"):
            if key not in table:
                raise RecipeError(f"observations, table {number}: no {key!r}; each sensor needs one")
        named = {"of": layout.variables[0]} | {k: table[k] for k in ("variable", "of", "error") if k in table}
        sensors.append(call(Sensor, named, f"observations, table {number}"))
    check_sensors(sensors, layout)
    return sensors


def operator_table(tables: Table, layout: Layout) -> Table:
    """Return the table of H, which joins the operators of all sensors; by default, identities."""
    sensors = sensors_of(tables, layout)
    return {
        "kind": "sensors",
        "operators": [table.get("operator", {"kind": "identity"}) for table in tables["observations"]],
        "of": [layout.variables.index(sensor.of) for sensor in sensors],
        "states": len(layout.variables),
        "learn_weights": bool(tables.get("cost", {}).get("learn_weights", True)),
    }
