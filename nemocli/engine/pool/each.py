"""The same work for each of many things, so many at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Generic, TypeVar

from nemocli.core.faults import Fault
from nemocli.core.ports import Clock
from nemocli.core.value_class import value_class
from nemocli.engine.pool.gate import LocalGate, TargetLane
from nemocli.engine.pool.pacing import Pinned
from nemocli.engine.pool.ports import Admitted, CallOutcome, Halt, Over, Step
from nemocli.engine.pool.runner import Pool

T = TypeVar("T")


@value_class(frozen=True, slots=True)
class _Piece(Generic[T]):
    what: T
    targets: tuple[int, ...] = (0,)


async def for_each(
    things: Iterable[T],
    do: Callable[[T], Awaitable[Fault | None]],
    clock: Clock,
    *,
    at_once: int,
    resume: str,
) -> Fault | None:
    """`do` with each of them; the fault that stopped it, which is the first that `do` returns or
    raises as NemoError. What is under way then is done to its end, unless the caller is cancelled:
    that cancels it, and is the fault. `resume` says how to go on."""
    gate = LocalGate([TargetLane("all", Pinned(cap=at_once))], clock.monotonic)

    async def pieces() -> AsyncIterator[_Piece[T]]:
        for thing in things:
            yield _Piece(thing)

    async def attempt(piece: _Piece[T], index: int, admitted: Admitted) -> Step:
        grant = await admitted(index, 0, 0)
        try:
            fault = await do(piece.what)
        finally:
            gate.leave(grant, CallOutcome("other"))
        return Over() if fault is None else Halt(fault)

    return await Pool(attempt, pieces(), gate, clock, ahead=1, resume=resume).run()
