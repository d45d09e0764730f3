"""A transport whose calls wait until their server may be asked, as fast as it takes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from nemocli.core.faults import FaultKind, NemoError
from nemocli.core.ports import Call, Clock, Reply, Transport
from nemocli.core.provider import origin_of
from nemocli.engine.pool.gate import LocalGate, TargetLane
from nemocli.engine.pool.pacing import BUSY
from nemocli.engine.pool.ports import CallOutcome, Grant
from nemocli.engine.pool.queues import Queues
from nemocli.engine.waiting import until_set
from nemocli.wire.headers import calls_left, retry_after


class PacedTransport:
    """Fills `core.ports.Transport` over another one. `lanes` are servers by their origin; calls to
    others are sent at once. What a server refuses is still the caller's to ask again."""

    def __init__(self, inner: Transport, lanes: Mapping[str, TargetLane], clock: Clock) -> None:
        self._inner = inner
        self._clock = clock
        self._places = {origin: place for place, origin in enumerate(lanes)}
        self._gate = LocalGate(list(lanes.values()), clock.monotonic)
        self._changed = asyncio.Event()
        self._queues = Queues(self._gate, len(lanes), self._changed.set)
        self._opening: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def send(self, call: Call) -> AsyncIterator[Reply]:
        """Make the call once it may be made."""
        place = self._places.get(origin_of(call.url))
        if place is None:
            async with self._inner.send(call) as reply:
                yield reply
            return
        grant = await self._wait(place)
        outcome = CallOutcome("other")
        try:
            async with self._inner.send(call) as reply:
                outcome = self._outcome(reply)
                yield reply
        except NemoError as error:
            if error.fault.kind is FaultKind.TIMEOUT and error.fault.sent:
                outcome = CallOutcome("lost")
            raise
        finally:
            self._gate.leave(grant, outcome)
            self._queues.under_way -= 1
            self._changed.set()

    async def _wait(self, place: int) -> Grant:
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._open())
        return await self._queues.wait(place, 0, 0)

    async def _open(self) -> None:
        """Let calls through for as long as any waits."""
        while not self._queues.empty:
            self._changed.clear()
            wait = await self._queues.admit()
            if not self._queues.empty:
                await until_set(self._changed, wait)

    def _outcome(self, reply: Reply) -> CallOutcome:
        left = calls_left(reply.headers)
        if reply.status < 400:
            return CallOutcome("ok", calls_left=left)
        wait = retry_after(reply.headers, self._clock.now())
        if reply.status == 429:
            return CallOutcome("refused", wait, calls_left=left)
        return CallOutcome("overloaded" if reply.status in BUSY else "other", wait)
