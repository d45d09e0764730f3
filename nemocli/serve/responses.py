"""The Responses dialect at the gateway: what a client asks in it.

OpenAI's shape as its SDKs and Codex send it (0.171, November 2026): items in, nothing kept between
calls. Tools of a namespace and custom tools become plain functions, under names that lead back.
How the client is answered is in `responses_reply`.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nemocli.core.request import Effort, Image, Message, Request, ToolCall, ToolSpec, with_parts
from nemocli.core.values import Json, JsonObject
from nemocli.serve.carried import QUIET, RESPONSES, names
from nemocli.serve.incoming import (
    Incoming,
    ToolName,
    kind_of,
    open_body,
    parts_of,
    refusal,
    result_of,
    text_of,
)

SEAL = "nemocli.1:"
"""What our own `encrypted_content` begins with."""
MOST_SEALED = 4 << 20
"""Bytes of reasoning in one such item."""
_REFUSED = names(RESPONSES, "refused")
_DROPPED = names(RESPONSES, "dropped")
_READ = frozenset(
    {
        "model",
        "input",
        "instructions",
        "stream",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "max_output_tokens",
        "temperature",
        "top_p",
        "text",
        "reasoning",
    }
)
_EFFORTS: Mapping[str, Effort] = {
    "none": "off",
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
}
_TEXTS = frozenset({"input_text", "output_text", "text", "refusal", "summary_text"})
_CALLS = frozenset({"function_call", "custom_tool_call"})
_RESULTS = frozenset({"function_call_output", "custom_tool_call_output"})
_TEXT_ONLY: JsonObject = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}


def responses_incoming(body: bytes) -> Incoming:
    """Read a body. Raises NemoError (request)."""
    data, model, stream = open_body(body)
    for name in sorted(_REFUSED & data.keys()):
        if data[name]:
            raise refusal("nothing is kept here between calls; send the whole conversation", name)
    dropped = {k for k, v in data.items() if k not in _READ | QUIET and v is not None}
    known: dict[str, ToolName] = {}
    tools = tuple(_tools(data.get("tools"), known, dropped))
    options: dict[str, Json] = {
        k: data[k] for k in ("temperature", "top_p") if data.get(k) is not None
    }
    if data.get("parallel_tool_calls") is False and tools:
        options["parallel_tool_calls"] = False
    most = data.get("max_output_tokens")
    request = Request(
        model,
        tuple(_conversation(data, known, dropped)),
        _effort(data.get("reasoning"), dropped),
        most if isinstance(most, int) and most > 0 else None,
        options,
        tools,
        _choice(data.get("tool_choice"), tools, known),
        _schema(data.get("text"), dropped),
    )
    return Incoming(
        model,
        stream,
        True,
        _same(data, request, known),
        lambda: request,
        len(request.messages),
        dropped=tuple(sorted(dropped)),
        dialect="responses",
        same_dropped=tuple(sorted((_DROPPED - QUIET) & data.keys())),
        tools=known,
    )


def _same(
    data: Mapping[str, Any], request: Request, known: Mapping[str, ToolName]
) -> Request | None:
    """The client's own fields, for a path that speaks the dialect too; None where the tools must
    be renamed. What steers OpenAI's own service is left out: others answer 400 to it."""
    if any(tool.space or tool.custom for tool in known.values()):
        return None
    ours = {"model", "stream", "reasoning", "text", "max_output_tokens"}
    options = {k: v for k, v in data.items() if k not in _DROPPED | ours}
    outline = tuple(Message("user", m.text) for m in request.messages)
    stream = data.get("stream") is True
    return replace(
        request, messages=outline, options=options, tools=(), tool_choice=None, stream=stream
    )


def seal(text: str, details: Sequence[JsonObject]) -> str:
    """Reasoning as a client hands it back: whole, and readable for this gateway only by custom."""
    data = json.dumps({"text": text, "details": list(details)}).encode()
    return SEAL + base64.b64encode(zlib.compress(data)).decode()


def unseal(text: str) -> tuple[str, tuple[JsonObject, ...]] | None:
    """What was sealed; None for what was not sealed here, or was changed on the way."""
    try:
        raw = base64.b64decode(text.removeprefix(SEAL), validate=True)
        unpacking = zlib.decompressobj()
        data = json.loads(unpacking.decompress(raw, MOST_SEALED))
        details = tuple(d for d in data["details"] if isinstance(d, dict))
        return str(data["text"]), details
    except (ValueError, KeyError, TypeError, zlib.error, binascii.Error, RecursionError):
        return None


def _conversation(
    data: Mapping[str, Any], known: Mapping[str, ToolName], dropped: set[str]
) -> Iterator[Message]:
    """Turns in order. What the program says at the start is one system message, since many
    templates take one and no other; later words of it are the user's."""
    items = data.get("input")
    if isinstance(items, str):
        items = [{"type": "message", "role": "user", "content": items}]
    if not isinstance(items, list) or not items:
        raise refusal("text, or a list of at least one item", "input")
    words = data.get("instructions") or ""
    if not isinstance(words, str):
        raise refusal("text", "instructions")
    system = [words] if words else []
    begun = False
    turn = _Turn()
    seen: list[Image] = []  # in results of tools, shown after them
    for index, item in enumerate(items):
        where = f"input[{index}]"
        if not isinstance(item, dict):
            raise refusal("an item", where)
        kind = kind_of(item) or ("message" if "role" in item else None)
        role = item.get("role")
        if kind == "message" and role in ("system", "developer") and not begun:
            system.append(text_of(item.get("content"), where, _TEXTS))
            continue
        if not begun:
            begun = True
            if system:
                yield Message("system", "\n\n".join(system))
        if _of_assistant(kind, role):
            yield from _shown(seen)
            turn.add(kind, item, where, known, dropped)
            continue
        yield from turn.take()
        if kind in _RESULTS:
            parts = parts_of(item.get("output"), where, _TEXTS)
            result, images = result_of(parts, str(item.get("call_id") or ""))
            seen += images
            yield result
            continue
        yield from _shown(seen)
        yield from _other(kind, item, where, dropped)
    if not begun and system:
        yield Message("system", "\n\n".join(system))
    yield from turn.take()
    yield from _shown(seen)


def _shown(seen: list[Image]) -> Iterator[Message]:
    """The pictures that tools gave back, as a turn of the user's."""
    if seen:
        yield with_parts("user", tuple(seen))
        seen.clear()


def _of_assistant(kind: str | None, role: object) -> bool:
    return (kind == "message" and role == "assistant") or kind == "reasoning" or kind in _CALLS


class _Turn:
    """Items of the model that follow one another: one turn of its."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._thoughts: list[str] = []
        self._details: list[JsonObject] = []
        self._calls: list[ToolCall] = []

    def add(
        self,
        kind: str | None,
        item: Mapping[str, Any],
        where: str,
        known: Mapping[str, ToolName],
        dropped: set[str],
    ) -> None:
        """The next item."""
        if kind == "reasoning":
            self._reasoned(item, where, dropped)
        elif kind == "message":
            self._text.append(text_of(item.get("content"), where, _TEXTS))
        else:
            self._calls.append(_call(item, known))

    def _reasoned(self, item: Mapping[str, Any], where: str, dropped: set[str]) -> None:
        given = item.get("encrypted_content")
        if isinstance(given, str) and given:
            found = unseal(given) if given.startswith(SEAL) else None
            if found is None:
                dropped.add("reasoning.encrypted_content")
            else:
                self._thoughts.append(found[0])
                self._details += found[1]
                return
        if item.get("content"):
            self._thoughts.append(
                "".join(
                    str(part.get("text") or "")
                    for part in item["content"]
                    if isinstance(part, dict)
                )
            )
        elif not given and not item.get("summary"):
            dropped.add(f"{where}.reasoning")

    def take(self) -> Iterator[Message]:
        """The turn, if there was any; the next one begins."""
        if self._text or self._calls or self._thoughts:
            yield Message(
                "assistant",
                "".join(self._text),
                "".join(self._thoughts) or None,
                tuple(self._details),
                tuple(self._calls),
            )
        self._text, self._thoughts, self._details, self._calls = [], [], [], []


def _call(item: Mapping[str, Any], known: Mapping[str, ToolName]) -> ToolCall:
    name, space = str(item.get("name") or ""), item.get("namespace")
    flat = f"{space}__{name}" if isinstance(space, str) and space else name
    if item.get("type") == "custom_tool_call":
        given = json.dumps({"input": str(item.get("input") or "")}, ensure_ascii=False)
    else:
        given = str(item.get("arguments") or "")
    return ToolCall(str(item.get("call_id") or item.get("id") or ""), flat, given)


def _other(
    kind: str | None, item: Mapping[str, Any], where: str, dropped: set[str]
) -> Iterator[Message]:
    """An item that is not the model's."""
    if kind == "message":
        if item.get("role") not in ("user", "system", "developer"):
            raise refusal(f"no role {item.get('role')!r}", f"{where}.role")
        yield with_parts("user", parts_of(item.get("content"), where, _TEXTS))
    elif kind == "item_reference":
        raise refusal("nothing is kept here between calls; send the item itself", where)
    elif isinstance(kind, str):
        dropped.add(kind)
    else:
        raise refusal("an item with a type", where)


def _tools(tools: object, known: dict[str, ToolName], dropped: set[str]) -> Iterator[ToolSpec]:
    if tools is not None and not isinstance(tools, list):
        raise refusal("a list", "tools")
    for index, tool in enumerate(tools or ()):
        where = f"tools[{index}]"
        if not isinstance(tool, dict):
            raise refusal("a tool", where)
        kind = kind_of(tool)
        if kind == "namespace":
            space = tool.get("name")
            for inner in tool.get("tools") or ():
                if not isinstance(space, str) or not isinstance(inner, dict):
                    raise refusal("a namespace with a name, and tools in it", where)
                yield _tool(inner, where, known, space)
        elif kind in ("function", "custom"):
            yield _tool(tool, where, known, None)
        else:
            dropped.add(f"tools.{kind}")  # tools that the seller itself would run


def _tool(
    tool: Mapping[str, Any], where: str, known: dict[str, ToolName], space: str | None
) -> ToolSpec:
    name, custom = tool.get("name"), tool.get("type") == "custom"
    if not isinstance(name, str) or not name:
        raise refusal("a tool with a name", where)
    flat = f"{space}__{name}" if space else name
    if flat in known:
        raise refusal(f"two tools would be called {flat!r}", where)
    known[flat] = ToolName(name, space, custom)
    schema = _TEXT_ONLY if custom else tool.get("parameters")
    words = str(tool.get("description") or "")
    shape = tool.get("format")
    if custom and isinstance(shape, dict) and isinstance(shape.get("definition"), str):
        words += f"\n\nThe input must follow this grammar:\n{shape['definition']}"
    empty: JsonObject = {"type": "object", "properties": {}}
    return ToolSpec(flat, words, schema if isinstance(schema, dict) else empty)


def _choice(choice: object, tools: Sequence[ToolSpec], known: Mapping[str, ToolName]) -> str | None:
    if choice is None or not tools:
        return None  # `auto` with tools that the seller would have run asks for nothing
    if choice in ("auto", "none", "required"):
        return str(choice)
    if isinstance(choice, dict) and isinstance(choice.get("name"), str):
        space = choice.get("namespace")
        flat = f"{space}__{choice['name']}" if space else choice["name"]
        if flat in known:
            return str(flat)
    raise refusal("auto, none, required or one of the tools", "tool_choice")


def _effort(reasoning: object, dropped: set[str]) -> Effort | None:
    if not isinstance(reasoning, dict):
        return None
    effort = reasoning.get("effort")
    if effort is None:
        return None
    if str(effort) not in _EFFORTS:
        dropped.add("reasoning.effort")
    return _EFFORTS.get(str(effort))


def _schema(text: object, dropped: set[str]) -> JsonObject | None:
    if not isinstance(text, dict):
        return None
    if text.get("verbosity"):
        dropped.add("text.verbosity")
    shape = text.get("format")
    kind = kind_of(shape)
    if not isinstance(shape, dict) or kind in (None, "text"):
        return None
    if kind == "json_object":
        return {"type": "object"}
    if kind == "json_schema" and isinstance(shape.get("schema"), dict):
        schema: JsonObject = shape["schema"]
        return schema
    raise refusal("text, json_object or json_schema", "text.format")
