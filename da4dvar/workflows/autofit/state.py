"""Reading of fits that were written as plain tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from da4dvar.config.registry import build
from da4dvar.config.tables import Table
from da4dvar.errors import ModelError, first_line
from da4dvar.fields.bounds import Bounds
from da4dvar.fields.gaps.likeness import Reach
from da4dvar.workflows.autofit.comparison import Comparison, Residuals
from da4dvar.workflows.autofit.compete import Result
from da4dvar.workflows.autofit.fitted import Fitted
from da4dvar.workflows.candidate import Candidate, Together


def load_fit(path: str | Path) -> Fitted:
    """Read a fit that :meth:`Fitted.save` has written.

    Parameters
    ----------
    path : str or path
        File ``.json``.

    Returns
    -------
    Fitted

    Raises
    ------
    ModelError
        If there is no such file, or it is damaged.

    Examples
    --------
    >>> load_fit("nowhere.json")
    Traceback (most recent call last):
    ...
    da4dvar.errors.ModelError: nowhere.json: not a readable fit ([Errno 2] No such file ...); save it again
    """
    try:
        state = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not a readable fit ({first_line(error)}); save it again") from error
    return from_state(state)


def from_state(state: Table) -> Fitted:
    """Return the fit that :meth:`Fitted.state` has returned.

    Raises
    ------
    ModelError
        If the state is damaged.
    """
    results, bounds = {}, {}
    try:
        for name, own in state["variables"].items():
            method = own["method"]
            points: Table = {key: np.array(values) for key, values in own["points"].items()}
            points["scale"] = own["comparison"].get("scale", 1.0)
            std = {} if own["std"] is None else {method["name"]: np.array(own["std"])}
            comparison = dict(own["comparison"])
            for key in ("gain", "change"):
                comparison[key] = tuple(comparison[key])
            comparison["rmse"] = {n: tuple(pair) for n, pair in comparison["rmse"].items()}
            bounds[name] = Bounds(**own["bounds"])
            table, helpers = method["table"], tuple(method.get("others", ()))
            kind = Together if helpers else Candidate
            results[name] = Result(
                Comparison(**comparison),
                kind(method["name"], build("baseline", table), table, others=helpers),
                Residuals(error={method["name"]: np.array(own["error"])}, std=std, **points),
                Reach(**own["reach"]),
                [],
                0.0,
                covariance=own.get("covariance"),
            )
        return Fitted(results, bounds, str(state["time"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"damaged fit ({error!r}); start over with --overwrite") from error
