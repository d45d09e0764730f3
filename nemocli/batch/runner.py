"""The rows of a job, or of one share of it, asked until each is over.

One loop hands out work: a row that waits for its next try comes before a new one. Each row under
way is a task of its own, which puts its attempt on record, waits to be let through, and calls; a
few are always ready, so that no call waits for the disk.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import AsyncIterator, Callable

from nemocli.batch.attempt import Asker
from nemocli.batch.lines import failure_line
from nemocli.batch.options import Halt, RowAgain, RowWork
from nemocli.batch.ports import CallOutcome, Grant, JobGate, Refusal, Results
from nemocli.batch.progress import Tally
from nemocli.batch.rows import Bad, Row
from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.ports import Clock
from nemocli.engine.waiting import FOREVER, acknowledge_stop, until_set

LOOKAHEAD = 160
"""Rows that are on record before there is room for their call."""
MOST_TOLD = 5
"""Bad rows that get a line of their own; the rest are counted."""

Item = Row | Bad | int
"""A row to be asked, one that cannot be, or the ordinal of one that is over already."""


class Shard:
    """Runs once. Cancelling `run` ends the calls under way, books them, and returns a fault. Rows
    that are `piped` may take their time, and nobody waits for them."""

    def __init__(
        self,
        asker: Asker,
        rows: AsyncIterator[Item],
        gate: JobGate,
        results: Results,
        clock: Clock,
        *,
        tally: Tally,
        warn: Callable[[str], None],
        piped: bool = False,
    ) -> None:
        self._asker = asker
        asker.back = lambda work: self._later(work, 0.0)
        self._terms = asker.terms
        self._rows = rows
        self._gate = gate
        self._results = results
        self._clock = clock
        self._tally = tally
        self._warn = warn
        self._again: list[tuple[float, int, RowWork]] = []
        self._serial = 0
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way = 0
        self._everywhere = tuple(range(len(asker.terms.targets)))
        self._waiting: list[deque[tuple[int, int, asyncio.Future[Grant]]]] = [
            deque() for _ in self._everywhere
        ]
        self._on_the_way = [0] * len(self._everywhere)
        self._fault: Fault | None = None
        self._empty = False
        self._piped = piped
        self._coming: asyncio.Task[Item | None] | None = None

    async def run(self) -> Fault | None:
        """Until every row is over, or the fault that stopped the job."""
        try:
            await self._feed()
        except asyncio.CancelledError:
            hint = "run the same command again to resume"
            self._fault = Fault(FaultKind.INTERRUPTED, "interrupted", hint, sent=False)
            for task in self._tasks:
                task.cancel()
            acknowledge_stop()
        except NemoError as error:
            self._stop(error.fault)
        if self._coming is not None:
            self._coming.cancel()
        for queue in self._waiting:
            for _, _, admitted in queue:
                admitted.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        try:
            await self._results.flush()
        except NemoError as error:
            self._stop(error.fault)
        return self._fault

    async def _feed(self) -> None:
        """Let through whom the gate allows, and have the next ones ready."""
        while self._fault is None:
            wait = await self._admit()
            while self._fault is None and self._has_room():
                work = self._due() or (None if self._empty else await self._next())
                if work is None:
                    break
                self._prepare(work)
            if self._empty and not (self._tasks or self._again):
                return
            if self._fault is None:
                # A row that is due changes nothing while there is no room for it.
                due = self._until_due() if self._has_room() else FOREVER
                await until_set(self._changed, min(wait, due))
                self._changed.clear()

    def _has_room(self) -> bool:
        return len(self._tasks) - self._under_way < LOOKAHEAD

    async def _admit(self) -> float:
        """Open the gate to those who wait; seconds until it is worth asking again."""
        soonest = FOREVER
        for target, queue in enumerate(self._waiting):
            while queue:
                tokens, worst, admitted = queue[0]
                if admitted.done():
                    queue.popleft()
                    continue
                answer = await self._gate.enter(target, tokens, worst)
                if isinstance(answer, Refusal):
                    if answer.wait_s is None:
                        hint = "raise `--max-cost` and run the same command again to resume"
                        self._stop(Fault(FaultKind.BUDGET, answer.why, hint, sent=False))
                        return 0.0
                    soonest = min(soonest, answer.wait_s)
                    break
                queue.popleft()
                self._under_way += 1
                admitted.set_result(answer)
        return soonest

    def _prepare(self, work: RowWork) -> None:
        index = self._gate.choose(work.targets, self._on_the_way)
        self._on_the_way[index] += 1
        task = asyncio.create_task(self._ask(work, index))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def _ask(self, work: RowWork, index: int) -> None:
        admitted = False

        async def admission(target: int, tokens: int, worst: int) -> Grant:
            nonlocal admitted
            grant = await self._admission(target, tokens, worst)
            admitted = True
            self._on_the_way[index] -= 1
            return grant

        try:
            step = await self._asker.attempt(work, index, admission)
        finally:
            self._under_way -= admitted
            self._on_the_way[index] -= not admitted
        match step:
            case RowAgain(after_s):
                self._later(work, after_s)
            case Halt(fault):
                self._stop(fault)
            case _:
                pass

    async def _admission(self, target: int, tokens: int, worst: int) -> Grant:
        if self._fault is not None:  # those who wait have been sent away
            raise asyncio.CancelledError
        future: asyncio.Future[Grant] = asyncio.get_running_loop().create_future()
        self._waiting[target].append((tokens, worst, future))
        self._changed.set()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():  # let through, and too late for it
                self._under_way -= 1
                self._gate.leave(future.result(), CallOutcome("other", pico=0))
            raise

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._changed.set()
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, NemoError):
            self._stop(error.fault)
        else:
            self._stop(Fault(FaultKind.INTERNAL, f"unexpected {type(error).__name__}: {error}"))

    def _stop(self, fault: Fault) -> None:
        self._fault = self._fault or fault
        self._changed.set()

    def _due(self) -> RowWork | None:
        if self._again and self._again[0][0] <= self._clock.monotonic():
            return heapq.heappop(self._again)[2]
        return None

    def _until_due(self) -> float:
        return max(0.0, self._again[0][0] - self._clock.monotonic()) if self._again else FOREVER

    def _later(self, work: RowWork, seconds: float) -> None:
        self._serial += 1
        heapq.heappush(self._again, (self._clock.monotonic() + seconds, self._serial, work))
        self._changed.set()

    async def _next(self) -> RowWork | None:
        """The next row that is not over; None at the end of the input."""
        while (item := await self._item()) is not None:
            if isinstance(item, int):
                self._tally.skipped += 1
                self._results.place(item, over=True)
                continue
            self._results.place(item.ordinal)
            if isinstance(item, Row):
                everywhere = self._everywhere
                return RowWork(item, everywhere if self._terms.spread else everywhere[:1])
            self._set_aside(item)
            if self._terms.fail_fast:
                what = f"{item.where}: {item.message}"
                self._stop(Fault(FaultKind.CONFIG, what, "mend it, or leave `--fail-fast` out"))
                return None
        self._empty = self._coming is None
        return None

    async def _item(self) -> Item | None:
        """What is next. None is the end, unless it is still coming."""
        if not self._piped:
            return await anext(self._rows, None)
        if self._coming is None:
            self._coming = asyncio.ensure_future(anext(self._rows, None))
            self._coming.add_done_callback(lambda _: self._changed.set())
            await asyncio.sleep(0)
        if not self._coming.done():
            return None
        came, self._coming = self._coming, None
        return came.result()

    def _set_aside(self, bad: Bad) -> None:
        self._tally.bad += 1
        if self._tally.bad <= MOST_TOLD:
            self._warn(f"{bad.where}: {bad.message}")
        line = failure_line(bad, bad.code, bad.message, (), self._terms.told)
        self._results.fail(line)
