"""Chat-completions payloads to events."""

from __future__ import annotations

from collections.abc import Iterator

from nemocli.core.events import Event, Failed, Finish, Finished, Reasoning, Started, Text
from nemocli.core.faults import Fault, FaultKind
from nemocli.core.provider import Provider
from nemocli.core.values import Json, JsonObject, dig, mappings
from nemocli.wire.chat.fast import plain_events
from nemocli.wire.chat.tool_calls import ToolCallPieces
from nemocli.wire.http import complains, fault_inside, unexpected
from nemocli.wire.jsontext import string
from nemocli.wire.meter import Meter
from nemocli.wire.sources import Sources
from nemocli.wire.think import ThinkTags

# The documented four, and what engines and converted services say instead. Unknown words: stop.
_FINISH: dict[str, Finish] = {
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "max_length": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "tool_use": "tool_calls",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "safety": "content_filter",
    "refusal": "content_filter",
}
_BROKEN = frozenset({"error", "abort", "network_error", "insufficient_system_resource"})
_NOTHING = frozenset({"", "null", "none"})


class ChatReader:
    """Fills `reply.Reader` for one reply. Only the first choice is read."""

    __slots__ = (
        "_awaiting",
        "_by_delta",
        "_choice",
        "_finish",
        "_meter",
        "_model",
        "_provider",
        "_refused",
        "_said",
        "_sources",
        "_started",
        "_think",
        "_tools",
    )

    def __init__(self, provider: Provider, model: str) -> None:
        self._provider = provider
        self._model = model
        self._meter = Meter(provider.usage)
        self._think = ThinkTags() if provider.reasoning.tags else None
        self._tools = ToolCallPieces()
        self._sources = Sources()
        self._started = Started()
        self._awaiting = True
        self._choice: Json = None
        self._finish: str | None = None
        self._said = False
        self._by_delta = False  # whether deltas brought something
        self._refused = False

    @property
    def ended(self) -> bool:
        """Whether a finish reason came; usage may still follow."""
        return self._finish is not None

    def take(self, payload: JsonObject) -> Iterator[Event]:
        """One chunk, or a whole completion."""
        if payload.get("error") or ("choices" not in payload and complains(payload)):
            yield from self._failed(payload.get("error"), payload)
            return
        if self._awaiting:
            yield from self._start(payload)
        choices = payload.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and self._mine(choice):
                if choice.get("error"):
                    yield from self._failed(choice["error"], payload)
                    return
                yield from self._chosen(choice)
        for name in ("search_results", "citations"):
            if name in payload:
                yield from self._sources.listed(payload[name])
        if (metered := self._meter.read(payload)) is not None:
            yield metered

    def whole(self, payload: JsonObject) -> Iterator[Event]:
        """A completion that was not streamed."""
        if not payload.get("error") and not isinstance(payload.get("choices"), list):
            yield Failed(unexpected(payload, self._provider, self._model))
            return
        yield from self.take(payload)
        yield from self.eof()

    def usual(self, payload: JsonObject) -> list[Event] | None:
        """A completion of the usual kind, read at once."""
        return plain_events(payload, self._provider)

    def done(self) -> Iterator[Event]:
        """`[DONE]`. Without a finish reason it still ends an answer that was begun."""
        if self._finish is None and self._said:
            self._finish = "tool_calls" if self._tools.any else "stop"
        yield from self.eof()

    def eof(self) -> Iterator[Event]:
        """The end that the finish reason announced."""
        if self._finish is None:
            return
        if self._finish in _BROKEN:
            name = self._provider.name
            yield Failed(
                Fault(
                    FaultKind.SERVER,
                    f"{name} broke the answer off ({self._finish}) and did not say why",
                    "try again, or use another path with `-p`",
                    name,
                )
            )
            return
        yield Finished("content_filter" if self._refused else _FINISH.get(self._finish, "stop"))

    def rest(self) -> Iterator[Event]:
        """Text that may have become a tag."""
        if self._think is not None:
            for thought, piece in self._think.close():
                yield Reasoning(piece) if thought else Text(piece)

    def _start(self, payload: JsonObject) -> Iterator[Event]:
        """Told once, and again when more is known."""
        old = self._started
        path = self._provider.upstream
        upstream = string(dig(payload, path)) if path is not None else None
        new = Started(
            old.reply_id or string(payload.get("id")),
            old.model or string(payload.get("model")),
            old.upstream or upstream,
        )
        self._awaiting = not (new.reply_id and new.model and (new.upstream or path is None))
        if new != old:
            self._started = new
            yield new

    def _mine(self, choice: JsonObject) -> bool:
        index = choice.get("index")
        if self._choice is None:
            self._choice = index
        return index is None or index == self._choice

    def _chosen(self, choice: JsonObject) -> Iterator[Event]:
        delta = choice.get("delta")
        if delta and isinstance(delta, dict):
            yield from self._delta(delta)
            self._by_delta = self._said
        elif not self._by_delta and isinstance(message := choice.get("message"), dict):
            # After deltas it is the whole answer once more, as some put it into the last chunk.
            yield from self._delta(message)
        reason = choice.get("finish_reason")
        if isinstance(reason, str):
            self._end(reason.lower())

    def _end(self, reason: str) -> None:
        """Take a finish reason. A second one never makes a cut answer a good one."""
        if reason not in _NOTHING and (self._finish in (None, "stop") or reason in _BROKEN):
            self._finish = reason

    def _delta(self, delta: JsonObject) -> Iterator[Event]:
        reasoning = self._reasoning(delta)
        if reasoning is not None:
            self._said = True
            yield reasoning
        content = delta.get("content")
        if content:
            yield from self._content(content)
        refusal = delta.get("refusal")
        if refusal and isinstance(refusal, str):
            self._said = self._refused = True
            yield Text(refusal)
        for piece in mappings(delta.get("tool_calls")):
            self._said = True
            yield self._tools.part(piece)
        if isinstance(legacy := delta.get("function_call"), dict):
            self._said = True
            yield self._tools.legacy(legacy)
        if "annotations" in delta:
            yield from self._sources.listed(delta["annotations"])

    def _reasoning(self, delta: JsonObject) -> Reasoning | None:
        """The field's text; the details' own only where no field has it, or it would come twice."""
        wire = self._provider.reasoning
        details = tuple(mappings(delta.get(wire.details))) if wire.details is not None else ()
        for name in wire.fields:
            if value := delta.get(name):
                text = _plain_text(value)
                if text:
                    return Reasoning(text, details)
        if not details:
            return None
        return Reasoning("".join(_detail_text(detail) for detail in details), details)

    def _content(self, content: Json) -> Iterator[Event]:
        if isinstance(content, str):
            yield from self._text(content)
            return
        for part in mappings(content):
            thought = string(part.get("type")) in ("thinking", "reasoning")
            text = _part_text(part)
            if text and thought:
                self._said = True
                yield Reasoning(text)
            elif text:
                yield from self._text(text)

    def _text(self, text: str) -> Iterator[Event]:
        self._said = True
        if self._think is None:
            yield Text(text)
            return
        for thought, piece in self._think.feed(text):
            yield Reasoning(piece) if thought else Text(piece)

    def _failed(self, error: Json, payload: JsonObject) -> Iterator[Event]:
        if (metered := self._meter.read(payload)) is not None:
            yield metered
        told = error if isinstance(error, str | dict | list) and error else payload
        yield Failed(fault_inside(told, self._provider, self._model))


def _detail_text(detail: JsonObject) -> str:
    return string(detail.get("text")) or string(detail.get("summary")) or ""


def _plain_text(value: Json) -> str:
    if isinstance(value, str):
        return value
    return "".join(_part_text(part) for part in mappings(value))


def _part_text(part: JsonObject) -> str:
    """The text of a part of content, whose `thinking` may hold parts of its own."""
    for name in ("text", "thinking", "reasoning", "refusal"):
        value = part.get(name)
        if isinstance(value, str):
            return value
        if isinstance(value, list):
            return "".join(string(inner.get("text")) or "" for inner in mappings(value))
    return ""
