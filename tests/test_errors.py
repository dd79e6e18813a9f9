"""What is said of an error that a library has raised."""

from __future__ import annotations

import pytest

from da4dvar.errors import first_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("no such label\nsecond line"), "no such label"),
        (ValueError("\n  no such label\n"), "no such label"),
        (ValueError(), "ValueError"),
        (IndexError(" \n"), "IndexError"),
        (OSError("x" * 1000), "x" * 300),
    ],
)
def test_the_first_line_of_an_error_is_never_empty_nor_long(error: Exception, line: str) -> None:
    """Of several lines the first; of no message the type."""
    assert first_line(error) == line
