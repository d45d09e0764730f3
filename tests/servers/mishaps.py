"""What may go wrong between a weights repository and its reader: values, and where they strike.

`Reply` is what the server would have sent; a mishap changes it before, or spoils it on its way.
"""

from __future__ import annotations

import fnmatch
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Literal, Protocol

from tests.servers.channel import Channel
from tests.servers.content import MIB, Content, Known, pieces
from tests.servers.errors import PORTAL

Where = Literal["info", "tree", "resolve", "cdn"]
"""Model information, listing, the Hub's own file address, and the bodies' host."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply before it is sent. The body is `count` bytes of `content` from `start`; `promised`
    is the Content-Length where that is not `count`."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    content: Content = field(default_factory=lambda: Known(b""))
    start: int = 0
    count: int = 0
    promised: int | None = None

    def send(self, channel: Channel, sent: Sent, head_only: bool = False) -> None:
        """As it is, to the end."""
        self.open(channel)
        if not head_only:
            self.stream(channel, sent)
        channel.answering = False

    def open(self, channel: Channel) -> None:
        length = self.count if self.promised is None else self.promised
        channel.head(self.status, self.headers, "length", length)

    def stream(
        self, channel: Channel, sent: Sent, limit: int | None = None, piece: int = MIB
    ) -> None:
        """The body, or so many bytes of it."""
        count = self.count if limit is None else min(limit, self.count)
        for part in pieces(self.content, self.start, count, piece):
            channel.send(part)
            sent.add(len(part))


@dataclass(slots=True)
class Sent:
    """Body bytes given to the socket so far."""

    count: int = 0

    def add(self, count: int) -> None:
        self.count += count


def of_bytes(data: bytes, status: int = 200, **headers: str) -> Reply:
    """A reply whose body is these bytes."""
    named = {k.replace("_", "-"): v for k, v in headers.items()}
    return Reply(status, named, Known(data), 0, len(data))


class Mishap(Protocol):
    """Plays in place of the plain sending of a reply."""

    def play(self, channel: Channel, reply: Reply, sent: Sent, head_only: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class Refuse:
    """A status with headers instead. `retry_after` in seconds, as a date with `as_date`;
    `code` is the Hub's X-Error-Code; `window` its `ratelimit` header's seconds."""

    status: int
    retry_after: float | None = None
    as_date: bool = False
    code: str | None = None
    window: int | None = None
    body: bytes = b"no\n"

    def play(self, channel: Channel, reply: Reply, sent: Sent, head_only: bool) -> None:
        headers = {"content-type": "text/plain"}
        if self.retry_after is not None:
            when = datetime.now(UTC) + timedelta(seconds=self.retry_after)
            plain = f"{self.retry_after:g}"
            headers["retry-after"] = format_datetime(when, usegmt=True) if self.as_date else plain
        if self.code is not None:
            headers |= {"x-error-code": self.code, "x-error-message": self.code}
        if self.window is not None:
            headers["ratelimit"] = f'"resolvers";r=0;t={self.window}'
            headers["ratelimit-policy"] = '"fixed window";"resolvers";q=3000;w=300'
        of_bytes(self.body, self.status, **headers).send(channel, sent, head_only)


@dataclass(frozen=True, slots=True)
class Portal:
    """A captive portal's page, with success."""

    def play(self, channel: Channel, reply: Reply, sent: Sent, head_only: bool) -> None:
        page = of_bytes(PORTAL.encode(), 200, content_type="text/html; charset=utf-8")
        page.send(channel, sent, head_only)


@dataclass(frozen=True, slots=True)
class Redirect:
    """Somewhere else."""

    to: str
    status: int = 302

    def play(self, channel: Channel, reply: Reply, sent: Sent, head_only: bool) -> None:
        of_bytes(b"", self.status, location=self.to).send(channel, sent, head_only)


@dataclass(frozen=True, slots=True)
class Truncate:
    """The connection ends (FIN) after so many bytes of the body."""

    after: int

    def play(self, channel: Channel, reply: Reply, sent: Sent, head_only: bool) -> None:
        reply.open(channel)
        reply.stream(channel, sent, self.after)
        channel.hang_up()


@dataclass(frozen=True, slots=True)
class Reset:
    """A RST after so many bytes of the body; None: before the head."""

    after: int | None = None

    def play(self, channel: Channel, reply: Reply, sent: Sent, head_only: bool) -> None:
        if self.after is not None:
            reply.open(channel)
            reply.stream(channel, sent, self.after)
            channel.wait(0.05)
        channel.reset()


@dataclass(frozen=True, slots=True)
class Stall:
    """Silence after so many bytes, until the reader closes, or for so long and then on."""

    after: int | None = None
    seconds: float | None = None

    def play(self, channel: Channel, reply: Reply, sent: Sent, head_only: bool) -> None:
        if self.after is None:
            channel.wait(self.seconds)
            reply.send(channel, sent, head_only)
            return
        reply.open(channel)
        reply.stream(channel, sent, self.after)
        channel.wait(self.seconds)
        rest = replace(reply, start=reply.start + self.after, count=reply.count - self.after)
        rest.stream(channel, sent)
        channel.answering = False


@dataclass(frozen=True, slots=True)
class Slow:
    """The whole body at so many bytes a second, in pieces of `piece`."""

    rate: float
    piece: int = 16_384

    def play(self, channel: Channel, reply: Reply, sent: Sent, head_only: bool) -> None:
        reply.open(channel)
        for part in pieces(reply.content, reply.start, 0 if head_only else reply.count, self.piece):
            channel.send(part)
            sent.add(len(part))
            channel.wait(len(part) / self.rate)
        channel.answering = False


@dataclass(frozen=True, slots=True)
class _Flipped:
    """A content with one bit the other way."""

    whole: Content
    at: int
    bit: int = 0

    @property
    def size(self) -> int:
        return self.whole.size

    def read(self, start: int, count: int) -> bytes:
        data = self.whole.read(start, count)
        if not start <= self.at < start + len(data):
            return data
        spoilt = bytearray(data)
        spoilt[self.at - start] ^= 1 << self.bit
        return bytes(spoilt)


@dataclass(frozen=True, slots=True)
class Flip:
    """One bit of the file, at an offset counted from its beginning, arrives inverted."""

    at: int
    bit: int = 0

    def play(self, channel: Channel, reply: Reply, sent: Sent, head_only: bool) -> None:
        spoilt = replace(reply, content=_Flipped(reply.content, self.at, self.bit))
        spoilt.send(channel, sent, head_only)


@dataclass(frozen=True, slots=True)
class NoRange:
    """A server that does not know ranges: 200 and everything, whatever was asked."""

    def play(self, channel: Channel, reply: Reply, sent: Sent, head_only: bool) -> None:
        dropped = {"content-range", "accept-ranges"}
        headers = {k: v for k, v in reply.headers.items() if k not in dropped}
        whole = Reply(200, headers, reply.content, 0, reply.content.size)
        whole.send(channel, sent, head_only)


@dataclass(frozen=True, slots=True)
class WrongRange:
    """206 with other bytes than those asked for; it says so in Content-Range unless it `lies`."""

    by: int = 4096
    lies: bool = False

    def play(self, channel: Channel, reply: Reply, sent: Sent, head_only: bool) -> None:
        size = reply.content.size
        start = (reply.start + self.by) % max(1, size)
        count = min(reply.count, size - start)
        headers = dict(reply.headers)
        if "content-range" in headers and not self.lies:
            headers["content-range"] = f"bytes {start}-{start + count - 1}/{size}"
        Reply(reply.status, headers, reply.content, start, count).send(channel, sent, head_only)


@dataclass(frozen=True, slots=True)
class Headers:
    """The reply with other headers; None takes one away."""

    change: Mapping[str, str | None]

    def play(self, channel: Channel, reply: Reply, sent: Sent, head_only: bool) -> None:
        kept = {**reply.headers, **self.change}
        headers = {k: v for k, v in kept.items() if v is not None}
        replace(reply, headers=headers).send(channel, sent, head_only)


@dataclass(frozen=True, slots=True)
class Instead:
    """Other content under the same head, whole: shorter, longer, or simply not the file."""

    content: Content

    def play(self, channel: Channel, reply: Reply, sent: Sent, head_only: bool) -> None:
        count = self.content.size
        replace(reply, content=self.content, start=0, count=count).send(channel, sent, head_only)


@dataclass(slots=True)
class Rule:
    """Where a mishap strikes: the next `times` (None: all) requests of a kind, for paths that match
    the pattern, after the first `skip` of them."""

    mishap: Mishap
    where: Where
    pattern: str = "*"
    times: int | None = 1
    skip: int = 0
    method: str | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def takes(self, where: Where, path: str, method: str) -> bool:
        """Whether this request is struck; counts."""
        if where != self.where or not fnmatch.fnmatchcase(path, self.pattern):
            return False
        if self.method is not None and method != self.method:
            return False
        with self._lock:
            if self.skip:
                self.skip -= 1
                return False
            if self.times is None:
                return True
            self.times -= 1
            return self.times >= 0
