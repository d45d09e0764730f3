"""What the stub does with a request: each behaviour is a value with one verb, `play`."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import cycle
from typing import Any, Literal, Protocol

from tests.servers.answer import Answer, Dialect, frames
from tests.servers.channel import Channel, Framing, Request
from tests.servers.errors import PORTAL

SSE = "text/event-stream; charset=utf-8"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and the channel its reply goes to."""

    channel: Channel
    request: Request
    dialect: Dialect
    reply_id: str

    @property
    def streaming(self) -> bool:
        asked = self.request.json
        return isinstance(asked, dict) and asked.get("stream") is True

    def frames(self, answer: Answer) -> list[bytes]:
        """The pieces of an answer's body."""
        return frames(answer, self.dialect, self.streaming, self.request, self.reply_id)

    def open(self, answer: Answer, size: int | None = None, **headers: str) -> None:
        """Wait as the answer says, then send its head."""
        if answer.delay_s:
            self.channel.wait(answer.delay_s)
        streamed = self.streaming and not answer.whole
        base = {"content-type": SSE if streamed else JSON, "x-generation-id": self.reply_id}
        self.channel.head(200, {**base, **headers, **answer.headers}, answer.framing, size)

    def write(self, answer: Answer, parts: list[bytes]) -> None:
        """Body pieces in the answer's chunk sizes and rhythm."""
        for part in _cut(b"".join(parts), answer.sizes) if answer.sizes else parts:
            self.channel.body(part)
            if answer.gap_s:
                self.channel.wait(answer.gap_s)


def _cut(data: bytes, sizes: tuple[int, ...]) -> Iterator[bytes]:
    start = 0
    for size in cycle(sizes):
        if start >= len(data):
            return
        yield data[start : start + size]
        start += size


class Behaviour(Protocol):
    """Anything the stub can do with a request."""

    def play(self, exchange: Exchange) -> None: ...


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, as it should be."""

    answer: Answer = field(default_factory=Answer)

    def play(self, exchange: Exchange) -> None:
        parts = exchange.frames(self.answer)
        exchange.open(self.answer, sum(map(len, parts)))
        exchange.write(self.answer, parts)
        exchange.channel.finish()


@dataclass(frozen=True, slots=True)
class Status:
    """A status with a body (object: JSON; text or bytes: as they are).

    `retry_after` in seconds; with `as_date` it is sent as an HTTP date.
    """

    code: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str | None = None
    retry_after: float | None = None
    as_date: bool = False

    def play(self, exchange: Exchange) -> None:
        body, kind = _encoded(self.body)
        headers = {"content-type": self.content_type or kind, **self.headers}
        if self.retry_after is not None:
            when = datetime.now(UTC) + timedelta(seconds=self.retry_after)
            plain = f"{self.retry_after:g}"
            headers["retry-after"] = format_datetime(when, usegmt=True) if self.as_date else plain
        exchange.channel.head(self.code, headers, "length", len(body))
        if body:
            exchange.channel.send(body)
        exchange.channel.finish()


def _encoded(body: Any) -> tuple[bytes, str]:
    match body:
        case None:
            return b"", "text/plain"
        case bytes():
            return body, "application/octet-stream"
        case str():
            return body.encode(), "text/plain; charset=utf-8"
        case {"title": _, "status": _}:
            return json.dumps(body).encode(), "application/problem+json"
        case _:
            return json.dumps(body).encode(), JSON


def html(code: int = 200) -> Status:
    """A captive portal's page where an answer should be."""
    return Status(code, PORTAL, content_type="text/html; charset=utf-8")


def wrong_type(content_type: str = "application/xml", body: str = "<ok/>") -> Status:
    """Success, of something else."""
    return Status(200, body, content_type=content_type)


def empty_body() -> Status:
    """A stream that ends before it began."""
    return Status(200, b"", content_type=SSE)


def redirect(to: str, code: int = 307) -> Status:
    """Somewhere else: a path, or a URL of another origin."""
    return Status(code, None, {"location": to})


def _begun(parts: list[bytes], events: int | None) -> list[bytes]:
    """So many events of a stream; half of a whole reply."""
    if events and len(parts) == 1:
        return [parts[0][: len(parts[0]) // 2]]
    return parts[:events]


@dataclass(frozen=True, slots=True)
class Cut:
    """The answer stops after so many events or bytes. `clean` ends the body properly, as a server
    that lost its upstream does; else the connection is closed inside the body."""

    after_events: int | None = None
    after_bytes: int | None = None
    answer: Answer = field(default_factory=Answer)
    clean: bool = True

    def play(self, exchange: Exchange) -> None:
        whole = exchange.frames(self.answer)
        exchange.open(self.answer, sum(map(len, whole)))
        parts = _begun(whole, self.after_events)
        if self.after_bytes is not None:
            parts = [b"".join(whole)[: self.after_bytes]]
        exchange.write(self.answer, parts)
        if self.clean and self.answer.framing != "length":
            exchange.channel.finish()
        else:
            exchange.channel.hang_up()


Variant = Literal[
    "int_code", "string_code", "no_code", "string_error", "nim", "choice", "failed", "error_event"
]


@dataclass(frozen=True, slots=True)
class MidStreamError:
    """An error after so many events of a reply that began with 200, in one of the shapes met.

    Chat: `int_code`, `string_code` and `no_code` are OpenRouter's chunk, `string_error` has text
    for an object, `nim` has no `choices`, `choice` puts it inside the choice. Responses: `failed`
    is the typed event, `error_event` the bare one. Unstreamed, the error is the whole body.
    """

    variant: Variant = "int_code"
    after_events: int = 3
    answer: Answer = field(default_factory=Answer)
    code: int = 502
    message: str = "Provider returned error"
    done: bool = False

    def play(self, exchange: Exchange) -> None:
        error = _stream_error(self.variant, self.code, self.message)
        streamed = exchange.streaming
        parts = exchange.frames(self.answer)[: self.after_events] if streamed else []
        data = json.dumps(error).encode()
        parts.append(b"data: %b\n\n" % data if streamed else data)
        if self.done and streamed:
            parts.append(b"data: [DONE]\n\n")
        exchange.open(self.answer, sum(map(len, parts)))
        exchange.write(self.answer, parts)
        exchange.channel.finish()


def _stream_error(variant: Variant, code: int, message: str) -> dict[str, Any]:
    ended = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
    chunk = {"id": "gen-x", "object": "chat.completion.chunk", "choices": [ended]}
    match variant:
        case "int_code":
            extra = {"metadata": {"error_type": "provider_unavailable"}}
            return {**chunk, "error": {"code": code, "message": message, **extra}}
        case "string_code":
            return {**chunk, "error": {"code": "server_error", "message": message}}
        case "no_code":
            return {**chunk, "error": {"message": message}}
        case "string_error":
            return {"error": message}
        case "nim":
            return {"error": {"object": "error", "message": message, "type": "InternalServerError"}}
        case "choice":
            inside = {**ended, "error": {"code": code, "message": message}}
            return {**chunk, "choices": [inside]}
        case "failed":
            error = {"code": "server_error", "message": message}
            about = {"id": "resp_x", "object": "response", "status": "failed", "error": error}
            return {"type": "response.failed", "response": about}
        case "error_event":
            return {"type": "error", "code": "server_error", "message": message}


@dataclass(frozen=True, slots=True)
class Reset:
    """A RST: before the headers, or after so many events of an answer."""

    after_events: int | None = None
    answer: Answer = field(default_factory=Answer)

    def play(self, exchange: Exchange) -> None:
        if self.after_events is not None:
            parts = exchange.frames(self.answer)
            exchange.open(self.answer, sum(map(len, parts)))
            exchange.write(self.answer, _begun(parts, self.after_events))
            exchange.channel.wait(0.05)
        exchange.channel.reset()


@dataclass(frozen=True, slots=True)
class Stall:
    """Silence until the client closes: before the headers, or after so many events (0: headers
    only)."""

    after_events: int | None = None
    answer: Answer = field(default_factory=Answer)

    def play(self, exchange: Exchange) -> None:
        if self.after_events is not None:
            parts = exchange.frames(self.answer)
            exchange.open(self.answer, sum(map(len, parts)))
            exchange.write(self.answer, parts[: self.after_events])
        exchange.channel.wait(None)


@dataclass(frozen=True, slots=True)
class Drip:
    """An answer in pieces of `size` bytes, `every_s` apart: never idle, never done."""

    every_s: float = 0.05
    size: int = 1
    answer: Answer = field(default_factory=Answer)

    def play(self, exchange: Exchange) -> None:
        parts = exchange.frames(self.answer)
        exchange.open(self.answer, sum(map(len, parts)))
        for part in _cut(b"".join(parts), (self.size,)):
            exchange.channel.body(part)
            exchange.channel.wait(self.every_s)
        exchange.channel.finish()


@dataclass(frozen=True, slots=True)
class Gzip:
    """A compressed answer, flushed event by event. `broken`: `corrupt` spoils the middle, `cut`
    leaves the end out, `lie` sends plain bytes under the header."""

    answer: Answer = field(default_factory=Answer)
    broken: Literal["corrupt", "cut", "lie"] | None = None

    def play(self, exchange: Exchange) -> None:
        packer = zlib.compressobj(wbits=31)
        plain = exchange.frames(self.answer)
        parts = [packer.compress(p) + packer.flush(zlib.Z_SYNC_FLUSH) for p in plain]
        parts.append(packer.flush())
        match self.broken:
            case "corrupt":
                middle = len(parts) // 2
                parts[middle] = bytes(b ^ 0x55 for b in parts[middle])
            case "cut":
                parts = parts[: len(parts) // 2]
            case "lie":
                parts = plain
        exchange.open(self.answer, sum(map(len, parts)), **{"content-encoding": "gzip"})
        exchange.write(self.answer, parts)
        exchange.channel.finish()


@dataclass(frozen=True, slots=True)
class BigStream:
    """An answer of so many bytes of text, made while it is sent and never held."""

    size: int = 100_000_000
    piece: int = 4_000

    def play(self, exchange: Exchange) -> None:
        head, *_, finish, usage, done = exchange.frames(Answer("x"))
        event = exchange.frames(Answer("y" * (self.piece - 1) + "\n", piece=self.piece))[1]
        last = exchange.frames(Answer("z" * (self.size % self.piece), piece=self.piece))[1]
        exchange.open(Answer())
        exchange.channel.body(head)
        count, batch = self.size // self.piece, 16
        for sent in range(0, count, batch):
            exchange.channel.body(event * min(batch, count - sent))
        if self.size % self.piece:
            exchange.channel.body(last)
        exchange.channel.body(finish + usage + done)
        exchange.channel.finish()


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes of a body as they are, under a content type of your choosing."""

    body: bytes | str
    content_type: str = SSE
    framing: Framing = "chunked"
    code: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def play(self, exchange: Exchange) -> None:
        data = self.body.encode() if isinstance(self.body, str) else self.body
        headers = {"content-type": self.content_type, **self.headers}
        exchange.channel.head(self.code, headers, self.framing, len(data))
        exchange.channel.body(data)
        exchange.channel.finish()


@dataclass(frozen=True, slots=True)
class Noise:
    """Bytes where the status line should be."""

    data: bytes = b"SSH-2.0-OpenSSH_9.6\r\n"

    def play(self, exchange: Exchange) -> None:
        exchange.channel.send(self.data)
        exchange.channel.hang_up()
