"""The responses dialect: how to ask. How to read is in `responses_reply`.

Perplexity's Agent API (perplexityai 0.46.1, response_create_params and input_item_param; docs,
October 2026). It refuses unknown fields with 400, so nothing undocumented is sent.
"""

from __future__ import annotations

from collections.abc import Iterator

from nemocli.core.events import Event
from nemocli.core.plan import Target
from nemocli.core.ports import Call
from nemocli.core.request import Image, Message, Request, ToolSpec
from nemocli.core.values import Json, JsonObject
from nemocli.wire.dialect import (
    Decoder,
    arguments_to_send,
    call_for,
    instruction,
    response_format,
    streams,
)
from nemocli.wire.reply import ReplyDecoder
from nemocli.wire.responses.reply import ResponsesReader

_CHOICES = ("auto", "none", "required")


def encode(target: Target, request: Request, base_url: str) -> Call:
    """POST /responses, without its key. Raises NemoError (usage) for an unknown effort."""
    own: dict[str, Json] = {
        "model": target.model,
        "input": [item for message in request.messages for item in _items(message, request)],
        "stream": streams(target, request),
    }
    words = [m.text for m in request.messages if m.role == "system"]
    words += [w for w in (instruction(target, request),) if w is not None]
    if words:
        own["instructions"] = "\n\n".join(words)
    if request.tools:
        own["tools"] = [_tool(tool) for tool in request.tools]
    if request.tool_choice is not None:
        own["tool_choice"] = _choice(request.tool_choice)
    own |= response_format(target, request)
    return call_for(target, request, base_url, own, path="responses", limit="max_output_tokens")


def decoder(target: Target, request: Request) -> Decoder:
    """A decoder for one reply, streamed or whole."""
    del request
    reader = ResponsesReader(target.provider, target.model)
    return ReplyDecoder(reader, target.provider, target.model)


def usual(target: Target, payload: JsonObject) -> list[Event] | None:
    """None: no reply of this dialect is read at once."""
    del target, payload
    return None


def _items(message: Message, request: Request) -> Iterator[Json]:
    """A turn as input items. Reasoning does not go back: there is no item for it."""
    if message.role == "system":
        return  # in `instructions`
    if message.role == "tool":
        yield _result(message, request)
        return
    if message.text or message.parts or not message.tool_calls:
        content: Json = message.text
        if message.parts:
            content = [_part(part) for part in message.parts]
        yield {"type": "message", "role": message.role, "content": content}
    for call in message.tool_calls:
        yield {
            "type": "function_call",
            "call_id": call.call_id,
            "name": call.name,
            "arguments": arguments_to_send(call.arguments),
        }


def _part(part: str | Image) -> Json:
    if isinstance(part, str):
        return {"type": "input_text", "text": part}
    detail: dict[str, Json] = {"detail": part.detail} if part.detail else {}
    return {"type": "input_image", "image_url": part.url, **detail}


def _result(message: Message, request: Request) -> Json:
    """A tool's result, with the name of its function, which some upstreams require."""
    out: dict[str, Json] = {
        "type": "function_call_output",
        "call_id": message.tool_call_id,
        "output": message.text,
    }
    calls = (call for m in request.messages for call in m.tool_calls)
    name = next((c.name for c in calls if c.call_id == message.tool_call_id), None)
    return {**out, "name": name} if name else out


def _tool(tool: ToolSpec) -> Json:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }


def _choice(choice: str) -> Json:
    return choice if choice in _CHOICES else {"type": "function", "name": choice}
