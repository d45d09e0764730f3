"""The line for a shell prompt, which is asked for at every one: nothing else is loaded."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nemocli.cost.statusline import statusline
from nemocli.io.paths import paths_from

if TYPE_CHECKING:
    from collections.abc import Mapping


def status_text(env: Mapping[str, str]) -> str:
    """Today, this month, and the budget that is nearest to its end; local days. Raises NemoError
    when the ledger cannot be read."""
    path = paths_from(env).ledger
    if not path.exists():
        return statusline(0, 0, 0, None)
    from nemocli.io.ledger.ledger import SqliteLedger

    ledger = SqliteLedger(path)
    now = datetime.now(UTC)
    today = now.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    days = ledger.totals(today, None, by=())
    first = today.replace(day=1, tzinfo=None).astimezone()  # the clocks may have changed since
    month = ledger.totals(first, None, by=())
    uses = [use for use in ledger.budgets(now) if use.budget.per != "run"]
    ledger.close()
    return statusline(
        sum(t.pico for t in days),
        sum(t.pico for t in month),
        sum(t.unpriced for t in month),
        max(uses, key=lambda use: use.percent, default=None),
    )


def print_statusline() -> bool:
    """Print the line. False where something is in the way, for the program to say what."""
    from nemocli.core.faults import NemoError

    with suppress(NemoError, OSError):
        os.write(1, (status_text(os.environ) + "\n").encode())
        return True
    return False
