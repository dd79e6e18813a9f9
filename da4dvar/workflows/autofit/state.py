"""A fit as plain tables, with which it can be applied again without being made again."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

import numpy as np

from da4dvar.config.registry import build
from da4dvar.config.tables import Table
from da4dvar.errors import ModelError
from da4dvar.fields.bounds import Bounds
from da4dvar.fields.gaps.likeness import Reach
from da4dvar.workflows.autofit.comparison import Comparison, Residuals
from da4dvar.workflows.autofit.compete import Result
from da4dvar.workflows.autofit.fitted import Fitted
from da4dvar.workflows.candidate import Candidate


def to_state(fitted: Fitted) -> dict[str, Any]:
    """Return a fit whose winners are classical methods as values that JSON can hold.

    Raises
    ------
    ModelError
        If a winner is a network.
    """
    variables = {}
    for name, result in fitted.results.items():
        winner = result.winner
        if not winner.table:
            raise ModelError(
                f"variable {name!r} is filled by {winner.name}, which has a model file of its own"
            )
        own = result.residuals
        errors = {
            f.name: getattr(own, f.name).tolist() for f in fields(own) if f.name not in ("error", "std")
        }
        variables[name] = {
            "method": {"name": winner.name, "table": winner.table},
            "comparison": asdict(result.comparison),
            "reach": asdict(result.reach),
            "bounds": asdict(fitted.bounds[name]),
            "error": own.error[winner.name].tolist(),
            "std": own.std[winner.name].tolist() if winner.name in own.std else None,
            "points": errors,
        }
    return {"time": fitted.time, "variables": variables}


def from_state(state: Table) -> Fitted:
    """Return the fit that :func:`to_state` has written.

    Raises
    ------
    ModelError
        If the state is damaged.
    """
    results, bounds = {}, {}
    try:
        for name, own in state["variables"].items():
            method = own["method"]
            points = {key: np.array(values) for key, values in own["points"].items()}
            std = {} if own["std"] is None else {method["name"]: np.array(own["std"])}
            comparison = dict(own["comparison"])
            for key in ("gain", "change"):
                comparison[key] = tuple(comparison[key])
            comparison["rmse"] = {n: tuple(pair) for n, pair in comparison["rmse"].items()}
            bounds[name] = Bounds(**own["bounds"])
            results[name] = Result(
                Comparison(**comparison),
                Candidate(method["name"], build("baseline", method["table"]), method["table"]),
                Residuals(error={method["name"]: np.array(own["error"])}, std=std, **points),
                Reach(**own["reach"]),
                [],
                0.0,
            )
        return Fitted(results, bounds, str(state["time"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"damaged fit ({error!r}); start over with --overwrite") from error
