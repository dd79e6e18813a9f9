"""What is compared: the estimate of one variable, its error bars, the truth and the observations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

import xarray as xr
from scipy.special import ndtri

from da4dvar.errors import DataError, first_line, nearest, warn
from da4dvar.fields.files.store import loaded, open_dataset
from da4dvar.fields.labels.conform import check_finite, pick
from da4dvar.fields.labels.units import converted

BOUND = re.compile(r"(?P<name>.+)_(?P<end>lower|upper)_(?P<percent>\d+([._]\d+)?)")


@dataclass(frozen=True)
class Comparison:
    """x̂ ± σ against x, on common coordinates, all with the dimension order of the estimate.

    Attributes
    ----------
    name : str
    estimate, truth : DataArray
        x̂ and x, in the same units; NaN where there is none.
    seen : DataArray, optional
        The observations, NaN in the gaps.
    std : DataArray, optional
        σ, in the units of the variable.
    bounds : mapping of float to (DataArray, DataArray)
        The ends of the interval of each level, a number between 0 and 1, that the file holds.
    """

    name: str
    estimate: xr.DataArray
    truth: xr.DataArray
    seen: xr.DataArray | None = None
    std: xr.DataArray | None = None
    bounds: Mapping[float, tuple[xr.DataArray, xr.DataArray]] = field(default_factory=dict)

    @property
    def observed(self) -> xr.DataArray | None:
        """True where there was an observation."""
        return None if self.seen is None else self.seen.notnull()

    @property
    def scored(self) -> xr.DataArray:
        """True where the estimate counts: it and the truth are known, and nothing was observed.

        Without observations, or where all that has a truth was observed: every cell with both.
        """
        both = self.estimate.notnull() & self.truth.notnull()
        if self.observed is None:
            return both
        hidden = both & ~self.observed
        return hidden if hidden.any() else both

    @property
    def units(self) -> str:
        """Of the variable, as the estimate or the truth says; empty if neither does."""
        return str(self.estimate.attrs.get("units", self.truth.attrs.get("units", "")))

    def interval(self, level: float) -> tuple[xr.DataArray, xr.DataArray] | None:
        """The ends of an interval: the file's own, else x̂ ± Φ⁻¹((1 + p)/2) σ; nothing without either."""
        if level in self.bounds:
            return self.bounds[level]
        if self.std is None:
            return None
        half = float(ndtri((1 + level) / 2)) * self.std
        return self.estimate - half, self.estimate + half

    def cells(self) -> Comparison:
        """The scored cells alone, in one row along ``cell``."""
        where = self.scored.values

        def row(array: xr.DataArray) -> xr.DataArray:
            return xr.DataArray(array.values[where].astype("float64"), dims="cell")

        return Comparison(
            self.name,
            row(self.estimate).assign_attrs(units=self.units),
            row(self.truth),
            None,
            None if self.std is None else row(self.std),
            {level: (row(low), row(high)) for level, (low, high) in self.bounds.items()},
        )


def compare_files(
    estimate: str, truth: str, observed: str | None = None, variable: Mapping[str, str] | None = None
) -> Iterator[Comparison]:
    """Every variable that both files have, one after the other; none stays in memory after its turn.

    Parameters
    ----------
    estimate, truth : str
        Paths of data sets on the same coordinates.
    observed : str, optional
        Path of the data set with gaps.
    variable : mapping of str to str, optional
        The name of a variable in `observed`, where it is another.

    Raises
    ------
    DataError
        If the files have no variable, or no coordinates, in common.
    """
    with ExitStack() as stack:
        guess, true = (stack.enter_context(open_dataset(path)) for path in (estimate, truth))
        gappy = None if observed is None else stack.enter_context(open_dataset(observed))
        extra = companions(guess)
        common = [str(n) for n in guess.data_vars if n in true.data_vars and str(n) not in extra]
        common = [n for n in common if guess[n].dtype.kind in "fiu" and true[n].dtype.kind in "fiu"]
        if not common:
            raise DataError(
                f"{estimate} and {truth} have no variable in common "
                f"({', '.join(map(str, guess.data_vars))} against {', '.join(map(str, true.data_vars))}); "
                "rename one of them"
            )
        for name in variable or {}:
            if name not in common:
                raise DataError(f"--variable {name}: no such variable to score; {nearest(name, common)}")
        for name in common:
            parts = {"estimate": read(guess[name], estimate), "truth": read(true[name], truth)}
            if gappy is not None:
                parts["seen"] = read(pick(gappy, (variable or {}).get(name, name)), str(observed))
            for kind in [k for k in parts if k != "estimate"]:
                parts[kind] = in_units_of(parts[kind], parts["estimate"])
            for other in error_bars(name, guess):
                parts[other] = read(guess[other], estimate)
            yield comparison(name, parts)
            del parts  # before the next are read


def in_units_of(array: xr.DataArray, like: xr.DataArray) -> xr.DataArray:
    """An array in the units of another, with a note if its values changed, or if they could not."""
    got, wanted = array.attrs.get("units"), like.attrs.get("units")
    try:
        result, note = converted(array, wanted)
    except DataError:
        result = array
        note = f"{array.name}: {got} and {wanted} are not told apart; scored as if they were one"
    if note:
        warn(note)
    return result


def read(array: xr.DataArray, path: str) -> xr.DataArray:
    """An array in memory.

    Raises
    ------
    DataError
        If the file is cut short, which only reading shows, or holds infinite values.
    """
    whole = loaded(array, path)
    check_finite(whole, str(array.name))
    return whole


def comparison(name: str, parts: Mapping[str, xr.DataArray]) -> Comparison:
    """From ``estimate``, ``truth``, ``seen`` and error bars by name, on the coordinates that they share."""
    names = list(parts)
    joined = dict(zip(names, aligned([parts[n] for n in names]), strict=True))
    ends: dict[float, dict[str, xr.DataArray]] = {}
    for other, array in joined.items():
        match = BOUND.fullmatch(other)
        if match:
            level = round(float(match["percent"].replace("_", ".")) / 100, 8)
            ends.setdefault(level, {})[match["end"]] = array
    bounds = {level: (e["lower"], e["upper"]) for level, e in sorted(ends.items()) if len(e) == 2}
    std = joined.get(f"{name}_std")
    return Comparison(name, joined["estimate"], joined["truth"], joined.get("seen"), std, bounds)


def aligned(arrays: list[xr.DataArray]) -> list[xr.DataArray]:
    """All of them on the coordinates that they share, with the dimension order of the first."""
    first, *others = arrays
    for other in others:
        if set(other.dims) != set(first.dims):
            raise DataError(
                f"variable {first.name!r} has dimensions {', '.join(map(str, first.dims))} in "
                f"one file and {', '.join(map(str, other.dims))} in another; rename them alike"
            )
    try:
        joined = xr.align(first, *others, join="inner")
    except ValueError as error:
        raise DataError(f"variable {first.name!r}: {first_line(error)}") from error
    if joined[0].size == 0:
        raise DataError(
            f"the files have no coordinates in common for {first.name!r}; "
            "check that they cover the same times and places"
        )
    return [array.transpose(*first.dims) for array in joined]


def companions(ds: xr.Dataset) -> set[str]:
    """The variables that say something about another one, or one of windows: not to be scored.

    Examples
    --------
    >>> ds = xr.Dataset({n: 0.0 for n in ("sst", "sst_std", "sst_lower_90", "sst_flag", "wind_std")})
    >>> sorted(companions(ds))
    ['sst_flag', 'sst_lower_90', 'sst_std']
    """
    names = {str(n) for n in ds.data_vars}
    out = {n for n in names if n.endswith("_flag")}
    out |= {n for n in names if any(str(d).startswith("window_") for d in ds[n].dims)}
    return out | {bar for name in names for bar in error_bars(name, names)}


def error_bars(name: str, names: Iterable[object]) -> list[str]:
    """The standard deviation and the interval ends of a variable, of those there are."""
    out = []
    for other in map(str, names):
        match = BOUND.fullmatch(other)
        if other == f"{name}_std" or (match is not None and match["name"] == name):
            out.append(other)
    return out
