"""Replies of other APIs, known by their fields, and what to set so that the right one answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from nemocli.core.values import JsonObject

_BASE = "set `base_url` of {0} to the OpenAI-compatible address, "


class OtherApi(NamedTuple):
    """What answered, in words, and the way out, with `{0}` for the provider's name."""

    what: str
    hint: str


def _has(*names: str) -> Callable[[JsonObject], bool]:
    return lambda payload: all(name in payload for name in names)


def _ollama(payload: JsonObject) -> bool:
    return "done" in payload and any(n in payload for n in ("message", "response", "model"))


def _anthropic(payload: JsonObject) -> bool:
    kind = payload.get("type")
    return (kind == "message" and "content" in payload) or kind == "message_start"


_KNOWN: tuple[tuple[Callable[[JsonObject], bool], OtherApi], ...] = (
    (
        _ollama,
        OtherApi(
            "a reply of Ollama's own API, not of its OpenAI-compatible one",
            _BASE + "which ends in /v1 (http://localhost:11434/v1)",
        ),
    ),
    (
        _anthropic,
        OtherApi(
            "a reply of the Anthropic Messages API, which is another dialect",
            _BASE + "usually one that ends in /v1 and has /chat/completions",
        ),
    ),
    (
        _has("candidates", "usageMetadata"),
        OtherApi(
            "a reply of the Gemini API, which is another dialect", _BASE + "which ends in /openai"
        ),
    ),
    (
        _has("generated_text"),
        OtherApi(
            "a reply of a text-generation endpoint, not of its OpenAI-compatible one",
            _BASE + "which ends in /v1",
        ),
    ),
    (
        lambda payload: _has("event_id", "data")(payload) or _has("is_generating")(payload),
        OtherApi(
            "a reply of a Gradio app, which is no model API",
            _BASE + "or ask the app's owner for one",
        ),
    ),
)


def other_api(payload: JsonObject) -> OtherApi | None:
    """The API that such a payload is of; None for a stranger."""
    return next((api for known, api in _KNOWN if known(payload)), None)
