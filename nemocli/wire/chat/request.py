"""The chat-completions dialect: how to ask. How to read is in `chat_reply`.

OpenAI's shape as the gateways and engines document it (NVIDIA build and NIM, OpenRouter, the
Hugging Face router, vLLM, SGLang, llama.cpp; November 2026).
"""

from __future__ import annotations

from nemocli.core.events import Event
from nemocli.core.plan import Target
from nemocli.core.ports import Call
from nemocli.core.provider import ReasoningReturn
from nemocli.core.request import Image, Message, Request, ToolCall, ToolSpec
from nemocli.core.values import Json, JsonObject
from nemocli.wire.chat.fast import CACHED, plain_events
from nemocli.wire.chat.reply import ChatReader
from nemocli.wire.dialect import (
    Decoder,
    arguments_to_send,
    call_for,
    instruction,
    response_format,
    streams,
)
from nemocli.wire.meter import UsageMeter
from nemocli.wire.reply import ReplyDecoder

_CHOICES = ("auto", "none", "required")


def encode(target: Target, request: Request, base_url: str) -> Call:
    """POST /chat/completions, without its key. Raises NemoError (usage) for an unknown effort."""
    own: dict[str, Json] = {
        "model": target.model,
        "messages": _messages(target, request),
        "stream": streams(target, request),
    }
    if own["stream"]:
        own["stream_options"] = {"include_usage": True}
    if request.tools:
        own["tools"] = [_tool(tool) for tool in request.tools]
    if request.tool_choice is not None:
        own["tool_choice"] = _choice(request.tool_choice)
    own |= response_format(target, request)
    return call_for(target, request, base_url, own, path="chat", limit="max_tokens")


def decoder(target: Target, request: Request) -> Decoder:
    """A decoder for one reply, streamed or whole."""
    off, answers = request.reasoning == "off", request.answers
    reader = ChatReader(target.provider, target.model, off=off, answers=answers)
    return ReplyDecoder(reader, target.provider, target.model)


def usual(target: Target, payload: JsonObject) -> list[Event] | None:
    """The events of a completion of the usual kind, read at once; else None."""
    provider = target.provider
    return plain_events(payload, provider, UsageMeter(provider.usage, CACHED))


def _messages(target: Target, request: Request) -> list[Json]:
    returns = target.provider.reasoning.returns
    messages = list(request.messages)
    words = instruction(target, request)
    if words is not None:
        messages = _instructed(messages, words)
    return [_message(message, returns) for message in messages]


def _instructed(messages: list[Message], words: str) -> list[Message]:
    """With the words in the first system message: many templates take only one, at the start."""
    if messages and messages[0].role == "system":
        return [Message("system", f"{messages[0].text}\n\n{words}"), *messages[1:]]
    return [Message("system", words), *messages]


def _message(message: Message, returns: ReasoningReturn) -> Json:
    content: Json = message.text
    if message.parts:
        content = [_part(part) for part in message.parts]
    out: dict[str, Json] = {"role": message.role, "content": content}
    if message.role == "tool":
        out["tool_call_id"] = message.tool_call_id
    if message.role == "assistant":
        out |= _reasoning(message, returns)
        if message.tool_calls:
            out["content"] = message.text or None
            out["tool_calls"] = [_call(call) for call in message.tool_calls]
    return out


def _part(part: str | Image) -> Json:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    detail: dict[str, Json] = {"detail": part.detail} if part.detail else {}
    return {"type": "image_url", "image_url": {"url": part.url, **detail}}


def _reasoning(message: Message, returns: ReasoningReturn) -> dict[str, Json]:
    """Earlier reasoning in the field where this provider wants it back.

    `reasoning_details` go back whole, unmodified and in order; a model that sent only text gets the
    text (OpenRouter, reasoning-tokens, 2026-08-22).
    """
    if returns == "reasoning_details" and message.reasoning_details:
        return {"reasoning_details": list(message.reasoning_details)}
    if returns == "none" or not message.reasoning:
        return {}
    name = "reasoning_content" if returns == "reasoning_content" else "reasoning"
    return {name: message.reasoning}


def _call(call: ToolCall) -> Json:
    function: Json = {"name": call.name, "arguments": arguments_to_send(call.arguments)}
    return {"id": call.call_id, "type": "function", "function": function}


def _tool(tool: ToolSpec) -> Json:
    function: Json = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }
    return {"type": "function", "function": function}


def _choice(choice: str) -> Json:
    if choice in _CHOICES:
        return choice
    return {"type": "function", "function": {"name": choice}}
