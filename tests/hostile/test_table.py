"""Check of the table in docs/broken-input.md."""

from collections import Counter
from pathlib import Path

import pytest
from hostile.table import FOLDER, ROWS, table

pytestmark = pytest.mark.hostile

PAGE = Path(__file__).parents[2] / "docs" / "broken-input.md"


def test_the_table_is_that_of_the_tests(request):
    """Every file has its row and, where the whole suite is run, its cases are those that the page says."""
    assert {p.stem for p in FOLDER.glob("test_*.py")} - {"test_table"} == set(ROWS)
    found = Counter(item.path.stem for item in request.session.items)
    if not set(ROWS) <= found.keys():
        pytest.skip("a part of the suite")
    assert table(found) in PAGE.read_text(encoding="utf-8")
