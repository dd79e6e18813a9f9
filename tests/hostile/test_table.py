"""Check of the table in docs/broken-input.md."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile.table import ROWS, files, table

pytestmark = pytest.mark.hostile

PAGE = Path(__file__).parents[2] / "docs" / "broken-input.md"


def test_every_file_has_its_row():
    """Each file of tests has one row in the table, and each row a file."""
    assert files() - {"test_table"} == set(ROWS)


def test_the_table_is_that_of_the_tests(request):
    """In a complete run, the numbers of cases are those on the page."""
    found: dict[str, int] = {}
    for item in request.session.items:
        found[item.path.stem] = found.get(item.path.stem, 0) + 1
    if not set(ROWS) <= found.keys():
        pytest.skip("a part of the suite")
    assert table(found) in PAGE.read_text(encoding="utf-8")
