"""Values that stand for a gap although nothing declares it: they repeat, and lie apart from all others."""

from __future__ import annotations

from collections.abc import Collection
from itertools import product

import numpy as np
import xarray as xr

from da4dvar.fields.intake.attributes import CLOSE, Numbers, between, equal, readings

# Codes that are no repeated digit: limits of integers, and fill values of programs.
CODES = (-32768.0, -32767.0, 32767.0, -(2.0**31), 1 - 2.0**31, 2.0**31 - 1, 65535.0, -999.25)
# No measured quantity has larger values in a unit that is in use, but many fill values are larger.
HUGE = 1e15
# Least distance from all others in units of their range: of any value, and of a limit of the data type.
APART, NEAR = 5.0, 0.25
# Least number of repetitions of a value that is no usual fill value, of different others, and least share of
# a value that is reported but kept.
REPEATED, VARIED, SHARE = 5, 20, 0.005
# Largest number of different values at either end that are taken as gaps.
MARKS = 3


def undeclared(name: str, values: Numbers, limits: Collection[float] = ()) -> tuple[list[float], list[str]]:
    """Return the values that repeat and lie apart from all others, and lines about them.

    Parameters
    ----------
    name : str
        Name of the variable, for the lines.
    values : array
        Finite values without the gaps that are declared.
    limits : collection of float
        Values that are likely fill values in this variable; see :func:`likely`.

    Returns
    -------
    list of float
        At most three values below all others, and three above.
    list of str
        A line for each: which, how often, and what to do if it is a value; and lines about values that are
        less far away, which are kept.

    Examples
    --------
    >>> undeclared("rain", np.array([0.0, 0.0, 0.2, 31.0, 7.5]))  # dry days are values
    ([], [])
    """
    marks, rest = marks_of(values, limits)
    lines = [
        f"{count} values of {mark:.7g} lie apart from all others ({spread(rest)}) and are taken as gaps; if "
        f"they are values, use --fill-value {name}=none"
        for mark, count in marks.items()
    ]
    for sign in (1, -1):
        ends = [(m, n) for m, n in repeated_ends(rest, sign) if n >= max(REPEATED, SHARE * rest.size)]
        for k in range(len(ends), 0, -1):
            inner = ends[k - 1][0]
            others = rest[rest > inner] if sign > 0 else rest[rest < inner]
            if is_suspect(inner, others):
                lines += [
                    f"{count} values of {mark:.7g} lie outside of all others ({spread(others)}) and are "
                    f"kept; if they are gaps, use --fill-value {name}={mark:.7g}"
                    for mark, count in ends[:k]
                ]
                break
    return list(marks), lines


def spread(values: Numbers) -> str:
    """Return the range of values as text."""
    return between(float(values.min()), float(values.max()))


def likely(array: xr.DataArray) -> set[float]:
    """Return the limits of the integers that hold a variable, in its units; fill values are often chosen so.

    A fill value of 0 that a Zarr store has of its own accord is among them.
    """
    kind = np.dtype(array.encoding.get("dtype") or array.dtype)
    out = {0.0} if array.encoding.get("zarr_fill_value") == 0 else set()
    if kind.kind not in "iu":
        return out
    info = np.iinfo(kind)
    limits = {info.min, info.min + 1} if kind.kind == "i" else set()
    if str(array.encoding.get("_Unsigned", "")).lower() == "true":
        limits = {-1}
    else:
        limits.add(info.max)
    return out | {readings(array, float(limit), 0)[0] for limit in limits}


def marks_of(values: Numbers, limits: Collection[float]) -> tuple[dict[float, int], Numbers]:
    """Return the values that lie apart with their counts, and all other values."""
    below, above = repeated_ends(values, 1), repeated_ends(values, -1)
    numbers = product(range(len(below) + 1), range(len(above) + 1))
    for i, j in sorted(numbers, key=sum, reverse=True):
        rest = values
        if i:
            rest = rest[rest > below[i - 1][0]]
        if j:
            rest = rest[rest < above[j - 1][0]]
        marks = dict(below[:i] + above[:j])
        if rest.size and all(is_apart(mark, count, rest, limits) for mark, count in marks.items()):
            return marks, rest
    return {}, values


def repeated_ends(values: Numbers, sign: int) -> list[tuple[float, int]]:
    """Return the lowest (`sign` 1) or highest (-1) values with their counts, as long as each repeats."""
    ends: list[tuple[float, int]] = []
    rest = values
    while rest.size and len(ends) < MARKS:
        end = rest.min() if sign > 0 else rest.max()
        count = int((rest == end).sum())
        if count < 2:
            break
        ends.append((float(end), count))
        rest = rest[rest > end] if sign > 0 else rest[rest < end]
    return ends


def is_code(value: float) -> bool:
    """Whether a value is a usual fill value.

    Examples
    --------
    >>> [v for v in (-9999, -99.9, 999, -9, 100, 1e20, 32767, -888) if is_code(v)]
    [-9999, -99.9, 999, 1e+20, 32767, -888]
    """
    digits = f"{abs(value):.7g}".replace(".", "")
    repeated = (
        len(digits) > 1 and len(set(digits)) == 1 and digits[0] in ("9" if len(digits) == 2 else "6789")
    )
    return repeated or abs(value) >= HUGE or bool(np.isclose(value, CODES, rtol=CLOSE).any())


def is_apart(mark: float, count: int, rest: Numbers, limits: Collection[float]) -> bool:
    """Whether a value that occurs `count` times lies apart from all others, as only a fill value does.

    A usual fill value needs less distance than any other: if it is negative, half of the distance from the
    lowest of the others to their median, or that none of them is negative; if it is positive, their range.
    A limit of the data type needs a quarter of their range, and the 0 of a Zarr store their range. Any other
    value needs five times their range, and others that are not a few classes.
    """
    low, high = float(rest.min()), float(rest.max())
    distance = low - mark if mark < low else mark - high
    code = is_code(mark)
    if distance > APART * (high - low) and (code or (count >= REPEATED and np.unique(rest).size >= VARIED)):
        return True
    if any(equal(np.float64(mark), limit) for limit in limits):
        return distance > (NEAR if mark else 1.0) * (high - low)
    if not code or abs(mark) < 99:
        return False
    if mark < 0:
        return low >= 0 or distance > (float(np.median(rest)) - low) / 2
    return mark > 100 and distance > high - low


def is_suspect(mark: float, others: Numbers) -> bool:
    """Whether an outermost value deserves a line: it lies off the others, or is the only negative one."""
    distinct = np.unique(others)
    if distinct.size < VARIED:
        return False
    low, high = float(distinct[0]), float(distinct[-1])
    distance = low - mark if mark < low else mark - high
    if distance > NEAR * (high - low):
        return True
    return mark < 0 <= low and mark == round(mark) and distance > APART * float(distinct[1] - distinct[0])
