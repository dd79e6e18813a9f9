"""Scores of one file against another."""

from __future__ import annotations

from collections.abc import Mapping

from da4dvar.evaluation.comparison import Comparison, compare_files
from da4dvar.evaluation.in_parts import is_lazy, scores_in_parts
from da4dvar.evaluation.report.shape import Shape
from da4dvar.evaluation.text import Scores
from da4dvar.fields.scores.boxes import SIDES, box_coverage
from da4dvar.fields.scores.ensembles import energy_score, variogram_score
from da4dvar.fields.scores.metrics import scores
from da4dvar.fields.scores.probabilistic import coverage, crps_gaussian, spread_skill


def evaluate_files(
    estimate: str, truth: str, observed: str | None = None, variable: Mapping[str, str] | None = None
) -> Scores:
    """Score every variable that both files have.

    Flags, standard deviations, the ends of intervals, samples and the cost terms of windows are not scored as
    variables of their own.

    Parameters
    ----------
    estimate, truth : str
        Paths of data sets on the same coordinates.
    observed : str, optional
        Path of the data set with gaps; observed and unobserved cells are then scored separately.
    variable : mapping of str to str, optional
        Name of a variable in `observed`, where it differs.

    Returns
    -------
    dict
        Scores of each variable, as returned by :func:`scores_of`, keyed by its name.

    Raises
    ------
    DataError
        If the files have no variables or no coordinates in common.

    Examples
    --------
    >>> import xarray as xr
    >>> from tempfile import TemporaryDirectory
    >>> truth = xr.Dataset({"sst": ("time", [10.0, 11.0, 12.0])}, {"time": [0, 1, 2]})
    >>> with TemporaryDirectory() as folder:
    ...     truth.to_netcdf(f"{folder}/truth.nc")
    ...     (truth + 0.5).to_netcdf(f"{folder}/filled.nc")
    ...     table = evaluate_files(f"{folder}/filled.nc", f"{folder}/truth.nc")
    >>> table["sst"]["all"]["bias"]
    0.5
    """
    found = compare_files(estimate, truth, observed, variable, lazily=True)
    return Scores({one.name: scores_of(one) for one in found})


def scores_of(one: Comparison) -> dict[str, dict[str, float]]:
    """Score one variable by kind of cell, including its error bars if it has any.

    Parameters
    ----------
    one : Comparison
        Estimate, truth, observations and error bars of the variable.

    Returns
    -------
    dict
        The scores of :func:`da4dvar.fields.scores.metrics.scores`; with a standard deviation also ``crps``
        and ``spread_skill``; with a standard deviation or intervals also ``coverage_50`` and
        ``coverage_90``, where the interval is known. With samples also ``energy`` and ``variogram``, and
        under the key ``boxes`` the coverage of 90 % intervals of means over boxes and periods.

    Examples
    --------
    >>> import xarray as xr
    >>> x = xr.DataArray([0.0, 1.0, 2.0, 3.0])
    >>> found = scores_of(Comparison("sst", estimate=x, truth=x + 1, std=xr.ones_like(x)))
    >>> found["all"]["spread_skill"], found["all"]["coverage_90"]
    (1.0, 1.0)
    """
    if is_lazy(one):
        return scores_in_parts(one)
    observed = one.observed
    table = scores(one.estimate, one.truth, observed)
    parts = {"all": one.truth.notnull()}
    if observed is not None:
        parts |= {"observed": observed, "unobserved": ~observed}
    for part, where in parts.items():
        here = one.truth.where(where)
        if one.std is not None:
            table[part]["crps"] = float(crps_gaussian(one.estimate, one.std, here))
            table[part]["spread_skill"] = float(spread_skill(one.std, one.estimate, here))
        for percent in (50, 90):
            ends = one.interval(percent / 100)
            if ends is not None:
                table[part][f"coverage_{percent}"] = float(coverage(*ends, here))
        if one.samples is not None and part != "observed":
            time = Shape.of(one.estimate).time
            table[part]["energy"] = energy_score(one.samples, here, time)
            table[part]["variogram"] = variogram_score(one.samples, here, time)
    if boxes := boxes_of(one):
        table["boxes"] = {f"{box}, {n}": c for box, row in boxes.items() for n, c in row.items()}
    return table


def boxes_of(one: Comparison) -> dict[str, dict[str, float]]:
    """Return the coverage of means over boxes and periods; empty without samples, times or observations."""
    shape = Shape.of(one.estimate)
    if one.samples is None or one.observed is None or shape.time is None:
        return {}
    # The neighbours of a station are not those along its dimension.
    space, sides = (shape.space, SIDES) if len(shape.space) == 2 else ((), (1,))
    return box_coverage(one.samples, one.truth, one.observed, space, shape.time, sides=sides)
