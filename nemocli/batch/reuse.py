"""Answers that are known already: from an earlier job, or from another row that asks the same."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from nemocli.batch.ports import Answers
from nemocli.core.ports import Call

if TYPE_CHECKING:
    from nemocli.batch.options import RowWork
    from nemocli.batch.rows import Row

MOST_WAITING = 10_000
"""Rows that wait for another's answer; beyond them each asks for itself."""


class Recall:
    """Answers by all that is asked: the address and the body of the call, never its key.

    Without `warm`, rows that ask for a temperature above 0 are always asked anew. With `coalesce`,
    rows that ask the same while one of them is under way wait for its answer.
    """

    def __init__(self, answers: Answers, *, warm: bool, coalesce: bool) -> None:
        self._answers = answers
        self._warm = warm
        self._together = coalesce
        self._waiting: dict[bytes, list[RowWork]] = {}
        self._count = 0

    def name(self, call: Call, row: Row) -> bytes | None:
        """The 16 bytes an answer is kept under; None where it is not to be used again."""
        temperature = row.body.get("temperature")
        if not self._warm and isinstance(temperature, int | float) and temperature > 0:
            return None
        return blake2b(call.url.encode() + b"\0" + call.body, digest_size=16).digest()

    def find(self, name: bytes) -> bytes | None:
        """The body of the answer. Raises NemoError where the disk does not give it."""
        return self._answers.get(name)

    def join(self, name: bytes, work: RowWork) -> bool:
        """Whether another row is under way with the same question: then this one waits for it.
        Where there is none, this one is under way from now on."""
        if not self._together:
            return False
        waiting = self._waiting.get(name)
        if waiting is None:
            self._waiting[name] = []
            return False
        if self._count >= MOST_WAITING:
            return False
        self._count += 1
        waiting.append(work)
        return True

    def keep(self, name: bytes, body: bytes) -> None:
        """An answer that came. Raises NemoError where the disk does not take it."""
        self._answers.put(name, body)

    def waiting(self, name: bytes) -> list[RowWork]:
        """Those who waited for a row that is over; nobody waits for it any more."""
        found = self._waiting.pop(name, [])
        self._count -= len(found)
        return found
