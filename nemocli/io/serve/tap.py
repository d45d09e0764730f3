"""A transport that lets one call through the gateway see the bytes of its replies, and stops
reading while the client has not taken what came before.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from nemocli.core.ports import Call, Reply, Transport
from nemocli.core.value_class import value_class


@value_class(frozen=True, slots=True)
class Tap:
    """`opened` is told the headers of each reply to a POST, `took` its bytes before anybody reads
    them, `room` is waited for before the next ones are read."""

    inner: Transport
    opened: Callable[[Mapping[str, str]], None]
    took: Callable[[bytes], None]
    room: Callable[[], Awaitable[None]]

    @asynccontextmanager
    async def send(self, call: Call) -> AsyncIterator[Reply]:
        """As the transport inside it."""
        async with self.inner.send(call) as reply:
            if call.method != "POST" or reply.status >= 300:
                yield reply
                return
            self.opened(reply.headers)
            yield Reply(reply.status, reply.headers, self._tapped(reply.chunks))

    async def _tapped(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            self.took(chunk)
            yield chunk
            await self.room()
