"""Recorded exchanges of an agent: what was asked, what came, when; found again by what is asked.

A file is lines of JSON that only grow, two for each exchange: the request when it was read, the
reply when it was over. Of a request only what no earlier one has said is in its line. Known secrets
are taken out before a line is written.
"""

from __future__ import annotations

import json
import re
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from nemocli.core.events import (
    Citation,
    Event,
    Finish,
    Finished,
    Metered,
    Reasoning,
    Started,
    Text,
    ToolCallPart,
)
from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.request import Message
from nemocli.core.usage import Usage
from nemocli.core.value_class import value_class
from nemocli.core.values import JsonObject
from nemocli.serve.incoming import Incoming, incoming
from nemocli.serve.messages import messages_incoming
from nemocli.serve.repeats import Earlier, Said
from nemocli.serve.responses import responses_incoming

SCHEMA = "nemocli.recording/2"
TOGETHER_MS = 50
"""Pieces of one kind that came so soon after one another are kept as one."""
_VOLATILE = frozenset(
    {"metadata", "client_metadata", "prompt_cache_key", "safety_identifier", "user", "stream",
     "stream_options", "id", "cache_control"}
)  # fmt: skip
"""Fields that differ from one run of an agent to the next, and mean nothing to the model."""
_PASSING = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"\b\d{4}-\d{2}-\d{2}(?:T[\d:.]+Z?)?\b"), "<date>"),
    (re.compile(r"(Chunk ID: )\w+"), r"\1<id>"),
    (re.compile(r"(Wall time: )[\d.]+"), r"\1<s>"),
)
"""Texts that differ likewise: ids, dates, what Codex says of each command."""
_FINISHES: tuple[Finish, ...] = ("stop", "length", "tool_calls", "content_filter")


def request_key(body: bytes) -> str:
    """What a request asks, whatever run of the agent it comes from."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return sha256(body).hexdigest()
    text = json.dumps(_lasting(data), sort_keys=True, ensure_ascii=False)
    for pattern, mark in _PASSING:
        text = pattern.sub(mark, text)
    return sha256(text.encode("utf-8", "replace")).hexdigest()


def _lasting(value: object) -> object:
    if isinstance(value, dict):
        return {k: _lasting(v) for k, v in value.items() if k not in _VOLATILE}
    if isinstance(value, list):
        return [_lasting(v) for v in value]
    return value


@dataclass(slots=True)
class Taken:
    """The events of one reply while they come, with milliseconds since it was asked."""

    events: list[list[Any]] = field(default_factory=list)

    def add(self, at_ms: int, event: Event) -> None:
        """The next event."""
        match event:
            case Text(text):
                self._piece(at_ms, "text", text)
            case Reasoning(text, details):
                self._piece(at_ms, "reasoning", text)
                if details:
                    self.events.append([at_ms, "details", list(details)])
            case ToolCallPart():
                part = [event.index, event.call_id, event.name, event.arguments]
                last = self.events[-1] if self.events else None
                if last is not None and last[1] == "call" and last[2][0] == event.index:
                    last[2][1] = last[2][1] or event.call_id
                    last[2][2] = last[2][2] or event.name
                    last[2][3] += event.arguments
                else:
                    self.events.append([at_ms, "call", part])
            case Citation(url, title):
                self.events.append([at_ms, "cite", [url, title]])
            case _:
                pass

    def _piece(self, at_ms: int, kind: str, text: str) -> None:
        last = self.events[-1] if self.events else None
        if last is not None and last[1] == kind and at_ms - last[0] <= TOGETHER_MS:
            last[2] += text
        elif text:
            self.events.append([at_ms, kind, text])


@value_class(frozen=True, slots=True)
class RecordedExchange:
    """A request and the reply to it, as they were recorded; `reply` is empty where the recording
    ends before it."""

    request: Mapping[str, Any]
    reply: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What was asked."""
        return str(self.request.get("key"))

    @property
    def messages(self) -> tuple[Message, ...]:
        """The conversation that was asked about, as far as it could be read."""
        return tuple(
            Message(row["role"], row["text"]) for row in self.request.get("messages") or ()
        )

    def events(self) -> Iterator[tuple[float, Event]]:
        """The reply's events again, each with the seconds after which it had come."""
        about = self.reply
        yield 0.0, Started(about.get("reply_id"), about.get("model"))
        for at_ms, kind, value in about.get("events") or ():
            if (event := _event(str(kind), value)) is not None:
                yield float(at_ms) / 1000, event
        if (usage := about.get("usage")) is not None:
            yield 0.0, Metered(Usage(**usage))
        finish = next((f for f in _FINISHES if f == about.get("finish")), None)
        if finish is not None:
            yield 0.0, Finished(finish)

    @property
    def fault(self) -> Fault | None:
        """How it failed, where it did."""
        said = self.reply.get("fault")
        if not self.reply:
            return Fault(FaultKind.CUT, "the recording ends before this reply")
        if not isinstance(said, Mapping):
            return None
        try:
            kind = FaultKind(str(said.get("code")))
        except ValueError:
            kind = FaultKind.SERVER
        status = said.get("status")
        return Fault(kind, str(said.get("message")), None, status=status, retry=said.get("retry"))


def _event(kind: str, value: Any) -> Event | None:  # noqa: ANN401 - JSON
    match kind:
        case "text":
            return Text(str(value))
        case "reasoning":
            return Reasoning(str(value))
        case "details":
            return Reasoning("", tuple(value))
        case "call":
            index, call_id, name, arguments = value
            return ToolCallPart(int(index), call_id, name, str(arguments))
        case "cite":
            return Citation(str(value[0]), value[1])
        case _:
            return None


READERS: Mapping[str, Callable[[bytes], Incoming]] = {
    "/chat/completions": incoming,
    "/messages": messages_incoming,
    "/responses": responses_incoming,
}
"""What reads a body, by the path it was sent to."""


def request_line(name: str, text: str, earlier: Earlier, about: Mapping[str, Any]) -> JsonObject:
    """The line of a request whose body is `text`; `about` says what else is known of it."""
    said = earlier.say(name, text)
    line = {"type": "request", "id": name, **about}
    if said.like is not None:
        line |= {"like": said.like, "alike": [said.start, said.end]}
    return {**line, "text": said.new}


def _request_of(line: Mapping[str, Any], earlier: Earlier) -> Mapping[str, Any]:
    """The request in a line, with its body and its messages. Raises ValueError."""
    if "text" not in line:
        return line  # of the first version, which said everything each time
    name = str(line.get("id"))
    try:
        start, end = line.get("alike") or (0, 0)
        said = Said(str(line["text"]), line.get("like"), int(start), int(end))
        text = earlier.restore(name, said)
    except (TypeError, ValueError) as why:
        raise ValueError(f"request {name}: {why}") from why
    data, other = text.encode("utf-8", "surrogatepass"), None
    with suppress(NemoError, KeyError):
        other = READERS[str(line.get("path"))](data).other
    turns: Sequence[Message] = () if other is None else other.messages
    return {
        **line,
        "key": request_key(data),
        "messages": [{"role": turn.role, "text": turn.text} for turn in turns],
        "body": json.loads(text),
    }


def exchanges(lines: Iterable[Mapping[str, Any]]) -> list[RecordedExchange]:
    """The exchanges in the lines of a recording, in the order they were asked. Raises ValueError
    for one that repeats what is not there."""
    asked: dict[str, Mapping[str, Any]] = {}
    replied: dict[str, Mapping[str, Any]] = {}
    earlier = Earlier(sys.maxsize, sys.maxsize)  # several may have written at a time
    for line in lines:
        if line.get("type") == "request":
            asked[str(line.get("id"))] = _request_of(line, earlier)
        elif line.get("type") == "reply":
            replied[str(line.get("id"))] = line
    return [RecordedExchange(request, replied.get(name, {})) for name, request in asked.items()]


class Script:
    """A recording that is played: each request gets the reply it had, the first one first."""

    def __init__(self, recorded: Sequence[RecordedExchange]) -> None:
        self._all = list(recorded)
        self._waiting: dict[str, deque[RecordedExchange]] = {}
        self._last: dict[str, RecordedExchange] = {}
        for exchange in recorded:
            self._waiting.setdefault(exchange.key, deque()).append(exchange)
        self.played = 0
        self.missed: list[str] = []

    @property
    def models(self) -> tuple[str, ...]:
        """The models that were asked for."""
        names = dict.fromkeys(str(e.request.get("model") or "") for e in self._all)
        return tuple(name for name in names if name) or ("recorded",)

    def take(self, key: str) -> RecordedExchange | None:
        """The next reply to a request; the last one stays for those who ask again."""
        waiting = self._waiting.get(key)
        if waiting:
            self._last[key] = waiting.popleft()
        found = self._last.get(key)
        if found is not None:
            self.played += 1
        return found

    def nearest(self, messages: Sequence[Message]) -> str:
        """Where a request that was not recorded left the script, in words."""
        best, same = 0, -1
        for number, exchange in enumerate(self._all, 1):
            alike = _alike(exchange.messages, messages)
            if alike >= same:
                best, same = number, alike
        if same < 0:
            return "the recording is empty"
        theirs = self._all[best - 1].messages
        said = f"the nearest one is exchange {best}, the same up to message {same}"
        if same < len(messages):
            now = _shown(messages[same])
            then = _shown(theirs[same]) if same < len(theirs) else "the end"
            said += f"; then it says {now}, and the recording {then}"
        return said


def _alike(one: Sequence[Message], other: Sequence[Message]) -> int:
    count = 0
    for a, b in zip(one, other, strict=False):
        if (a.role, a.text) != (b.role, b.text):
            break
        count += 1
    return count


def _shown(message: Message) -> str:
    text = " ".join(message.text.split())
    return f"{message.role}: {text[:60]!r}"
