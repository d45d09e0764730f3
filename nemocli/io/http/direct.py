"""HTTP straight to its server: connections kept warm, llhttp's parser, one timer over them all.

A general client costs ten times as much a call (`tests/bench/batch.py`) and half of the program's
start. What it does better (proxies, odd addresses, rare methods) is left to it, and it is loaded
when such a call comes. Both are held to the same tests.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from types import TracebackType
from typing import Self, cast
from urllib.parse import urlsplit

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.ports import Call, Reply
from nemocli.core.provider import loopback, origin_of
from nemocli.core.value_class import value_class
from nemocli.io.http.connection import Connection, Lane
from nemocli.io.http.exchange import (
    DECODED,
    Exchange,
    coding_fault,
    fault_of,
    spoilt_fault,
    timeout_fault,
)
from nemocli.io.http.general import GeneralTransport
from nemocli.io.http.http_log import Debug, HttpLog
from nemocli.io.http.proxy import proxy_for
from nemocli.io.http.redirect import MOST_REDIRECTS, redirect_target
from nemocli.wire.headers import transforming

_PLAIN_URL = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(?:/[!$&'()*+,;=:@%A-Za-z0-9._~/?-]*)?")
"""Addresses that go on the wire as they are written."""
_METHODS = frozenset({"GET", "POST"})
_MOVED = frozenset({301, 302, 307, 308})
_OURS = ("a head without end", "more came than")
_MOST_ROUTES = 64


@value_class(frozen=True, slots=True)
class _Route:
    """The lane to an address, and how every request to it begins."""

    lane: Lane
    begin: bytes


class DirectTransport:
    """Fills `core.ports.Transport`; an async context manager that owns its connections.

    `offline` refuses every address that is not this machine before a socket is opened. `debug` gets
    lines without secrets. `fresh`: every call on a connection of its own.
    """

    def __init__(
        self,
        user_agent: str,
        offline: bool = False,
        debug: Debug | None = None,
        *,
        fresh: bool = False,
    ) -> None:
        self.debug = debug
        self.general = GeneralTransport(user_agent, offline, debug)
        self._fresh = fresh
        self._offline = offline
        self._user_agent = user_agent
        self._lanes: dict[tuple[str, str | None], Lane] = {}
        self._routes: dict[tuple[str, str | None], _Route | None] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        lanes = list(self._lanes.values())
        self._lanes.clear()
        self._routes.clear()
        for lane in lanes:
            lane.close()
        if lanes:
            await asyncio.sleep(0)  # closed transports say so to their sockets
        await self.general.__aexit__(kind, error, at)

    def send(self, call: Call) -> AbstractAsyncContextManager[Reply]:
        """Make a call; the body comes as it arrives. Raises NemoError, from entering it and from
        the body; leaving early closes the connection at once."""
        if call.method not in _METHODS:
            return self.general.send(call)
        return _Sending(self, call)

    def route(self, call: Call) -> _Route | None:
        """How a call goes; None where it is the general client's. Raises NemoError where the
        certificates cannot be read."""
        if call.method != "POST":
            return self._way(call)  # each may be to an address of its own
        place = call.url, call.ca
        try:
            return self._routes[place]
        except KeyError:
            if len(self._routes) >= _MOST_ROUTES:
                self._routes.clear()
            way = self._routes[place] = self._way(call)
            return way

    def _way(self, call: Call) -> _Route | None:
        url = call.url
        if _PLAIN_URL.fullmatch(url) is None:
            return None
        try:
            origin = origin_of(url)
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            return None
        if not host or (not loopback(url) and (self._offline or proxy_for(url) is not None)):
            return None
        secure = parts.scheme == "https"
        usual = 443 if secure else 80
        lane = self._lanes.get((origin, call.ca))
        if lane is None:
            tls = self.general.trust_context(call.ca) if secure else None
            lane = Lane(origin, host, port or usual, tls, fresh=self._fresh)
            self._lanes[origin, call.ca] = lane
        named = f"[{host}]" if ":" in host else host
        named = named if port in (None, usual) else f"{named}:{port}"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        codings = "identity" if call.method == "POST" else "gzip, deflate"
        begin = (
            f"{call.method} {path} HTTP/1.1\r\nhost: {named}\r\nuser-agent: {self._user_agent}\r\n"
            f"accept: */*\r\naccept-encoding: {codings}\r\n"
        )
        return _Route(lane, begin.encode("ascii"))


class _Sending:
    """The context of one call."""

    __slots__ = ("_call", "_connection", "_instead", "_lane", "_log", "_total", "_transport")

    def __init__(self, transport: DirectTransport, call: Call) -> None:
        self._transport = transport
        self._call = call
        self._lane: Lane | None = None
        self._connection: Connection | None = None
        self._instead: AbstractAsyncContextManager[Reply] | None = None
        self._log: HttpLog | None = None
        self._total = 0.0

    async def __aenter__(self) -> Reply:
        route = self._transport.route(self._call)
        if route is None:
            return await self._otherwise()
        if self._transport.debug is not None:
            self._log = HttpLog(self._transport.debug, self._call.secrets)
        self._total = route.lane.loop.time() + self._call.timeouts.total_s
        connection = await self._asked(route)
        for _ in range(MOST_REDIRECTS):
            if connection.status not in _MOVED:
                break
            location = connection.headers.get("location")
            target = redirect_target(self._call, self._call.url, connection.status, location)
            if target is None:
                break
            connection.end()
            self._connection = None
            self._call = replace(self._call, url=target)
            route = self._transport.route(self._call)
            if route is None:
                return await self._otherwise()
            connection = await self._asked(route)
        chunks = self._body(connection)
        if not isinstance(chunks, _Chunks):
            return Reply(connection.status, connection.headers, chunks)
        coming = chunks if self._call.timed else None
        body = b"".join(connection.chunks) if connection.complete else None
        return Reply(connection.status, connection.headers, chunks, coming, body)

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

    async def _otherwise(self) -> Reply:
        self._instead = self._transport.general.send(self._call)
        return await self._instead.__aenter__()

    async def _asked(self, route: _Route) -> Connection:
        """The connection on which the head of a reply came."""
        call, lane = self._call, route.lane
        self._lane = lane
        if self._log is not None:
            self._log.request(call.method, call.url, call)
        connection = lane.reuse()
        if connection is None:
            exchange = Exchange(call, call.url, lane.loop.time, self._total)
            exchange.begin(lane.host, lane.port)
            connection = await lane.open(exchange)
        self._connection = connection
        try:
            connection.ask(call, route.begin, self._total)
            while not (connection.begun or connection.timed_out or connection.error):
                await connection.news()
            if not connection.begun:
                raise self.failure(connection)
        except BaseException:
            connection.end()
            self._connection = None
            raise
        if self._log is not None:
            self._log.reply(connection.status, connection.headers)
        return connection

    def _body(self, connection: Connection) -> AsyncIterator[bytes]:
        chunks = cast(AsyncIterator[bytes], _Chunks(self, connection))
        if codings := transforming(connection.headers.get("content-encoding", "")):
            chunks = self._plainly(chunks, codings, connection)
        return chunks if self._log is None else self._log.listening(chunks)

    def failure(self, connection: Connection) -> NemoError:
        """What it means that nothing more came."""
        assert self._lane is not None
        exchange = Exchange(self._call, self._call.url, self._lane.loop.time)
        exchange.begin(self._lane.host, self._lane.port)
        exchange.phase = "body" if connection.flowing else "wait"
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

    async def _plainly(
        self, chunks: AsyncIterator[bytes], codings: frozenset[str], connection: Connection
    ) -> AsyncIterator[bytes]:
        """The body without a coding nobody asked for."""
        if len(codings) > 1 or not codings <= DECODED:
            coding = ", ".join(sorted(codings))
            if connection.status >= 400:
                return
            raise NemoError(coding_fault(coding))
        plain = zlib.decompressobj(zlib.MAX_WBITS | 32)
        try:
            async for chunk in chunks:
                rest = chunk
                while rest:
                    if out := plain.decompress(rest, _MOST_AT_ONCE):
                        yield out
                    rest = plain.unconsumed_tail
            # One that ends too early is a body that was cut: who reads it sees that.
        except zlib.error as error:
            raise NemoError(spoilt_fault(origin_of(self._call.url))) from error


_MOST_AT_ONCE = 1 << 20
"""Bytes of a piece of a body without its coding: a bomb comes in bounded pieces."""


class _Chunks:
    """The body as it comes."""

    __slots__ = ("_connection", "_sending")

    def __init__(self, sending: _Sending, connection: Connection) -> None:
        self._sending = sending
        self._connection = connection

    def __aiter__(self) -> Self:
        return self

    @property
    def arrived(self) -> float:
        """When the piece last taken came."""
        return self._connection.arrived

    async def rest(self, until: bytes) -> None:
        """Wait for the end, or for what `core.ports.Coming` names beside it."""
        await self._connection.rest(until)

    def take_all(self) -> list[tuple[float, bytes]]:
        """The pieces that are here."""
        return self._connection.take_all()

    async def __anext__(self) -> bytes:
        connection = self._connection
        while True:
            if connection.chunks:
                return connection.take()
            if connection.complete:
                raise StopAsyncIteration
            if connection.timed_out or connection.error is not None:
                raise self._sending.failure(connection)
            await connection.news()
