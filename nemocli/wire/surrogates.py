"""Halves of characters, put together again.

Servers that cut strings in UTF-16 units send an emoji as two escapes in two deltas; each alone
cannot be written anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from nemocli.core.events import Citation, Event, Failed, Reasoning, Started, Text, ToolCallPart

_HALF = re.compile("[\ud800-\udfff]")
_LOST = "\N{REPLACEMENT CHARACTER}"


def whole_text(text: str) -> str:
    """The text with neighbouring halves joined and lone ones replaced by U+FFFD."""
    if text.isascii() or not _HALF.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class Halves:
    """Holds the first half of a character back until the same channel brings the second."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[str | int, str] = {}

    @property
    def waiting(self) -> bool:
        """Whether any half is held."""
        return bool(self._held)

    def join(self, event: Event) -> Event | None:
        """The event in whole characters; None when nothing of it can be shown yet."""
        match event:
            case Text(text):
                text = self._join("text", text)
                return Text(text) if text else None
            case Reasoning(text, details):
                text = self._join("reasoning", text)
                return Reasoning(text, details) if text or details else None
            case ToolCallPart():
                call_id, name = (whole_text(n) if n else n for n in (event.call_id, event.name))
                arguments = self._join(event.index, event.arguments)
                return ToolCallPart(event.index, call_id, name, arguments)
            case _:
                return _scrubbed(event)

    def rest(self) -> Iterator[Event]:
        """What is left of characters whose second half never came."""
        for channel in self._held:
            match channel:
                case "text":
                    yield Text(_LOST)
                case int():
                    yield ToolCallPart(channel, arguments=_LOST)
                case _:
                    yield Reasoning(_LOST)
        self._held.clear()

    def _join(self, channel: str | int, text: str) -> str:
        if not text:
            return text
        text = self._held.pop(channel, "") + text
        if "\ud800" <= text[-1] <= "\udbff":
            self._held[channel] = text[-1]
            text = text[:-1]
        return whole_text(text)


def _scrubbed(event: Event) -> Event:
    match event:
        case Started():
            named = (event.reply_id, event.model, event.upstream)
            reply_id, model, upstream = (whole_text(n) if n else n for n in named)
            return replace(event, reply_id=reply_id, model=model, upstream=upstream)
        case Citation(url, title):
            return Citation(whole_text(url), whole_text(title) if title else title)
        case Failed(fault):
            return Failed(replace(fault, message=whole_text(fault.message)))
        case _:
            return event
