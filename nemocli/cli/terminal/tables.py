"""Plain tables: aligned columns, cut only where a terminal would wrap them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from nemocli.core.text import one_line

GAP = "  "
NARROWEST = 14
"""To which a column of text may be narrowed: sums and counts are shorter, and stay whole."""


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Lines of a table. Where it is wider than `width` columns, its last columns are narrowed, or
    left out; None never cuts. A cell that is cut ends in …, and no other does."""
    cells = [list(headers), *([one_line(c, 1000) for c in row] for row in rows)]
    sizes = [max(columns(row[i]) for row in cells) for i in range(len(headers))]
    if width is not None:
        sizes = _narrowed(sizes, width)
    lines = []
    for row in cells:
        shown = [_cut(cell, size) for cell, size in zip(row, sizes, strict=False)]
        padded = [c + " " * (size - columns(c)) for c, size in zip(shown, sizes, strict=True)]
        lines.append(GAP.join(padded).rstrip())
    return lines


def _narrowed(natural: list[int], width: int) -> list[int]:
    """The columns' widths in a terminal of `width`: the last ones are narrowed first, and left out
    where that is not enough. The first names the row and stays."""
    for count in range(len(natural), 1, -1):
        sizes = natural[:count]
        over = sum(sizes) + len(GAP) * (count - 1) - width
        for at in range(count - 1, 0, -1):
            less = min(max(0, over), max(0, sizes[at] - NARROWEST))
            sizes[at] -= less
            over -= less
        if over <= 0:
            return sizes
    return [min(natural[0], max(1, width))]


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


def fold_lines(lines: Sequence[str], width: int) -> list[str]:
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


def _cut(cell: str, width: int) -> str:
    if columns(cell) <= width:
        return cell
    kept = cell[: max(0, width - 1)]
    while columns(kept) > width - 1:
        kept = kept[:-1]
    return kept.rstrip() + "…"
