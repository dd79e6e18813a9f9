"""All cases, by number."""

from __future__ import annotations

from field import gaps, methods, roles, structures, times_of, values

CASES = sorted(
    (case for module in (gaps, methods, roles, structures, times_of, values) for case in module.CASES),
    key=lambda case: case.number,
)
