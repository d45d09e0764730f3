"""Function calls of the responses dialect, brought to one index per call and passed on once.

A call is announced by an item, filled by argument events and repeated in full in the closing item
and in the final response; servers leave any of these out.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from nemocli.core.events import ToolCallPart
from nemocli.core.values import Json, JsonObject
from nemocli.wire.jsontext import string

_IDS = ("id", "item_id", "call_id")


class _Call:
    __slots__ = ("index", "named", "sent")

    def __init__(self, index: int) -> None:
        self.index = index
        self.named = False
        self.sent = False


class FunctionCalls:
    """What was passed on of each call."""

    __slots__ = ("_by_key", "_count")

    def __init__(self) -> None:
        self._by_key: dict[str, _Call] = {}
        self._count = 0

    @property
    def any(self) -> bool:
        """Whether a call was begun."""
        return self._count > 0

    def item(self, item: JsonObject, place: Json, *, ended: bool) -> Iterator[ToolCallPart]:
        """An item of the stream at its `output_index`; its arguments count once it has ended."""
        yield from self._whole(item, self._find(item, place), ended=ended)

    def late(self, item: JsonObject) -> Iterator[ToolCallPart]:
        """An item of the final response. Its position may differ from that in the stream."""
        named = any(string(item.get(name)) for name in _IDS)
        call = self._find(item, None) if named or not self.any else None
        if call is not None:
            yield from self._whole(item, call, ended=True)

    def arguments(self, event: JsonObject) -> Iterator[ToolCallPart]:
        """A piece of the arguments, or all of them where no piece came."""
        call = self._find(event, event.get("output_index"))
        delta, whole = string(event.get("delta")), string(event.get("arguments"))
        text = delta if delta is not None else None if call.sent else whole
        if text is not None:
            call.sent = True
            yield ToolCallPart(call.index, arguments=text)

    def _whole(self, item: JsonObject, call: _Call, *, ended: bool) -> Iterator[ToolCallPart]:
        arguments = (string(item.get("arguments")) or "") if ended and not call.sent else ""
        if call.named and not arguments:
            return
        call.named, call.sent = True, call.sent or bool(arguments)
        call_id = string(item.get("call_id")) or string(item.get("id"))
        yield ToolCallPart(call.index, call_id, string(item.get("name")), arguments)

    def _find(self, item: JsonObject, place: Json) -> _Call:
        """By position, which gateways keep, before ids, which some make up anew for each event."""
        ids = (value for name in _IDS if (value := string(item.get(name))) is not None)
        at = (f"at {place}",) if place is not None else ()
        keys = list(chain(at, ids))
        call = next((self._by_key[key] for key in keys if key in self._by_key), None)
        if call is None:
            call = _Call(self._count)
            self._count += 1
        for key in keys:
            self._by_key.setdefault(key, call)
        return call
