"""Calls that wait to be let through, in the order they came, a queue for each target."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import cached_property

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.engine.pool.ports import CallGate, CallOutcome, Grant, Refusal
from nemocli.engine.waiting import FOREVER


class Queues:
    """Of `targets` targets before a gate. `came` is called where somebody has come to wait."""

    def __init__(self, gate: CallGate, targets: int, came: Callable[[], None]) -> None:
        self.under_way = 0
        self._gate = gate
        self._came = came
        self._waiting: list[deque[tuple[int, int, asyncio.Future[Grant]]]] = [
            deque() for _ in range(targets)
        ]

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    @property
    def empty(self) -> bool:
        """Whether nobody waits."""
        return not any(self._waiting)

    async def wait(self, target: int, tokens: int, worst: int) -> Grant:
        """Return once `admit` lets a call through; it is under way from then on."""
        future: asyncio.Future[Grant] = self._loop.create_future()
        self._waiting[target].append((tokens, worst, future))
        self._came()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():  # let through, and too late for it
                self.under_way -= 1
                self._gate.leave(future.result(), CallOutcome("other", pico=0))
            raise

    async def admit(self) -> float:
        """Let through whom the gate allows; seconds until it is worth asking again. Raises
        NemoError (budget) where it never will be."""
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
                        raise NemoError(Fault(FaultKind.BUDGET, answer.why, hint, sent=False))
                    soonest = min(soonest, answer.wait_s)
                    break
                queue.popleft()
                self.under_way += 1
                admitted.set_result(answer)
        return soonest

    def send_away(self) -> None:
        """Whoever waits is cancelled."""
        for queue in self._waiting:
            for _, _, admitted in queue:
                admitted.cancel()
