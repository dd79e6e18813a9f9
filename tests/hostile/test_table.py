"""The page that counts these tests counts them right."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile.table import ROWS, files, table

pytestmark = pytest.mark.hostile

PAGE = Path(__file__).parents[2] / "docs" / "broken-input.md"


def test_every_file_has_its_row():
    """And no row is without a file."""
    assert files() - {"test_table"} == set(ROWS)


def test_the_table_is_that_of_the_tests(request):
    """Where the whole suite is run, its cases are those that the page says."""
    found: dict[str, int] = {}
    for item in request.session.items:
        found[item.path.stem] = found.get(item.path.stem, 0) + 1
    if not set(ROWS) <= found.keys():
        pytest.skip("a part of the suite")
    assert table(found) in PAGE.read_text(encoding="utf-8")
