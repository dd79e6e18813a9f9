"""Values that stand for a gap, declared by attributes or recognised by their distance from all others."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from da4dvar.errors import DataError

Numbers = npt.NDArray[Any]
# Other spellings of _FillValue and missing_value, without underscores at the ends and capitals.
SPELLINGS = re.compile(
    r"fill|fill_?val(ue)?|(code_?)?missing(_?data)?(_?val(ue)?)?|no_?data(_?val(ue)?s?)?|(na|null|bad)_?value|"
    r"undef(ined)?"
)
# Words in flag_meanings for values that are not a measurement.
UNMEASURED = re.compile(
    r"missing|fill|no_?data|invalid|unknown|cloud|night|land|coast|ocean|water|lake|hole|mask|bad|error|saturat|"
    r"not_|undetermin|no_?decision|no_?retriev|outside|out_of|unused|unobserved|void|absent|fail|unusable"
)
# Codes that are no repeated digit: limits of integers, and fill values of programs.
CODES = (-32768.0, -32767.0, 32767.0, -(2.0**31), 1 - 2.0**31, 2.0**31 - 1, 65535.0, -999.25)
# No measured quantity has larger values in a unit that is in use, but many fill values are larger.
HUGE = 1e15
# Relative tolerance of comparisons, as fill values are often given in another precision.
CLOSE = 1e-6
# Least distance of an unknown value from all others, in units of their range, and least repetitions.
APART, REPEATED, VARIED = 5.0, 5, 20
# Largest number of different values at either end that are taken as gaps without a declaration.
MARKS = 3
# Least share of the values that a valid range leaves; one that leaves less is a mistake.
LEFT = 0.01
# Numbers of values and of blocks that are read of larger lazy data.
SAMPLE, BLOCKS = 4_000_000, 8


@dataclass
class Gaps:
    """Values of a variable that are gaps: those beyond two limits, and marks."""

    lower: float = -np.inf
    upper: float = np.inf
    marks: list[float] = field(default_factory=list)

    def kept(self, array: Any) -> Any:
        """Return where an array, labelled or not, has a value that is not a gap."""
        kept = array == array
        if np.isfinite(self.lower):
            kept = kept & (array >= self.lower)
        if np.isfinite(self.upper):
            kept = kept & (array <= self.upper)
        for mark in self.marks:
            kept = kept & ~equal(array, mark)
        return kept


def with_gaps(
    ds: xr.Dataset, fill_value: float | str = "auto", names: Iterable[str] | None = None
) -> tuple[xr.Dataset, list[str]]:
    """Set the values that stand for a gap to NaN.

    Parameters
    ----------
    ds : Dataset
        Data set in which gaps are recognised. Lazy data stay lazy; large ones are judged by a sample.
    fill_value : float or str
        ``"auto"``: gaps are what attributes declare, also under a misspelt name, and values that repeat and
        lie apart from all others. ``"none"``: only what attributes of the CF conventions declare. A number,
        or text with one or more numbers: these in addition to what the CF conventions declare.
    names : iterable of str, optional
        Variables to look at; by default all data variables.

    Returns
    -------
    Dataset
        Copy in which gaps are NaN. Integers with gaps become floats, and are written as integers again.
    list of str
        One line for each kind of gap that was found in a variable and that xarray does not decode.

    Raises
    ------
    DataError
        If `fill_value` is something else.

    Examples
    --------
    >>> tower = xr.Dataset({"NEE": ("time", [-3.0, -9999.0, -9999.0, 2.5, 1.0])})
    >>> data, notes = with_gaps(tower)
    >>> data.NEE.values
    array([-3. ,  nan,  nan,  2.5,  1. ])
    >>> print(notes[0].partition(";")[0])
    NEE: 2 values of -9999 lie apart from all others (-3 to 2.5) and are taken as gaps
    """
    chosen = numbers(fill_value)
    if not chosen and fill_value not in ("auto", "none"):
        raise DataError(f"fill value {fill_value!r}: expected a number, 'auto' or 'none'")
    out, notes, used = ds.copy(), [], False
    for name in map(str, ds.data_vars if names is None else names):
        array = ds[name]
        if array.dtype.kind not in "iuf" or not array.size:
            continue
        values, part = looked_at(array)
        gaps, lines = declared(array, values, guess=fill_value == "auto")
        given = [(m, n) for m in chosen if (n := int(equal(values, m).sum()))]
        gaps.marks += [m for m, _ in given]
        lines += [f"{n} values of {m:.10g} are gaps" for m, n in given]
        used = used or bool(given)
        if fill_value == "auto" and not is_flag(array, values):
            marks, found = undeclared(values[gaps.kept(values)])
            gaps.marks += marks
            lines += found
        notes += [f"{name}: {line}{part}" for line in lines]
        if gaps != Gaps():
            out[name] = masked(array, gaps)
    if chosen and not used:
        notes.append(f"no variable has the fill value {fill_value}")
    return out, notes


def numbers(value: Any) -> list[float]:
    """Return the numbers of an attribute or an option, which may be text; empty if it holds anything else.

    Examples
    --------
    >>> numbers("-9999, -99.9"), numbers([0, 100]), numbers("none"), numbers(float("nan"))
    ([-9999.0, -99.9], [0.0, 100.0], [], [])
    """
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    parts = re.split(r"[,;\s]+", value.strip(" []()")) if isinstance(value, str) else np.ravel(value).tolist()
    try:
        out = [float(str(p).rstrip("fFbBsSlL") if isinstance(p, str) else p) for p in parts]
    except (TypeError, ValueError):
        return []
    return [v for v in out if np.isfinite(v)]


def equal(array: Any, mark: float) -> Any:
    """Return where an array equals a number within single precision."""
    if array.dtype.kind in "iu":
        return array == mark
    return abs(array - mark) <= CLOSE * abs(mark)


def looked_at(array: xr.DataArray) -> tuple[Numbers, str]:
    """Return the finite values of an array, or of a sample of large lazy data, and words that say so."""
    part = ""
    if array.size <= SAMPLE or array.variable._in_memory:
        values = np.asarray(array.values)
    elif array.chunks is not None:
        blocks = array.data.blocks
        which = np.unique(np.linspace(0, blocks.size - 1, BLOCKS).astype(int))
        held = [np.asarray(blocks[np.unravel_index(k, blocks.shape)]).ravel() for k in which]
        values = np.concatenate([h[:: max(1, h.size * len(held) // SAMPLE)] for h in held])
        part = f" (judged by {len(held)} of {blocks.size} blocks)"
    else:
        first = str(array.dims[0])
        which = np.unique(np.linspace(0, array.sizes[first] - 1, BLOCKS).astype(int))
        values = array.isel({first: which}).values
        part = f" (judged by {len(which)} of {array.sizes[first]} entries of {first!r})"
    values = values.ravel()
    return values[np.isfinite(values)], part


def declared(array: xr.DataArray, values: Numbers, guess: bool) -> tuple[Gaps, list[str]]:
    """Return the gaps that attributes of a variable declare, and a line for each kind.

    Parameters
    ----------
    array : DataArray
        Variable with its attributes and encoding.
    values : array
        Its finite values.
    guess : bool
        Whether misspelt names of attributes count.

    Returns
    -------
    Gaps
        The gaps.
    list of str
        Lines about those that occur.
    """
    lines = []
    gaps, line = within_valid(array, values)
    if line:
        lines.append(line)
    for source, attributes in (("encoding", array.encoding), ("attrs", array.attrs)):
        for key, value in attributes.items():
            proper = key in ("_FillValue", "missing_value")
            alike = SPELLINGS.fullmatch(str(key).lower().strip("_"))
            if not (proper or (alike and guess and source == "attrs")):
                continue
            for mark in {v for number in numbers(value) for v in readings(array, number, value)}:
                if count := int(equal(values, mark).sum()):
                    gaps.marks.append(mark)
                    wrong = "" if proper else "; if they are values, use --fill-value none"
                    lines.append(f"{count} values of {mark:.10g} are gaps (attribute {key!r}){wrong}")
    if codes := measured_codes(array, values):
        gaps.marks += list(codes)
        listed = ", ".join(f"{mark:.10g} {meaning}" for mark, meaning in codes.items())
        count = sum(int(equal(values, mark).sum()) for mark in codes)
        lines.append(f"{count} values are gaps by flag_meanings ({listed})")
    return gaps, lines


def packing(array: xr.DataArray) -> tuple[float, float] | None:
    """Return scale and offset of decoded integers, or None if the variable is not packed."""
    encoding = array.encoding
    if np.dtype(encoding.get("dtype", "f8")).kind not in "iu":
        return None
    if array.dtype.kind != "f" or not {"scale_factor", "add_offset"} & set(encoding):
        return None
    return float(encoding.get("scale_factor", 1.0)), float(encoding.get("add_offset", 0.0))


def readings(array: xr.DataArray, number: float, given: Any) -> list[float]:
    """Return what a number in an attribute means in the units of the values, first by the CF conventions.

    An attribute of the packed type is in packed counts (CF 2.5.1); one of another type is often in units.
    """
    packed = packing(array)
    if packed is None:
        return [number]
    whole = np.asarray(given).dtype.kind in "iu"
    kind = np.dtype(array.encoding["dtype"])
    counts = number
    if kind.kind == "i" and number < 0 and str(array.encoding.get("_Unsigned", "")).lower() == "true":
        counts += 2.0 ** (8 * kind.itemsize)
    unpacked = counts * packed[0] + packed[1]
    return [unpacked, number] if whole else [number, unpacked]


def within_valid(array: xr.DataArray, values: Numbers) -> tuple[Gaps, str]:
    """Return the limits of valid_range, valid_min and valid_max, and a line if values lie beyond them."""
    given = array.attrs.get("valid_range")
    pair = numbers(given)
    if len(pair) != 2:
        ends = [array.attrs.get(key) for key in ("valid_min", "valid_max")]
        given = next((end for end in ends if end is not None), None)
        pair = [(numbers(end) or [np.nan])[0] for end in ends]
    if np.isnan(pair).all() or not values.size:
        return Gaps(), ""
    packed = packing(array)
    whole = np.asarray(given).dtype.kind in "iu"
    half_digit = abs(packed[0]) / 2 if packed else 0.0
    read = [readings(array, limit, given) for limit in pair]
    for k in range(len(read[0])):
        low, high = read[0][k], read[1][k]
        if packed and packed[0] < 0 and (k == 0) == whole:
            low, high = high, low
        slack = max(half_digit, CLOSE * np.nanmax(np.abs([low, high]))) if array.dtype.kind == "f" else 0.0
        gaps = Gaps(-np.inf if np.isnan(low) else low - slack, np.inf if np.isnan(high) else high + slack)
        beyond = int((~gaps.kept(values)).sum())
        if values.size - beyond >= LEFT * values.size:
            line = f"{beyond} values outside the valid range ({between(low, high)}) are gaps"
            return (gaps, line) if beyond else (Gaps(), "")
    return Gaps(), (
        f"the valid range ({between(*pair)}) leaves less than {100 * LEFT:g} % of the values, so it is not "
        "applied; correct the attributes"
    )


def between(low: float, high: float) -> str:
    """Return a range as text; an end may be NaN."""
    if np.isnan(low) or np.isnan(high):
        return f"at least {low:.6g}" if np.isnan(high) else f"at most {high:.6g}"
    return f"{low:.6g} to {high:.6g}"


def flag_values(array: xr.DataArray) -> dict[float, str]:
    """Return the meanings of the flag values of a variable, in the units of its values."""
    given = array.attrs.get("flag_values")
    meanings = array.attrs.get("flag_meanings")
    words = meanings.split() if isinstance(meanings, str) else list(map(str, np.ravel(meanings or ())))
    codes = [readings(array, number, given)[0] for number in numbers(given)]
    return dict(zip(codes, words, strict=True)) if len(words) == len(codes) else dict.fromkeys(codes, "")


def is_flag(array: xr.DataArray, values: Numbers) -> bool:
    """Whether a variable holds flags only: bit masks, or hardly anything but its flag values."""
    codes = flag_values(array)
    if not codes:
        return "flag_masks" in array.attrs or "flag_meanings" in array.attrs
    others = values
    for code in codes:
        others = others[~equal(others, code)]
    return np.unique(others).size <= len(codes)


def measured_codes(array: xr.DataArray, values: Numbers) -> dict[float, str]:
    """Return the flag values within a variable of measurements that mean that nothing was measured.

    Flag values within the range of the other values, or whose meaning is a measurement (no_snow), stay.
    """
    codes = flag_values(array)
    if not codes or is_flag(array, values):
        return {}
    others = values
    for code in codes:
        others = others[~equal(others, code)]
    low, high = others.min(), others.max()
    return {
        code: meaning
        for code, meaning in codes.items()
        if not low <= code <= high and UNMEASURED.search(meaning.lower()) and equal(values, code).any()
    }


def undeclared(values: Numbers) -> tuple[list[float], list[str]]:
    """Return the values that repeat and lie apart from all others, and a line for each.

    Parameters
    ----------
    values : array
        Finite values without the gaps that are declared.

    Returns
    -------
    list of float
        At most three values below all others, and three above.
    list of str
        Lines that say which, how often, and what to do if they are values.

    Examples
    --------
    >>> undeclared(np.array([0.0, 0.0, 0.2, 31.0, 7.5]))  # dry days are values
    ([], [])
    """
    below, above = repeated_ends(values, 1), repeated_ends(values, -1)
    counts = [(i, j) for i, j in product(range(len(below) + 1), range(len(above) + 1)) if i + j]
    for i, j in sorted(counts, key=sum, reverse=True):
        marks = {**dict(below[:i]), **dict(above[:j])}
        rest = values
        if i:
            rest = rest[rest > below[i - 1][0]]
        if j:
            rest = rest[rest < above[j - 1][0]]
        if rest.size and all(is_apart(mark, count, rest) for mark, count in marks.items()):
            spread = between(float(rest.min()), float(rest.max()))
            return list(marks), [
                f"{count} values of {mark:.10g} lie apart from all others ({spread}) and are taken as gaps; "
                "if they are values, use --fill-value none"
                for mark, count in marks.items()
            ]
    return [], []


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


def is_apart(mark: float, count: int, rest: Numbers) -> bool:
    """Whether a value that occurs `count` times lies apart from all others, as only a fill value does.

    A usual fill value needs less distance than any other: if it is negative, half of the distance from the
    lowest of the others to their median, or that none of them is negative; if it is positive, their range.
    Any other value needs five times their range, and others that are not a few classes.
    """
    low, high = float(rest.min()), float(rest.max())
    distance = low - mark if mark < low else mark - high
    if distance > APART * (high - low) and (is_code(mark) or count >= REPEATED):
        return is_code(mark) or np.unique(rest).size >= VARIED
    if not is_code(mark) or abs(mark) < 99:
        return False
    if mark < 0:
        return low >= 0 or distance > (float(np.median(rest)) - low) / 2
    return mark > 100 and distance > high - low


def masked(array: xr.DataArray, gaps: Gaps) -> xr.DataArray:
    """Return an array whose gaps are NaN, with an encoding that can represent them."""
    if array.chunks is None and not array.variable._in_memory:
        array = array.chunk()
    out = array.where(gaps.kept(array))
    out.encoding = {k: v for k, v in array.encoding.items() if k != "missing_value"}
    if array.dtype.kind in "iu":
        out.encoding.setdefault("dtype", array.dtype)
    kind = np.dtype(out.encoding.get("dtype", out.dtype))
    present = numbers(array.encoding.get("missing_value", ()))[:1]
    if out.encoding.get("_FillValue") is None:
        scale, offset = packing(array) or (1.0, 0.0)
        stored = [round((m - offset) / scale, 6) for m in gaps.marks] + present
        if kind.kind in "iu":
            info = np.iinfo(kind)
            stored = [s for s in stored if s == round(s) and info.min <= s <= info.max]
            stored.append(info.min if kind.kind == "i" else info.max)
        else:
            stored.append(np.nan)
        out.encoding["_FillValue"] = kind.type(stored[0])
    return out
