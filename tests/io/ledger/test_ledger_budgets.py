"""Budgets hold under many processes and across kills, and use what they have."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nemocli.core.budget import Budget
from nemocli.core.faults import ExitCode, FaultKind, NemoError
from nemocli.core.money import Cost, Pico
from nemocli.core.ports import Entry, Reservation, Settled
from nemocli.core.usage import Usage
from nemocli.io.ledger.ledger import SqliteLedger
from nemocli.io.ledger.schema import MIGRATIONS
from nemocli.io.ledger.schema_v2 import SECOND
from nemocli.io.sqlite import open_store

ROOT = Path(__file__).parents[3]
AT = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
DAY = Budget("day", "day", 100, zone="UTC")


def ask(attempt_id: str, pico: int | None, **changed: Any) -> Reservation:
    usual = {"at": AT, "provider": "alpha", "model": "ultra", "run_id": "r1"}
    return Reservation(attempt_id, pico=None if pico is None else Pico(pico), **(usual | changed))


def entry(attempt_id: str, pico: int | None, **changed: Any) -> Entry:
    cost = Cost(None if pico is None else Pico(pico), "unknown" if pico is None else "table")
    usual = {
        "attempt_id": attempt_id, "run_id": "r1", "attempt": 1, "at": AT, "command": "ask",
        "provider": "alpha", "model": "ultra", "requested_model": "ultra", "status": "ok",
        "usage": Usage(1, 0, 0, 1, 0), "cost": cost,
    }  # fmt: skip
    return Entry(**(usual | changed))


def spent(ledger: SqliteLedger, at: datetime = AT) -> dict[str, tuple[int, int]]:
    return {use.budget.name: (use.spent, use.held) for use in ledger.budgets(at)}


def test_a_call_is_held_at_its_worst_and_settled_at_what_it_cost(ledger: SqliteLedger) -> None:
    ledger.set_budget(DAY, AT)
    assert ledger.reserve(ask("a1", 60)) == ()
    assert spent(ledger) == {"day": (0, 60)}
    room = ledger.room(ask("", None))
    assert room is not None
    assert (room.left, room.budget) == (40, "day")
    ledger.enter(entry("a1", 25))
    assert spent(ledger) == {"day": (25, 0)}
    ledger.settle(Settled("a1", AT, Pico(35)))
    assert spent(ledger) == {"day": (35, 0)}


def test_what_does_not_fit_is_refused_and_leaves_nothing(ledger: SqliteLedger) -> None:
    ledger.set_budget(DAY, AT)
    ledger.reserve(ask("a1", 60))
    with pytest.raises(NemoError) as caught:
        ledger.reserve(ask("a2", 41))
    fault = caught.value.fault
    assert (fault.kind, fault.exit_code) == (FaultKind.BUDGET, ExitCode.BUDGET)
    assert fault.message == (
        "the budget 'day' (0.0000000001 USD a day) has 0 USD spent, 0.00000000006 held by calls "
        "under way; this call may cost 0.000000000041"
    )
    assert spent(ledger) == {"day": (0, 60)}
    ledger.enter(entry("a2", 0))
    ledger.reserve(ask("a3", 40))


@pytest.mark.parametrize("hard", [False, True])
def test_an_attempt_is_noted_at_once_only_where_no_budget_is(
    ledger: SqliteLedger, *, hard: bool
) -> None:
    assert ledger.note(ask("a1", None))
    with closing(sqlite3.connect(ledger.path)) as book:
        held = "SELECT attempt_id FROM reservations"
        assert book.execute(held).fetchall() == [("a1",)]
        with pytest.raises(NemoError, match="a1 has a reservation"):
            ledger.note(ask("a1", None))
        ledger.enter(entry("a1", 25))
        assert book.execute(held).fetchall() == []
        ledger.set_budget(replace(DAY, hard=hard), AT)
        assert not ledger.note(ask("a2", 10))
        assert book.execute(held).fetchall() == []
    assert spent(ledger) == {"day": (25, 0)}


def test_an_unknown_price_under_a_hard_budget_is_an_error(ledger: SqliteLedger) -> None:
    ledger.set_budget(DAY, AT)
    with pytest.raises(NemoError, match="budget 'day' cannot be kept"):
        ledger.reserve(ask("a1", None))
    ledger.set_budget(Budget("day", "day", 100, hard=False), AT)
    assert ledger.room(ask("a1", None)) is None
    ledger.reserve(ask("a1", None))


def test_an_unknown_outcome_counts_as_what_was_held(ledger: SqliteLedger) -> None:
    ledger.set_budget(DAY, AT)
    ledger.reserve(ask("a1", 60))
    ledger.enter(entry("a1", None))
    assert spent(ledger) == {"day": (60, 0)}


@pytest.mark.parametrize(
    ("budget", "covered", "other"),
    [
        (Budget("b", "total", 10, provider="alpha"), {}, {"provider": "beta"}),
        (Budget("b", "total", 10, project="/p"), {"project": "/p"}, {"project": "/q"}),
        (Budget("b", "total", 10, tag="x"), {"tags": ("w", "x")}, {"tags": ("w",)}),
        (Budget("b", "run", 10), {"run_id": "r1"}, {"run_id": "r2"}),
        (Budget("b", "day", 10, zone="UTC"), {}, {"at": AT + timedelta(hours=12)}),
        (Budget("b", "week", 10, zone="UTC"), {}, {"at": AT + timedelta(days=7)}),
        (Budget("b", "month", 10, zone="UTC"), {}, {"at": AT + timedelta(days=8)}),
        (
            Budget("b", "day", 10, zone="Asia/Tokyo"),
            {"at": datetime(2026, 11, 23, 14, 59, tzinfo=UTC)},
            {"at": datetime(2026, 11, 23, 15, 0, tzinfo=UTC)},
        ),
    ],
    ids=lambda v: v.per if isinstance(v, Budget) else "",
)
def test_a_budget_covers_its_own(
    ledger: SqliteLedger, budget: Budget, covered: dict[str, Any], other: dict[str, Any]
) -> None:
    ledger.set_budget(budget, AT)
    ledger.reserve(ask("a1", 8, **covered))
    with pytest.raises(NemoError, match="'b'"):
        ledger.reserve(ask("a2", 8, **covered))
    ledger.reserve(ask("a3", 8, **other))


def test_a_nearly_spent_budget_is_said(ledger: SqliteLedger) -> None:
    ledger.set_budget(Budget("soft", "total", 100, warn=50, hard=False), AT)
    assert ledger.reserve(ask("a1", 49)) == ()
    said = ledger.reserve(ask("a2", 100))
    assert said == ("budget 'soft': 149 % of 0.0000000001 USD in all is used",)


def test_a_new_budget_knows_what_its_period_has_seen(ledger: SqliteLedger) -> None:
    ledger.enter(entry("old", 7, at=AT - timedelta(days=40)))
    ledger.enter(entry("today", 30, tags=("x",)))
    ledger.enter(entry("unknown", None))
    ledger.set_budget(DAY, AT)
    ledger.set_budget(Budget("all", "total", 100), AT)
    ledger.set_budget(Budget("x", "month", 100, tag="x", zone="UTC"), AT)
    ledger.set_budget(Budget("y", "month", 100, tag="y", zone="UTC"), AT)
    assert spent(ledger) == {"all": (37, 0), "day": (30, 0), "x": (30, 0), "y": (0, 0)}
    assert ledger.remove_budget("all")
    assert not ledger.remove_budget("all")


LOOP = """
import asyncio, os, random, sys
from datetime import UTC, datetime
from pathlib import Path
from nemocli.core.faults import NemoError
from nemocli.core.money import Cost, Pico
from nemocli.core.ports import Entry, Reservation
from nemocli.core.usage import Usage
from nemocli.io.ledger.ledger import SqliteLedger

path, number, worst = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
ledger, chance = SqliteLedger(path), random.Random(number)
at = datetime.now(UTC)
sent = os.open(path.with_name("sent"), os.O_CREAT | os.O_APPEND | os.O_WRONLY)

async def worker(name):
    for n in range(10**6):
        attempt_id = f"{number}-{name}-{n}"
        room = ledger.room(Reservation(attempt_id, at, "alpha", "ultra", None, "r"))
        promise = min(worst, room.left)
        if promise < worst // 50:
            return
        try:
            ledger.reserve(Reservation(attempt_id, at, "alpha", "ultra", Pico(promise), "r"))
        except NemoError:
            continue
        os.write(sent, attempt_id.encode() + b" ")
        await asyncio.sleep(chance.random() * 0.01)
        cost = Cost(Pico(chance.randint(promise // 10, promise)), "table")
        ledger.enter(Entry(attempt_id, "r", 1, at, "batch", "alpha", "ultra", "ultra", "ok",
                           Usage(1, 0, 0, 1, 0), cost))

async def main():
    await asyncio.gather(*(worker(n) for n in range(64)))
asyncio.run(main())
"""


def racing(path: Path, number: int, worst: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", LOOP, path, str(number), str(worst)], cwd=ROOT)


def test_eight_processes_with_64_calls_each_never_exceed_a_cap_and_use_it(
    ledger: SqliteLedger, path: Path
) -> None:
    cap = 40_000_000
    ledger.set_budget(Budget("cap", "total", cap), AT)
    processes = [racing(path, n, 20_000) for n in range(8)]
    assert [p.wait(120) for p in processes] == [0] * 8
    (use,) = ledger.budgets(AT)
    assert use.held == 0
    assert sum(t.pico for t in ledger.totals()) == use.spent <= cap
    assert use.spent >= cap * 95 // 100


def test_what_killed_processes_held_is_free_again_and_their_calls_are_listed(
    ledger: SqliteLedger, path: Path
) -> None:
    cap = 400_000_000
    ledger.set_budget(Budget("cap", "total", cap), AT)
    processes = [racing(path, n, 40_000) for n in range(3)]
    while sum(t.calls for t in ledger.totals()) < 300:
        assert all(p.poll() is None for p in processes)
    for process in processes:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    (use,) = ledger.budgets(AT)
    booked, left = sum(t.calls for t in ledger.totals()), ledger.orphans()
    assert use.held == sum(o.pico or 0 for o in left) > 0
    ledger.reserve(ask("next", cap - use.spent, at=datetime.now(UTC)))
    (use,) = ledger.budgets(AT)
    assert use.left == 0, "the dead let go"
    assert ledger.orphans() == []
    totals = ledger.totals()
    assert sum(t.calls for t in totals) == booked + len(left), "calls sent are calls booked"
    assert sum(t.unpriced for t in totals) == len(left)
    sent = path.with_name("sent").read_text().split()
    assert set(sent) <= {row.entry.attempt_id for row in ledger.rows()}
    assert len(sent) > 300


def test_a_ledger_of_the_first_version_is_brought_up_with_its_sums(path: Path) -> None:
    open_store(path, MIGRATIONS[:1]).close()
    with closing(sqlite3.connect(path)) as book, book:
        for n in range(3):
            book.execute(
                "INSERT INTO attempts (attempt_id, run_id, attempt, at, at_us, command, provider,"
                " model, requested_model, status, usage_source, cost_pico, cost_source)"
                " VALUES (?, 'r', 1, '', ?, 'ask', 'alpha', 'ultra', 'u', 'ok', 'reported', ?, '')",
                (f"a{n}", 1795437000123456 + n * 86_400_000_000, 10**n),
            )
        book.execute(
            "INSERT INTO settlements (attempt_id, at, at_us, cost_pico) VALUES ('a0', '', 1, 5)"
        )
        book.execute("INSERT INTO reservations VALUES ('a9', 1, 1, NULL, 'alpha', 'ultra', 3)")
    ledger = SqliteLedger(path)
    (total,) = ledger.totals()
    assert (total.calls, total.pico, total.settled) == (3, 115, 1)
    assert [t.key for t in ledger.totals(by=("day",))] == [
        ("2026-11-23",),
        ("2026-11-24",),
        ("2026-11-25",),
    ]
    assert next((r.entry.attempt_id, r.entry.cost.source) for r in ledger.rows()) == (
        "a0",
        "reconciled",
    )
    assert ledger.examine() == (len(MIGRATIONS), None)
    assert path.with_name("ledger.db.v1.backup").exists()
    assert SECOND in MIGRATIONS
    ledger.close()
