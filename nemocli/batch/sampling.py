"""A few rows asked for what they tell about the rest; their answers go to nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from nemocli.batch.estimate import SeenAnswers
from nemocli.batch.lines import attempt_of, settlement_of, unpack_answer
from nemocli.batch.options import JobTerms
from nemocli.batch.rows import Row
from nemocli.core.money import Pico
from nemocli.core.ports import Ledger, Reservation
from nemocli.core.records import DONE, Begun, SettledRecord


class SampledResults:
    """Fills `batch.ports.Results`: attempts are booked, and answers only measured."""

    def __init__(
        self, ledger: Ledger, terms: JobTerms, rows: Sequence[Row], seen: SeenAnswers
    ) -> None:
        self._ledger = ledger
        self._told = terms.told
        self._chars = {row.ordinal: row.chars for row in rows}
        self.seen = seen
        self.pico = 0

    def place(self, ordinal: int, *, over: bool = False) -> None:
        """Nothing has an order here."""

    async def reserve(self, begun: Begun) -> Sequence[str]:
        """Put an attempt on record. Raises NemoError."""
        told = self._told
        return self._ledger.reserve(
            Reservation(
                begun.attempt_id,
                begun.at,
                begun.provider,
                begun.model,
                None if begun.pico is None else Pico(begun.pico),
                told.run_id,
                told.command,
                told.project,
                told.tags,
            )
        )

    def begin(self, attempt_id: str) -> None:
        """The record says so already."""

    def end(self, attempt_id: str) -> None:
        """It is booked when its line comes."""

    def drop(self, attempt_id: str) -> None:
        """The record of what was never made goes with its process."""

    def answer(self, line: bytes) -> None:
        """Book it, and measure it."""
        self._take(settlement_of(line))

    def quick_answer(self, pack: bytes) -> None:
        """The same."""
        self._take(unpack_answer(pack)[1])

    def _take(self, row: SettledRecord) -> None:
        for entry in row.entries[-1:]:
            self._ledger.enter(entry)
            self.pico += entry.cost.pico or 0
            if row.state == DONE:
                paid = entry.cost.pico if entry.cost.source == "reported" else None
                self.seen.add(self._chars[row.ordinal], entry.usage, entry.total_s, paid)

    def fail(self, line: bytes) -> None:
        """Book it."""
        self.answer(line)

    def attempt(self, line: bytes) -> None:
        """Book it."""
        entry = attempt_of(line)
        self._ledger.enter(entry)
        self.pico += entry.cost.pico or 0

    async def flush(self) -> None:
        """Everything is booked as it comes."""


async def one_by_one(rows: Sequence[Row]) -> AsyncIterator[Row]:
    """The sample as a job takes it."""
    for row in rows:
        yield row
