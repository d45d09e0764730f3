"""Plain tables: aligned columns, cut only where a terminal would wrap them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from nemocli.core.text import one_line

GAP = "  "


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Lines of a table. A `width` in columns cuts what would not fit; None never cuts."""
    cells = [list(headers), *([one_line(c, 1000) for c in row] for row in rows)]
    sizes = [max(columns(row[i]) for row in cells) for i in range(len(headers))]
    lines = []
    for row in cells:
        padded = [c + " " * (size - columns(c)) for c, size in zip(row, sizes, strict=True)]
        line = GAP.join(padded).rstrip()
        lines.append(line if width is None else _cut(line, width))
    return lines


def facts(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Names and values, one a line; empty values are left out."""
    wide = max((len(name) for name, value in rows if value), default=0)
    return [f"{name:<{wide}}  {one_line(value, 2000)}" for name, value in rows if value]


def columns(text: str) -> int:
    """How many columns a terminal gives the text."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(1 for c in text if unicodedata.combining(c))


def folded(lines: Sequence[str], width: int) -> list[str]:
    """Lines no wider than the terminal, cut where they are too long."""
    found: list[str] = []
    for line in lines:
        rest = line.expandtabs(4)
        while columns(rest) > width:
            cut = width
            while columns(rest[:cut]) > width:
                cut -= 1
            found.append(rest[: max(1, cut)])
            rest = rest[max(1, cut) :]
        found.append(rest)
    return found


def _cut(line: str, width: int) -> str:
    return line if columns(line) <= width else line[: width - 1].rstrip() + "…"
