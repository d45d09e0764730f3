"""Many requests at once against one path, each timed from the outside."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from nemocli.core.backoff import STOPPING
from nemocli.core.budget import RunBudget
from nemocli.core.events import Event, Fold, Reasoning, Text, ToolCallPart
from nemocli.core.faults import Fault, FaultKind
from nemocli.core.plan import Plan
from nemocli.core.ports import World
from nemocli.core.request import Request
from nemocli.engine.run import Answer, run
from nemocli.nim.arrivals import Arrivals, TimedTransport
from nemocli.nim.bench import Shot

Session = Sequence[Request]
"""Requests that follow one another, as the turns of a conversation do."""
_STOPPING = STOPPING | {FaultKind.USAGE}


@dataclass(slots=True)
class Load:
    """Requests against `plan` in a world; `stopped` is the fault that ended it before its time."""

    plan: Plan
    world: World
    sessions: Iterator[Session]
    budget: RunBudget | None = None
    stopped: Fault | None = None

    async def at(self, at_once: int, requests: int) -> list[Shot]:
        """So many requests with so many under way at any time. As many as are under way at once
        come before them as a warm-up, and are left out."""
        shots: list[Shot] = []
        begun = 0

        async def worker() -> None:
            nonlocal begun
            while begun < requests + at_once and self.stopped is None:
                for request in next(self.sessions):
                    if begun >= requests + at_once or self.stopped is not None:
                        return
                    begun += 1
                    warm = begun <= at_once
                    shot = await self._shot(request)
                    if not warm:
                        shots.append(shot)

        workers = [asyncio.create_task(worker()) for _ in range(at_once)]
        try:
            await asyncio.gather(*workers)
        finally:
            for task in workers:
                task.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        return shots

    async def _shot(self, request: Request) -> Shot:
        arrivals = Arrivals()
        clock = self.world.clock
        timed = TimedTransport(self.world.transport, clock, arrivals)
        sent = clock.monotonic()
        first = visible = last = None

        def sink(event: Event) -> None:
            nonlocal first, visible, last
            if isinstance(event, Text | Reasoning | ToolCallPart):
                last = arrivals.at - sent
                first = first if first is not None else last
                if visible is None and not isinstance(event, Reasoning):
                    visible = last
                    arrivals.begun = isinstance(event, Text)

        plan = replace(self.plan, keep=False)
        answer = Answer(Fold(keep=False), plan.targets[0])
        world = replace(self.world, transport=timed)
        await run(plan, request, world, sink, budget=self.budget, answer=answer)
        usage = answer.last.usage if answer.last is not None else None
        fault = answer.fault
        if fault is not None and fault.kind is FaultKind.TRUNCATED:
            fault = None  # the limit that was set is the length that was asked for
        if fault is not None and fault.kind in _STOPPING:
            self.stopped = fault
        return Shot(
            sent,
            first,
            visible,
            last,
            (usage.output_tokens or 0) if usage is not None else 0,
            (usage.input_tokens or 0) if usage is not None else 0,
            usage is not None and usage.source == "reported",
            None if fault is None else fault.kind.value,
        )
