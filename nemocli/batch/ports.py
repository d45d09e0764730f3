"""The shapes of the outside that a job needs beyond the engine's. io/ fills them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from nemocli.core.pacing import Word
from nemocli.core.records import Begun
from nemocli.core.values import value_class


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


@value_class(frozen=True, slots=True)
class Grant:
    """A call that may be sent now, to the target of that index."""

    target: int
    ticket: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why none may be sent. `wait_s`: seconds until it is worth asking again, infinity for when a
    call under way has ended; None: never, `why` says it."""

    wait_s: float | None
    why: str = ""


@value_class(frozen=True, slots=True)
class CallOutcome:
    """What became of a call, for the limits: `wait_s` what the server asked for, `pico` what the
    call came to (None is unknown), `remaining` calls until a reset in `reset_s`."""

    word: Word
    wait_s: float | None = None
    tokens: int = 0
    pico: int | None = None
    remaining: float | None = None
    reset_s: float | None = None


class JobGate(Protocol):
    """Limits and budget over all calls of a job, wherever they are made. `choose` says which target
    a row had best wait for, of which `waiting` rows wait for each already."""

    def choose(self, targets: Sequence[int], waiting: Sequence[int]) -> int: ...
    async def enter(self, target: int, tokens: int, worst: int) -> Grant | Refusal: ...
    def leave(self, grant: Grant, outcome: CallOutcome) -> None: ...


class Answers(Protocol):
    """Answers kept by what was asked: a body by its 16-byte name, None where there is none."""

    def get(self, name: bytes) -> bytes | None: ...
    def put(self, name: bytes, body: bytes) -> None: ...
