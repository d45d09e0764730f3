"""The connections to one address, each with llhttp's parser, and one timer over them all.

HTTP/1.1 has no names on its replies: which call one answers is told by its place alone. So a
connection is used again only while nothing on it is in doubt. A byte after the end of a message, a
byte while nothing is asked, or a reply that begins before its request was written whole ends the
connection for good, and never reaches a body. What cannot be told apart is a reply to the call
before that comes only after the next request was written: `fresh` connections, one a call, are for
servers that do that.
"""

from __future__ import annotations

import asyncio
import select
import ssl
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, cast

from nemocli.core.faults import NemoError
from nemocli.core.ports import Call
from nemocli.io.http.exchange import Exchange, config_fault, fault_of, timeout_fault

SWEEP_S = 0.1
"""How exact a deadline is."""
HAPPY_S = 0.25
"""How long an address may take to accept before the next one of the same name is tried beside it;
RFC 8305."""
IDLE_S = 15.0
"""A connection is not used again after so long: its server may be about to close it."""
MOST_HEAD = 64 * 1024
MOST_UNREAD = 256 * 1024
"""Bytes of a body that wait for their reader before the server is made to wait."""
TAIL = 8 * 1024
"""Of a body that was kept unread: bytes at its end whose pieces have moments of their own."""
LARGE, MOST_KEPT = 2048, 128
"""Bytes of a piece that is parsed at once, and pieces that are not."""
_EVENTS = b"\n\n\r\n"
"""The end of a chunk of whole events: no end of a body, and none of a head or a trailer."""
_INFORMED = frozenset({100, 102, 103})
_UNASKED = "more came than was asked for"
_EARLY = "more came than was asked for: a reply before its request was written"


class Lane:
    """The connections to one address."""

    def __init__(
        self, origin: str, host: str, port: int, tls: ssl.SSLContext | None, *, fresh: bool = False
    ) -> None:
        """`fresh`: no connection is used twice."""
        self.origin = origin
        self.host = host
        self.port = port
        self.tls = tls
        self.fresh = fresh
        self.idle: deque[Connection] = deque()
        self.busy: set[Connection] = set()
        self.loop = asyncio.get_running_loop()
        self._sweeper: asyncio.TimerHandle | None = None
        self._written: tuple[Mapping[str, str] | None, bytes, bytes] = (None, b"", b"")

    def head(self, call: Call, begin: bytes) -> bytes:
        """All of the head but the length of the body. Raises NemoError where a header is none."""
        last, last_begin, whole = self._written
        if call.headers is last and begin is last_begin:  # a million calls have the same
            return whole
        lines = [begin]
        for name, value in call.headers.items():
            if "\r" in value or "\n" in value or "\0" in value or not name.isascii():
                raise NemoError(config_fault(f"the request to {self.origin} cannot be written"))
            try:
                lines.append(f"{name}: {value}\r\n".encode("latin-1"))
            except UnicodeEncodeError as error:
                message = f"the request to {self.origin} cannot be written as HTTP"
                raise NemoError(config_fault(message)) from error
        whole = b"".join(lines)
        self._written = call.headers, begin, whole
        return whole

    def reuse(self) -> Connection | None:
        """A connection from before that is open as far as anyone knows; None where there is none.

        The last used is the first asked: the others may rest until they are too old.
        """
        while self.idle:
            kept = self.idle.pop()
            if not kept.gone and not self.stale(kept) and not kept.unread():
                return kept
            kept.end()
        return None

    async def open(self, exchange: Exchange) -> Connection:
        """A new one. Raises NemoError."""
        known = isinstance(self.loop, asyncio.BaseEventLoop)  # uvloop does not know it
        options: dict[str, Any] = {"happy_eyeballs_delay": HAPPY_S} if known else {}
        try:
            async with asyncio.timeout_at(exchange.deadline()):
                _, made = await self.loop.create_connection(
                    lambda: Connection(self),
                    self.host,
                    self.port,
                    ssl=self.tls,
                    server_hostname=self.host if self.tls is not None else None,
                    **options,
                )
        except TimeoutError as error:
            raise NemoError(timeout_fault(exchange)) from error
        except (OSError, ValueError) as error:
            if isinstance(error, ConnectionResetError | BrokenPipeError | ssl.SSLEOFError):
                exchange.phase = "tls" if self.tls is not None else exchange.phase
            raise NemoError(fault_of(error, exchange)) from error
        return made

    def stale(self, kept: Connection) -> bool:
        """Whether its server may be about to close it."""
        return self.loop.time() - kept.since >= IDLE_S

    def watch(self) -> None:
        """See to it that deadlines are kept while anything is under way."""
        if self._sweeper is None:
            self._sweeper = self.loop.call_later(SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        now = self.loop.time()
        for connection in list(self.busy):
            if connection.deadline <= now:
                connection.late()
        self._sweeper = self.loop.call_later(SWEEP_S, self._sweep) if self.busy else None

    def close(self) -> None:
        """End every connection."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for connection in [*self.idle, *self.busy]:
            connection.end()
        self.idle.clear()


class Connection(asyncio.Protocol):
    """One connection; one call at a time."""

    def __init__(self, lane: Lane) -> None:
        from httptools import HttpParserError, HttpResponseParser

        self._lane = lane
        self._nonsense = HttpParserError
        self._transport: asyncio.Transport | None = None
        self._poll: select.poll | None = None
        self._asked = False
        self.gone = False
        self.since = 0.0
        self.deadline = float("inf")
        self._parser = HttpResponseParser(self)
        self._begin()

    def _begin(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.chunks: deque[bytes] = deque()
        self.complete = False
        self.begun = False  # whether the whole head came
        self.flowing = False  # whether any of the body came
        self.timed_out = False
        self.error: Exception | None = None
        self._head = 0
        self._unread = 0
        self._paused = False
        self._keep = False
        self._news: asyncio.Future[None] | None = None
        self._times: deque[float] | None = None
        self._last = False  # whether this call said that it is
        self._until = b""  # while nobody waits for less than this, or the end
        self._chunked = False
        self._kept: list[tuple[float, bytes]] = []  # came meanwhile, not parsed yet
        self._now = 0.0
        self.arrived = 0.0
        self.total = float("inf")

    def ask(self, call: Call, begin: bytes, total: float) -> None:
        """Send it. `begin` is the head up to the call's own headers; `total` is when it must be
        done."""
        transport, lane = self._transport, self._lane
        if self.complete:
            self._begin()
        now = lane.loop.time()
        self._asked = True
        self.total = total
        self._idle_s = call.timeouts.idle_s
        self._times = deque() if call.timed else None
        self._last = call.headers.get("connection") == "close"
        self.deadline = min(now + call.timeouts.first_byte_s, total)
        lane.busy.add(self)
        lane.watch()
        if transport is not None:
            head, body = lane.head(call, begin), call.body
            if body or call.method == "POST":
                transport.write(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body))
            else:
                transport.write(head + b"\r\n")

    def take(self) -> bytes:
        """The next piece of the body that is here."""
        chunk = self.chunks.popleft()
        self._unread -= len(chunk)
        if self._times is not None:
            self.arrived = self._times.popleft()
        self._read_on()
        return chunk

    def take_all(self) -> list[tuple[float, bytes]]:
        """The pieces that are here, of a body that is timed, with the moments they came."""
        if self._times is None:
            return []
        taken = list(zip(self._times, self.chunks, strict=True))
        self._times.clear()
        self.chunks.clear()
        self._unread = 0
        self._read_on()
        return taken

    def _read_on(self) -> None:
        if self._paused and self._unread <= MOST_UNREAD // 2:
            self._paused = False
            if self._transport is not None and not self.gone:
                self._transport.resume_reading()

    async def news(self) -> None:
        """Something came, or nothing more will."""
        loop = self._lane.loop
        if self.flowing:
            self.deadline = min(loop.time() + self._idle_s, self.total)
        self._news = loop.create_future()
        await self._news

    async def rest(self, until: bytes) -> None:
        """A piece is here already; or the body is over, failed, much of it is unread, or a piece
        holds `until`."""
        if self.chunks or self.complete or self.timed_out or self.error is not None:
            return
        self._until = until
        try:
            await self.news()
        finally:
            self._until = b""

    def _parse_kept(self) -> None:
        """What came while nobody waited for it; all but the end of it as one piece."""
        kept, self._kept = self._kept, []
        tail, own = 0, len(kept)
        while own and tail < TAIL:
            own -= 1
            tail += len(kept[own][1])
        if own:
            self._now = kept[own - 1][0]
            self._parser.feed_data(b"".join(data for _, data in kept[:own]))
        for self._now, data in kept[own:]:
            self._parser.feed_data(data)

    def unread(self) -> bool:
        """Whether the system holds bytes, or an end, that nobody asked for."""
        if self._poll is None:
            return False
        return bool(self._poll.poll(0))

    def late(self) -> None:
        """A deadline passed. But for the last one it does not count while nobody waits: a reader
        that is slow itself has not been kept waiting."""
        if self._kept:  # its moment is looked up only now
            self.deadline = min(self._kept[-1][0] + self._idle_s, self.total)
            if self.deadline > self._lane.loop.time():
                return
        waited = self._news is not None and not self._news.done()
        if waited or self.deadline >= self.total:
            self.timed_out = True
            if self._kept:
                self._feed(b"")
            self._tell()

    def release(self) -> None:
        """The call is over: keep the connection if it can be used again."""
        self._lane.busy.discard(self)
        self.deadline = float("inf")
        kept = self._keep and not self._lane.fresh and not self._last
        if self.complete and not self.gone and not self.timed_out and kept:
            self._asked = False
            self.since = self._lane.loop.time()
            self._lane.idle.append(self)
        else:
            self.end()

    def end(self) -> None:
        """Close it at once."""
        self.gone = True
        self._lane.busy.discard(self)
        if self._transport is not None:
            self._transport.abort()

    def _tell(self) -> None:
        news = self._news
        if news is not None and not news.done():
            news.set_result(None)

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        socket = transport.get_extra_info("socket")
        if socket is not None and hasattr(select, "poll"):
            self._poll = select.poll()
            self._poll.register(socket.fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        until = self._until
        kept = until and self._chunked and data.endswith(_EVENTS) and until not in data
        if kept and len(data) <= LARGE and len(self._kept) < MOST_KEPT:
            self._kept.append((time.monotonic(), data))
            return
        self._feed(data)
        over = self._unread > MOST_UNREAD and not self.complete
        if over and not self._paused and not self.gone:
            self._paused = True
            if self._transport is not None:
                self._transport.pause_reading()
        if until and not (self.complete or over or self.gone or until in data):
            self.deadline = min(self._lane.loop.time() + self._idle_s, self.total)
            return
        self._tell()

    def _feed(self, data: bytes) -> None:
        """To the parser, after what was kept from it."""
        if not self.begun:
            self._head += len(data)
        try:
            if self.complete or not self._asked:
                raise ConnectionError(_UNASKED)
            if self._kept:
                self._parse_kept()
            if self._times is not None:
                self._now = time.monotonic()
            self._parser.feed_data(data)
            if not self.begun and self._head > MOST_HEAD:
                raise ConnectionError("a head without end")
        except (self._nonsense, ConnectionError) as error:
            self.error = error
            self.gone = True

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._kept:
            self._feed(b"")
        self.gone = True
        endless = not {"content-length", "transfer-encoding"} & set(self.headers)
        if self.begun and not self.complete and endless and exc is None:
            self.complete = True  # such a body ends with its connection
        elif not self.complete and self.error is None:
            self.error = exc or ConnectionResetError("closed")
        self._tell()

    # the parser's side

    def on_message_begin(self) -> None:
        if self.complete:  # a second reply behind the one that was asked for
            raise ConnectionError(_UNASKED)

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._keep = bool(self._parser.should_keep_alive())
        if self.status in _INFORMED:
            return
        self._chunked = "chunked" in self.headers.get("transfer-encoding", "")
        transport = self._transport
        if transport is not None and transport.get_write_buffer_size():
            self._keep = False
            if self.status < 400:
                raise ConnectionError(_EARLY)
        self.begun = True

    def on_body(self, body: bytes) -> None:
        self.flowing = True
        self.chunks.append(body)
        if self._times is not None:
            self._times.append(self._now)
        self._unread += len(body)

    def on_message_complete(self) -> None:
        if self.status in _INFORMED:
            self.headers.clear()
            return
        self.complete = True
