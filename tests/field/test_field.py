"""Files as people have them, in small: each comes back as its owner may expect, or is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from field.cases import CASES
from field.check import Case, Place


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.number:02d}")
def test_a_file_is_treated_as_is_right(case: Case, tmp_path: Path) -> None:
    """The builder of the case writes its files, and the answer is what the case says."""
    case.build(tmp_path)
    case.right(Place(tmp_path))


def test_the_collection_is_whole() -> None:
    """Every shape once."""
    assert len({case.number for case in CASES}) == len(CASES) == 63
