"""What the attributes of a variable declare about its gaps, by the CF conventions or under another name."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

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
# Relative tolerance of comparisons, as fill values are often given in another precision.
CLOSE = 1e-6
# Least share of the values that a valid range leaves; one that leaves less is a mistake.
LEFT = 0.01


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
                    wrong = "" if proper else f"; if they are values, use --fill-value {array.name}=none"
                    lines.append(f"{count} values of {mark:.7g} are gaps (attribute {key!r}){wrong}")
    if codes := measured_codes(array, values):
        gaps.marks += list(codes)
        listed = ", ".join(f"{mark:.7g} {meaning}" for mark, meaning in codes.items())
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
