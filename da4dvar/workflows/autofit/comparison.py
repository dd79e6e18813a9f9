"""Errors of methods at hidden points, with their standard errors over the hidden shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from da4dvar.evaluation.gap_classes import gap_classes
from da4dvar.evaluation.text import as_columns

FEW_SHAPES = 10
# Properties of a hidden point that predict its error.
HARDNESS = ("length", "ends", "distance", "bridge", "apart", "known")
# The noise of the observations is stated if the error without it is below this fraction of the error.
NOTABLE = 0.9
# The scale of the errors is stated if it differs from 1 by more than this.
WORTH_SAYING = 0.05


@dataclass(frozen=True)
class Residuals:
    """Errors of all methods at the hidden points of a variable.

    Attributes
    ----------
    error : dict of str to array, shape (point,)
        Estimate minus truth of each method.
    std : dict of str to array, shape (point,)
        Standard error of each method that provides one.
    weight : array, shape (point,)
        Weights with which the points represent the values to be filled.
    shape : array of int, shape (point,)
        Number of the hidden shape.
    length : array of int, shape (point,)
        Length of the gap, in steps.
    ends : array of bool, shape (point,)
        Whether the gap is open at an end of the record.
    distance : array, shape (point,)
        Distance to the nearest observation, in correlation lengths.
    bridge, apart, known : array, shape (point,)
        See :class:`da4dvar.fields.gaps.likeness.Hardness`.
    scale : float
        Factor of all errors by which the gaps are harder than the hidden points; see
        :meth:`da4dvar.workflows.autofit.tally.Tally.scale`.
    """

    error: dict[str, np.ndarray]
    std: dict[str, np.ndarray]
    weight: np.ndarray
    shape: np.ndarray
    length: np.ndarray
    ends: np.ndarray
    distance: np.ndarray
    bridge: np.ndarray
    apart: np.ndarray
    known: np.ndarray
    scale: float = field(default=1.0, kw_only=True)
    by: ClassVar[str] = "gap length, in steps"

    def mean_square(self, method: str, where: np.ndarray | None = None) -> float:
        """Σ w e² / Σ w, over all points or some."""
        e, w = self.error[method], self.weight
        if where is not None:
            e, w = e[where], w[where]
        return float(np.sum(w * e * e) / np.sum(w)) if w.size else np.nan

    def rmse(self, method: str) -> tuple[float, float]:
        """Return the weighted RMSE of a method times the scale, and its standard error over shapes."""
        square, error = self.over_shapes((self.scale * self.error[method]) ** 2)
        root = float(np.sqrt(square))
        return root, error / (2 * root) if root > 0 else 0.0

    def gain(self, method: str, over: str) -> tuple[float, float]:
        """Return 1 − MSE(method) / MSE(over), and its standard error, paired over shapes."""
        base = self.mean_square(over)
        if not base > 0:
            return 0.0, 0.0
        found, error = self.over_shapes(self.error[over] ** 2 - self.error[method] ** 2)
        return found / base, error / base

    def over_shapes(self, value: np.ndarray) -> tuple[float, float]:
        """Return the weighted mean of values at the points, and its standard error over shapes."""
        _, group = np.unique(self.shape, return_inverse=True)
        total, weight = np.bincount(group, self.weight * value), np.bincount(group, self.weight)
        mean = total.sum() / weight.sum()
        number = weight.size
        if number < 2:
            return float(mean), float("inf")
        spread = number / (number - 1) * np.sum((total - mean * weight) ** 2)
        return float(mean), float(np.sqrt(spread) / weight.sum())

    @property
    def shapes(self) -> int:
        """Number of hidden shapes."""
        return int(np.unique(self.shape).size)

    def classes(self) -> dict[str, np.ndarray]:
        """Return the points of each class of gap lengths; open gaps have their own class."""
        return {name: here for name, here in gap_classes(self.length, self.ends).items() if here.sum() >= 10}


@dataclass(frozen=True)
class Comparison:
    """Methods compared for one variable, and the best.

    Parameters
    ----------
    variable : str
        Name of the variable.
    winner : str
        Method that fills the variable.
    rmse : dict of str to tuple of float
        RMSE of each method, weighted to the gaps to be filled, and its standard error over shapes.
    by_class : dict of str to dict of str to float
        RMSE of each method in each class of gap lengths.
    points : dict of str to int
        Number of points in each class.
    shapes : int
        Number of independent hidden shapes.
    gain : tuple of float
        Fraction by which the mean square error of the winner is below that of the second, and its
        standard error.
    longest : int
        Length of the longest gap that was scored.
    farthest : float
        Largest distance to an observation that was scored, in correlation lengths.
    beyond : float
        Fraction of the values to be filled that lie beyond either.
    change : tuple of float
        Root mean square and largest change that the analysis of the winner would make at observed points.
    left_out : dict of str to str
        Methods that were not compared, and why.
    units : str
        Units of the variable.
    noise : float
        Standard deviation of the errors of the observations, where the winner estimates it. The scores
        contain it, as hidden points are observations.
    by : str
        What the classes are.
    scale : float
        Factor of all errors by which the gaps are harder than the hidden points.

    Examples
    --------
    >>> rmse = {"linear": (0.5, 0.1), "climatology": (0.4, 0.1)}
    >>> found = Comparison("sst", "climatology", rmse, {}, {"all": 90}, 12, (0.36, 0.1), 7, 2.5)
    >>> found.ranked()
    ['climatology', 'linear']
    """

    variable: str
    winner: str
    rmse: dict[str, tuple[float, float]]
    by_class: dict[str, dict[str, float]]
    points: dict[str, int]
    shapes: int
    gain: tuple[float, float]
    longest: int
    farthest: float
    beyond: float = 0.0
    change: tuple[float, float] = (0.0, 0.0)
    left_out: dict[str, str] = field(default_factory=dict)
    units: str = ""
    noise: float = 0.0
    by: str = Residuals.by
    scale: float = 1.0

    @property
    def rmse_of_field(self) -> float:
        """RMSE of the winner without the noise of the observations: √(RMSE² − noise²)."""
        error = self.rmse[self.winner][0]
        return float(np.sqrt(max(error**2 - self.noise**2, 0.0)))

    def ranked(self) -> list[str]:
        """Return the methods in ascending order of their error.

        Returns
        -------
        list of str
        """
        return sorted(self.rmse, key=lambda name: self.rmse[name][0])


def compared(
    variable: str, residuals: Residuals, left_out: Mapping[str, str], units: str, winner: str | None = None
) -> Comparison:
    """Return the comparison of the methods of a variable; the winner is the best unless it is given."""
    rmse = {name: residuals.rmse(name) for name in residuals.error}
    ranked = sorted(rmse, key=lambda name: rmse[name][0])
    chosen = ranked[0] if winner is None else winner
    others = [name for name in ranked if name != chosen]
    classes = residuals.classes()
    return Comparison(
        variable,
        chosen,
        rmse,
        {
            name: {
                c: residuals.scale * float(np.sqrt(residuals.mean_square(name, at)))
                for c, at in classes.items()
            }
            for name in rmse
        },
        {"all": residuals.weight.size, **{c: int(at.sum()) for c, at in classes.items()}},
        residuals.shapes,
        residuals.gain(chosen, others[0]) if others else (0.0, 0.0),
        int(residuals.length.max()),
        float(residuals.distance[np.isfinite(residuals.distance)].max(initial=0.0)),
        left_out=dict(left_out),
        units=units,
        by=residuals.by,
        scale=residuals.scale,
    )


def text_of(comparisons: Sequence[Comparison]) -> str:
    """Format comparisons as text: for each variable a verdict in one line, then a narrow table."""
    return "\n\n".join(
        f"{verdict(c)}\n\n{_table(c)}" + "".join(f"\n{n}" for n in cautions(c)) for c in comparisons
    )


def verdict(found: Comparison) -> str:
    """Say which method fills a variable, with what error, and how far behind the next one is."""
    error, spread = found.rmse[found.winner]
    said = f"{found.variable}: filled by {found.winner}; expect an error of {_number(error)}"
    if np.isfinite(spread):
        said += f" ± {_number(spread)}"
    # Units such as 1e-3 would read as part of the number.
    said += (f" × {found.units}" if found.units[:1].isdigit() else f" {found.units}").rstrip()
    said = said.removesuffix(" × 1") + " (RMSE at hidden points"
    if 0 < found.rmse_of_field < NOTABLE * error:
        said += f"; {_number(found.rmse_of_field)} without the noise of observations"
    said += ")"
    others = [name for name in found.ranked() if name != found.winner]
    if not others:
        return said
    behind = 100 * (found.rmse[others[0]][0] / error - 1) if error > 0 else 0.0
    clear = "" if found.gain[0] > 2 * found.gain[1] else ", which is not certain"
    return f"{said}; next is {others[0]}, {behind:+.1f} %{clear}"


def cautions(found: Comparison) -> list[str]:
    """Return lines about what the scores cannot tell."""
    lines = []
    if found.shapes < FEW_SHAPES:
        what = "gap" if found.longest else "track"
        gaps = f"1 independent {what}" if found.shapes == 1 else f"{found.shapes} independent {what}s"
        lines.append(f"caution: only {gaps} could be hidden, so that the error is uncertain")
    if found.beyond > 0.0005:
        longer = f"in gaps longer than {found.longest} steps or " if found.longest else ""
        lines.append(
            f"caution: {100 * found.beyond:.1f} % of the values to be filled are {longer}farther from "
            "observations than any that could be hidden; they have flag 3"
        )
    if abs(found.scale - 1) > WORTH_SAYING:
        harder = "harder" if found.scale > 1 else "easier"
        lines.append(
            f"by their standard errors, the gaps are {harder} than the hidden points: errors are multiplied "
            f"by {found.scale:.2f}"
        )
    rms, largest = found.change
    if rms > 0:
        lines.append(
            f"the analysis would change observed values by {_number(rms)} (rms), at most {_number(largest)}; "
            "they are kept unless --analysis is given"
        )
    lines += [f"not compared: {name} ({why})" for name, why in found.left_out.items()]
    return lines


def _table(found: Comparison) -> str:
    kinds = [k for k in found.points if k != "all"]
    rows = [[f"RMSE by {found.by}", "all", *kinds]]
    rows.append(["points", *(str(found.points[k]) for k in ("all", *kinds))])
    for name in found.ranked():
        mark = f"{name} *" if name == found.winner else name
        own = found.by_class[name]
        rows.append([mark, _number(found.rmse[name][0]), *(_number(own[k]) for k in kinds)])
    return re.sub(r"(?m)^", "  ", as_columns(rows, left=1))


def _number(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else "unknown"
