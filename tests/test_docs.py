"""Pages of the documentation take tables from the files that their commands wrote."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
INCLUDE = re.compile(r"^```\{include\} (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INCLUDES = [
    (page, *found)
    for page in sorted(DOCS.rglob("*.md"))
    for found in INCLUDE.findall(page.read_text("utf-8"))
]


def passage(text: str, options: str) -> str:
    """The part of a file that an include takes; what is looked for must be there."""
    marks = dict(re.findall(r'^:(start-after|end-before): "(.*)"$', options, re.MULTILINE))
    if "start-after" in marks:
        _, found, text = text.partition(marks["start-after"])
        assert found, f"no {marks['start-after']!r}"
    if "end-before" in marks:
        text, found, _ = text.partition(marks["end-before"])
        assert found, f"no {marks['end-before']!r}"
    return text


@pytest.mark.parametrize(
    ("page", "path", "options"), INCLUDES, ids=lambda part: part.stem if isinstance(part, Path) else ""
)
def test_an_included_passage_is_there_and_whole(page: Path, path: str, options: str) -> None:
    """A README that is rewritten leaves no page without its table, and no fence cut in two."""
    text = passage((page.parent / path).read_text("utf-8"), options)
    assert text.strip()
    assert len(re.findall(r"^```", text, re.MULTILINE)) % 2 == 0
