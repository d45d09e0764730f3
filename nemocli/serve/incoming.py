"""What a client asked for: the body of a chat completion, read with care.

Two forms come of it. For a target of the same dialect the client's own fields go on as they are;
for another one, what both can say is translated, and what cannot be carried is refused by its name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.request import (
    IMAGE_CHARS,
    LIMIT_FIELDS,
    Image,
    Message,
    Request,
    ToolCall,
    ToolSpec,
    with_parts,
)
from nemocli.core.value_class import value_class
from nemocli.core.values import Json, JsonObject

MOST_BODY = 32 << 20
"""Bytes of a request."""
_DATA = re.compile(rb"data:image/[^\"\\]{1000,}")
"""A picture's bytes in a body: its length is no measure of what it costs."""
_OURS = frozenset({"model", "stream", "stream_options"})
_TEXTS = frozenset({"text", "input_text", "output_text"})
_SAID = frozenset({"messages", "tools", "tool_choice", *LIMIT_FIELDS[:2]})
_PLAIN = frozenset(
    {"temperature", "top_p", "stop", "seed", "presence_penalty", "frequency_penalty", "user"}
)
"""Fields that other dialects take by the same name, or drop by their provider's row."""
_NONE: tuple[Json, ...] = (None,)
_UNSAID: Mapping[str, tuple[Json, ...]] = {
    "n": (None, 1),
    "logprobs": (None, False),
    "modalities": (None, ["text"]),
}
"""Values that ask for nothing, of fields that other dialects do not have."""


@value_class(frozen=True, slots=True)
class ToolName:
    """What a client calls a tool: its own name, the namespace it stands in, and whether it takes
    text instead of arguments."""

    name: str
    space: str | None = None
    custom: bool = False


@dataclass(slots=True)
class Incoming:
    """One wish of a client. `same` is for targets that speak the client's `dialect`, `other` for
    the rest: translated when it is first asked for. `dropped` are fields that `other` leaves out
    and that change no answer, `same_dropped` those that `same` does. `tools` are the client's names
    of tools by those the model sees, `turns` how many messages there are at the most; `pictures`
    is false where there are none."""

    model: str
    stream: bool
    include_usage: bool
    same: Request | None
    translate: Callable[[], Request]
    turns: int
    pictures: bool = True
    dropped: tuple[str, ...] = ()
    dialect: str = "chat"
    same_dropped: tuple[str, ...] = ()
    tools: Mapping[str, ToolName] = field(default_factory=dict)
    _other: Request | NemoError | None = None

    @property
    def other(self) -> Request | None:
        """For targets of other dialects; None where that cannot be said."""
        found = self._said()
        return found if isinstance(found, Request) else None

    @property
    def refused(self) -> str | None:
        """Why there is no `other`."""
        found = self._said()
        return found.fault.message if isinstance(found, NemoError) else None

    def _said(self) -> Request | NemoError:
        if self._other is None:
            try:
                self._other = self.translate()
            except NemoError as error:
                self._other = error
        return self._other


def refusal(message: str, field: str | None = None) -> NemoError:
    """A wish that cannot be carried out, by the name of the field."""
    text = message if field is None else f"`{field}`: {message}"
    return NemoError(Fault(FaultKind.REQUEST, text, None, status=400, sent=False, retry=False))


def incoming(body: bytes) -> Incoming:
    """Read a body. Raises NemoError (request). The turn in `same` is there for estimates of length
    alone: the client's own fields stand in its place."""
    data, model, stream = open_body(body)
    _carried(data)
    extra = data.get("stream_options")
    usage = isinstance(extra, dict) and extra.get("include_usage") is True
    options = {k: v for k, v in data.items() if k not in _OURS}
    pictures = any(_beside_text(turn.get("content")) for turn in data["messages"])
    outline = _DATA.sub(b" " * IMAGE_CHARS, body) if b"data:image/" in body else body
    turns = (Message("user", outline.decode("utf-8", "replace")),)
    same = Request(model, turns, options=options, stream=stream)
    count = len(data["messages"])
    return Incoming(model, stream, usage, same, lambda: _translated(model, data), count, pictures)


def _beside_text(content: object) -> bool:
    """Whether a content has parts that are no text, or is such a part itself."""
    if content is None or isinstance(content, str):
        return False
    parts = content if isinstance(content, list) else [content]
    return any(kind_of(part) not in _TEXTS for part in parts)


def open_body(body: bytes) -> tuple[dict[str, Any], str, bool]:
    """The object in a body, its model and whether a stream is wanted, as every dialect has them.
    Raises NemoError (request)."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise refusal(f"the body is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise refusal("the body is not an object")
    model, stream = data.get("model") or "", data.get("stream") or False
    if not isinstance(model, str):
        raise refusal("not text", "model")
    if not isinstance(stream, bool):
        raise refusal("not true or false", "stream")
    return data, model, stream


def kind_of(part: object) -> str | None:
    """The type an item, a block or a part says it is; None for none that is text."""
    kind = part.get("type") if isinstance(part, dict) else None
    return kind if isinstance(kind, str) else None


def _carried(data: Mapping[str, Any]) -> None:
    """Refuse what is no conversation."""
    messages = data.get("messages")
    if not isinstance(messages, list) or not messages:
        raise refusal("a list of at least one message", "messages")
    for index, turn in enumerate(messages):
        if not isinstance(turn, dict) or not isinstance(turn.get("role"), str):
            raise refusal("an object with a role", f"messages[{index}]")


def _translated(model: str, data: Mapping[str, Any]) -> Request:
    rest = [
        k for k in data if k not in _OURS | _SAID | _PLAIN and data[k] not in _UNSAID.get(k, _NONE)
    ]
    if rest:
        raise refusal("this path's dialect has no such field", rest[0])
    most = next((data[n] for n in LIMIT_FIELDS if isinstance(data.get(n), int)), None)
    options: dict[str, Json] = {k: data[k] for k in _PLAIN if data.get(k) is not None}
    return Request(
        model,
        tuple(_message(i, turn) for i, turn in enumerate(data["messages"])),
        None,
        most,
        options,
        tuple(_tools(data.get("tools") or [])),
        _choice(data.get("tool_choice")),
    )


def _message(index: int, turn: Mapping[str, Any]) -> Message:
    role, content = turn["role"], turn.get("content")
    where = f"messages[{index}]"
    if role == "developer":
        role = "system"
    if role not in ("system", "user", "assistant", "tool"):
        raise refusal(f"no role {role!r} in this path's dialect", f"{where}.role")
    parts = parts_of(content, f"{where}.content")
    if role != "user" and any(isinstance(part, Image) for part in parts):
        raise refusal(f"a picture of {role} cannot be carried", f"{where}.content")
    calls = tuple(_calls(turn.get("tool_calls") or (), where))
    reasoning = turn.get("reasoning") or turn.get("reasoning_content")
    return replace(
        with_parts(role, parts),
        reasoning=reasoning if isinstance(reasoning, str) else None,
        tool_calls=calls,
        tool_call_id=turn.get("tool_call_id"),
    )


def text_of(content: object, where: str, kinds: frozenset[str] = _TEXTS) -> str:
    """The text of a content: of one, or of parts of these kinds. Raises NemoError (request) where
    it is anything else."""
    parts = parts_of(content, where, kinds)
    if any(isinstance(part, Image) for part in parts):
        raise refusal("a picture cannot be carried here", where)
    return "".join(part for part in parts if isinstance(part, str))


def parts_of(content: object, where: str, kinds: frozenset[str] = _TEXTS) -> list[str | Image]:
    """The texts and pictures of a content: of one, or of parts of these kinds. Raises NemoError
    (request) where it is anything else, for no more can be carried."""
    if content is None:
        return []
    if isinstance(content, str):
        return [content]
    parts: list[str | Image] = []
    for part in content if isinstance(content, list) else [content]:
        kind = kind_of(part)
        if isinstance(part, dict) and kind in kinds:
            parts.append(str(part.get("text") or part.get("refusal") or ""))
        elif isinstance(part, dict) and kind in ("image_url", "input_image"):
            parts.append(image_of(part, where))
        else:
            named = kind or type(part).__name__
            raise refusal(f"{named}: texts and pictures are what can be carried", where)
    return parts


FOLLOWS = "(a picture follows)"
"""Stands in a tool's result for a picture, which no path takes there: it is in the turn after the
results."""


def result_of(parts: Sequence[str | Image], call_id: str) -> tuple[Message, list[Image]]:
    """A tool's result as a turn, and the pictures that were in it."""
    images = [part for part in parts if isinstance(part, Image)]
    text = "".join(part if isinstance(part, str) else FOLLOWS for part in parts)
    return Message("tool", text, tool_call_id=call_id), images


def image_of(part: Mapping[str, Any], where: str) -> Image:
    """A picture as chat and Responses have it. Raises NemoError (request) for one that is only
    named."""
    given = part.get("image_url")
    inner: Mapping[str, Any] = given if isinstance(given, dict) else {**part, "url": given}
    url, detail = inner.get("url"), inner.get("detail")
    if not isinstance(url, str) or not url.startswith(("data:image/", "https://", "http://")):
        raise refusal("a picture is an address, or `data:image/…` with its bytes", where)
    return Image(url, detail if isinstance(detail, str) else None)


def _calls(calls: object, where: str) -> Iterator[ToolCall]:
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            raise refusal("not a call of a function", f"{where}.tool_calls")
        yield ToolCall(
            str(call.get("id") or ""),
            str(function.get("name") or ""),
            str(function.get("arguments") or ""),
        )


def _tools(tools: object) -> Iterator[ToolSpec]:
    for index, tool in enumerate(tools if isinstance(tools, list) else ()):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise refusal("only functions can be carried", f"tools[{index}]")
        schema: JsonObject = function.get("parameters") or {"type": "object", "properties": {}}
        yield ToolSpec(function["name"], str(function.get("description") or ""), schema)


def _choice(choice: object) -> str | None:
    if choice is None or isinstance(choice, str):
        return choice
    if isinstance(choice, dict) and isinstance(choice.get("function"), dict):
        return str(choice["function"].get("name"))
    raise refusal("not a choice that can be carried", "tool_choice")
