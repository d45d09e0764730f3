"""Chat-completions payloads to events."""

from __future__ import annotations

from collections.abc import Iterator

from nemocli.core.events import (
    NOTHING_KNOWN,
    Event,
    Failed,
    Finished,
    Metered,
    Reasoning,
    Started,
    Text,
    ToolCallPart,
    Warned,
)
from nemocli.core.faults import Fault, FaultKind
from nemocli.core.provider import Provider
from nemocli.core.values import Json, JsonObject, count, dig, mappings
from nemocli.wire.chat.fast import CACHED, plain_piece
from nemocli.wire.chat.finish import BROKEN, FINISH, NOTHING, unknown_finish
from nemocli.wire.chat.tool_calls import ToolCallPieces
from nemocli.wire.http import complains, fault_inside, not_a_reply
from nemocli.wire.jsontext import mapping, string
from nemocli.wire.leaks import LeakWatch
from nemocli.wire.meter import UsageMeter
from nemocli.wire.sources import Sources
from nemocli.wire.think import ThinkTags

_AS_ANSWER = Warned(
    "reasoning_as_answer",
    "the server sent the answer as reasoning, although reasoning is off: its reasoning parser does"
    " not know that; shown is what it sent",
)


_MOST_ANSWERS = 1000


class ChatReader:
    """Fills `reply.Reader` for one reply. Choice 0 is the answer; of others it is only seen whether
    they ended, where several `answers` were asked for.

    With `off`, reasoning was asked not to come: what comes of it is held until the answer begins,
    and is the answer where none does (SGLang's parser for these models files it so).
    """

    __slots__ = (
        "_awaited",
        "_awaiting",
        "_by_delta",
        "_choice",
        "_finish",
        "_held",
        "_leak",
        "_meter",
        "_model",
        "_off",
        "_provider",
        "_refused",
        "_said",
        "_sources",
        "_started",
        "_texted",
        "_think",
        "_tools",
        "recognised",
    )

    def __init__(
        self, provider: Provider, model: str, *, off: bool = False, answers: int = 1
    ) -> None:
        self._provider = provider
        self._model = model
        self._meter = UsageMeter(provider.usage, CACHED)
        self._think = ThinkTags() if provider.reasoning.tags else None
        self._tools = ToolCallPieces()
        self._sources = Sources()
        self._started = NOTHING_KNOWN
        self._awaiting = True
        self._choice: Json = None  # in a whole reply without a choice 0
        self._awaited = set(range(1, min(answers, _MOST_ANSWERS)))  # others, not ended yet
        self._off = off
        self._held: list[Reasoning] = []
        self._texted = False  # whether text of the answer, or a call, was passed on
        self._leak = LeakWatch()
        self.recognised = False
        self._finish: str | None = None
        self._said = False
        self._by_delta = False  # whether deltas brought something
        self._refused = False

    @property
    def ended(self) -> bool:
        """Whether a finish reason came; usage may still follow."""
        return self._finish is not None and not self._awaited

    def take(self, payload: JsonObject) -> Iterator[Event]:
        """One chunk, or a whole completion."""
        if payload.get("error") or ("choices" not in payload and complains(payload)):
            yield from self._failed(payload.get("error"), payload)
            return
        if self._awaiting:
            yield from self._start(payload)
        choices = payload.get("choices")
        if isinstance(choices, list) or payload.get("usage"):
            self.recognised = True
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and self._mine(choice):
                if choice.get("error"):
                    yield from self._failed(choice["error"], payload)
                    return
                yield from self._chosen(choice)
            elif self._awaited and isinstance(choice, dict) and choice.get("finish_reason"):
                self._awaited.discard(count(choice.get("index")) or 0)
        for name in ("search_results", "citations"):
            if name in payload:
                yield from self._sources.citations(payload[name])
        if (metered := self._metered(payload)) is not None:
            yield metered

    def piece(self, payload: JsonObject) -> Event | None:
        """The one event of a piece of the usual kind; None where `take` has to look."""
        if self._off or (self._awaiting and not self._names_known(payload)):
            return None
        found = plain_piece(payload)
        if found is None:
            return None
        name, text = found
        if name == "content":
            if self._think is not None and not self._think.answering:
                return None
            self.recognised = self._said = self._by_delta = True
            return self._answer(text)
        if name not in self._provider.reasoning.fields:
            return None
        self.recognised = self._said = self._by_delta = True
        return Reasoning(text)

    def whole(self, payload: JsonObject) -> Iterator[Event]:
        """A completion that was not streamed."""
        if not payload.get("error") and not isinstance(payload.get("choices"), list):
            yield Failed(not_a_reply(payload, self._provider, self._model))
            return
        choices = mappings(payload.get("choices"))
        if choices and not any(choice.get("index") in (None, 0) for choice in choices):
            self._choice = choices[0].get("index")
        yield from self.take(payload)
        if not self._by_delta:  # a body that arrived whole by its own framing is not cut
            self._take_for_ended()
        yield from self.eof()

    def finish(self) -> Iterator[Event]:
        """`[DONE]`. Without a finish reason it still ends an answer that was begun."""
        self._take_for_ended()
        yield from self.eof()

    def _take_for_ended(self) -> None:
        """An answer that was begun is over, though no finish reason says so."""
        self._awaited.clear()
        if self._finish is None and self._said:
            self._finish = "tool_calls" if self._tools.any else "stop"

    def eof(self) -> Iterator[Event]:
        """The end that the finish reason announced."""
        if self._finish is None or self._awaited:
            return
        if self._finish in BROKEN:
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
        yield from self._closed()
        if self._tools.nameless:
            yield Failed(self._nameless())
            return
        yield from self._ended(self._finish)

    def _ended(self, word: str) -> Iterator[Event]:
        warned = self._leak.warnings(self._provider.name)
        if self._held and not self._texted:
            held, self._held = self._held, []
            yield Text("".join(piece.text for piece in held))
            warned += (_AS_ANSWER,)
        reason = FINISH.get(word)
        if reason is None:
            warned += (unknown_finish(word, self._provider.name),)
        if self._refused:
            reason = "content_filter"
        yield Finished(reason or "stop", word if word != reason else None, warned)

    def rest(self) -> Iterator[Event]:
        """Text that may have become a tag, and reasoning that was held back."""
        yield from self._closed()
        yield from self._released()

    def _closed(self) -> Iterator[Event]:
        if self._think is not None:
            for thought, piece in self._think.close():
                yield Reasoning(piece) if thought else self._answer(piece)

    def _released(self) -> Iterator[Event]:
        held, self._held = self._held, []
        yield from held

    def _answer(self, piece: str) -> Text:
        self._texted = True
        self._leak.feed(piece)
        return Text(piece)

    def _nameless(self) -> Fault:
        name = self._provider.name
        return Fault(
            FaultKind.PROTOCOL,
            f"{name} sent a tool call without a name",
            "try again, or use another path with `-p`",
            name,
        )

    def _names_known(self, payload: JsonObject) -> bool:
        """Whether only the upstream is still to be told, and is not told here: many never do."""
        started, path = self._started, self._provider.upstream
        known = started.reply_id is not None and started.model is not None
        return known and path is not None and dig(payload, path) is None

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

    def _metered(self, payload: JsonObject) -> Metered | None:
        """Counts at the top, or in the places where some servers put them."""
        if payload.get("usage") is None:
            choices = mappings(payload.get("choices"))
            for holder in (payload.get("x_groq"), choices[0] if choices else None):
                if usage := mapping(holder).get("usage"):
                    return self._meter.read({**payload, "usage": usage})
        return self._meter.read(payload)

    def _mine(self, choice: JsonObject) -> bool:
        index = choice.get("index")
        if index is None or index == 0:
            return True
        return self._choice is not None and index == self._choice

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
        if reason not in NOTHING and (self._finish in (None, "stop") or reason in BROKEN):
            self._finish = reason

    def _delta(self, delta: JsonObject) -> Iterator[Event]:
        reasoning = self._reasoning(delta)
        if reasoning is not None:
            self._said = True
            if self._off and not self._texted:
                self._held.append(reasoning)
            else:
                yield reasoning
        content = delta.get("content")
        if content:
            if self._held:
                yield from self._released()
            yield from self._content(content)
        refusal = delta.get("refusal")
        if refusal and isinstance(refusal, str):
            self._said = self._refused = True
            yield Text(refusal)
        for piece in mappings(delta.get("tool_calls")):
            yield from self._called(self._tools.part(piece))
        if isinstance(legacy := delta.get("function_call"), dict):
            yield from self._called(self._tools.legacy(legacy))
        if "annotations" in delta:
            yield from self._sources.citations(delta["annotations"])

    def _called(self, part: ToolCallPart | None) -> Iterator[Event]:
        if part is not None:
            self._said = self._texted = True
            yield from self._released()
            yield part

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
            yield self._answer(text)
            return
        for thought, piece in self._think.feed(text):
            yield Reasoning(piece) if thought else self._answer(piece)

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
