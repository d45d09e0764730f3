"""The body of a good reply to events: what every dialect's decoder has in common.

Servers answer a streamed request with a whole JSON document, and captive portals with a web page,
whatever the content type says: the first byte of the body decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Literal, Protocol

from nemocli.core.events import Event, Failed, Finished
from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.provider import Provider
from nemocli.core.text import one_line
from nemocli.core.values import Json, JsonObject, mappings
from nemocli.wire.foreign import other_api
from nemocli.wire.http import complains, fault_inside, not_a_reply
from nemocli.wire.jsontext import parse, parse_each, parse_first
from nemocli.wire.sse import LONGEST, ServerEvent, SseParser
from nemocli.wire.surrogates import Halves

_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n\0"
_FIELDS = (b"data:", b"event:", b"id:", b"retry:")
_ENDS = (Finished, Failed)
_SHOWN = 80
_PLAIN = ("", "message")
"""Events that carry the reply; others with a name are a server's own annotations."""
_UNSAID: JsonObject = {"message": "no reason given"}
_AGAIN = "try again, or use another path with `-p`"

Form = Literal["stream", "document", "page"]


class Reader(Protocol):
    """A dialect's part: payloads to events. It may yield an end; nothing is read after one."""

    @property
    def ended(self) -> bool:
        """Whether the server announced the end: what cannot be read from here on is ignored."""

    @property
    def recognised(self) -> bool:
        """Whether any payload so far was of the dialect."""

    def piece(self, payload: JsonObject) -> Event | None:
        """The one event of a payload of a stream where it is short work; else None, and `take`."""

    def take(self, payload: JsonObject) -> Iterator[Event]:
        """One payload of a stream."""

    def whole(self, payload: JsonObject) -> Iterator[Event]:
        """The one payload of a reply that was not streamed."""

    def finish(self) -> Iterator[Event]:
        """`[DONE]` came."""

    def eof(self) -> Iterator[Event]:
        """Nothing more comes: the end, if one was announced."""

    def rest(self) -> Iterator[Event]:
        """Text held back, right before the end."""


def plain_document(body: bytes, provider: Provider) -> tuple[JsonObject, bool] | None:
    """The object that a body is, exact where it tells a price, and whether it was read strictly, so
    that no control character but white space can be in it. None where it has to be looked at
    closely."""
    if body[:1] != b"{" or b"\\u" in body or len(body) > LONGEST:
        return None
    wire = provider.usage
    exact = wire.cost is not None and _tells(body, wire.cost)
    exact = exact or (wire.upstream_cost is not None and _tells(body, wire.upstream_cost))
    try:
        payload = parse(body.decode()) if exact else _bulk_loads()(body)
    except ValueError:
        return None
    return (payload, not exact) if isinstance(payload, dict) else None


@cache
def _bulk_loads() -> Callable[[bytes], Json]:
    """Many at a time are worth a faster parser, one is not worth its import."""
    from nemocli.wire.bulk import loads

    return loads


def _tells(body: bytes, path: str) -> bool:
    """Whether a body may hold what stands at a path."""
    return path.rpartition(".")[2].encode() in body


def _is_piece(payload: JsonObject) -> bool:
    """Whether a document is one chunk of a stream: it says so, or holds a `delta`."""
    if "type" in payload or str(payload.get("object", "")).endswith("chunk"):
        return True
    return any("delta" in choice for choice in mappings(payload.get("choices")))


class ReplyDecoder:
    """Feed it a body in any cut; the events are the same, and the last one is the only end.

    `single`, once the body is over: whether it was exactly one JSON document.
    """

    __slots__ = (
        "_began",
        "_first",
        "_form",
        "_halves",
        "_model",
        "_over",
        "_parts",
        "_provider",
        "_reader",
        "_sample",
        "_size",
        "_sse",
        "single",
    )

    def __init__(self, reader: Reader, provider: Provider, model: str) -> None:
        self._reader = reader
        self._provider = provider
        self._model = model
        self._sse = SseParser()
        self._halves = Halves()
        self._form: Form | None = None
        self._sample = b""
        self._parts: list[bytes] = []
        self._size = 0
        self._began = False
        self._first: Json = None  # the first payload, while none was of the dialect
        self._over = False
        self.single = False

    @property
    def ended(self) -> bool:
        """Whether the server announced the end, after which only counts may follow."""
        return self._over or self._reader.ended

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that these bytes complete. Raises nothing: a failure is an event."""
        if self._over:
            return
        if self._form != "stream":
            chunk = self._sniffed(chunk)
        try:
            if self._form == "stream":
                if len(self._sample) < _SHOWN:
                    self._sample += chunk[: _SHOWN - len(self._sample)]
                for event in self._sse.feed(chunk):
                    yield from self._event(event)
                    if self._over:
                        return
            elif self._form == "document":
                self._keep(chunk)
        except NemoError as error:
            yield from self._end(Failed(error.fault))
        if self._form == "page" and not self._over:
            yield from self._end(Failed(self._page_fault()))

    def close(self) -> Iterator[Event]:
        """The end, if none came: a stream that never announced it was cut."""
        if self._over:
            return
        try:
            if self._form == "document":
                yield from self._document()
            elif self._form == "stream":
                yield from self._last()
        except NemoError as error:
            yield from self._end(Failed(error.fault))
        if not self._over:
            yield from self._end(Failed(self._cut()))

    def whole(self, body: bytes) -> list[Event]:
        """All the events of a body that is here to its end; the same as fed, and sooner."""
        plain = plain_document(body, self._provider)
        if plain is not None:
            return self.document(plain[0])
        return [*self.feed(body), *self.close()]

    def document(self, payload: JsonObject) -> list[Event]:
        """All the events of a body that was exactly this object."""
        self._began = self._over = self.single = True
        events = self._all_of(payload)
        ends = bool(events) and isinstance(events[-1], _ENDS)
        return [
            *events[: len(events) - ends],
            *self._reader.rest(),
            events[-1] if ends else Failed(self._cut()),
        ]

    def _all_of(self, payload: JsonObject) -> list[Event]:
        events: list[Event] = []
        try:
            events.extend(self._reader.whole(payload))
        except NemoError as error:
            events.append(Failed(error.fault))
        return events

    def _sniffed(self, chunk: bytes) -> bytes:
        """The bytes that count; sets the form as soon as the first of them is there."""
        if self._form is not None:
            return chunk
        chunk = (self._sample + chunk).lstrip(_BLANK)
        if chunk.startswith(_BOM):
            chunk = chunk.removeprefix(_BOM).lstrip(_BLANK)
        elif _BOM.startswith(chunk):
            self._sample = chunk
            return b""
        first = chunk[:1]
        if first:
            self._form = "document" if first in b"{[" else "page" if first == b"<" else "stream"
        self._sample = b""
        return chunk

    def _event(self, event: ServerEvent, *, cut: bool = False) -> Iterator[Event]:
        """One event of the stream; `cut` when the connection ended inside it."""
        try:
            payload = parse(event.data)
        except ValueError:
            yield from self._odd(event, cut=cut)
        else:
            if isinstance(payload, dict) and event.event != "error":
                if not self._began:
                    self._began, self._first = True, payload
                halves = "\\u" in event.data
                if not halves and not self._halves.waiting:
                    piece = self._reader.piece(payload)
                    if piece is not None:
                        yield piece
                        return
                yield from self._pass(self._reader.take(payload), halves=halves)
            else:
                yield from self._payload(payload, event)

    def _odd(self, event: ServerEvent, *, cut: bool) -> Iterator[Event]:
        """Data that is not one JSON value: `[DONE]`, nothing, several values where a server leaves
        the blank lines out, or nothing that can be read."""
        values, rest = parse_each(event.data)
        for value in values:
            yield from self._payload(value, event)
            if self._over:
                return
        if rest == "[DONE]":
            yield from self._pass(self._reader.finish(), halves=False)
            if not self._over:
                yield from self._end(Failed(self._cut()))
        elif event.event == "error" and not values:
            error = rest or _UNSAID
            yield from self._end(Failed(fault_inside(error, self._provider, self._model)))
        elif rest and not cut and not self._reader.ended and event.event in _PLAIN:
            shown = one_line(event.data, _SHOWN)
            yield from self._end(Failed(self._fault(f"sent data that is not JSON: {shown}")))

    def _payload(self, payload: Json, event: ServerEvent) -> Iterator[Event]:
        if not self._began:
            self._began, self._first = True, payload
        if event.event == "error" and not (isinstance(payload, dict) and payload.get("error")):
            payload = {"error": payload or _UNSAID}
        halves = "\\u" in event.data
        if isinstance(payload, dict):
            yield from self._pass(self._reader.take(payload), halves=halves)
            return
        for item in mappings(payload):
            yield from self._pass(self._reader.take(item), halves=halves)
            if self._over:
                return

    def _pass(self, events: Iterable[Event], *, halves: bool) -> Iterator[Event]:
        """The reader's events, in whole characters, up to and with the end."""
        for event in events:
            if isinstance(event, _ENDS):
                yield from self._end(event)
                return
            if halves or self._halves.waiting:
                joined = self._halves.join(event)
                if joined is not None:
                    yield joined
            else:
                yield event

    def _end(self, end: Finished | Failed) -> Iterator[Event]:
        self._over = True
        self._parts.clear()
        for event in self._reader.rest():
            if (joined := self._halves.join(event)) is not None:
                yield joined
        yield from self._halves.rest()
        yield self._halves.join(end) or end

    def _keep(self, chunk: bytes) -> None:
        self._parts.append(chunk)
        self._size += len(chunk)
        if self._size > LONGEST:
            raise NemoError(self._fault(f"sent a document above {LONGEST // 2**20} MiB"))

    def _document(self) -> Iterator[Event]:
        text = b"".join(self._parts).decode("utf-8", "replace").rstrip()
        values, rest = parse_each(text)
        self.single = len(values) == 1 and not rest
        if len(values) > 1:
            yield from self._documents(values)
            return
        try:
            payload = parse_first(text)
        except ValueError as error:
            # What is wrong at the very end is what is missing there.
            at = getattr(error, "pos", 0)
            cut = "Unterminated" in str(error) or at >= len(text) - 6
            bad = self._fault(f"sent JSON that cannot be read: {one_line(str(error), 80)}")
            self._began = True
            yield from self._end(Failed(self._cut() if cut else bad))
            return
        self._began = True
        if isinstance(payload, dict):
            yield from self._pass(self._reader.whole(payload), halves="\\u" in text)
        else:
            yield from self._end(Failed(not_a_reply(payload, self._provider, self._model)))

    def _documents(self, values: list[Json]) -> Iterator[Event]:
        """Several in one body: the chunks of a stream, a line each, as some servers send them; or
        answers of which nobody can say whose they are."""
        self._began = True
        if isinstance(values[0], dict) and other_api(values[0]) is not None:
            fault = not_a_reply(values[0], self._provider, self._model)
            yield from self._end(Failed(fault))
            return
        if not all(isinstance(value, dict) and _is_piece(value) for value in values):
            what = f"sent {len(values)} JSON documents where one was due"
            yield from self._end(
                Failed(self._fault(what, "try again: a proxy may have mixed them"))
            )
            return
        for value in mappings(values):
            yield from self._pass(self._reader.take(value), halves=True)
            if self._over:
                return
        yield from self._pass(self._reader.eof(), halves=False)

    def _last(self) -> Iterator[Event]:
        for event in self._sse.flush():
            yield from self._event(event, cut=True)
            if self._over:
                return
        if not self._sse.recognised and not self._begins_like_a_stream():
            shown = one_line(self._sample.decode("utf-8", "replace"), _SHOWN)
            fault = self._fault(f"answered with text that is no event stream: {shown}")
            yield from self._end(Failed(fault))
            return
        yield from self._pass(self._reader.eof(), halves=False)
        if not self._over:
            yield from self._put_in()

    def _put_in(self) -> Iterator[Event]:
        """An error that a gateway wrote into the stream as it would have written it alone."""
        values, _ = parse_each(self._sse.stray.decode("utf-8", "replace"))
        for value in mappings(values):
            if value.get("error") or complains(value):
                yield from self._end(Failed(fault_inside(value, self._provider, self._model)))
                return

    def _begins_like_a_stream(self) -> bool:
        """Whether all that came may be the beginning of a first line that was cut."""
        return any(field.startswith(self._sample) for field in _FIELDS)

    def _cut(self) -> Fault:
        name = self._provider.name
        if self._first and not self._reader.recognised:
            return not_a_reply(self._first, self._provider, self._model)
        if self._began:
            message = f"{name} closed the connection in the middle of the answer"
        else:
            message = f"{name} closed the connection without an answer"
        return Fault(FaultKind.CUT, message, _AGAIN, name)

    def _page_fault(self) -> Fault:
        return self._fault(
            "answered with a web page, not with the API: a captive portal or a wrong base URL?",
            "sign in to the network in a browser, then check `base_url` and any proxy",
        )

    def _fault(self, what: str, hint: str | None = None) -> Fault:
        name = self._provider.name
        hint = hint or f"check `base_url` of {name} and any proxy on the way"
        return Fault(FaultKind.PROTOCOL, f"{name} {what}", hint, name)
