"""The book in SQLite: one append-only row per attempt, settlements beside it, sums by SQL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from nemocli.core.calls import EVERYTHING, Row, Total, Where
from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.money import UNKNOWN
from nemocli.core.usage import Usage
from nemocli.io import ledger_rows as sql
from nemocli.io.alive import birth_of, gone
from nemocli.io.ledger_schema import MIGRATIONS
from nemocli.io.store import BUSY_S, Connection, Refused, open_store, told, writing

if TYPE_CHECKING:
    from nemocli.core.ports import Entry, Reservation, Settled

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

    def reserve(self, reservation: Reservation) -> None:
        """Note an attempt about to be made, so that a kill of this process does not hide it."""
        attempt_id = reservation.attempt_id
        with self._writing("not reserved", f"attempt {attempt_id} has a reservation") as book:
            book.execute(*sql.insert_reservation(reservation, os.getpid(), self._birth))

    def enter(self, entry: Entry) -> None:
        """Book an attempt and release its reservation. A second entry of one attempt is refused.

        Token counts that cannot be (a part above its whole) are booked as unknown.
        """
        twice = f"attempt {entry.attempt_id} is in the ledger already"
        with self._writing("the answer was not booked", twice) as book:
            _enter(book, entry)

    def settle(self, settled: Settled) -> None:
        """Record what the seller said afterwards; of several, the one with the latest `at` holds.

        Refused when there is no such attempt.
        """
        missing = f"attempt {settled.attempt_id} is not in the ledger"
        with self._writing("not settled", missing) as book:
            book.execute(*sql.insert_settlement(settled))

    def rows(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        where: Where = EVERYTHING,
    ) -> Iterator[Row]:
        """Attempts from `since` until before `until`, oldest first, one at a time."""
        with told(self.path):
            for record in self._book().execute(*sql.select_rows(since, until, where)):
                yield sql.row_from(record)

    def totals(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        where: Where = EVERYTHING,
    ) -> list[Total]:
        """Exact sums per provider and model; calls that cost nothing are summed apart for each
        seller whose list price they were booked with."""
        with told(self.path):
            found = self._book().execute(*sql.select_totals(since, until, where))
            return [sql.total_from(record) for record in found]

    def orphans(self, now: datetime | None = None) -> list[Reservation]:
        """Attempts whose process was killed before it could book them, oldest first."""
        with told(self.path):
            return _orphans(self._book(), now or datetime.now(UTC))

    def adopt_orphans(self, now: datetime | None = None) -> int:
        """Book every orphan as aborted at unknown cost; returns how many there were."""
        with self._writing("killed calls were not booked", "one of them was booked") as book:
            left = _orphans(book, now or datetime.now(UTC))
            for reservation in left:
                _enter(book, _killed(reservation))
        return len(left)

    def examined(self) -> tuple[int, str | None]:
        """The version of the schema, and the first damage SQLite finds; None where it finds none.

        Takes about a second per million rows.
        """
        with told(self.path):
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
        """One transaction. `refused` is what a constraint of the schema means here."""
        try:
            with told(self.path):
                book = self._book()
                try:
                    with writing(book):
                        yield book
                except Refused as error:
                    raise NemoError(_ours(refused)) from error
                except OverflowError as error:
                    raise NemoError(_ours("a number in it needs more than 64 bits")) from error
        except NemoError as error:
            message = f"{undone}: {error.fault.message}"
            raise NemoError(replace(error.fault, message=message)) from error


def _ours(message: str) -> Fault:
    return Fault(FaultKind.INTERNAL, message, sent=False)


def _enter(book: Connection, entry: Entry) -> None:
    book.execute(*sql.insert_attempt(entry))
    book.execute("DELETE FROM reservations WHERE attempt_id = ?", (entry.attempt_id,))


def _orphans(book: Connection, now: datetime) -> list[Reservation]:
    left = []
    for record in book.execute("SELECT * FROM reservations ORDER BY at_us, attempt_id"):
        reservation = sql.reservation_from(record)
        ended = gone(record["pid"], record["birth"])
        if ended or (ended is None and now - reservation.at > _LONGEST):
            left.append(reservation)
    return left


def _killed(reservation: Reservation) -> Entry:
    """All that is known of it. It may have been billed, so its cost is unknown, not nothing."""
    from nemocli.core.ports import Entry

    message = "its process was killed in mid-flight"
    return Entry(
        attempt_id=reservation.attempt_id,
        run_id=reservation.attempt_id,
        attempt=1,
        at=reservation.at,
        command="",
        provider=reservation.provider,
        model=reservation.model,
        requested_model=reservation.model,
        status="aborted",
        usage=Usage(),
        cost=UNKNOWN,
        fault=Fault(FaultKind.INTERRUPTED, message, provider=reservation.provider),
    )
