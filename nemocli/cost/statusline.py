"""One line for a shell prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemocli.core.money import usd_short

if TYPE_CHECKING:
    from nemocli.core.budget import Use


def statusline(today: int, month: int, unpriced: int, tightest: Use | None) -> str:
    """`$0.12 today · $3.40 month · day 62 %`; sums in pico-USD, `unpriced` calls of the month left
    out of them."""
    more = f" + {unpriced} unpriced" if unpriced else ""
    parts = [f"{usd_short(today)} today", f"{usd_short(month)} month{more}"]
    if tightest is not None:
        parts.append(f"{tightest.budget.name} {tightest.percent} %")
    return " · ".join(parts)
