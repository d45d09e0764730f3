"""The Messages dialect: read with care, answered in blocks that add up."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.events import Event, Finished, Fold, Metered, Reasoning, Text, ToolCallPart
from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.request import Image, ToolCall
from nemocli.core.usage import Usage
from nemocli.serve.incoming import Incoming
from nemocli.serve.messages import (
    MessagesReply,
    messages_error,
    messages_incoming,
    usage_of,
)
from tests.serve.test_incoming import JSON
from tests.serve.test_outgoing import EVENTS

HI = [{"role": "user", "content": "hi"}]
TEXT = {"type": "text", "text": "42"}


def read(**fields: Any) -> Incoming:
    return messages_incoming(json.dumps({"messages": HI, "max_tokens": 9, **fields}).encode())


def test_a_conversation_with_tools_is_translated() -> None:
    cached = {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}
    turns = [
        {"role": "user", "content": [{"type": "text", "text": "a"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": ""},
                {"type": "text", "text": "b"},
                {"type": "tool_use", "id": "t1", "name": "look", "input": {"q": "é"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [TEXT]},
                {"type": "tool_result", "tool_use_id": "t2", "content": "no", "is_error": True},
                {"type": "text", "text": "and?"},
            ],
        },
    ]  # fmt: skip
    tools = [
        {"name": "look", "description": "d", "input_schema": {"type": "object"}},
        {"type": "web_search_20260209", "name": "web_search"},
    ]
    wish = read(
        system=[cached], messages=turns, tools=tools, tool_choice={"type": "any"},
        stop_sequences=["x"], metadata={"user_id": "u"}, thinking={"type": "adaptive"},
    )  # fmt: skip
    assert wish.other is not None
    assert wish.same is None
    said = [(m.role, m.text) for m in wish.other.messages]
    assert said == [
        ("system", "Be brief."),
        ("user", "a"),
        ("assistant", "b"),
        ("tool", "42"),
        ("tool", "error: no"),
        ("user", "and?"),
    ]
    assistant = wish.other.messages[2]
    assert assistant.reasoning == "hm"
    assert assistant.tool_calls == (ToolCall("t1", "look", '{"q": "é"}'),)
    assert [t.name for t in wish.other.tools] == ["look"]
    assert (wish.other.tool_choice, wish.other.max_tokens) == ("required", 9)
    assert wish.other.options == {"stop": ["x"]}
    assert wish.dropped == ("cache_control", "metadata", "tools.web_search")


PICTURE = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/"},
}
PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf"}}
NOTE = {
    "type": "document",
    "source": {"type": "text", "media_type": "text/plain", "data": "a note"},
}


def test_pictures_and_notes_are_carried_in_their_order() -> None:
    linked = {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}}
    words = [{"type": "text", "text": "before "}, PICTURE, NOTE, linked]
    [turn] = read(messages=[{"role": "user", "content": words}]).other.messages
    assert turn.parts == (
        "before ", Image("data:image/jpeg;base64,/9j/"), "a note", Image("https://x.example/a.png")
    )  # fmt: skip
    assert (turn.text, turn.images) == ("before a note", 2)


def test_a_picture_that_a_tool_gave_back_follows_the_results() -> None:
    results = [
        {"type": "tool_result", "tool_use_id": "a", "content": [PICTURE]},
        {"type": "tool_result", "tool_use_id": "b", "content": "two"},
        {"type": "text", "text": "look"},
    ]
    turns = read(messages=[{"role": "user", "content": results}]).other.messages
    assert [(t.role, t.text) for t in turns] == [
        ("tool", "(a picture follows)"), ("tool", "two"), ("user", "look")
    ]  # fmt: skip
    assert turns[2].parts == (Image("data:image/jpeg;base64,/9j/"), "look")


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [PDF]}]}, "messages[0].content"),
        ({"messages": [{"role": "assistant", "content": [PICTURE]}]}, "messages[0].content"),
        ({"system": [PICTURE]}, "system"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0]"),
        ({"tool_choice": {"type": "tool", "name": "x"}}, "tool_choice"),
        ({"stream": 1}, "stream"),
    ],
)
def test_what_cannot_be_carried_is_refused_by_its_name(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(NemoError, match=re.escape(f"`{name}`")):
        read(**fields)


BLOCK = st.dictionaries(
    st.sampled_from(["type", "text", "content", "id", "name", "input", "tool_use_id", "thinking"]),
    st.sampled_from(["text", "tool_use", "tool_result", "thinking", "image"]) | JSON,
)


TURN = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "assistant"]),
        "content": st.lists(BLOCK, max_size=3) | JSON,
    }
)


@given(st.lists(TURN, min_size=1, max_size=3), JSON, JSON)
def test_odd_turns_are_a_wish_or_a_refusal(turns: list[Any], tools: Any, system: Any) -> None:
    try:
        wish = read(messages=turns, tools=tools, system=system)
    except NemoError as error:
        status = error.fault.status
    else:
        status = None if wish.other is not None else 0
    assert status in (None, 400)


def events_of(data: bytes) -> list[dict[str, Any]]:
    found = []
    for part in data.decode().split("\n\n"):
        if part:
            kind, value = part.split("\n")
            found.append(json.loads(value.removeprefix("data: ")))
            assert kind == f"event: {found[-1]['type']}"
    return found


@given(EVENTS)
def test_blocks_add_up_and_are_opened_and_closed_in_order(events: list[Event]) -> None:
    fold, reply = Fold(), MessagesReply("id", "m")
    data = b""
    for event in [*events, Metered(Usage(10, 4, None, 3, 1)), Finished("stop")]:
        fold.add(event)
        data += reply.chunk(event)
    found = events_of(data + reply.end(fold))
    assert found[0]["type"] == "message_start"
    assert [e["type"] for e in found[-2:]] == ["message_delta", "message_stop"]
    open_, texts = None, {"text": "", "thinking": ""}
    calls: list[str] = []
    for event in found[1:-2]:
        match event["type"]:
            case "content_block_start":
                assert open_ is None
                open_ = event["index"]
                if event["content_block"]["type"] == "tool_use":
                    calls.append("")
            case "content_block_delta":
                assert event["index"] == open_
                delta = event["delta"]
                if delta["type"] == "input_json_delta":
                    calls[-1] += delta["partial_json"]
                else:
                    kind = delta["type"].removesuffix("_delta")
                    texts[kind] += delta[kind]
            case "content_block_stop":
                assert event["index"] == open_
                open_ = None
    assert open_ is None
    assert texts == {"text": fold.text, "thinking": fold.reasoning}
    assert calls == [c.arguments or "{}" for c in fold.tool_calls]
    end = found[-2]
    assert end["delta"]["stop_reason"] == ("tool_use" if fold.has_calls else "end_turn")
    assert end["usage"] == {
        "input_tokens": 6,
        "cache_read_input_tokens": 4,
        "cache_creation_input_tokens": 0,
        "output_tokens": 3,
    }


def test_a_reminder_in_mid_conversation_is_the_users() -> None:
    wish = read(system="Be brief.", messages=[*HI, {"role": "system", "content": "Remember."}])
    assert wish.other is not None
    roles = [m.role for m in wish.other.messages]
    assert roles == ["system", "user", "user"]


def test_a_tool_call_that_is_not_finished_is_never_shown() -> None:
    reply = MessagesReply("id", "m")
    assert reply.chunk(ToolCallPart(0, "c", "f", '{"a')) == b""


def test_a_whole_reply_has_the_same_blocks() -> None:
    fold = Fold()
    call = ToolCallPart(0, "c", "f", '{"a": 1}')
    for event in (Reasoning("hm"), Text("a"), call, Finished("tool_calls")):
        fold.add(event)
    body = json.loads(MessagesReply("id", "m").whole(fold))
    assert [block["type"] for block in body["content"]] == ["thinking", "text", "tool_use"]
    assert body["content"][2] == {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}}
    assert body["stop_reason"] == "tool_use"
    assert usage_of(None) == {"input_tokens": 0, "output_tokens": 0}


def test_an_error_is_of_the_clients_kind() -> None:
    error = json.loads(messages_error(Fault(FaultKind.BUDGET, "spent")))
    assert error["type"] == "error"
    assert error["error"]["type"] == "invalid_request_error"
    assert error["error"]["message"].startswith("budget_exceeded: ")
    slow = json.loads(messages_error(Fault(FaultKind.RATE, "slow", status=429)))
    assert slow["error"]["type"] == "rate_limit_error"
