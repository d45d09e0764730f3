"""Budgets in the ledger: checked and held in the transaction that reserves, charged in the one that
books."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from nemocli.core.budget import Budget, Use
from nemocli.core.moments import microseconds
from nemocli.io.ledger.sums import HALF
from nemocli.io.sqlite import Connection

if TYPE_CHECKING:
    from nemocli.core.ports import Entry, Reservation

NO_BUDGET = "NOT EXISTS (SELECT 1 FROM budgets)"
"""Holds in a statement where there is none."""
_NAMES = [f.name for f in fields(Budget)]


class Covering:
    """The budgets over one call, each in its period."""

    def __init__(self, book: Connection, call: Reservation | Entry) -> None:
        self._book = book
        self._found = [
            (number, budget, budget.period(call.at, call.run_id, zone_of(budget.zone)))
            for number, budget in all_budgets(book)
            if budget.covers(call.provider, call.project, call.tags)
        ]

    def __bool__(self) -> bool:
        return bool(self._found)

    def uses(self) -> list[Use]:
        """How far each is used up."""
        return [use_of(self._book, number, b, period) for number, b, period in self._found]

    def charge(self, attempt_id: str, pico: int, *, held: bool) -> None:
        """Count a call towards each."""
        self._book.executemany(
            "INSERT INTO charges (attempt_id, budget_id, period, pico, held) VALUES (?,?,?,?,?)",
            [(attempt_id, number, period, pico, int(held)) for number, _, period in self._found],
        )


def all_budgets(book: Connection) -> list[tuple[int, Budget]]:
    """Every budget with its number, by name."""
    found = []
    for record in book.execute("SELECT * FROM budgets ORDER BY name"):
        values = {name: record[name] for name in _NAMES}
        found.append((record["id"], Budget(**values | {"hard": bool(record["hard"])})))
    return found


def any_budget(book: Connection) -> bool:
    """Whether there is one."""
    return not book.execute(f"SELECT {NO_BUDGET}").fetchone()[0]


def use_of(book: Connection, number: int, budget: Budget, period: str) -> Use:
    """How far it is used up in a period."""
    row = book.execute(
        "SELECT spent, held FROM budget_use WHERE budget_id = ? AND period = ?", (number, period)
    ).fetchone()
    return Use(budget, period, *(row or (0, 0)))


def release(book: Connection, attempt_id: str, pico: int | None) -> bool:
    """Turn what was held for an attempt into what it cost; an unknown cost counts as what was
    held. False when nothing was held."""
    cost = "pico" if pico is None else "?"
    values = (attempt_id,) if pico is None else (pico, attempt_id)
    statement = f"UPDATE charges SET pico = {cost}, held = 0 WHERE attempt_id = ?"  # noqa: S608
    return book.execute(statement, values).rowcount > 0


def set_budget(book: Connection, budget: Budget, now: datetime) -> None:
    """Put it in place of the one of that name; what its period has seen already counts."""
    remove_budget(book, budget.name)
    columns = ", ".join((*_NAMES, "at_us"))
    marks = ", ".join(f":{name}" for name in (*_NAMES, "at_us"))
    values = {name: getattr(budget, name) for name in _NAMES} | {"at_us": microseconds(now)}
    number = book.execute(
        f"INSERT INTO budgets ({columns}) VALUES ({marks})",  # noqa: S608
        values,
    ).lastrowid
    if budget.per == "run" or number is None:
        return
    zone = zone_of(budget.zone)
    period = budget.period(now, "", zone)
    begin = _beginning(budget, now.astimezone(zone))
    tests = ["at_us >= :begin"]
    for name, test in (
        ("provider", "provider = :provider"),
        ("project", "project = :project"),
        ("tag", "EXISTS (SELECT 1 FROM json_each(tags) WHERE value = :tag)"),
    ):
        if values[name] is not None:
            tests.append(test)
    high, low = book.execute(
        f"SELECT COALESCE(SUM(cost_pico / {HALF}), 0), COALESCE(SUM(cost_pico % {HALF}), 0) "  # noqa: S608
        f"FROM calls WHERE {' AND '.join(tests)}",
        values | {"begin": 0 if begin is None else microseconds(begin)},
    ).fetchone()
    book.execute(
        "INSERT INTO budget_use (budget_id, period, spent, held) VALUES (?, ?, ?, 0)",
        (number, period, high * HALF + low),
    )


def remove_budget(book: Connection, name: str) -> bool:
    """Whether there was one."""
    return book.execute("DELETE FROM budgets WHERE name = ?", (name,)).rowcount > 0


def zone_of(name: str) -> tzinfo | None:
    """None is the machine's own."""
    if not name:
        return None
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)


def _beginning(budget: Budget, now: datetime) -> datetime | None:
    """When the present period began; None for one that always was."""
    day = now.date()
    match budget.per:
        case "day":
            pass
        case "week":
            day -= timedelta(days=day.weekday())
        case "month":
            day = day.replace(day=1)
        case _:
            return None
    # Without a zone of its own it is read as the machine's.
    return datetime(day.year, day.month, day.day, tzinfo=zone_of(budget.zone)).astimezone(UTC)
