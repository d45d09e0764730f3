"""Generated conversations through the dialects and back: what a client says in one is what a model
is told in another."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nemocli.core.plan import Target
from nemocli.core.provider import Provider
from nemocli.core.request import Image, Message, Request, ToolCall, ToolSpec, with_parts
from nemocli.serve.incoming import incoming
from nemocli.serve.messages import messages_incoming
from nemocli.serve.responses import responses_incoming
from nemocli.wire.dialect import dialect_named
from tests.wire.speaking import AGENT, HOSTED, ID

TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)
IMAGE = st.builds(Image, st.sampled_from(["https://x.example/a.png", "data:image/png;base64,AA=="]))
ARGUMENTS = st.dictionaries(st.sampled_from("abc"), st.integers() | TEXT, max_size=2).map(
    lambda value: json.dumps(value, ensure_ascii=False)
)
TOOLS = (ToolSpec("look", "Look.", {"type": "object", "properties": {}}),)


@st.composite
def conversations(draw: Any) -> tuple[Message, ...]:
    """A system turn perhaps, then turns of user and model, with calls and their results."""
    turns = [Message("system", draw(TEXT))] if draw(st.booleans()) else []
    number = 0
    for _ in range(draw(st.integers(1, 4))):
        parts = draw(st.lists(TEXT | IMAGE, min_size=1, max_size=3))
        turns.append(_joined(parts))
        count = draw(st.integers(0, 2))
        calls = tuple(ToolCall(f"call_{number + n}", "look", draw(ARGUMENTS)) for n in range(count))
        number += count
        if calls:
            turns.append(Message("assistant", draw(st.just("") | TEXT), tool_calls=calls))
            turns += [Message("tool", draw(TEXT), tool_call_id=c.call_id) for c in calls]
        turns.append(Message("assistant", draw(TEXT)))
    return (*turns, _joined([draw(TEXT)]))


def _joined(parts: list[str | Image]) -> Message:
    """Texts beside one another are one text, where there is no picture between them."""
    return with_parts("user", parts)


def spoken(messages: tuple[Message, ...]) -> list[tuple[Any, ...]]:
    """What a model is told, however it is cut into parts."""
    return [
        (m.role, m.text, [p for p in m.parts if isinstance(p, Image)], m.tool_calls, m.tool_call_id)
        for m in messages
    ]


def sent(provider: Provider, request: Request) -> bytes:
    """The body that a path of this kind is asked with."""
    target = Target(provider, ID)
    return dialect_named(provider.dialect).encode(target, request, provider.base_url).body


def wish(messages: tuple[Message, ...]) -> Request:
    return Request("m", messages, tools=TOOLS)


@given(conversations())
@settings(max_examples=200, deadline=None)
def test_chat_and_responses_say_the_same(messages: tuple[Message, ...]) -> None:
    as_chat = incoming(sent(HOSTED, wish(messages)))
    assert as_chat.other is not None
    assert spoken(as_chat.other.messages) == spoken(messages)
    as_responses = responses_incoming(sent(AGENT, as_chat.other))
    assert as_responses.other is not None
    assert spoken(as_responses.other.messages) == spoken(messages)
    again = incoming(sent(HOSTED, as_responses.other))
    assert again.other is not None
    assert spoken(again.other.messages) == spoken(messages)


@given(conversations())
@settings(max_examples=200, deadline=None)
def test_messages_says_the_same_as_chat(messages: tuple[Message, ...]) -> None:
    read = messages_incoming(json.dumps(_as_messages(messages)).encode())
    assert read.other is not None
    assert spoken(read.other.messages) == spoken(messages)
    as_chat = incoming(sent(HOSTED, read.other))
    assert as_chat.other is not None
    assert spoken(as_chat.other.messages) == spoken(messages)


def _as_messages(messages: tuple[Message, ...]) -> dict[str, Any]:
    """The body a client of the Messages dialect sends."""
    body: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": []}
    turns = body["messages"]
    for message in messages:
        if message.role == "system":
            body["system"] = message.text
            continue
        parts = message.parts or ((message.text,) if message.text else ())
        blocks: list[dict[str, Any]] = [_block(part) for part in parts]
        blocks += [
            {"type": "tool_use", "id": c.call_id, "name": c.name, "input": json.loads(c.arguments)}
            for c in message.tool_calls
        ]
        if message.role == "tool":
            blocks = [
                {"type": "tool_result", "tool_use_id": message.tool_call_id, "content": blocks}
            ]
        role = "assistant" if message.role == "assistant" else "user"
        turns.append({"role": role, "content": blocks})
    return body


def _block(part: str | Image) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if part.url.startswith("data:"):
        data = part.url.partition("base64,")[2]
        return {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": data},
        }
    return {"type": "image", "source": {"type": "url", "url": part.url}}
