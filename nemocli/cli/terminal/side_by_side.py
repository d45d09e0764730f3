"""Several answers beside one another, as they come.

A row is printed for good once every column has it, or has ended; what is beyond stands in a part at
the bottom that is drawn anew, each column with its own last lines. So the scrollback is clean, and
nothing that was printed moves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nemocli.cli.terminal.tables import columns, fold_lines
from nemocli.core.text import neutral, wrap

GAP = "   "
NARROWEST = 36
"""Columns of text that can still be read."""
OFTEN_S = 0.05
"""Between two drawings of the part that grows."""


def column_width(screen: int, count: int) -> int:
    """What each of some columns gets; too narrow to be read is the caller's to see."""
    return (screen - len(GAP) * (count - 1)) // count


def lines_of(text: str, width: int) -> list[str]:
    """The text in lines of at most a width; a word that is longer is cut."""
    return fold_lines(wrap(neutral(text).expandtabs(4), width, "").split("\n"), width)


def row_of(cells: Sequence[str], width: int) -> str:
    """One row of the screen."""
    padded = (cell + " " * max(0, width - columns(cell)) for cell in cells)
    return GAP.join(padded).rstrip()


@dataclass(slots=True)
class _Column:
    """One answer: lines that will not change any more, and the text of the one that may."""

    lines: list[str] = field(default_factory=list)
    tail: str = ""
    ended: bool = False

    def add(self, text: str, width: int) -> None:
        self.tail += text
        found = lines_of(self.tail, width)
        if len(found) > 1:
            self.lines += found[:-1]
            self.tail = found[-1]

    def end(self) -> None:
        self.ended = True
        if self.tail:
            self.lines.append(self.tail)
            self.tail = ""


class SideBySide:
    """Columns of answers. `write` puts text on the terminal, `size` gives its columns and rows,
    `live` is False for one whose cursor cannot be moved."""

    def __init__(
        self,
        write: Callable[[str], None],
        size: Callable[[], tuple[int, int]],
        heads: Sequence[str],
        *,
        live: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._size = size
        self._screen = size()[0]
        self.width = column_width(self._screen, len(heads))
        self._columns = [_Column() for _ in heads]
        self._live = live
        self._clock = clock
        self._rows = 0
        self._drawn = 0
        self._drawn_at = float("-inf")
        self.block([lines_of(head, self.width) for head in heads])
        self.block([["-" * self.width] for _ in heads])

    def block(self, cells: Sequence[Sequence[str]]) -> None:
        """Rows that are whole at once, such as heads and receipts."""
        for row in range(max(map(len, cells))):
            line = row_of([c[row] if row < len(c) else "" for c in cells], self.width)
            self._write(f"{line}\n")

    def add(self, place: int, text: str) -> None:
        """A piece of an answer."""
        self._columns[place].add(text, self.width)
        self.paint()

    def end(self, place: int) -> None:
        """An answer is over."""
        self._columns[place].end()
        self.paint(now=True)

    def close(self) -> None:
        """All are over: what is left is printed for good."""
        for column in self._columns:
            column.end()
        self.paint(now=True)

    def paint(self, *, now: bool = False) -> None:
        """Print what is settled, and draw the rest anew, not more often than one can see."""
        settled = self._settled()
        due = now or self._clock() - self._drawn_at >= OFTEN_S
        if settled <= self._rows and not (due and self._live):
            return
        out = self._erased()
        for row in range(self._rows, settled):
            cells = [c.lines[row] if row < len(c.lines) else "" for c in self._columns]
            out += f"{row_of(cells, self.width)}\n"
        self._rows = max(self._rows, settled)
        if self._live:
            out += self._growing()
        self._drawn_at = self._clock()
        self._write(out)

    def _settled(self) -> int:
        """How many rows every column has, or will never have."""
        open_ = [len(c.lines) for c in self._columns if not c.ended]
        return min(open_) if open_ else max(len(c.lines) for c in self._columns)

    def _growing(self) -> str:
        """The part at the bottom, on a screen that is as wide as it was at the beginning."""
        columns_now, rows = self._size()
        if columns_now < self._screen:
            return ""
        most = max(1, rows - 2)
        pending = [[*c.lines[self._rows :], *([c.tail] if c.tail else [])] for c in self._columns]
        shown = [lines[-most:] for lines in pending]
        self._drawn = max(map(len, shown), default=0)
        return "".join(
            row_of([s[row] if row < len(s) else "" for s in shown], self.width) + "\n"
            for row in range(self._drawn)
        )

    def _erased(self) -> str:
        drawn, self._drawn = self._drawn, 0
        return f"\x1b[{drawn}A\r\x1b[J" if drawn else ""
