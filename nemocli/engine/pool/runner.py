"""Work without end, so much of it at a time, attempted until each piece is over.

One loop hands it out: work that waits for its next try comes before new work. Each piece under way
is a task of its own, which prepares its attempt, waits to be let through, and calls; a few are
always ready, so that no call waits for what comes before it.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import cached_property
from typing import Generic, TypeVar

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.policy import Again
from nemocli.core.ports import Clock
from nemocli.engine.pool.ports import Admitted, CallGate, Grant, Halt, Step, Work
from nemocli.engine.pool.queues import Queues
from nemocli.engine.waiting import FOREVER, acknowledge_stop, until_set

AHEAD = 160
"""Pieces of work that are prepared before there is room for their call."""

W = TypeVar("W", bound=Work)
Attempt = Callable[[W, int, Admitted], Coroutine[None, None, Step]]
"""Makes one attempt at a piece of work with the target of that index; what is next. It is
cancelled where the pool stops before it was let through."""


class Pool(Generic[W]):
    """Runs once. Cancelling `run` cancels what is under way and returns a fault. Work that is
    `piped` may take its time to come, and nobody waits for it."""

    def __init__(
        self,
        attempt: Attempt[W],
        work: AsyncIterator[W],
        gate: CallGate,
        clock: Clock,
        *,
        targets: int = 1,
        ahead: int = AHEAD,
        piped: bool = False,
        resume: str = "run the same command again to resume",
    ) -> None:
        self._attempt = attempt
        self._work = work
        self._gate = gate
        self._clock = clock
        self._ahead = ahead
        self._piped = piped
        self._resume = resume
        self._again: list[tuple[float, int, W]] = []
        self._serial = 0
        self._changed = asyncio.Event()
        self._queues = Queues(gate, targets, self._changed.set)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._begun = 0
        self._on_the_way = [0] * targets
        self._fault: Fault | None = None
        self._empty = False
        self._coming: asyncio.Task[W | None] | None = None

    async def run(self) -> Fault | None:
        """Until all work is over, or the fault that stopped it."""
        try:
            await self._feed()
        except asyncio.CancelledError:
            self._fault = Fault(FaultKind.INTERRUPTED, "interrupted", self._resume, sent=False)
            for task in self._tasks.values():
                task.cancel()
            acknowledge_stop()
        except NemoError as error:
            self.stop(error.fault)
        if self._coming is not None:
            self._coming.cancel()
        self._queues.send_away()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        return self._fault

    def stop(self, fault: Fault) -> None:
        """Let no more through; the first fault is the one that counts."""
        self._fault = self._fault or fault
        self._changed.set()

    def later(self, work: W, seconds: float) -> None:
        """Attempt it once more after so many seconds."""
        self._serial += 1
        heapq.heappush(self._again, (self._clock.monotonic() + seconds, self._serial, work))
        self._changed.set()

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    async def _feed(self) -> None:
        """Let through whom the gate allows, and have the next ones ready."""
        while self._fault is None:
            wait = await self._queues.admit()
            while self._fault is None and self._has_room():
                work = self._due() or (None if self._empty else await self._next())
                if work is None:
                    break
                self._prepare(work)
            if self._empty and not (self._tasks or self._again):
                return
            if self._fault is None:
                # What is due changes nothing while there is no room for it.
                due = self._until_due() if self._has_room() else FOREVER
                await until_set(self._changed, min(wait, due))
                self._changed.clear()

    def _has_room(self) -> bool:
        return len(self._tasks) - self._queues.under_way < self._ahead

    def _prepare(self, work: W) -> None:
        index = self._gate.choose(work.targets, self._on_the_way)
        self._on_the_way[index] += 1
        self._begun += 1
        whole = self._whole(work, index, self._begun)
        self._tasks[self._begun] = self._loop.create_task(whole)

    async def _whole(self, work: W, index: int, number: int) -> None:
        """One piece of work; what goes wrong with it stops the pool."""
        try:
            await self._make(work, index)
        except NemoError as error:
            self.stop(error.fault)
        except Exception as error:
            self.stop(Fault(FaultKind.INTERNAL, f"unexpected {type(error).__name__}: {error}"))
            raise
        finally:
            self._changed.set()
        del self._tasks[number]

    async def _make(self, work: W, index: int) -> None:
        admitted = False

        async def admission(target: int, tokens: int, worst: int) -> Grant:
            nonlocal admitted
            if self._fault is not None:  # those who wait have been sent away
                raise asyncio.CancelledError
            grant = await self._queues.wait(target, tokens, worst)
            admitted = True
            self._on_the_way[index] -= 1
            return grant

        try:
            step = await self._attempt(work, index, admission)
        finally:
            self._queues.under_way -= admitted
            self._on_the_way[index] -= not admitted
        if isinstance(step, Again):
            self.later(work, step.after_s)
        elif isinstance(step, Halt):
            self.stop(step.fault)

    def _due(self) -> W | None:
        if self._again and self._again[0][0] <= self._clock.monotonic():
            return heapq.heappop(self._again)[2]
        return None

    def _until_due(self) -> float:
        return max(0.0, self._again[0][0] - self._clock.monotonic()) if self._again else FOREVER

    async def _next(self) -> W | None:
        """The next piece of work; None at its end, or while it is still coming."""
        if not self._piped:
            work = await anext(self._work, None)
            self._empty = work is None
            return work
        if self._coming is None:
            self._coming = asyncio.ensure_future(anext(self._work, None))
            self._coming.add_done_callback(lambda _: self._changed.set())
            await asyncio.sleep(0)
        if not self._coming.done():
            return None
        came, self._coming = self._coming, None
        work = came.result()
        self._empty = work is None
        return work
