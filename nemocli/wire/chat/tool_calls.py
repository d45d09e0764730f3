"""Pieces of tool calls in chat completions, brought to one index per call.

The documented way is a piece with `index`, where the first carries id and name. Servers also leave
the index out, give every call index 0, send whole calls at once, send arguments as an object, or
use the older `function_call`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from nemocli.core.events import ToolCallPart
from nemocli.core.provider import plain
from nemocli.core.values import Json, JsonObject
from nemocli.wire.jsontext import mapping, parse, string


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
    """Decides which call a piece belongs to."""

    __slots__ = ("_by_id", "_by_wire", "_last", "_taken")

    def __init__(self) -> None:
        self._by_wire: dict[int, _Open] = {}  # the latest call under an index of the server's
        self._by_id: dict[str, _Open] = {}
        self._last: _Open | None = None
        self._taken: set[int] = set()

    @property
    def any(self) -> bool:
        """Whether a call was begun."""
        return bool(self._taken)

    def part(self, piece: JsonObject) -> ToolCallPart:
        """The piece with our index; arguments as text."""
        function = mapping(piece.get("function"))
        index = piece.get("index")
        wire = index if isinstance(index, int) and not isinstance(index, bool) else None
        return self._part(wire, string(piece.get("id")), function)

    def legacy(self, function: JsonObject) -> ToolCallPart:
        """A piece of the one call that `function_call` can hold."""
        return self._part(0, None, function)

    def _part(self, wire: int | None, call_id: str | None, function: JsonObject) -> ToolCallPart:
        name, arguments = string(function.get("name")), _text(function.get("arguments"))
        call = self._find(wire, call_id, name)
        if call is None:
            call = self._begin(wire, call_id, name)
        else:
            call.call_id, call.name = call.call_id or call_id, call.name or name
        if call_id is not None:
            self._by_id.setdefault(call_id, call)
        if arguments:
            call.arguments.append(arguments)
        self._last = call
        return ToolCallPart(call.index, call_id, name, arguments)

    def _find(self, wire: int | None, call_id: str | None, name: str | None) -> _Open | None:
        if wire is None and call_id is not None:
            return self._by_id.get(call_id)
        call = self._last if wire is None else self._by_wire.get(wire)
        if call is None or name is None:
            return call  # what has no name continues, even under an id made up for each piece
        if wire is None:
            return call if call.name is None else None
        if call_id is not None and call.call_id is not None:
            return call if call_id == call.call_id else None
        if call.name is not None and (call.name != name or call.complete()):
            return None
        return call

    def _begin(self, wire: int | None, call_id: str | None, name: str | None) -> _Open:
        free = max(self._taken, default=-1) + 1
        index = wire if wire is not None and wire not in self._taken else free
        call = _Open(index, call_id, name)
        self._taken.add(index)
        if wire is not None:
            self._by_wire[wire] = call
        return call


def _text(arguments: Json) -> str:
    """Arguments as the text that they should have been."""
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else json.dumps(plain(arguments), ensure_ascii=False)
