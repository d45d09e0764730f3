"""The ledger in SQLite: one append-only row per attempt, settlements beside it, sums by SQL."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemocli.core.budget import Budget, Use, refusal, warning
from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.money import UNKNOWN
from nemocli.core.usage import Usage
from nemocli.cost.calls import EVERYTHING, CallRow, Dimension, Total, Where
from nemocli.io.ledger import rows as sql
from nemocli.io.ledger import sums
from nemocli.io.ledger.budgets import (
    NO_BUDGET,
    Covering,
    all_budgets,
    any_budget,
    release,
    remove_budget,
    set_budget,
    use_of,
    zone_of,
)
from nemocli.io.ledger.schema import MIGRATIONS
from nemocli.io.liveness import birth_of, has_ended
from nemocli.io.sqlite import BUSY_S, Connection, Refused, open_store, sqlite_errors, writing

if TYPE_CHECKING:
    from nemocli.core.ports import Entry, Reservation, Room, Settled
    from nemocli.cost.leases import Lease

_LONGEST = timedelta(hours=24)
"""No attempt runs longer: after this, a promise of a process out of sight is an orphan too."""


class SqliteLedger:
    """`core.ports.Ledger` in one file, opened at the first use and used by one thread.

    What a method has returned from survives a kill -9. Every method raises NemoError when the file
    cannot be used; those that write say in it what was not done.
    """

    def __init__(self, path: Path, busy_s: float = BUSY_S) -> None:
        self.path = path
        self._busy_s = busy_s
        self._connection: Connection | None = None
        self._birth: str | None = None

    def room(self, reservation: Reservation) -> Room | None:
        """What the tightest hard budget over a call still allows; None where there is none."""
        from nemocli.core.ports import Room

        with sqlite_errors(self.path):
            uses = [u for u in Covering(self._book(), reservation).uses() if u.budget.hard]
        tightest = min(uses, key=lambda use: use.left, default=None)
        return None if tightest is None else Room(tightest.left, tightest.budget.name)

    def note(self, reservation: Reservation) -> bool:
        """`reserve` where there is no budget at all; False, and nothing is noted, where there is
        one."""
        attempt_id = reservation.attempt_id
        with self._changing("not reserved", f"attempt {attempt_id} has a reservation") as book:
            noted = sql.insert_reservation(reservation, os.getpid(), self._birth, NO_BUDGET)
            return book.execute(*noted).rowcount == 1

    def reserve(self, reservation: Reservation) -> tuple[str, ...]:
        """Note an attempt about to be made, so that a kill of this process does not hide it, and
        hold its worst case in every budget over it: checked and held in one step, so that no other
        process can come between. Raises NemoError (budget) when a hard budget does not allow it,
        and returns the warnings of those nearly used up."""
        attempt_id = reservation.attempt_id
        with self._writing("not reserved", f"attempt {attempt_id} has a reservation") as book:
            said = _reserved(book, reservation, self._birth)
            if isinstance(said, Fault):
                raise NemoError(said)
            return said

    def enter(self, entry: Entry) -> None:
        """Book an attempt and release its reservation. A second entry of one attempt is refused.

        Token counts that cannot be (a part above its whole) are booked as unknown.
        """
        twice = f"attempt {entry.attempt_id} is in the ledger already"
        with self._writing("the answer was not booked", twice) as book:
            _enter(book, entry)

    def enter_all(self, entries: Iterable[Entry]) -> None:
        """Book many in one transaction: all of them or none."""
        with self._writing("the answers were not booked", "one of them is booked") as book:
            for entry in entries:
                _enter(book, entry)

    def group(
        self,
        entries: Sequence[Entry],
        reservations: Sequence[Reservation],
        dropped: Sequence[str] = (),
    ) -> list[tuple[str, ...] | Fault]:
        """Book attempts, then note others about to be made, all in one transaction. For each
        reservation the warnings of budgets, or why a hard budget refuses it. `dropped` are
        reservations of attempts that were never made."""
        with self._writing("the answers were not booked", "one of them is booked") as book:
            _insert_all(book, [sql.insert_attempt(entry) for entry in entries])
            if entries:
                gone = [(entry.attempt_id,) for entry in entries]
                book.executemany("DELETE FROM reservations WHERE attempt_id = ?", gone)
            for attempt_id in dropped:
                release(book, attempt_id, 0)
                book.execute("DELETE FROM reservations WHERE attempt_id = ?", (attempt_id,))
            if not any_budget(book):
                pid, birth = os.getpid(), self._birth
                _insert_all(book, [sql.insert_reservation(r, pid, birth) for r in reservations])
                return [()] * len(reservations)
            for entry in entries:
                if not release(book, entry.attempt_id, entry.cost.pico):
                    Covering(book, entry).charge(entry.attempt_id, entry.cost.pico or 0, held=False)
            return [_reserved(book, r, self._birth) for r in reservations]

    def find_booked(self, attempt_ids: Iterable[str]) -> set[str]:
        """Those of some attempts that are in the ledger."""
        with sqlite_errors(self.path):
            book = self._book()
            ask = "SELECT 1 FROM attempts WHERE attempt_id = ?"
            return {i for i in attempt_ids if book.execute(ask, (i,)).fetchone()}

    def settle(self, settled: Settled) -> None:
        """Record what the seller said afterwards; of several, the one with the latest `at` holds.

        Refused when there is no such attempt.
        """
        missing = f"attempt {settled.attempt_id} is not in the ledger"
        with self._writing("not settled", missing) as book:
            book.execute(*sql.insert_settlement(settled))
            release(book, settled.attempt_id, settled.cost_pico)

    def rows(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        where: Where = EVERYTHING,
    ) -> Iterator[CallRow]:
        """Attempts from `since` until before `until`, oldest first, one at a time."""
        with sqlite_errors(self.path):
            for record in self._book().execute(*sql.select_rows(since, until, where)):
                yield sql.row_from(record)

    def find(self, begin: str, most: int = 1000) -> list[CallRow]:
        """Every attempt of the runs, or the attempts, whose id begins so, oldest first; `last` is
        the latest run."""
        with sqlite_errors(self.path):
            found = self._book().execute(*sql.select_found(begin, most))
            return [sql.row_from(record) for record in found]

    def totals(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        where: Where = EVERYTHING,
        by: Sequence[Dimension] | None = None,
        zone: tzinfo = UTC,
    ) -> list[Total]:
        """Exact sums per provider and model, or per combination of `by` (days, weeks and months
        are those of `zone`); calls that cost nothing are summed apart for each seller whose list
        price they were booked with. Without a session, run, command or tag in question they come
        from rollups, which outlive pruned calls."""
        with sqlite_errors(self.path):
            usual = ("provider", "model") if by is None else by
            asked = sums.select_totals(since, until, where, usual, zone)
            return [sums.total_from(record, by) for record in self._book().execute(*asked)]

    def orphans(self, now: datetime | None = None) -> list[Reservation]:
        """Attempts whose process was killed before it could book them, oldest first."""
        with sqlite_errors(self.path):
            return _orphans(self._book(), now or datetime.now(UTC))

    def adopt_orphans(self, now: datetime | None = None) -> int:
        """Book every orphan as aborted at unknown cost; returns how many there were."""
        with self._writing("killed calls were not booked", "one of them was booked") as book:
            left = _orphans(book, now or datetime.now(UTC))
            for reservation in left:
                _bury(book, reservation)
        return len(left)

    def budgets(self, now: datetime) -> list[Use]:
        """Every budget, as far as it is used up at this time; those per run have no such time."""
        with sqlite_errors(self.path):
            book = self._book()
            return [
                use_of(book, number, budget, budget.period(now, "", zone_of(budget.zone)))
                for number, budget in all_budgets(book)
            ]

    def set_budget(self, budget: Budget, now: datetime) -> None:
        """Put it in place of the one of its name; what its period has seen already counts."""
        with self._writing("the budget was not set", "there is such a budget") as book:
            set_budget(book, budget, now)

    def remove_budget(self, name: str) -> bool:
        """Whether there was one."""
        with self._writing("the budget was not removed", "it is in use") as book:
            return remove_budget(book, name)

    def start_lease(self, lease: Lease) -> None:
        """Note that GPUs run from now on."""
        from nemocli.io.ledger import leases as leased

        with self._writing("the lease was not begun", "there is such a lease") as book:
            leased.start_lease(book, lease)

    def stop_lease(self, name: str, stop: datetime) -> Lease:
        """End a lease and settle the calls it served; the lease with its cost and idle part."""
        from nemocli.io.ledger import leases as leased

        with self._writing("the lease was not ended", "its calls have their parts") as book:
            return leased.stop_lease(book, name, stop)

    def leases(
        self, now: datetime, since: datetime | None = None, until: datetime | None = None
    ) -> list[Lease]:
        """Leases that ran in a period, oldest first; `pico` of a running one is up to now."""
        from nemocli.io.ledger import leases as leased

        with sqlite_errors(self.path):
            return leased.all_leases(self._book(), now, since, until)

    def lease_parts(self, name: str) -> list[dict[str, Any]]:
        """Per model and status of the calls of an ended lease: `calls`, `input_tokens`,
        `output_tokens`, `pico` (of busy time) and `full_pico` (of all of it)."""
        from nemocli.io.ledger import leases as leased

        with sqlite_errors(self.path):
            return [dict(record) for record in leased.lease_parts(self._book(), name)]

    def add_valuation(self, now: datetime, as_of: str, note: str) -> int:
        """Begin a valuation: what calls cost at the prices of another day; its number."""
        from nemocli.io.ledger import maintenance as more

        with self._writing("the valuation was not begun", "there is one") as book:
            return more.add_valuation(book, now, as_of, note)

    def value(self, number: int, values: Iterable[tuple[str, int | None, str | None]]) -> None:
        """Put some of its calls in: attempt, pico-USD or None, price id."""
        from nemocli.io.ledger import maintenance as more

        with self._writing("the valuation was not written", "a call is in it twice") as book:
            more.add_values(book, number, values)

    def prune(self, now: datetime, before: datetime) -> int:
        """Take calls before a moment (midnight UTC) out for good; rollups keep their sums."""
        from nemocli.io.ledger import maintenance as more

        with self._writing("nothing was pruned", "something hangs on these calls") as book:
            return more.prune(book, now, before)

    def prune_state(self) -> tuple[int, int]:
        """Up to when single calls are gone (microseconds since 1970, 0: none), and how many."""
        from nemocli.io.ledger import maintenance as more

        with sqlite_errors(self.path):
            return more.prune_state(self._book())

    def examine(self) -> tuple[int, str | None]:
        """The version of the schema, and the first damage SQLite finds; None where it finds none.

        Takes about a second per million rows.
        """
        with sqlite_errors(self.path):
            book = self._book()
            version: int = book.execute("PRAGMA user_version").fetchone()[0]
            found: str = book.execute("PRAGMA quick_check(1)").fetchone()[0]
        return version, None if found == "ok" else found

    def close(self) -> None:
        """Let go of the file; the next use opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _book(self) -> Connection:
        if self._connection is None:
            self._connection = open_store(self.path, MIGRATIONS, self._busy_s)
            self._birth = birth_of(os.getpid())
        return self._connection

    @contextmanager
    def _writing(self, undone: str, refused: str) -> Iterator[Connection]:
        """One transaction."""
        with self._changing(undone, refused) as book, writing(book):
            yield book

    @contextmanager
    def _changing(self, undone: str, refused: str) -> Iterator[Connection]:
        """Failures in words: `refused` is what a constraint of the schema means here."""
        try:
            with sqlite_errors(self.path):
                book = self._book()
                try:
                    yield book
                except Refused as error:
                    raise NemoError(_ours(refused)) from error
                except OverflowError as error:
                    raise NemoError(_ours("a number in it needs more than 64 bits")) from error
        except NemoError as error:
            if error.fault.kind is FaultKind.BUDGET:
                raise
            message = f"{undone}: {error.fault.message}"
            raise NemoError(replace(error.fault, message=message)) from error


def _ours(message: str) -> Fault:
    return Fault(FaultKind.INTERNAL, message, sent=False)


def _refused(covering: Covering, pico: int | None) -> Use | None:
    """The first hard budget that does not allow so much."""
    hard = (use for use in covering.uses() if use.budget.hard)
    return next((use for use in hard if pico is None or pico > use.left), None)


def _reserved(
    book: Connection, reservation: Reservation, birth: str | None
) -> tuple[str, ...] | Fault:
    """Hold what an attempt may cost; the warnings of its budgets, or the fault of one that does not
    allow it."""
    covering = Covering(book, reservation)
    if covering and _refused(covering, reservation.pico):
        for dead in _orphans(book, reservation.at):  # they may hold what is wanted
            _bury(book, dead)
        refused = _refused(covering, reservation.pico)
        if refused is not None:
            return refusal(refused, reservation.pico)
    book.execute(*sql.insert_reservation(reservation, os.getpid(), birth))
    if not covering:
        return ()
    covering.charge(reservation.attempt_id, reservation.pico or 0, held=True)
    return tuple(line for use in covering.uses() if (line := warning(use)) is not None)


def _insert_all(book: Connection, statements: Iterable[sums.Statement]) -> None:
    """Those of the same text at once."""
    rows_of: dict[str, list[sums.Values]] = {}
    for text, values in statements:
        rows_of.setdefault(text, []).append(values)
    for text, rows in rows_of.items():
        book.executemany(text, rows)


def _enter(book: Connection, entry: Entry) -> None:
    book.execute(*sql.insert_attempt(entry))
    kept = book.execute("DELETE FROM reservations WHERE attempt_id = ?", (entry.attempt_id,))
    if release(book, entry.attempt_id, entry.cost.pico) or kept.rowcount:
        return
    # It could not be reserved, and counts all the same.
    Covering(book, entry).charge(entry.attempt_id, entry.cost.pico or 0, held=False)


def _orphans(book: Connection, now: datetime) -> list[Reservation]:
    left = []
    for record in book.execute("SELECT * FROM reservations ORDER BY at_us, attempt_id"):
        reservation = sql.reservation_from(record)
        ended = has_ended(record["pid"], record["birth"])
        if ended or (ended is None and now - reservation.at > _LONGEST):
            left.append(reservation)
    return left


def _bury(book: Connection, dead: Reservation) -> None:
    """Book an attempt whose process was killed, and let go of what it held."""
    release(book, dead.attempt_id, 0)
    _enter(book, entry_of_killed(dead))


def entry_of_killed(reservation: Reservation) -> Entry:
    """All that is known of it. It may have been billed, so its cost is unknown, not nothing."""
    from nemocli.core.ports import Entry

    message = "its process was killed in mid-flight"
    return Entry(
        attempt_id=reservation.attempt_id,
        run_id=reservation.run_id or reservation.attempt_id,
        attempt=1,
        at=reservation.at,
        command=reservation.command,
        provider=reservation.provider,
        model=reservation.model,
        requested_model=reservation.model,
        status="aborted",
        usage=Usage(),
        cost=UNKNOWN,
        fault=Fault(FaultKind.INTERRUPTED, message, provider=reservation.provider),
        tags=reservation.tags,
        project=reservation.project,
    )
