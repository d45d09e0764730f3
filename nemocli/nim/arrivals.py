"""Streams that are timed as they come and read afterwards, so that the driver of a load hardly
weighs on what it measures.

Once the first words of a reply were read, its bytes are only kept, with the moment each piece came,
until the body is over. Then as much of its end is read as says how it ended and what was counted,
each piece at its own moment. A reply whose end does not say its counts, or that may hold a tool
call, is read whole.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from nemocli.core.faults import NemoError
from nemocli.core.ports import Call, Clock, Coming, Reply, Transport

_TAIL = 8 * 1024
_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_WHOLE = b"\n\n"
_DONE = b"[DONE]"


class Arrivals:
    """Of one reply: when the piece came that is being read, and whether words were read."""

    __slots__ = ("at", "begun")

    def __init__(self) -> None:
        self.at = 0.0
        self.begun = False


class TimedTransport:
    """A transport for one call at a time. Fills `core.ports.Transport`."""

    def __init__(self, inner: Transport, clock: Clock, arrivals: Arrivals) -> None:
        self._inner = inner
        self._clock = clock
        self._arrivals = arrivals
        self._whole = False  # whether the last piece that was read ended an event

    @asynccontextmanager
    async def send(self, call: Call) -> AsyncIterator[Reply]:
        """Make a call; a stream's pieces are timed."""
        async with self._inner.send(replace(call, timed=True)) as reply:
            if reply.coming is None:
                yield Reply(reply.status, reply.headers, self._as_it_comes(reply.chunks))
            else:
                yield Reply(reply.status, reply.headers, self._timed(reply.chunks, reply.coming))

    async def _as_it_comes(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            self._arrivals.at = self._clock.monotonic()
            yield chunk

    async def _timed(self, chunks: AsyncIterator[bytes], coming: Coming) -> AsyncIterator[bytes]:
        arrivals = self._arrivals
        held: list[tuple[float, bytes]] = []
        broken: NemoError | None = None
        try:
            async for chunk in chunks:
                if held or (arrivals.begun and self._whole):
                    held.append((coming.arrived, chunk))
                    held += coming.take_all()
                    if any(
                        _DONE in piece for _, piece in held[-3:]
                    ):  # its server may take its time to end the body
                        break
                    await coming.rest(_DONE)
                    continue
                arrivals.at = coming.arrived
                yield chunk
                self._whole = chunk.endswith(_WHOLE)
        except NemoError as error:
            broken = error
        for arrivals.at, piece in held[_needed(held) :]:
            yield piece
        if broken is not None:
            raise broken
        async for chunk in chunks:
            arrivals.at = coming.arrived
            yield chunk


def _needed(held: list[tuple[float, bytes]]) -> int:
    """The first piece that has to be read."""
    size, first = 0, len(held)
    while first and (size < _TAIL or not held[first - 1][1].endswith(_WHOLE)):
        first -= 1
        size += len(held[first][1])
    counted = any(_USAGE.search(piece) for _, piece in held[first:])
    plain = not any(b"tool" in piece for _, piece in held)
    return first if counted and plain else 0
