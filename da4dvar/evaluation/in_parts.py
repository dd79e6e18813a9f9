"""Scores of data that are read part by part, from sums over the parts."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping

import numpy as np
import xarray as xr

from da4dvar.evaluation.comparison import Comparison
from da4dvar.fields.files.store import loaded
from da4dvar.fields.labels.conform import check_finite
from da4dvar.fields.scores.probabilistic import coverage, crps_gaussian


def is_lazy(one: Comparison) -> bool:
    """Whether an array of a comparison is read part by part."""
    return any(array.chunks is not None for array in (one.estimate, one.truth))


def scores_in_parts(one: Comparison) -> dict[str, dict[str, float]]:
    """Score one variable like :func:`da4dvar.evaluation.scores.scores_of`, with one part in memory at a time.

    Parameters
    ----------
    one : Comparison
        Estimate, truth, observations and error bars of the variable, some of them lazy, without samples.

    Returns
    -------
    dict
        Scores by kind of cell, without those of samples.

    Raises
    ------
    DataError
        If values cannot be read or are infinite.
    """
    kinds = ["all"] if one.seen is None else ["all", "observed", "unobserved"]
    sums: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}
    origin = None
    for part in parts_of(one):
        masks = {"all": part.truth.notnull()}
        if (observed := part.observed) is not None:
            masks |= {"observed": observed, "unobserved": ~observed}
        for kind, mask in masks.items():
            here = (mask & part.truth.notnull() & part.estimate.notnull()).values
            if not here.any():
                continue
            if origin is None:
                origin = float(part.truth.values[here][0])
            # Only added to, so that sums of 0 stay in the table.
            sums[kind].update(sums_of(part, here, origin))
    return {kind: scores_from(found, one) for kind, found in sums.items()}


def parts_of(one: Comparison) -> Iterator[Comparison]:
    """Yield the parts of a comparison, each in memory."""
    first = next(a for a in (one.estimate, one.truth) if a.chunks is not None)
    starts = [np.cumsum([0, *sizes]) for sizes in first.chunks or ()]
    for place in itertools.product(*(itertools.pairwise(edges) for edges in starts)):
        at = {d: slice(int(a), int(b)) for d, (a, b) in zip(first.dims, place, strict=True)}
        yield Comparison(
            one.name,
            taken(one.estimate, at),
            taken(one.truth, at),
            None if one.seen is None else taken(one.seen, at),
            None if one.std is None else taken(one.std, at),
            {level: (taken(low, at), taken(high, at)) for level, (low, high) in one.bounds.items()},
        )


def taken(array: xr.DataArray, at: Mapping[Hashable, slice]) -> xr.DataArray:
    """Return a part of an array in memory.

    Raises
    ------
    DataError
        If its values cannot be read or are infinite.
    """
    part = loaded(array.isel(at), str(array.name))
    check_finite(part, str(array.name))
    return part


def sums_of(part: Comparison, here: np.ndarray, origin: float) -> dict[str, float]:
    """Return sums over some cells of a part; values are taken from an origin, which keeps their digits."""

    def row(array: xr.DataArray) -> xr.DataArray:
        return xr.DataArray(array.values[here].astype("float64"), dims="cell")

    estimate, truth = row(part.estimate), row(part.truth)
    error, x, t = (a.values for a in (estimate - truth, estimate - origin, truth - origin))
    sums = {"cells": float(t.size), "error": error.sum(), "square": error @ error}
    sums |= {"x": x.sum(), "t": t.sum(), "xx": x @ x, "tt": t @ t, "xt": x @ t}
    if part.std is not None:
        std = row(part.std)
        known = std.notnull().values
        sums |= {
            "std": float(known.sum()),
            "variance": float((std**2).sum()),
            "known": float((error[known] ** 2).sum()),
        }
        sums["crps"] = float(crps_gaussian(estimate, std, truth, []).sum())
    for percent in (50, 90):
        ends = part.interval(percent / 100)
        if ends is not None:
            low, high = map(row, ends)
            number = int((low.notnull() & high.notnull()).sum())
            inside = float(coverage(low, high, truth)) * number if number else 0.0
            sums |= {f"within_{percent}": float(number), f"inside_{percent}": inside}
    return sums


def scores_from(sums: Counter[str], one: Comparison) -> dict[str, float]:
    """Return the scores of cells from their sums; NaN without cells."""
    n = {name: np.float64(value) for name, value in sums.items()}

    def get(name: str) -> np.float64:
        return n.get(name, np.float64(0.0))

    with np.errstate(invalid="ignore", divide="ignore"):
        cells = get("cells")
        square = get("square") / cells
        of_truth = get("tt") / cells - (get("t") / cells) ** 2
        of_estimate = get("xx") / cells - (get("x") / cells) ** 2
        both = get("xt") / cells - get("x") * get("t") / cells**2
        found: dict[str, float] = {
            "cells": int(cells),
            "rmse": square**0.5,
            "bias": get("error") / cells,
            "r_score": square / of_truth,
            "correlation": both / (of_truth * of_estimate) ** 0.5,
        }
        if one.std is not None:
            found["crps"] = get("crps") / get("std")
            found["spread_skill"] = (get("variance") / get("known")) ** 0.5
        for percent in (50, 90):
            if one.std is not None or percent / 100 in one.bounds:
                found[f"coverage_{percent}"] = get(f"inside_{percent}") / get(f"within_{percent}")
    return {name: value if name == "cells" else float(value) for name, value in found.items()}
