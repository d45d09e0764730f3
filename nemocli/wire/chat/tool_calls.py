"""Pieces of tool calls in chat completions, brought to one index per call.

The documented way is a piece with `index`, where the first carries id and name. Servers also leave
the index out, give every call index 0, send whole calls at once, send arguments as an object, or
use the older `function_call`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from nemocli.core.events import ToolCallPart
from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.provider import plain
from nemocli.core.values import Json, JsonObject
from nemocli.wire.jsontext import mapping, parse, string

MOST_CALLS = 1000
"""Tool calls of one reply. No model means more, and each costs whoever runs it."""


@dataclass(slots=True)
class _Open:
    index: int
    call_id: str | None
    name: str | None
    arguments: list[str] = field(default_factory=list)

    def complete(self) -> bool:
        """Whether the arguments are a whole object, so that a new name begins a new call."""
        if not self.arguments or not self.arguments[-1].rstrip().endswith("}"):
            return False
        try:
            return isinstance(parse("".join(self.arguments)), dict)
        except ValueError:
            return False


class ToolCallPieces:
    """Decides which call a piece belongs to. Nothing of a call is passed on before its name is
    there: a call without one is none."""

    __slots__ = ("_by_id", "_by_wire", "_count", "_last", "_next", "_taken")

    def __init__(self) -> None:
        self._by_wire: dict[int, _Open] = {}  # the latest call under an index of the server's
        self._by_id: dict[str, _Open] = {}
        self._last: _Open | None = None
        self._taken: set[int] = set()
        self._next = 0  # above every index taken
        self._count = 0

    @property
    def any(self) -> bool:
        """Whether a call with a name was begun."""
        return self._count > 0

    @property
    def nameless(self) -> bool:
        """Whether the call under way has arguments and never got a name."""
        last = self._last
        return last is not None and last.name is None and bool(last.arguments)

    def part(self, piece: JsonObject) -> ToolCallPart | None:
        """The piece with our index; arguments as text. None while its call has no name."""
        function = mapping(piece.get("function"))
        index = piece.get("index")
        wire = index if isinstance(index, int) and not isinstance(index, bool) else None
        return self._part(wire, string(piece.get("id")), function)

    def legacy(self, function: JsonObject) -> ToolCallPart | None:
        """A piece of the one call that `function_call` can hold."""
        return self._part(0, None, function)

    def _part(
        self, wire: int | None, call_id: str | None, function: JsonObject
    ) -> ToolCallPart | None:
        name, arguments = string(function.get("name")), _text(function.get("arguments"))
        if name is None and call_id is None and not arguments:
            return None
        call = self._find(wire, call_id, name)
        known = call is not None and call.name is not None
        if call is None:
            call = self._begin(wire, call_id, name)
        else:
            call.call_id, call.name = call.call_id or call_id, call.name or name
        if call_id is not None:
            self._by_id.setdefault(call_id, call)
        if arguments:
            call.arguments.append(arguments)
        self._last = call
        if call.name is None:
            return None
        if known:
            return ToolCallPart(call.index, call_id, name, arguments)
        self._count += 1
        if self._count > MOST_CALLS:
            raise NemoError(_too_many())
        return ToolCallPart(call.index, call.call_id, call.name, "".join(call.arguments))

    def _find(self, wire: int | None, call_id: str | None, name: str | None) -> _Open | None:
        if wire is None and call_id is not None:
            return self._by_id.get(call_id)
        call = self._last if wire is None else self._by_wire.get(wire)
        if name is None:
            # What has no name continues, under an id made up for each piece or a new index.
            return self._last if call is None and call_id is None else call
        if call is None or self._begins(call, wire, call_id, name):
            return None
        return call

    def _begins(self, call: _Open, wire: int | None, call_id: str | None, name: str) -> bool:
        """Whether a piece with a name, under the index of a call, begins another call."""
        if wire is None:
            return call.name is not None
        if call_id is not None and call.call_id is not None:
            return call_id != call.call_id
        return call.name is not None and (call.name != name or call.complete())

    def _begin(self, wire: int | None, call_id: str | None, name: str | None) -> _Open:
        index = wire if wire is not None and wire not in self._taken else self._next
        call = _Open(index, call_id, name)
        self._taken.add(index)
        self._next = max(self._next, index + 1)
        if wire is not None:
            self._by_wire[wire] = call
        return call


def _too_many() -> Fault:
    return Fault(
        FaultKind.PROTOCOL,
        f"the reply holds more than {MOST_CALLS:,} tool calls",
        "offer fewer tools, or use another path with `-p`",
        retry=False,
    )


def _text(arguments: Json) -> str:
    """Arguments as the text that they should have been."""
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else json.dumps(plain(arguments), ensure_ascii=False)
