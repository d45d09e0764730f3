"""HTTP for very many calls at once: connections kept warm, llhttp's parser, one timer over all.

A general client looks through its whole pool for every call and costs ten times as much
(`tests/bench/batch.py`); what it does better (proxies, redirects) is left to it.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast
from urllib.parse import urlsplit

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.ports import Call, Reply
from nemocli.core.provider import loopback
from nemocli.io.http.batch_connection import Connection, Lane
from nemocli.io.http.exchange import Exchange, fault_of, timeout_fault
from nemocli.io.http.proxy import proxy_for
from nemocli.wire.headers import transforming

if TYPE_CHECKING:
    from nemocli.io.http.client import HttpTransport

_MOVED = frozenset({301, 302, 307, 308})
_CODED = frozenset({"gzip", "x-gzip", "deflate"})


class Volley:
    """Fills `core.ports.Transport` for POSTs straight to their server, and hands everything else to
    the client it is built over. An async context manager that owns its connections."""

    def __init__(self, plain: HttpTransport, user_agent: str, *, fresh: bool = False) -> None:
        """`fresh`: every call on a connection of its own."""
        self._fresh = fresh
        self._plain = plain
        self._user_agent = user_agent
        self._lanes: dict[str, Lane | None] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        lanes = [lane for lane in self._lanes.values() if lane is not None]
        self._lanes.clear()
        for lane in lanes:
            lane.close()
        if lanes:
            await asyncio.sleep(0)  # closed transports say so to their sockets

    def send(self, call: Call) -> AbstractAsyncContextManager[Reply]:
        """Make a call. Raises NemoError, from entering it and from the body."""
        if call.method != "POST":
            return self._plain.send(call)
        try:
            lane = self._lanes[call.url]
        except KeyError:
            lane = self._lanes[call.url] = self._lane(call.url)
        return self._plain.send(call) if lane is None else _Sending(lane, call, self._plain)

    def _lane(self, url: str) -> Lane | None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme not in ("http", "https") or not host or not url.isascii():
            return None  # the other client says what is wrong
        if not loopback(url) and (self._plain.offline or proxy_for(url) is not None):
            return None
        tls = self._plain.tls_context() if parts.scheme == "https" else None
        return Lane(url, tls, self._user_agent, fresh=self._fresh)


class _Sending:
    """The context of one call."""

    __slots__ = ("_call", "_connection", "_instead", "_lane", "_plain")

    def __init__(self, lane: Lane, call: Call, plain: HttpTransport) -> None:
        self._lane = lane
        self._call = call
        self._plain = plain
        self._connection: Connection | None = None
        self._instead: AbstractAsyncContextManager[Reply] | None = None

    async def __aenter__(self) -> Reply:
        call, lane = self._call, self._lane
        if lane.idle and not lane.idle[-1].gone:
            exchange: Exchange | None = None
            connection = lane.idle.pop()
            if lane.stale(connection) or connection.unread():
                connection.end()
                exchange = self._exchange()
                connection = await lane.take(exchange)
        else:
            exchange = self._exchange()
            connection = await lane.take(exchange)
        self._connection = connection
        try:
            connection.ask(call, lane.loop.time() + call.timeouts.total_s)
            while not (connection.begun or connection.timed_out or connection.error):
                await connection.news()
            if not connection.begun:
                raise self.failure(connection)
        except BaseException:
            connection.end()
            self._connection = None
            raise
        if connection.status in _MOVED:
            connection.end()
            self._connection = None
            self._instead = self._plain.send(call)
            return await self._instead.__aenter__()
        chunks = _Chunks(self, connection)
        codings = transforming(connection.headers.get("content-encoding", ""))
        if codings:
            plainly = self._plainly(chunks, codings)
            return Reply(connection.status, connection.headers, plainly)
        return Reply(connection.status, connection.headers, cast(AsyncIterator[bytes], chunks))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> bool | None:
        if self._instead is not None:
            return await self._instead.__aexit__(kind, error, at)
        if self._connection is not None:
            self._connection.release()
            self._connection = None
        return None

    def _exchange(self) -> Exchange:
        lane = self._lane
        exchange = Exchange(self._call, self._call.url, lane.loop.time)
        exchange.begin(lane.host, lane.port)
        return exchange

    def failure(self, connection: Connection) -> NemoError:
        """What it means that nothing more came."""
        exchange = self._exchange()
        exchange.phase = "body" if connection.begun else "wait"
        if connection.timed_out:
            times = self._call.timeouts
            if connection.deadline >= connection.total:
                message = f"{exchange.origin} was not done within {times.total_s:g} s"
                hint = "raise `--timeout`"
                return NemoError(Fault(FaultKind.TIMEOUT, message, hint, retry=False))
            return NemoError(timeout_fault(exchange))
        error = connection.error or ConnectionResetError("closed")
        if type(error).__module__.startswith("httptools") or str(error).startswith(_OURS):
            message = f"{exchange.origin} does not speak HTTP here: {exchange.clean(str(error))}"
            hint = "check the URL, and http against https"
            return NemoError(Fault(FaultKind.PROTOCOL, message, hint))
        return NemoError(fault_of(error, exchange))

    async def _plainly(self, chunks: _Chunks, codings: frozenset[str]) -> AsyncIterator[bytes]:
        """The body without a coding nobody asked for."""
        if len(codings) > 1 or not codings <= _CODED:
            coding = ", ".join(sorted(codings))
            if ((self._connection and self._connection.status) or 0) >= 400:
                return
            message = f"the reply came coded as {coding!r}, which was not asked for"
            raise NemoError(Fault(FaultKind.PROTOCOL, message))
        plain = zlib.decompressobj(zlib.MAX_WBITS | 32)
        try:
            async for chunk in chunks:
                if out := plain.decompress(chunk):
                    yield out
            if not plain.eof:
                raise zlib.error("it ends too early")
        except zlib.error as error:
            message = f"{self._lane.origin} sent a body that does not decompress"
            raise NemoError(Fault(FaultKind.PROTOCOL, message)) from error


_OURS = ("a head without end", "more came than")


class _Chunks:
    """The body as it comes."""

    __slots__ = ("_connection", "_sending")

    def __init__(self, sending: _Sending, connection: Connection) -> None:
        self._sending = sending
        self._connection = connection

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        connection = self._connection
        while True:
            if connection.chunks:
                return connection.taken()
            if connection.complete:
                raise StopAsyncIteration
            if connection.timed_out or connection.error is not None:
                raise self._sending.failure(connection)
            await connection.news()
