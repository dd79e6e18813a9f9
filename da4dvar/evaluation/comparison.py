"""Estimate, error bars, truth and observations of one variable, matched for a comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

import xarray as xr
from scipy.special import ndtri

from da4dvar.errors import DataError, nearest, warn
from da4dvar.evaluation.matching import aligned
from da4dvar.fields.files.opening import is_large, parted
from da4dvar.fields.files.store import loaded, open_dataset
from da4dvar.fields.labels.companions import BOUND, companions, error_bars
from da4dvar.fields.labels.conform import check_finite, pick
from da4dvar.fields.labels.samples import REALIZATION, samples_of
from da4dvar.fields.labels.units import converted


@dataclass(frozen=True)
class Comparison:
    """x̂ ± σ against x, on common coordinates, all with the dimension order of the estimate.

    Attributes
    ----------
    name : str
        Name of the variable.
    estimate, truth : DataArray
        x̂ and x, in the same units; NaN where unknown.
    seen : DataArray, optional
        Observations, NaN in the gaps.
    std : DataArray, optional
        σ, in the units of the variable.
    bounds : mapping of float to (DataArray, DataArray)
        Ends of the intervals that the file holds, keyed by their level between 0 and 1.
    samples : DataArray, optional
        Joint samples, with ``realization`` as the first dimension.
    """

    name: str
    estimate: xr.DataArray
    truth: xr.DataArray
    seen: xr.DataArray | None = None
    std: xr.DataArray | None = None
    bounds: Mapping[float, tuple[xr.DataArray, xr.DataArray]] = field(default_factory=dict)
    samples: xr.DataArray | None = None

    @property
    def observed(self) -> xr.DataArray | None:
        """Mask that is true where there is an observation; None without observations."""
        return None if self.seen is None else self.seen.notnull()

    @property
    def scored(self) -> xr.DataArray:
        """Mask of the scored cells: unobserved cells with an estimate and a truth.

        Without observations, or if every cell with a truth was observed, all cells with an estimate and a
        truth are scored.
        """
        both = self.estimate.notnull() & self.truth.notnull()
        if self.observed is None:
            return both
        hidden = both & ~self.observed
        return hidden if hidden.any() else both

    @property
    def units(self) -> str:
        """Units of the variable from the estimate, otherwise from the truth; empty if neither has any."""
        return self._attribute("units")

    @property
    def title(self) -> str:
        """Long name of the variable followed by its name, or the name alone if it has no long name."""
        long_name = self._attribute("long_name")
        return f"{long_name} ({self.name})" if long_name not in ("", self.name) else self.name

    def _attribute(self, key: str) -> str:
        return str(self.estimate.attrs.get(key, self.truth.attrs.get(key, "")))

    def interval(self, level: float) -> tuple[xr.DataArray, xr.DataArray] | None:
        """Ends of the interval of level p: those of the file, otherwise x̂ ± Φ⁻¹((1 + p)/2) σ.

        None if the file has neither that interval nor a standard deviation.
        """
        if level in self.bounds:
            return self.bounds[level]
        if self.std is None:
            return None
        half = float(ndtri((1 + level) / 2)) * self.std
        return self.estimate - half, self.estimate + half

    def cells(self) -> Comparison:
        """Return the scored cells alone, in one row along the dimension ``cell``."""
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
    estimate: str,
    truth: str,
    observed: str | None = None,
    variable: Mapping[str, str] | None = None,
    lazily: bool = False,
) -> Iterator[Comparison]:
    """Iterate over the variables that both files have; at most one is in memory at a time.

    Parameters
    ----------
    estimate, truth : str
        Paths of data sets on the same coordinates.
    observed : str, optional
        Path of the data set with gaps.
    variable : mapping of str to str, optional
        Name of a variable in `observed`, where it differs.
    lazily : bool
        Leave a large variable lazy, to be read part by part, unless it has samples.

    Yields
    ------
    Comparison
        The data of one variable.

    Raises
    ------
    DataError
        If the files have no variables or no coordinates in common.
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
                f"({', '.join(map(str, guess.data_vars))} and {', '.join(map(str, true.data_vars))}); "
                "rename the variables of one file"
            )
        for name in variable or {}:
            if name not in common:
                raise DataError(f"--variable {name}: no such variable in both files; {nearest(name, common)}")
        for name in common:
            drawn = samples_of(guess, name)
            lazy = lazily and drawn is None
            parts = {"estimate": read(guess[name], estimate, lazy), "truth": read(true[name], truth, lazy)}
            if gappy is not None:
                parts["seen"] = read(pick(gappy, (variable or {}).get(name, name)), str(observed), lazy)
            for kind in [k for k in parts if k != "estimate"]:
                parts[kind] = in_units_of(parts[kind], parts["estimate"])
            for other in error_bars(name, guess):
                parts[other] = read(guess[other], estimate, lazy)
            for k, one in enumerate(() if drawn is None else read(drawn, estimate)):
                parts[f"{REALIZATION} {k}"] = one.drop_vars(REALIZATION, errors="ignore")
            yield comparison(name, parts)
            del parts  # release the memory before the next variable is read


def in_units_of(array: xr.DataArray, like: xr.DataArray) -> xr.DataArray:
    """Convert an array to the units of another; warn if values were converted or could not be."""
    got, wanted = array.attrs.get("units"), like.attrs.get("units")
    try:
        result, note = converted(array, wanted)
    except DataError:
        result = array
        note = f"{array.name}: {got} cannot be converted to {wanted}; scored as if the units were equal"
    if note:
        warn(note)
    return result


def read(array: xr.DataArray, path: str, lazily: bool = False) -> xr.DataArray:
    """Load an array into memory, or, if it is large and `lazily` is set, return one that is read in parts.

    Raises
    ------
    DataError
        If the file is truncated, which only reading reveals, or holds infinite values.
    """
    if lazily and is_large(array):
        return parted(array)
    whole = loaded(array, path)
    check_finite(whole, str(array.name))
    return whole


def comparison(name: str, parts: Mapping[str, xr.DataArray]) -> Comparison:
    """Combine ``estimate``, ``truth``, ``seen`` and error bars on their common coordinates."""
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
    drawn = [array for other, array in joined.items() if other.startswith(f"{REALIZATION} ")]
    samples = xr.concat(drawn, REALIZATION) if drawn else None
    return Comparison(name, joined["estimate"], joined["truth"], joined.get("seen"), std, bounds, samples)
