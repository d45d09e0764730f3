"""The table of what is carried is what the documents show."""

from __future__ import annotations

from pathlib import Path

from nemocli.serve.carried import TABLE, markdown

DOC = Path(__file__).parents[2] / "docs" / "serve.md"


def test_the_document_shows_the_table() -> None:
    assert "\n".join(markdown()) in DOC.read_text()


def test_no_name_stands_in_two_rows() -> None:
    for rows in TABLE.values():
        names = [row.name for row in rows]
        assert len(names) == len(set(names))
