"""What is done to the whole book: valuations beside it, and old calls taken out of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from nemocli.core.moments import microseconds
from nemocli.io.sqlite import Connection


def add_valuation(book: Connection, now: datetime, as_of: str, note: str) -> int:
    """Begin one: what calls cost at other prices, beside what they were booked at; its number."""
    added = book.execute(
        "INSERT INTO valuations (at_us, as_of, note) VALUES (?, ?, ?)",
        (microseconds(now), as_of, note),
    )
    return added.lastrowid or 0


def add_values(
    book: Connection, number: int, values: Iterable[tuple[str, int | None, str | None]]
) -> None:
    """Attempt, pico-USD or None, price id."""
    book.executemany(
        "INSERT INTO valued (valuation_id, attempt_id, pico, price_id) VALUES (?, ?, ?, ?)",
        ((number, *value) for value in values),
    )


def prune(book: Connection, now: datetime, before: datetime) -> int:
    """Take calls before a day out, with all that hangs on them; rollups remember their sums. How
    many there were."""
    edge = microseconds(before)
    gone = "SELECT attempt_id FROM attempts WHERE at_us < :edge"
    rows = book.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE '%_delete'"
    )
    triggers = {row["name"]: row["sql"] for row in rows.fetchall()}
    for name in triggers:
        book.execute(f"DROP TRIGGER {name}")
    for table in ("settlements", "charges", "valued", "lease_shares"):
        book.execute(
            f"DELETE FROM {table} WHERE attempt_id IN ({gone})",  # noqa: S608
            {"edge": edge},
        )
    calls = book.execute("DELETE FROM attempts WHERE at_us < :edge", {"edge": edge}).rowcount
    for text in triggers.values():
        book.execute(text)
    if calls:
        book.execute(
            "INSERT INTO pruned (at_us, before_us, calls) VALUES (?, ?, ?)",
            (microseconds(now), edge, calls),
        )
    return calls


def prune_state(book: Connection) -> tuple[int, int]:
    """Up to when calls are gone (microseconds since 1970; 0: none are), and how many."""
    row = book.execute("SELECT MAX(before_us), SUM(calls) FROM pruned").fetchone()
    return (row[0] or 0, row[1] or 0)
