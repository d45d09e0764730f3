"""Payloads of the responses dialect to events.

Typed events in data lines, `type` in the payload, no `[DONE]` (perplexityai 0.46.1,
response_stream_chunk; the deltas of reasoning and function calls as OpenAI's Responses API names
them). Types not known here are ignored, as both say they must be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from zlib import crc32

from nemocli.core.events import (
    NOTHING_KNOWN,
    Event,
    Failed,
    Finish,
    Finished,
    Reasoning,
    Started,
    Text,
)
from nemocli.core.faults import Fault, FaultKind
from nemocli.core.provider import Provider, UsageWire
from nemocli.core.values import Json, JsonObject, dig, mappings
from nemocli.wire.http import complains, fault_inside, not_a_reply
from nemocli.wire.jsontext import mapping, string
from nemocli.wire.leaks import LeakWatch
from nemocli.wire.meter import UsageMeter
from nemocli.wire.responses.tool_calls import FunctionCalls
from nemocli.wire.sources import Sources
from nemocli.wire.think import ThinkTags

_ENDS = ("completed", "failed", "incomplete", "cancelled", "requires_action")
_INCOMPLETE: dict[str, Finish] = {"content_filter": "content_filter"}
_FOUND = ("search_results", "fetch_url_results")
_AGAIN = "try again, or use another path with `-p`"


class ResponsesReader:
    """Fills `reply.Reader` for one reply."""

    __slots__ = (
        "_calls",
        "_leak",
        "_meter",
        "_model",
        "_provider",
        "_reasoned",
        "_refused",
        "_said",
        "_since",
        "_sources",
        "_started",
        "_think",
        "_thought",
        "recognised",
    )

    def __init__(self, provider: Provider, model: str) -> None:
        self._provider = provider
        self._model = model
        self._meter = UsageMeter(_usage_wire(provider.usage))
        self._sources = Sources()
        self._started = NOTHING_KNOWN
        self._think = ThinkTags() if provider.reasoning.tags else None
        self._said: set[str] = set()  # parts whose text came in deltas
        self._since = _Sum()  # the text since the last part that was closed
        self._leak = LeakWatch()
        self.recognised = False
        self._thought = ""  # the last one; steps repeat it
        self._reasoned = False
        self._calls = FunctionCalls()
        self._refused = False

    @property
    def ended(self) -> bool:
        """Never before the terminal event, after which nothing is read."""
        return False

    def take(self, payload: JsonObject) -> Iterator[Event]:
        """One event of the stream."""
        kind = payload.get("type")
        if kind == "response.output_text.delta":
            self.recognised = True
            yield from self._delta(payload)
            return
        if not isinstance(kind, str) or not kind.startswith("response."):
            if payload.get("error") or kind == "error" or complains(payload):
                yield from self._failed(payload.get("error"), payload)
            return
        self.recognised = True
        if kind == "response.error":
            yield from self._failed(payload.get("error"), payload)
            return
        response = mapping(payload.get("response"))
        yield from self._about(response)
        if (metered := self._meter.read(response or payload)) is not None:
            yield metered
        name = kind.removeprefix("response.")
        if name in _ENDS:
            yield from self._end(name, response or payload, payload)
        else:
            yield from self._part(name, payload)

    def piece(self, payload: JsonObject) -> Event | None:
        """No payload of this dialect is short work: what a part said is remembered."""
        return None

    def whole(self, payload: JsonObject) -> Iterator[Event]:
        """A response that was not streamed."""
        status = string(payload.get("status"))
        if payload.get("object") != "response" and "output" not in payload:
            yield Failed(not_a_reply(payload, self._provider, self._model))
            return
        yield from self._about(payload)
        if (metered := self._meter.read(payload)) is not None:
            yield metered
        if status in _ENDS or payload.get("error"):
            yield from self._end(status or "failed", payload, payload)
            return
        yield Failed(
            Fault(
                FaultKind.PROTOCOL,
                f"{self._provider.name} answered before the answer was there (status {status})",
                "leave `-o background` out",
                self._provider.name,
            )
        )

    def finish(self) -> Iterator[Event]:
        """`[DONE]` is no end in this dialect, but nothing follows it either."""
        return self.eof()

    def eof(self) -> Iterator[Event]:
        """Only a terminal event ends this dialect's stream."""
        return iter(())

    def rest(self) -> Iterator[Event]:
        """Text that may have become a tag."""
        if self._think is not None:
            for thought, piece in self._think.close():
                yield Reasoning(piece) if thought else self._answer(piece)

    def _answer(self, piece: str) -> Text:
        self._leak.feed(piece)
        return Text(piece)

    def _about(self, response: JsonObject) -> Iterator[Event]:
        old, path = self._started, self._provider.upstream
        new = Started(
            string(response.get("id")) or old.reply_id,
            string(response.get("model")) or old.model,
            (string(dig(response, path)) if path else None) or old.upstream,
        )
        if new != old:
            self._started = new
            yield new

    def _part(self, name: str, payload: JsonObject) -> Iterator[Event]:
        """Anything between the first event and the last."""
        match name:
            case "output_text.done" | "refusal.done":
                text = payload.get("text") or payload.get("refusal")
                if isinstance(text, str) and text and not self._repeats(payload, text):
                    self._refused |= name == "refusal.done"
                    yield from self._text(payload, text)
                self._since = _Sum()
            case "refusal.delta":
                self._refused = True
                yield from self._delta(payload)
            case "output_text.annotation.added":
                yield from self._sources.annotation(mapping(payload.get("annotation")))
            case "output_item.added" | "output_item.done":
                yield from self._item(payload, ended=name.endswith("done"))
            case "function_call_arguments.delta" | "function_call_arguments.done":
                yield from self._calls.arguments(payload)
            case _ if name.startswith("reasoning"):
                yield from self._reasoning(name, payload)

    def _delta(self, payload: JsonObject) -> Iterator[Event]:
        return self._text(payload, payload.get("delta"))

    def _text(self, payload: JsonObject, text: Json) -> Iterator[Event]:
        if isinstance(text, str) and text:
            self._said.add(_place(payload))
            self._since.add(text)
            yield from self._spoken(text)

    def _repeats(self, payload: JsonObject, text: str) -> bool:
        """Whether a part's full text was said in deltas: under its place, or, where a proxy makes
        up places anew for each event, word for word since the part before it."""
        return _place(payload) in self._said or self._since.is_of(text)

    def _spoken(self, text: str) -> Iterator[Event]:
        if self._think is None:
            yield self._answer(text)
            return
        for thought, piece in self._think.feed(text):
            yield Reasoning(piece) if thought else self._answer(piece)

    def _reasoning(self, name: str, payload: JsonObject) -> Iterator[Event]:
        """Deltas as they are; a `thought`, which comes with each step of a search, as a line."""
        text, thought = string(payload.get("delta")), string(payload.get("thought"))
        if name.endswith(".done") and not self._reasoned:
            text = string(payload.get("text"))
        if text is None and thought is not None and thought != self._thought:
            self._thought = thought
            text = f"{thought}\n"
        if text is not None:
            self._reasoned = True
            yield Reasoning(text)
        for found in ("results", "contents"):
            yield from self._sources.citations(payload.get(found))

    def _item(self, payload: JsonObject, *, ended: bool) -> Iterator[Event]:
        item = mapping(payload.get("item"))
        kind = item.get("type")
        if kind == "function_call":
            yield from self._calls.item(item, payload.get("output_index"), ended=ended)
        elif kind in _FOUND:
            yield from self._found(item)
        elif kind == "message" and ended:
            yield from self._annotations(item)

    def _end(self, name: str, response: JsonObject, payload: JsonObject) -> Iterator[Event]:
        status = string(response.get("status"))
        name = status if status in _ENDS else name
        for item in mappings(response.get("output")):
            yield from self._late(item)
        error = response.get("error") or payload.get("error")
        if name == "failed" or (error and name != "incomplete"):
            # Usage was read before: metered once is enough.
            yield Failed(fault_inside(error or "failed", self._provider, self._model))
        elif name == "cancelled":
            message = f"{self._provider.name} cancelled the answer"
            yield Failed(Fault(FaultKind.CUT, message, _AGAIN, self._provider.name, retry=False))
        elif name == "incomplete":
            reason = string(mapping(response.get("incomplete_details")).get("reason"))
            yield Finished(_INCOMPLETE.get(reason or "", "length"), reason)
        elif self._refused:
            yield Finished("content_filter")
        else:
            calls = self._calls.any or name == "requires_action"
            yield from self.rest()
            warned = self._leak.warnings(self._provider.name)
            yield Finished("tool_calls" if calls else "stop", None, warned)

    def _late(self, item: JsonObject) -> Iterator[Event]:
        """What of an output item was not streamed before the end."""
        kind = item.get("type")
        if kind == "message":
            unsaid = not self._said
            for part in mappings(item.get("content")):
                text = part.get("text") or part.get("refusal")
                if unsaid and isinstance(text, str) and text:
                    self._refused |= part.get("type") == "refusal"
                    yield from self._spoken(text)
            yield from self._annotations(item)
        elif kind == "function_call":
            yield from self._calls.late(item)
        elif kind == "reasoning" and not self._reasoned:
            for part in (*mappings(item.get("summary")), *mappings(item.get("content"))):
                if (text := string(part.get("text"))) is not None:
                    yield Reasoning(f"{text}\n")
        elif kind in _FOUND:
            yield from self._found(item)

    def _annotations(self, message: JsonObject) -> Iterator[Event]:
        for part in mappings(message.get("content")):
            yield from self._sources.citations(part.get("annotations"))

    def _found(self, item: JsonObject) -> Iterator[Event]:
        yield from self._sources.citations(item.get("results"))
        yield from self._sources.citations(item.get("contents"))

    def _failed(self, error: Json, payload: JsonObject) -> Iterator[Event]:
        if (metered := self._meter.read(payload)) is not None:
            yield metered
        told = error if isinstance(error, str | dict | list) and error else payload
        yield Failed(fault_inside(told, self._provider, self._model))


class _Sum:
    """Length and checksum of a text that is not kept."""

    __slots__ = ("_crc", "_size")

    def __init__(self) -> None:
        self._crc = self._size = 0

    def add(self, text: str) -> None:
        """The next piece."""
        raw = text.encode("utf-8", "surrogatepass")
        self._crc, self._size = crc32(raw, self._crc), self._size + len(raw)

    def is_of(self, text: str) -> bool:
        """Whether the pieces add up to this text."""
        raw = text.encode("utf-8", "surrogatepass")
        return self._size == len(raw) and self._crc == crc32(raw)


def _place(payload: JsonObject) -> str:
    """The part of the output that a text event belongs to: its position, which gateways keep,
    before an id, which some make up anew for each event."""
    at = payload.get("output_index")
    item = payload.get("item_id") or 0 if at is None else f"at {at}"
    return f"{item}/{payload.get('content_index') or 0}"


def _usage_wire(wire: UsageWire) -> UsageWire:
    """The profile's paths; where it left chat's defaults, this dialect's own."""
    if wire.input_tokens != UsageWire().input_tokens:
        return wire
    return replace(
        wire,
        input_tokens="usage.input_tokens",
        cached_input_tokens="usage.input_tokens_details.cached_tokens",
        output_tokens="usage.output_tokens",
        reasoning_tokens="usage.output_tokens_details.reasoning_tokens",
    )
