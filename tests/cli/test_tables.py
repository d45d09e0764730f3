"""Tables in terminals of any width: no line is wider, and only what is cut says so."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nemocli.cli.terminal.tables import columns, table

CELL = st.text(st.characters(categories=("L", "N", "P"), codec="utf-8"), max_size=40)
ROWS = st.integers(1, 5).flatmap(
    lambda n: st.lists(st.lists(CELL, min_size=n, max_size=n), min_size=1, max_size=5)
)


@given(ROWS, st.integers(20, 120))
def test_no_line_is_wider_than_the_terminal(rows: list[list[str]], width: int) -> None:
    headers = [f"H{n}" for n in range(len(rows[0]))]
    assert all(columns(line) <= width for line in table(headers, rows, width))


@given(ROWS)
def test_without_a_terminal_nothing_is_cut(rows: list[list[str]]) -> None:
    headers = [f"H{n}" for n in range(len(rows[0]))]
    for row, line in zip(rows, table(headers, rows, None)[1:], strict=True):
        assert [cell for cell in row if cell not in line] == []


def test_the_last_columns_give_way_and_whole_cells_stay_whole() -> None:
    rows = [("one", "12", "a long story of a row", "and what else there is"), ("two", "3", "", "b")]
    headers = ("NAME", "COUNT", "WHY", "WHAT")

    def first(width: int) -> str:
        return table(headers, rows, width)[1]

    assert first(200) == "one   12     a long story of a row  and what else there is"
    assert first(50) == "one   12     a long story of a row  and what else…"
    assert first(43) == "one   12     a long story…   and what else…"
    assert first(35) == "one   12     a long story of a row"
    assert first(30) == "one   12     a long story of…"
    assert first(12) == "one   12"
    assert first(3) == "one"
    assert not any(line.endswith("…") for line in table(headers, rows[1:], 60))
