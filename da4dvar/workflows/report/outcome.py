"""A variable before and after its gaps were filled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import dask
import numpy as np
import xarray as xr

from da4dvar.evaluation.figures import pretty
from da4dvar.evaluation.report.part import number
from da4dvar.evaluation.report.shape import Shape
from da4dvar.fields.gaps.geometry import gap_length
from da4dvar.fields.gaps.limits import within_limits
from da4dvar.fields.labels.flags import from_scheme
from da4dvar.fields.labels.intervals import ends
from da4dvar.fields.labels.output import FLAGS
from da4dvar.workflows.autofit.comparison import Comparison

# Level of the intervals that a report shows.
LEVEL = 0.9


@dataclass(frozen=True)
class Outcome:
    """A variable, how it was filled, and how good each method was at hidden points.

    Attributes
    ----------
    seen : DataArray
        Data with NaN in the gaps, possibly lazy.
    filled : DataArray
        The same with its gaps filled.
    flag : DataArray of int
        Flags in the codes of this package.
    ends : tuple of DataArray, or None
        Lower and upper ends of the 90 % interval, if there is one.
    comparison : Comparison
        Scores of all methods.
    shape : Shape
        Roles of the dimensions; the time is that of the fit.
    """

    seen: xr.DataArray
    filled: xr.DataArray
    flag: xr.DataArray
    ends: tuple[xr.DataArray, xr.DataArray] | None
    comparison: Comparison
    shape: Shape

    @property
    def name(self) -> str:
        """Name of the variable."""
        return str(self.seen.name)

    @property
    def title(self) -> str:
        """Long name and name of the variable."""
        known = str(self.seen.attrs.get("long_name", ""))
        return f"{known} ({self.name})" if known and known != self.name else self.name

    @property
    def units(self) -> str:
        """Units as they are printed."""
        return pretty(str(self.seen.attrs.get("units", "")))

    @property
    def time(self) -> str:
        """Name of the time dimension."""
        assert self.shape.time is not None
        return self.shape.time

    @property
    def lazy(self) -> bool:
        """Whether the data do not fit in memory, so that only sums over them and parts of them are known."""
        return self.seen.chunks is not None

    @cached_property
    def observed(self) -> xr.DataArray:
        """True where there is an observation."""
        return self.seen.notnull()

    @cached_property
    def new(self) -> xr.DataArray:
        """True where a value was filled in."""
        return self.flag.isin([FLAGS["estimated"], FLAGS["beyond_scored"]])

    @cached_property
    def beyond(self) -> xr.DataArray:
        """True where the filled value lies beyond what was scored (flag 3)."""
        return self.flag == FLAGS["beyond_scored"]

    @cached_property
    def counts(self) -> dict[str, int]:
        """Number of values with each flag; ``never`` of those at positions that were never observed."""
        found = {key: (self.flag == code).sum() for key, code in FLAGS.items()}
        never = (~self.observed.any(self.time)).sum() * self.seen.sizes[self.time]
        computed = dask.compute(found | {"never": never})[0]
        return {key: int(value) for key, value in computed.items()}

    @property
    def missing(self) -> int:
        """Number of missing values at positions that were observed at some time."""
        return self.seen.size - self.counts["observed"] - self.counts["never"]

    @property
    def filled_in(self) -> int:
        """Number of values that were filled in."""
        return self.counts["estimated"] + self.counts["beyond_scored"]

    @cached_property
    def length(self) -> np.ndarray:
        """Length of the gap that holds each value, in steps; 0 where observed."""
        return gap_length(self.observed, self.time).transpose(*self.seen.dims).values

    @cached_property
    def open(self) -> np.ndarray:
        """Whether the gap that holds a value reaches an end of the record."""
        found = within_limits(self.observed, [self.time], limit_area="outside")
        return np.asarray(found.transpose(*self.seen.dims).values, dtype=bool)

    @cached_property
    def half(self) -> xr.DataArray | None:
        """Half of the width of the 90 % interval; NaN where no value was filled in."""
        if self.ends is None:
            return None
        low, high = self.ends
        return (0.5 * (high - low)).where(self.new).transpose(*self.seen.dims)

    def said(self, value: float) -> str:
        """Format a value with the units of the variable."""
        return f"{number(value)} {self.units}".strip()


def outcomes_of(
    seen: xr.Dataset, filled: xr.Dataset, comparisons: Mapping[str, Comparison], time: str
) -> list[Outcome]:
    """Return each variable that was filled, before and after.

    Parameters
    ----------
    seen, filled : Dataset
        Data with gaps, and filled with flags and, where there are some, intervals of level 0.9.
    comparisons : mapping of str to Comparison
        Scores of the methods.
    time : str
        Name of the time dimension.

    Returns
    -------
    list of Outcome
    """
    out = []
    for name, comparison in comparisons.items():
        known = [filled.get(end) for end in ends(name, LEVEL)]
        both = None if known[0] is None or known[1] is None else (known[0], known[1])
        flag = from_scheme(filled[f"{name}_flag"])
        shape = Shape.of(seen[name], time)
        out.append(Outcome(seen[name], filled[name], flag, both, comparison, shape))
    return out


def counted(number: int, what: str) -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> counted(1, "gap"), counted(1200, "step")
    ('1 gap', '1,200 steps')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def share(part: xr.DataArray, whole: xr.DataArray, over: Sequence[str]) -> xr.DataArray:
    """Return Σ part / Σ whole over some dimensions, in memory; NaN where the whole is empty."""
    found, total = dask.compute(part.sum(over), whole.sum(over))
    return (found / total.where(total > 0)).astype("float64")


def binned(array: xr.DataArray, time: str, most: int) -> xr.DataArray:
    """Sum over groups of consecutive times, so that there are at most `most`; each is labelled by its first.

    Examples
    --------
    >>> binned(xr.DataArray([1, 2, 3, 4, 5], dims="time"), "time", 3).values
    array([3., 7., 5.])
    """
    width = -(-array.sizes[time] // most)
    bare = array.drop_vars(list(array.coords)).coarsen({time: width}, boundary="pad").sum()
    return bare.assign_coords(array.isel({time: slice(None, None, width)}).coords)
