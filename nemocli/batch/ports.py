"""The shapes of the outside that a job needs beyond the engine's. io/ fills them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nemocli.core.records import Begun


class Results(Protocol):
    """Where rows end up.

    `place` says that a row was taken up, in the order of the input; `over` that it was over before.
    `begin` says that an attempt is being made, `end` that its line was given; `drop` takes one off
    the record that was never made.
    `reserve` returns once the attempt is on record, with the warnings of budgets; it raises
    NemoError where a hard budget does not allow it, or the disk takes nothing more. Lines given to
    `answer`, `fail` and `attempt` are on the disk, and their attempts in the ledger, when a
    later `reserve` returns, or `flush`.
    """

    def place(self, ordinal: int, *, over: bool = False) -> None: ...
    async def reserve(self, begun: Begun) -> Sequence[str]: ...
    def begin(self, attempt_id: str) -> None: ...
    def end(self, attempt_id: str) -> None: ...
    def answer(self, line: bytes) -> None: ...
    def fail(self, line: bytes) -> None: ...
    def attempt(self, line: bytes) -> None: ...
    def drop(self, attempt_id: str) -> None: ...
    async def flush(self) -> None: ...


class Answers(Protocol):
    """Answers kept by what was asked: a body by its 16-byte name, None where there is none."""

    def get(self, name: bytes) -> bytes | None: ...
    def put(self, name: bytes, body: bytes) -> None: ...
