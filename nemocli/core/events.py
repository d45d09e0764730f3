"""What a reply is made of: any number of parts, then exactly one end.

Every dialect produces these and nothing else; the terminal, JSON output, the ledger and the
features consume them. A failure inside an HTTP 200 is an event like any other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from io import StringIO
from typing import Literal, assert_never

from nemocli.core.faults import Fault
from nemocli.core.request import Message, ToolCall
from nemocli.core.usage import Usage
from nemocli.core.value_class import value_class
from nemocli.core.values import JsonObject

Finish = Literal["stop", "length", "tool_calls", "content_filter"]


@value_class(frozen=True, slots=True)
class Started:
    """The server has answered. May come again when more is known; fields only fill in.

    `reply_id` is the reply's id (with some sellers the key to its final cost), `request_id` the
    gateway's, `upstream` the host an aggregator chose, `deprecation` the server's own date.
    """

    reply_id: str | None = None
    model: str | None = None
    upstream: str | None = None
    request_id: str | None = None
    deprecation: str | None = None


NOTHING_KNOWN = Started()
"""Of a reply of which nothing was said yet."""


@value_class(frozen=True, slots=True)
class Text:
    """A piece of the answer."""

    text: str


@value_class(frozen=True, slots=True)
class Reasoning:
    """A piece of the model's reasoning, and the provider's own items it came in, if any."""

    text: str
    details: tuple[JsonObject, ...] = ()


@value_class(frozen=True, slots=True)
class ToolCallPart:
    """A piece of a tool call. Pieces of one call share `index`; arguments add up as text."""

    index: int
    call_id: str | None = None
    name: str | None = None
    arguments: str = ""


@value_class(frozen=True, slots=True)
class Citation:
    """A source the answer rests on."""

    url: str
    title: str | None = None


@value_class(frozen=True, slots=True)
class Metered:
    """Token counts and, where the seller says it, the money. The last one wins."""

    usage: Usage
    reported_usd: Decimal | None = None


@value_class(frozen=True, slots=True)
class Warned:
    """A fault of the server that an answer survived: a stable code, and a line that says what to
    do. Codes: `leaked_tool_call`, `reasoning_as_answer`, `unknown_finish_reason`."""

    code: str
    message: str


@value_class(frozen=True, slots=True)
class Finished:
    """The end the server announced. `raw` is its own word for it where that is another; `warnings`
    say what is wrong with an answer that is complete all the same."""

    reason: Finish
    raw: str | None = field(default=None, compare=False)
    warnings: tuple[Warned, ...] = ()


@value_class(frozen=True, slots=True)
class Failed:
    """The end nobody wanted."""

    fault: Fault


@value_class(frozen=True, slots=True)
class Retrying:
    """An attempt failed before anything was seen; the engine waits, then asks `provider`."""

    fault: Fault
    after_s: float
    provider: str


Event = (
    Started | Text | Reasoning | ToolCallPart | Citation | Metered | Retrying | Finished | Failed
)


@dataclass(slots=True)
class _Call:
    call_id: str | None = None
    name: str = ""
    arguments: StringIO = field(default_factory=StringIO)


@dataclass(slots=True)
class Fold:
    """Events in, answer out: the one place that knows how the parts add up.

    With `keep` False the text is counted but not held, so that a stream of any length takes a flat
    amount of memory. `end` None means the reply was abandoned; `answered` that a server began one.
    """

    keep: bool = True
    started: Started = NOTHING_KNOWN
    metered: Metered | None = None
    citations: list[Citation] = field(default_factory=list)
    details: list[JsonObject] = field(default_factory=list)
    end: Finished | Failed | None = None
    text_chars: int = 0
    reasoning_chars: int = 0
    answered: bool = False
    _text: StringIO = field(default_factory=StringIO)
    _reasoning: StringIO = field(default_factory=StringIO)
    _calls: dict[int, _Call] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """Take the next event; ValueError when one follows the end (a bug of ours)."""
        if self.end is not None:
            raise ValueError(f"{type(event).__name__} after the end")
        match event:
            case Text(text):
                self.text_chars += len(text)
                if self.keep:
                    self._text.write(text)
            case Reasoning(text, details):
                self.reasoning_chars += len(text)
                if self.keep:
                    self._reasoning.write(text)
                    self.details.extend(details)
            case ToolCallPart():
                self._add_call(event)
            case Finished() | Failed():
                self.end = event
            case Metered():
                self.metered = event
            case Started():
                self.answered = True
                self.started = _filled(self.started, event)
            case Citation():
                self._cite(event)
            case Retrying():
                pass
            case _:
                assert_never(event)

    def _cite(self, source: Citation) -> None:
        if source not in self.citations:
            self.citations.append(source)

    def _add_call(self, part: ToolCallPart) -> None:
        call = self._calls.setdefault(part.index, _Call())
        call.call_id = call.call_id or part.call_id
        call.name = call.name or part.name or ""
        call.arguments.write(part.arguments)

    @property
    def text(self) -> str:
        """The answer so far."""
        return self._text.getvalue()

    @property
    def reasoning(self) -> str:
        """The reasoning so far."""
        return self._reasoning.getvalue()

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls in the order of their index; a missing id is made from the index."""
        return tuple(
            ToolCall(c.call_id or f"call_{i}", c.name, c.arguments.getvalue())
            for i, c in sorted(self._calls.items())
        )

    @property
    def has_calls(self) -> bool:
        """Whether any tool call came."""
        return bool(self._calls)

    @property
    def shown(self) -> bool:
        """Whether any part of the reply reached the sink: no other reply may follow it."""
        return bool(self.text_chars or self.reasoning_chars or self._calls)

    @property
    def fault(self) -> Fault | None:
        """What ended it badly, if anything did."""
        return self.end.fault if isinstance(self.end, Failed) else None

    def message(self) -> Message:
        """The reply as the assistant's turn, reasoning and tool calls with it."""
        return Message(
            "assistant",
            self.text,
            self.reasoning or None,
            tuple(self.details),
            self.tool_calls,
        )


def _filled(old: Started, new: Started) -> Started:
    if old is NOTHING_KNOWN:
        return new
    return Started(
        new.reply_id or old.reply_id,
        new.model or old.model,
        new.upstream or old.upstream,
        new.request_id or old.request_id,
        new.deprecation or old.deprecation,
    )
