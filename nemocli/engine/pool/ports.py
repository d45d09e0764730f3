"""What the pool works with: work, its steps, and the gate that calls wait at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from nemocli.core.faults import Fault
from nemocli.core.policy import Again
from nemocli.core.value_class import value_class
from nemocli.engine.pool.pacing import Word


@value_class(frozen=True, slots=True)
class Grant:
    """A call that may be sent now, to the target of that index."""

    target: int
    ticket: int


@value_class(frozen=True, slots=True)
class Refusal:
    """Why none may be sent. `wait_s`: seconds until it is worth asking again, infinity for when a
    call under way has ended; None: never, `why` says it."""

    wait_s: float | None
    why: str = ""


@value_class(frozen=True, slots=True)
class CallOutcome:
    """What became of a call, for the limits: `wait_s` what the server asked for, `pico` what the
    call came to (None is unknown), `calls_left` how many it takes until a reset in so many
    seconds."""

    word: Word
    wait_s: float | None = None
    tokens: int = 0
    pico: int | None = None
    calls_left: tuple[float, float] | None = None


class CallGate(Protocol):
    """Limits and budget over all calls of a pool, wherever they are made. `choose` says which
    target a piece of work had best wait for, of which `waiting` wait for each already."""

    def choose(self, targets: Sequence[int], waiting: Sequence[int]) -> int: ...
    async def enter(self, target: int, tokens: int, worst: int) -> Grant | Refusal: ...
    def leave(self, grant: Grant, outcome: CallOutcome) -> None: ...


Admitted = Callable[[int, int, int], Awaitable[Grant]]
"""Waits until a call to a target (index), of so many tokens and pico-USD at most, may be sent."""


class Work(Protocol):
    """What is to be done: `targets` are those it may be asked of next."""

    @property
    def targets(self) -> tuple[int, ...]: ...


@value_class(frozen=True, slots=True)
class Over:
    """The work is done, given up, or waits for another's end."""


@value_class(frozen=True, slots=True)
class Halt:
    """The whole pool stops; the work is attempted again when it goes on."""

    fault: Fault


Step = Over | Again | Halt
