"""What is of the usual kind, read at once: a whole chat completion, and a piece of a stream.

Nine replies in ten hold one message of text, a finish reason and counts, and nearly every piece of
a stream a few letters. What they mean is what `chat.reply` says they mean; whatever is not quite so
is left to it.
"""

from __future__ import annotations

from nemocli.core.events import Event, Finished, Metered, Started, Text
from nemocli.core.provider import Provider
from nemocli.core.values import JsonObject, dig
from nemocli.wire.jsontext import string
from nemocli.wire.meter import UsageMeter

CACHED = ("usage.cached_tokens", "usage.prompt_cache_hit_tokens")
"""Where servers of this dialect say the cached input, beside the documented place."""

_TOP = frozenset(
    {
        "id",
        "object",
        "created",
        "model",
        "provider",
        "choices",
        "usage",
        "system_fingerprint",
        "service_tier",
    }
)
_CHOICE = frozenset({"index", "finish_reason", "native_finish_reason", "logprobs", "message"})
_PIECE = frozenset({"index", "finish_reason", "native_finish_reason", "logprobs", "delta"})
_TEXTS = frozenset({"content", "reasoning", "reasoning_content"})
_MESSAGE = frozenset({"role", "content", "refusal", "reasoning", "reasoning_content", "tool_calls"})
_BESIDE = ("refusal", "reasoning", "reasoning_content", "tool_calls")
_EMPTY: tuple[object, ...] = (None, "", [])


def plain_piece(payload: JsonObject) -> tuple[str, str] | None:
    """The field of the delta and its text, where a piece of a stream holds one text and nothing
    beside it but names and nulls; else None."""
    if not payload.keys() <= _TOP or payload.get("usage"):
        return None
    choices = payload.get("choices")
    if type(choices) is not list or len(choices) != 1:
        return None
    choice = choices[0]
    if type(choice) is not dict or not choice.keys() <= _PIECE or choice.get("index"):
        return None
    delta = choice.get("delta")
    if type(delta) is not dict or choice.get("finish_reason") is not None:
        return None
    found = None
    for name, value in delta.items():
        if value is None or value == "" or name == "role":
            continue
        if found is not None or type(value) is not str or name not in _TEXTS:
            return None
        found = name, value
    return found


def plain_events(payload: JsonObject, provider: Provider, meter: UsageMeter) -> list[Event] | None:
    """All its events, or None where it is not of the usual kind."""
    content = _content(payload)
    if not content or "<" in content or "[TOOL_CALLS]" in content:
        return None
    upstream = string(dig(payload, provider.upstream)) if provider.upstream else None
    reply_id, model = string(payload.get("id")), string(payload.get("model"))
    events: list[Event] = [Text(content)]
    if not (reply_id is None is model is upstream):
        events.insert(0, Started(reply_id, model, upstream))
    metered: Metered | None = meter.read(payload)
    if metered is not None:
        events.append(metered)
    events.append(Finished("stop"))
    return events


def _content(payload: JsonObject) -> str | None:
    """The text of the only message, where there is nothing beside it."""
    choices = payload.get("choices")
    if not payload.keys() <= _TOP or type(choices) is not list or len(choices) != 1:
        return None
    choice = choices[0]
    if type(choice) is not dict or not choice.keys() <= _CHOICE:
        return None
    message = choice.get("message")
    if choice.get("finish_reason") != "stop" or type(message) is not dict:
        return None
    content = message.get("content")
    if not message.keys() <= _MESSAGE or type(content) is not str:
        return None
    if len(message) == 1 + ("role" in message):
        return content
    beside = any(message.get(name) not in _EMPTY for name in _BESIDE)
    return None if beside else content
