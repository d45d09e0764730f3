"""Columns of answers: what scrolls by is what was said, whatever came first."""

from __future__ import annotations

import pyte
from hypothesis import given
from hypothesis import strategies as st

from nemocli.cli.terminal.side_by_side import GAP, SideBySide

WIDE, HIGH = 80, 12
WORDS = st.text("ab é日\n ", max_size=30)
PIECES = st.lists(st.tuples(st.integers(0, 1), WORDS), max_size=30)


class Screen:
    """A terminal that keeps what scrolled out of it."""

    def __init__(self) -> None:
        self.screen = pyte.HistoryScreen(WIDE, HIGH, history=10_000, ratio=1.0)
        self.stream = pyte.Stream(self.screen)
        self.raw = ""

    def write(self, text: str) -> None:
        self.raw += text
        self.stream.feed(text.replace("\n", "\r\n"))

    def lines(self) -> list[str]:
        above = [
            "".join(row[x].data for x in range(WIDE)).rstrip() for row in self.screen.history.top
        ]
        return [*above, *(line.rstrip() for line in self.screen.display)]


def shown(pieces: list[tuple[int, str]], *, live: bool) -> tuple[SideBySide, Screen]:
    screen, now = Screen(), 0.0

    def clock() -> float:
        nonlocal now
        now += 0.03
        return now

    columns = SideBySide(screen.write, lambda: (WIDE, HIGH), ["one", "two"], live=live, clock=clock)
    for place, text in pieces:
        columns.add(place, text)
    columns.end(0)
    columns.close()
    return columns, screen


def rows_of(screen: Screen) -> list[str]:
    rows = [line.rstrip() for line in screen.lines()]
    while rows and not rows[-1]:
        rows.pop()
    return rows


@given(PIECES)
def test_what_scrolled_by_is_every_row_once_and_in_order(pieces: list[tuple[int, str]]) -> None:
    _, screen = shown(pieces, live=True)
    _, plain = shown(pieces, live=False)
    assert rows_of(screen) == rows_of(plain)


@given(PIECES)
def test_every_word_is_in_its_column(pieces: list[tuple[int, str]]) -> None:
    columns, screen = shown([(p, t.replace("日", "c")) for p, t in pieces], live=False)
    lines = screen.raw.split("\n")[2:]
    width = columns.width + len(GAP)
    for place, part in ((0, slice(columns.width)), (1, slice(width, None))):
        text = "".join(t for p, t in pieces if p == place).replace("日", "c")
        assert "".join("".join(line[part] for line in lines).split()) == "".join(text.split())


@given(PIECES)
def test_without_a_cursor_nothing_is_drawn_twice(pieces: list[tuple[int, str]]) -> None:
    _, screen = shown(pieces, live=False)
    assert "\x1b" not in screen.raw


def test_a_fast_answer_does_not_wait_for_a_slow_one_to_be_seen() -> None:
    screen = Screen()
    ticks = iter(range(99))
    columns = SideBySide(
        screen.write, lambda: (WIDE, HIGH), ["one", "two"], live=True, clock=ticks.__next__
    )
    columns.add(0, "\n".join(f"line {n}" for n in range(30)))
    assert "line 29" in "\n".join(screen.lines())
    assert "line 5" not in "\n".join(screen.lines())
    columns.end(1)
    columns.close()
    assert sum("line 5" in line for line in screen.lines()) == 1


def test_hostile_text_is_harmless() -> None:
    screen = Screen()
    columns = SideBySide(screen.write, lambda: (WIDE, HIGH), ["a\x1b[2J", "b"], live=False)
    columns.add(0, "x\x1b]0;title\x07\x9b31m\u202e\n")
    columns.close()
    assert not set(screen.raw) & {"\x1b", "\x07", "\x9b", "\u202e"}
