"""The ledger keeps every attempt once, exactly, under many processes and across kills."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.money import MOST_PICO, UNKNOWN, Cost, Pico, usd_from_pico
from nemocli.core.ports import Entry, Ledger, Reservation, Settled
from nemocli.core.usage import Usage, superset
from nemocli.cost.calls import CallRow, Total, Where
from nemocli.io.ledger.ledger import SqliteLedger

ROOT = Path(__file__).parents[3]
AT = datetime(2026, 11, 23, 12, 30, 0, 123456, tzinfo=UTC)


def entry(attempt_id: str = "a1", **changed: object) -> Entry:
    usual = Entry(
        attempt_id=attempt_id,
        run_id="r1",
        attempt=1,
        at=AT,
        command="ask",
        provider="alpha",
        model="nemotron-3-ultra",
        requested_model="ultra",
        status="ok",
        usage=Usage(1000, 200, 50, 500, 100),
        cost=Cost(Pico(1_800_000), "table", "alpha/x@2026-10-19", Pico(1_800_000), "alpha/x"),
    )
    return replace(usual, **changed)  # type: ignore[arg-type]


def reservation(attempt_id: str = "a1", at: datetime = AT) -> Reservation:
    return Reservation(attempt_id, at, "alpha", "nemotron-3-ultra", Pico(5_000_000))


def by_hand(path: Path, statement: str) -> list[tuple[object, ...]]:
    """What a user with the sqlite3 tool sees and can do."""
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement).fetchall()


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_it_is_the_port_the_engine_speaks_to(ledger: SqliteLedger) -> None:
    port: Ledger = ledger
    port.enter(entry())


def test_nothing_is_opened_before_the_first_use(path: Path) -> None:
    SqliteLedger(path).close()
    assert not path.parent.exists()


def test_an_entry_comes_back_as_it_was_entered(ledger: SqliteLedger) -> None:
    full = entry(
        served_model="vendor/nemotron-3-ultra-550b",
        upstream="a host",
        reply_id="gen-1",
        request_id="req-1",
        status="cut",
        finish_reason="length",
        fault=Fault(FaultKind.CUT, "cut", provider="alpha", status=200, request_id="req-1"),
        http_status=200,
        ttft_s=0.25,
        total_s=1.5,
        tags=("nightly", "ünïcode"),
        project="p",
        session="s",
    )
    bare = entry("a2", usage=Usage(), cost=UNKNOWN, at=AT + timedelta(microseconds=1))
    ledger.enter(full)
    ledger.enter(bare)
    assert list(ledger.rows()) == [CallRow(full, full.cost), CallRow(bare, bare.cost)]


def test_a_request_id_known_only_from_the_failure_is_kept(ledger: SqliteLedger) -> None:
    ledger.enter(entry(fault=Fault(FaultKind.SERVER, "500", request_id="req-9"), status="error"))
    assert next(ledger.rows()).entry.request_id == "req-9"


def test_a_user_can_read_the_columns(ledger: SqliteLedger, path: Path) -> None:
    ledger.enter(entry(at=AT.astimezone(timezone(timedelta(hours=2))), tags=("x",)))
    columns = "at, at_us, model, cost_pico, cost_source, tags"
    assert by_hand(path, f"SELECT {columns} FROM attempts") == [
        (
            "2026-11-23T12:30:00.123456Z",
            1795437000123456,
            "nemotron-3-ultra",
            1_800_000,
            "table",
            '["x"]',
        )
    ]


def test_an_attempt_is_entered_once(ledger: SqliteLedger) -> None:
    ledger.enter(entry())
    with pytest.raises(NemoError, match="attempt a1 is in the ledger already"):
        ledger.enter(entry(cost=UNKNOWN))
    assert [row.entry for row in ledger.rows()] == [entry()]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE attempts SET cost_pico = 0",
        "DELETE FROM attempts",
        "INSERT OR REPLACE INTO attempts SELECT * FROM attempts",
        "UPDATE settlements SET cost_pico = 0",
        "DELETE FROM settlements",
        "INSERT OR REPLACE INTO settlements SELECT * FROM settlements",
    ],
)
def test_no_row_is_ever_changed(ledger: SqliteLedger, path: Path, statement: str) -> None:
    ledger.enter(entry())
    ledger.settle(Settled("a1", AT, Pico(7)))
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        by_hand(path, statement)
    assert next(ledger.rows()).entry.cost.pico == 7


def test_a_settlement_stands_beside_the_row_and_is_what_the_call_cost(
    ledger: SqliteLedger, path: Path
) -> None:
    ledger.enter(entry())
    later = AT + timedelta(minutes=1)
    ledger.settle(Settled("a1", later, Pico(2_000_000), Usage(1100, None, None, 510, 90), "host"))
    row = next(ledger.rows())
    assert row.entry.cost.pico == 2_000_000
    assert row.entry.cost.source == "reconciled"
    assert row.entry.usage == Usage(1100, None, None, 510, 90)
    assert row.entry.upstream == "host"
    assert row.booked == entry().cost
    assert row.settled_at == later
    assert by_hand(path, "SELECT cost_pico, input_tokens FROM attempts") == [(1_800_000, 1000)]
    assert by_hand(path, "SELECT cost_pico, input_tokens FROM calls") == [(2_000_000, 1100)]


def test_a_settlement_without_tokens_keeps_the_counted_ones(ledger: SqliteLedger) -> None:
    ledger.enter(entry(cost=UNKNOWN, upstream="host"))
    ledger.settle(Settled("a1", AT, Pico(5)))
    settled = next(ledger.rows()).entry
    assert (settled.usage, settled.upstream) == (entry().usage, "host")


def test_the_settlement_with_the_latest_time_holds(ledger: SqliteLedger) -> None:
    ledger.enter(entry())
    for minutes, pico in ((2, 30), (3, 40), (1, 20), (3, 50)):
        ledger.settle(Settled("a1", AT + timedelta(minutes=minutes), Pico(pico)))
    assert next(ledger.rows()).entry.cost.pico == 50
    assert [t.calls for t in ledger.totals()] == [1]


def test_what_was_never_entered_cannot_be_settled(ledger: SqliteLedger) -> None:
    with pytest.raises(NemoError, match="not settled: attempt zz is not in the ledger"):
        ledger.settle(Settled("zz", AT, Pico(5)))


def test_token_counts_that_cannot_be_are_unknown_in_the_book(ledger: SqliteLedger) -> None:
    ledger.enter(entry(usage=Usage(100, 200, None, 50, 60)))
    ledger.enter(entry("a2", usage=Usage(10**30, None, None, 50)))
    assert [r.entry.usage for r in ledger.rows()] == [
        Usage(100, None, None, 50, None),
        Usage(None, None, None, 50, None),
    ]


def test_a_cost_beyond_64_bits_is_refused_in_words(ledger: SqliteLedger) -> None:
    with pytest.raises(NemoError, match=r"the answer was not booked: .*64 bits"):
        ledger.enter(entry(cost=Cost(Pico(MOST_PICO + 1), "reported")))
    ledger.enter(entry())


def test_a_range_begins_with_its_first_moment_and_ends_before_its_last(
    ledger: SqliteLedger,
) -> None:
    for i in range(4):
        ledger.enter(entry(f"a{i}", at=AT + timedelta(microseconds=i)))
    since, until = AT + timedelta(microseconds=1), AT + timedelta(microseconds=3)
    assert [r.entry.attempt_id for r in ledger.rows(since, until)] == ["a1", "a2"]
    assert sum(t.calls for t in ledger.totals(since, until)) == 2


@pytest.mark.parametrize(
    "where",
    [
        Where(provider="beta"),
        Where(model="nano"),
        Where(command="batch"),
        Where(project="p"),
        Where(session="s"),
        Where(run_id="r2"),
        Where(tag="t2"),
        Where(provider="beta", tag="t1"),
    ],
)
def test_calls_are_picked_by_what_they_are(ledger: SqliteLedger, where: Where) -> None:
    ledger.enter(entry(tags=("t",)))
    meant = entry(
        "a2",
        provider="beta",
        model="nano",
        command="batch",
        project="p",
        session="s",
        run_id="r2",
        tags=("t1", "t2"),
    )
    ledger.enter(meant)
    assert [r.entry for r in ledger.rows(where=where)] == [meant]
    assert [t.calls for t in ledger.totals(where=where)] == [1]


def test_rows_come_oldest_first_in_whatever_order_they_were_entered(ledger: SqliteLedger) -> None:
    for i in (3, 1, 2):
        ledger.enter(entry(f"a{i}", at=AT + timedelta(seconds=i)))
    assert [r.entry.attempt_id for r in ledger.rows()] == ["a1", "a2", "a3"]


def test_calls_that_cost_nothing_are_summed_apart_by_list_seller(ledger: SqliteLedger) -> None:
    free = Cost(Pico(0), "free", "alpha/x:free@2026-01-01", Pico(900), "beta/v/x@2026-10-19")
    turned_away = Cost(Pico(0), "free")
    ledger.enter(entry("a1", cost=free))
    ledger.enter(entry("a2", cost=turned_away, usage=Usage(), status="error"))
    ledger.enter(entry("a3", cost=UNKNOWN, usage=Usage(8, output_tokens=2, source="estimated")))
    assert ledger.totals() == [
        Total("alpha", "nemotron-3-ultra", None, 2, 1, 8, 0, 0, 2, 0, 1, 1, 1, 0, 0, 0),
        Total(
            "alpha", "nemotron-3-ultra", "beta", 1, 1, 1000, 200, 50, 500, 100, 0, 0, 0, 0, 0, 900
        ),
    ]


def test_a_sum_may_leave_64_bits(ledger: SqliteLedger) -> None:
    for i in range(3):
        ledger.enter(entry(f"a{i}", cost=Cost(Pico(MOST_PICO), "reported")))
    assert [t.pico for t in ledger.totals()] == [3 * MOST_PICO]


counts = st.none() | st.integers(0, 10**7)
costs = st.none() | st.integers(0, 10**13) | st.integers(0, MOST_PICO)
calls = st.tuples(
    st.sampled_from(["alpha", "beta"]),
    st.sampled_from(["ultra", "nano"]),
    st.sampled_from(["ok", "error", "cut", "truncated", "aborted"]),
    st.builds(Usage, counts, counts, counts, counts, counts, st.sampled_from(["reported"])),
    costs,
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 10**13)), max_size=2),
)


@settings(max_examples=40, deadline=None)
@given(made=st.lists(calls, max_size=12), order=st.randoms(use_true_random=False))
def test_totals_are_those_of_an_independent_reckoning_in_any_order(
    made: list[tuple[str, str, str, Usage, int | None, list[tuple[int, int]]]],
    order: object,
) -> None:
    usd: dict[tuple[str, str], Decimal] = {}
    unpriced: dict[tuple[str, str], int] = {}
    tokens: dict[tuple[str, str], int] = {}
    for provider, model, _, usage, pico, settlements in made:
        key = provider, model
        final = max(settlements, key=lambda s: s[0])[1] if settlements else pico
        if len({at for at, _ in settlements}) < len(settlements):
            final = settlements[-1][1]
        usd[key] = usd.get(key, Decimal(0)) + Decimal(final or 0) / Decimal(10**12)
        unpriced[key] = unpriced.get(key, 0) + (final is None)
        tokens[key] = tokens.get(key, 0) + (superset(usage).input_tokens or 0)
    numbered = list(enumerate(made))
    order.shuffle(numbered)  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as folder:
        book = SqliteLedger(Path(folder) / "ledger.db")
        for i, (provider, model, status, usage, pico, settlements) in numbered:
            cost = Cost(
                None if pico is None else Pico(pico), "unknown" if pico is None else "table"
            )
            book.enter(
                entry(
                    f"a{i}", provider=provider, model=model, status=status, usage=usage, cost=cost
                )
            )
            for at, settled in settlements:
                book.settle(Settled(f"a{i}", AT + timedelta(seconds=at), Pico(settled)))
        totals = {(t.provider, t.model): t for t in book.totals()}
        rows = list(book.rows())
        book.close()
    assert {key: usd_from_pico(t.pico) for key, t in totals.items()} == usd
    assert {key: t.unpriced for key, t in totals.items()} == unpriced
    assert {key: t.input_tokens for key, t in totals.items()} == tokens
    assert sum(t.calls for t in totals.values()) == len(rows) == len(made)
    assert sum(t.ok for t in totals.values()) == sum(m[2] == "ok" for m in made)
    assert sum(r.entry.cost.pico or 0 for r in rows) == sum(t.pico for t in totals.values())


def test_an_entry_releases_its_reservation(ledger: SqliteLedger, path: Path) -> None:
    ledger.reserve(reservation())
    assert by_hand(path, "SELECT attempt_id, pico FROM reservations") == [("a1", 5_000_000)]
    ledger.enter(entry())
    assert by_hand(path, "SELECT * FROM reservations") == []


def test_an_attempt_is_reserved_once(ledger: SqliteLedger) -> None:
    ledger.reserve(reservation())
    with pytest.raises(NemoError, match="not reserved: attempt a1 has a reservation"):
        ledger.reserve(reservation())


def test_what_a_living_process_reserved_is_no_orphan(ledger: SqliteLedger) -> None:
    ledger.reserve(reservation())
    assert ledger.orphans(AT + timedelta(days=365)) == []
    assert ledger.adopt_orphans(AT) == 0


RESERVE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from nemocli.core.ports import Reservation
from nemocli.io.ledger.ledger import SqliteLedger
at = datetime(2026, 11, 23, 12, 30, 0, 123456, tzinfo=UTC)
ledger = SqliteLedger(Path(sys.argv[1]))
ledger.reserve(Reservation("k1", at, "alpha", "nemotron-3-ultra", 5_000_000))
print("reserved", flush=True)
sys.stdin.readline()
"""


def test_what_a_killed_process_reserved_is_an_orphan_and_is_booked_once_at_unknown_cost(
    ledger: SqliteLedger, path: Path
) -> None:
    process = python(RESERVE, path)
    assert process.stdout is not None
    process.stdout.readline()
    assert ledger.orphans() == []
    process.kill()
    process.communicate()
    assert ledger.orphans() == [reservation("k1")]
    assert ledger.adopt_orphans(AT) == 1
    assert ledger.adopt_orphans(AT) == 0
    assert ledger.orphans() == []
    booked = next(ledger.rows()).entry
    assert (booked.attempt_id, booked.status, booked.cost) == ("k1", "aborted", UNKNOWN)
    assert booked.at == AT
    assert [(t.calls, t.ok, t.unpriced) for t in ledger.totals()] == [(1, 0, 1)]


def test_a_later_process_of_the_same_number_does_not_hide_an_orphan(
    ledger: SqliteLedger, path: Path
) -> None:
    ledger.reserve(reservation())
    birth = by_hand(path, "SELECT birth FROM reservations")[0][0]
    if birth is None:
        pytest.skip("this system does not tell when a process began")
    by_hand(path, f"UPDATE reservations SET birth = '{birth}0'")
    assert ledger.orphans() == [reservation()]


def test_a_process_of_another_container_is_given_a_day(ledger: SqliteLedger, path: Path) -> None:
    ledger.reserve(reservation())
    birth = by_hand(path, "SELECT birth FROM reservations")[0][0]
    if birth is None:
        pytest.skip("this system does not tell when a process began")
    boot, _, ticks = str(birth).split("/")
    by_hand(path, f"UPDATE reservations SET birth = '{boot}/pid:[1]/{ticks}'")
    assert ledger.orphans(AT + timedelta(hours=23)) == []
    assert ledger.orphans(AT + timedelta(hours=25)) == [reservation()]


def test_a_reservation_from_before_a_restart_of_the_machine_is_an_orphan(
    ledger: SqliteLedger, path: Path
) -> None:
    ledger.reserve(reservation())
    by_hand(path, "UPDATE reservations SET birth = 'another-boot/pid:[1]/1' WHERE birth NOT NULL")
    if by_hand(path, "SELECT birth FROM reservations")[0][0] is not None:
        assert ledger.orphans(AT) == [reservation()]


ENTER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from nemocli.core.money import Cost
from nemocli.core.ports import Entry, Reservation
from nemocli.core.usage import Usage
from nemocli.io.ledger.ledger import SqliteLedger

path, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
at = datetime(2026, 11, 23, tzinfo=UTC)
ledger = SqliteLedger(path)
print("ready", flush=True)
sys.stdin.readline()
for i in range(count):
    attempt_id = f"{name}-{i}"
    ledger.reserve(Reservation(attempt_id, at, "alpha", "ultra", 10))
    usage = Usage(i, output_tokens=1)
    ledger.enter(
        Entry(attempt_id, name, i, at, "batch", "alpha", "ultra", "ultra", "ok", usage,
              Cost(i * 10**9 + 1, "table"))
    )
    print(attempt_id, flush=True)
ledger.close()
"""


def test_eight_processes_book_two_hundred_calls_each_exactly(
    ledger: SqliteLedger, path: Path
) -> None:
    processes = [python(ENTER, path, f"p{n}", 200) for n in range(8)]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.communicate()[1] for process in processes] == [""] * 8
    [total] = ledger.totals()
    each = sum(range(200))
    assert (total.calls, total.unpriced) == (1600, 0)
    assert total.pico == 8 * (each * 10**9 + 200)
    assert total.input_tokens == 8 * each
    assert by_hand(path, "SELECT * FROM reservations") == []


def test_a_kill_in_the_middle_loses_nothing_that_was_acknowledged(
    ledger: SqliteLedger, path: Path
) -> None:
    process = python(ENTER, path, "k", 100_000)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    process.stdin.write("\n")
    process.stdin.flush()
    seen = [process.stdout.readline().strip() for _ in range(50)]
    os.kill(process.pid, signal.SIGKILL)
    seen += [line.strip() for line in process.stdout if line.endswith("\n")]
    process.communicate()
    kept = {row.entry.attempt_id for row in ledger.rows()}
    assert set(seen) <= kept
    assert len(kept) <= len(seen) + 1
    assert by_hand(path, "PRAGMA integrity_check") == [("ok",)]
    assert len(ledger.orphans()) <= 1
    ledger.enter(entry("after"))


def test_an_entry_waits_for_a_busy_ledger(ledger: SqliteLedger, path: Path) -> None:
    ledger.enter(entry())
    hold = """
import sqlite3, sys
book = sqlite3.connect(sys.argv[1], isolation_level=None)
book.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
book.execute("COMMIT")
book.close()
"""
    holder = python(hold, path)
    assert holder.stdout is not None
    holder.stdout.readline()
    impatient = SqliteLedger(path, busy_s=0.05)
    with pytest.raises(NemoError, match=r"the answer was not booked: .* locked"):
        impatient.enter(entry("a2"))
    impatient.close()
    waiter = python(ENTER, path, "w", 1)
    assert waiter.stdout is not None
    waiter.stdout.readline()
    assert waiter.stdin is not None
    waiter.stdin.write("\n")
    waiter.stdin.flush()
    with pytest.raises(subprocess.TimeoutExpired):
        waiter.wait(0.3)
    holder.communicate("\n")
    assert waiter.communicate() == ("w-0\n", "")


def test_a_ledger_that_cannot_be_written_says_the_answer_was_not_booked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NemoError, match=r"the answer was not booked: .*not a directory") as raised:
        SqliteLedger(tmp_path / "file" / "ledger.db").enter(entry())
    assert raised.value.fault.kind is FaultKind.CONFIG


def test_the_ledger_and_its_companions_are_private(ledger: SqliteLedger, path: Path) -> None:
    ledger.enter(entry())
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()}
    assert modes == {"ledger.db": 0o600, "ledger.db-wal": 0o600, "ledger.db-shm": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_rows_stream_in_flat_memory(ledger: SqliteLedger) -> None:
    import tracemalloc

    for i in range(3000):
        ledger.enter(entry(f"a{i}"))
    tracemalloc.start()
    assert sum(1 for _ in ledger.rows()) == 3000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400_000


def test_reading_sums_loads_nothing_heavy(ledger: SqliteLedger, path: Path) -> None:
    ledger.enter(entry())
    code = """
import sys
from pathlib import Path
from nemocli.io.ledger.ledger import SqliteLedger
from nemocli.cost.summary import summarise
from nemocli.cost.summary_lines import summary_lines
ledger = SqliteLedger(Path(sys.argv[1]))
lines = summary_lines(summarise(ledger.totals()))
ledger.close()
heavy = {"asyncio", "typer", "rich", "httpx2", "yaml", "subprocess", "socket", "threading",
         "nemocli.core.ports"}
print(sorted(heavy & set(sys.modules)))
"""
    assert python(code, path).communicate() == ("[]\n", "")
