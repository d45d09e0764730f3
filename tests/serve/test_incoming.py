"""A client's body: carried as it is, translated, or refused by name."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.faults import NemoError
from nemocli.core.request import Image, ToolCall
from nemocli.serve.incoming import Incoming, incoming

HI = [{"role": "user", "content": "hi"}]


def read(**fields: Any) -> Incoming:
    return incoming(json.dumps({"messages": HI, **fields}).encode())


def refused(body: bytes) -> int | None:
    """The status of a refusal, None where there was none."""
    try:
        incoming(body)
    except NemoError as error:
        return error.fault.status
    return None


def test_unknown_fields_go_on_as_they_are() -> None:
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]
    wish = read(model="m", messages=image, stream=True, new_field={"a": [1]}, temperature=0.5)
    assert wish.same.options == {"messages": image, "new_field": {"a": [1]}, "temperature": 0.5}
    assert (wish.model, wish.stream, wish.include_usage) == ("m", True, False)
    assert wish.other is None
    assert wish.refused is not None
    assert "new_field" in wish.refused


def test_a_wish_knows_whether_pictures_are_in_it() -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}
    text = {"type": "text", "text": "a"}
    for content, there in (
        ("a", False), (None, False), (text, False), ([text, text], False),
        (picture, True), ([picture], True), ([text, picture], True),
    ):  # fmt: skip
        wish = read(messages=[{"role": "user", "content": content}])
        assert wish.pictures is there
        assert wish.other is not None
        assert any(turn.images for turn in wish.other.messages) is there


def test_pictures_are_translated() -> None:
    part = {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "high"}}
    wish = read(messages=[{"role": "user", "content": [{"type": "text", "text": "a"}, part]}])
    assert wish.other is not None
    [turn] = wish.other.messages
    assert turn.parts == ("a", Image("https://x.example/a.png", "high"))
    for role, url in (("assistant", "https://x.example/a.png"), ("user", "file-1")):
        odd = {"type": "image_url", "image_url": {"url": url}}
        assert read(messages=[{"role": role, "content": [odd]}]).other is None


def test_a_conversation_with_tools_is_translated() -> None:
    turns = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
    ]
    tools = [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {}}}]
    wish = read(messages=turns, tools=tools, tool_choice={"function": {"name": "f"}}, max_tokens=9)
    assert wish.other is not None
    system, user, assistant, tool = wish.other.messages
    assert (system.role, system.text, user.text) == ("system", "Be brief.", "ab")
    assert assistant.tool_calls == (ToolCall("c1", "f", "{}"),)
    assert (tool.tool_call_id, tool.text) == ("c1", "42")
    assert (wish.other.tool_choice, wish.other.max_tokens) == ("f", 9)
    assert wish.other.tools[0].name == "f"


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"messages": []}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"content": "hi"}]}, "messages[0]"),
        ({"stream": "yes"}, "stream"),
        ({"model": 3}, "model"),
    ],
)
def test_what_cannot_be_carried_is_refused_by_its_name(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(NemoError, match=re.escape(f"`{name}`")) as caught:
        read(**fields)
    assert caught.value.fault.status == 400


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 2),
        ("logprobs", True),
        ("modalities", ["text", "audio"]),
        ("functions", [{}]),
        ("audio", {"voice": "a"}),
    ],
)
def test_what_only_the_same_dialect_can_give_back_is_carried_there(name: str, value: Any) -> None:
    wish = read(**{name: value})
    assert wish.same is not None
    assert wish.same.options[name] == value
    assert wish.other is None
    assert f"`{name}`" in str(wish.refused)


@pytest.mark.parametrize("fields", [{"n": 1}, {"logprobs": False}, {"modalities": ["text"]}])
def test_what_asks_for_nothing_is_no_reason_to_refuse(fields: dict[str, Any]) -> None:
    assert read(**fields).other is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.binary(max_size=60) | JSON.map(lambda v: json.dumps(v).encode()))
def test_any_bytes_are_a_wish_or_a_refusal(body: bytes) -> None:
    assert refused(body) in (None, 400)


@given(st.lists(st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "tool"])},
                optional={"content": JSON, "tool_calls": JSON, "tool_call_id": JSON}), min_size=1),
       JSON, JSON)  # fmt: skip
def test_odd_turns_never_break_it(turns: list[dict[str, Any]], tools: Any, choice: Any) -> None:
    wish = {"messages": turns, "tools": tools, "tool_choice": choice}
    assert refused(json.dumps(wish).encode()) in (None, 400)
