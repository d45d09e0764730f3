"""The Messages dialect at the gateway: what a client asks in it, and what it gets back.

Anthropic's shape as its SDKs send it (2026): blocks of text, thinking, tool use and tool result.
What has no counterpart on any path is dropped and named, or refused where the answer would not be
the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from nemocli.core.events import Event, Finished, Fold, Metered, Reasoning, Text
from nemocli.core.faults import Fault, FaultKind
from nemocli.core.request import (
    Effort,
    Image,
    Message,
    Request,
    ToolCall,
    ToolSpec,
    with_parts,
)
from nemocli.core.values import Json, JsonObject
from nemocli.serve.incoming import Incoming, image_of, kind_of, open_body, refusal, result_of
from nemocli.serve.outgoing import error_text, json_bytes, status_of

PING = b'event: ping\ndata: {"type": "ping"}\n\n'

_SAID = frozenset(
    {
        "model",
        "messages",
        "system",
        "max_tokens",
        "stream",
        "tools",
        "tool_choice",
        "stop_sequences",
        "thinking",
        "output_config",
    }
)
_PLAIN = frozenset({"temperature", "top_p", "top_k"})
_EFFORTS: Mapping[str, Effort] = {
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_STOPS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
_STOPPED = {FaultKind.BUDGET: "budget_exceeded: ", FaultKind.LOOP: "loop_detected: "}
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def messages_incoming(body: bytes) -> Incoming:
    """Read a body. Raises NemoError (request)."""
    data, model, stream = open_body(body)
    turns = data.get("messages")
    if not isinstance(turns, list) or not turns:
        raise refusal("a list of at least one message", "messages")
    dropped = {k for k, v in data.items() if k not in _SAID | _PLAIN and v is not None}
    messages = tuple(_all(data.get("system"), turns, dropped))
    most = data.get("max_tokens")
    options: dict[str, Json] = {k: data[k] for k in _PLAIN if data.get(k) is not None}
    if data.get("stop_sequences"):
        options["stop"] = data["stop_sequences"]
    request = Request(
        model,
        messages,
        _effort(data, dropped),
        most if isinstance(most, int) and most > 0 else None,
        options,
        tuple(_tools(data.get("tools"), dropped)),
        _choice(data.get("tool_choice")),
        _schema(data.get("output_config")),
    )
    if not request.tools and request.tool_choice is not None:
        raise refusal("there are no tools", "tool_choice")
    left_out = tuple(sorted(dropped))
    return Incoming(
        model,
        stream,
        True,
        None,
        lambda: request,
        len(messages),
        dropped=left_out,
        dialect="messages",
    )


def _effort(data: Mapping[str, Any], dropped: set[str]) -> Effort | None:
    """How hard to think. A budget of tokens for it has no counterpart; whether to think has."""
    thinking, config = data.get("thinking"), data.get("output_config")
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if isinstance(thinking, dict) and "budget_tokens" in thinking:
        dropped.add("thinking.budget_tokens")
    if kind == "disabled":
        return "off"
    wanted = config.get("effort") if isinstance(config, dict) else None
    if wanted is not None and str(wanted) not in _EFFORTS:
        dropped.add("output_config.effort")
    return _EFFORTS.get(str(wanted))


def _schema(config: object) -> JsonObject | None:
    """The JSON Schema an answer must satisfy."""
    shape = config.get("format") if isinstance(config, dict) else None
    if not isinstance(shape, dict):
        return None
    if shape.get("type") == "json_schema" and isinstance(shape.get("schema"), dict):
        schema: JsonObject = shape["schema"]
        return schema
    raise refusal("a json_schema", "output_config.format")


def _all(system: object, turns: list[Any], dropped: set[str]) -> Iterator[Message]:
    if system:
        yield Message("system", _text(system, "system", dropped))
    for index, turn in enumerate(turns):
        where = f"messages[{index}]"
        role = turn.get("role") if isinstance(turn, dict) else None
        if role not in ("user", "assistant", "system"):
            raise refusal("a message of user or assistant", where)
        content = turn.get("content")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if not isinstance(blocks, list) or not all(isinstance(b, dict) for b in blocks):
            raise refusal("text or blocks", f"{where}.content")
        if role == "assistant":
            yield _assistant(blocks, where, dropped)
        else:
            yield from _user(blocks, where, dropped)


def _assistant(blocks: list[Any], where: str, dropped: set[str]) -> Message:
    text, thoughts, calls = [], [], []
    for block in blocks:
        kind = kind_of(block)
        if kind == "text":
            text.append(_text([block], where, dropped))
        elif kind == "thinking":
            thoughts.append(str(block.get("thinking") or ""))
        elif kind == "redacted_thinking":
            dropped.add(f"{where}.redacted_thinking")
        elif kind == "tool_use":
            given = json.dumps(block.get("input") or {}, ensure_ascii=False)
            calls.append(ToolCall(str(block.get("id") or ""), str(block.get("name") or ""), given))
        else:
            raise refusal(f"{kind!r} cannot be carried", f"{where}.content")
    return Message("assistant", "".join(text), "".join(thoughts) or None, tool_calls=tuple(calls))


def _user(blocks: list[Any], where: str, dropped: set[str]) -> Iterator[Message]:
    """Results of tools are turns of their own, before the words that follow them. A system turn in
    mid-conversation (agents send reminders so) is the user's: many templates take one at the start
    and no other."""
    seen: list[Image] = []
    for block in blocks:
        if block.get("type") == "tool_result":
            parts = _parts(block.get("content") or "", f"{where}.content", dropped)
            if block.get("is_error"):
                parts = ["error: ", *parts]
            result, images = result_of(parts, str(block.get("tool_use_id") or ""))
            seen += images
            yield result
    words = [b for b in blocks if b.get("type") != "tool_result"]
    if words or seen:
        yield with_parts("user", [*seen, *_parts(words, f"{where}.content", dropped)])


def _text(content: object, where: str, dropped: set[str]) -> str:
    parts = _parts(content, where, dropped)
    if any(isinstance(part, Image) for part in parts):
        raise refusal("a picture cannot be carried here", where)
    texts = [part for part in parts if isinstance(part, str)]
    return "\n".join(texts) if where == "system" else "".join(texts)


def _parts(content: object, where: str, dropped: set[str]) -> list[str | Image]:
    """The texts and pictures of a content. Raises NemoError (request) for anything else."""
    if isinstance(content, str):
        return [content]
    parts: list[str | Image] = []
    for block in content if isinstance(content, list) else [content]:
        kind = kind_of(block)
        if isinstance(block, dict) and block.get("cache_control"):
            dropped.add("cache_control")
        if isinstance(block, dict) and kind == "text":
            parts.append(str(block.get("text") or ""))
        elif isinstance(block, dict) and kind in ("image", "document"):
            parts.append(_sourced(block, where))
        else:
            named = kind or type(block).__name__
            raise refusal(f"{named!r}: texts and pictures are what can be carried", where)
    return parts


def _sourced(block: Mapping[str, Any], where: str) -> str | Image:
    """A picture, or the text of a document. Raises NemoError (request) for what is neither."""
    source = block.get("source")
    given: Mapping[str, Any] = source if isinstance(source, dict) else {}
    kind, media, data = given.get("type"), str(given.get("media_type") or ""), given.get("data")
    if block.get("type") == "image" and kind == "base64" and isinstance(data, str):
        return Image(f"data:{media or 'image/png'};base64,{data}")
    if block.get("type") == "image" and kind == "url":
        return image_of({"image_url": given.get("url")}, where)
    if block.get("type") == "document" and kind == "text" and isinstance(data, str):
        return data
    raise refusal(f"a {block.get('type')} of {kind or 'no source'} cannot be carried", where)


def _tools(tools: object, dropped: set[str]) -> Iterator[ToolSpec]:
    for index, tool in enumerate(tools if isinstance(tools, list) else ()):
        if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
            raise refusal("a tool with a name", f"tools[{index}]")
        if tool.get("type") not in (None, "custom"):
            dropped.add(f"tools.{tool['name']}")  # tools that the seller itself would run
            continue
        if tool.get("cache_control"):
            dropped.add("cache_control")
        schema = tool.get("input_schema")
        yield ToolSpec(
            tool["name"],
            str(tool.get("description") or ""),
            schema if isinstance(schema, dict) else {"type": "object", "properties": {}},
        )


def _choice(choice: object) -> str | None:
    if choice is None:
        return None
    if isinstance(choice, dict):
        if choice.get("type") == "tool" and isinstance(choice.get("name"), str):
            return str(choice["name"])
        if (kind := kind_of(choice)) in _CHOICES:
            return _CHOICES[str(kind)]
    raise refusal("auto, any, none or a tool", "tool_choice")


class MessagesReply:
    """One reply as blocks. Tool calls are sent once they are whole: one that the seller did not
    finish is never closed."""

    keep_alive: bytes = PING
    last: bytes = b""

    def __init__(self, reply_id: str, model: str) -> None:
        self._about = {"id": reply_id, "type": "message", "role": "assistant", "model": model}
        self._block: str | None = None
        self._count = 0
        self._begun = False

    def chunk(self, event: Event) -> bytes:
        """What an event looks like; nothing for those that come later or are not for the client."""
        match event:
            case Text(text) if text:
                return self._into("text") + self._delta({"type": "text_delta", "text": text})
            case Reasoning(text, _) if text:
                said = {"type": "thinking_delta", "thinking": text}
                return self._into("thinking") + self._delta(said)
            case _:
                return b""

    def end(self, fold: Fold) -> bytes:
        """Tool calls, the reason of the end, and the counts."""
        out = self._start() + self._closed()
        for call in fold.tool_calls:
            block = {"type": "tool_use", "id": call.call_id, "name": call.name, "input": {}}
            out += self._open(block)
            given = {"type": "input_json_delta", "partial_json": call.arguments or "{}"}
            out += self._delta(given) + self._closed()
        delta = {"stop_reason": _reason(fold), "stop_sequence": None}
        out += _event("message_delta", {"delta": delta, "usage": usage_of(fold.metered)})
        return out + _event("message_stop", {})

    def whole(self, fold: Fold) -> bytes:
        """The same as one object."""
        content: list[dict[str, Any]] = []
        if fold.reasoning:
            content.append({"type": "thinking", "thinking": fold.reasoning, "signature": ""})
        if fold.text:
            content.append({"type": "text", "text": fold.text})
        content += [
            {"type": "tool_use", "id": c.call_id, "name": c.name, "input": c.parse() or {}}
            for c in fold.tool_calls
        ]
        said = {**self._about, "content": content, "stop_reason": _reason(fold)}
        return json_bytes({**said, "stop_sequence": None, "usage": usage_of(fold.metered)})

    def fail(self, fault: Fault) -> bytes:
        """The end of a reply that broke off."""
        return b"event: error\ndata: " + json_bytes(_error(fault)) + b"\n\n"

    def _start(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        usage = {"input_tokens": 0, "output_tokens": 0}
        message: dict[str, Any] = {
            **self._about,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
        }
        return _event("message_start", {"message": {**message, "usage": usage}})

    def _into(self, kind: str) -> bytes:
        if self._block == kind:
            return b""
        block = {"type": kind, kind: ""}
        if kind == "thinking":
            block["signature"] = ""
        out = self._start() + self._closed() + self._open(block)
        self._block = kind
        return out

    def _open(self, block: Mapping[str, Any]) -> bytes:
        self._block = str(block["type"])
        return _event("content_block_start", {"index": self._count, "content_block": block})

    def _delta(self, delta: Mapping[str, Any]) -> bytes:
        return _event("content_block_delta", {"index": self._count, "delta": delta})

    def _closed(self) -> bytes:
        if self._block is None:
            return b""
        self._block = None
        self._count += 1
        return _event("content_block_stop", {"index": self._count - 1})


def _reason(fold: Fold) -> str:
    if fold.has_calls:
        return "tool_use"
    return _STOPS[fold.end.reason] if isinstance(fold.end, Finished) else "end_turn"


def usage_of(metered: Metered | None) -> dict[str, int]:
    """Counts as the seller reported them. The dialect has no way to say unknown: then they are 0,
    as at the start of every stream, and the ledger has the estimate."""
    usage = metered.usage if metered is not None else None
    if usage is None or not usage.known or usage.source != "reported":
        return {"input_tokens": 0, "output_tokens": 0}
    cached = usage.cached_input_tokens or 0
    written = usage.cache_write_tokens or 0
    return {
        "input_tokens": (usage.input_tokens or 0) - cached - written,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": written,
        "output_tokens": usage.output_tokens or 0,
    }


def messages_error(fault: Fault) -> bytes:
    """The envelope of an error."""
    return json_bytes(_error(fault))


def refusal_json(status: int, message: str) -> bytes:
    """The envelope of a refusal that no call led to."""
    kind = _TYPES.get(status, "invalid_request_error")
    return json_bytes({"type": "error", "error": {"type": kind, "message": message}})


def _error(fault: Fault) -> dict[str, Any]:
    kind = _TYPES.get(status_of(fault), "api_error")
    code = _STOPPED.get(fault.kind, "")
    message = code + error_text(fault)
    return {"type": "error", "error": {"type": kind, "message": message}}


def _event(kind: str, data: Mapping[str, Any]) -> bytes:
    return f"event: {kind}\ndata: ".encode() + json_bytes({"type": kind, **data}) + b"\n\n"
