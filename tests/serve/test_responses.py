"""The Responses dialect: items in, events out that add up, nothing lost without a word."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.events import (
    Citation,
    Event,
    Finished,
    Fold,
    Metered,
    Reasoning,
    Text,
    ToolCallPart,
)
from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.plan import Target
from nemocli.core.provider import Provider
from nemocli.core.request import Image, Message, ToolCall
from nemocli.core.usage import Usage
from nemocli.serve.incoming import Incoming, ToolName
from nemocli.serve.responses import MOST_SEALED, responses_incoming, seal, unseal
from nemocli.serve.responses_reply import ResponsesReply, usage_of
from nemocli.wire.responses.request import decoder
from tests.serve.test_incoming import JSON
from tests.serve.test_messages import events_of
from tests.serve.test_outgoing import EVENTS, WORDS

HI = [{"role": "user", "content": "hi"}]
TOOLS = [
    {"type": "function", "name": "look", "description": "d", "parameters": {"type": "object"}},
    {
        "type": "namespace",
        "name": "agents",
        "tools": [{"type": "function", "name": "close", "parameters": {"type": "object"}}],
    },
    {"type": "custom", "name": "patch", "format": {"type": "grammar", "definition": "start: x"}},
    {"type": "web_search", "external_web_access": False},
]


def read(**fields: Any) -> Incoming:
    return responses_incoming(json.dumps({"model": "m", "input": HI, **fields}).encode())


def said(item: str, text: str, role: str = "user") -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": item, "text": text}]}


def test_a_conversation_of_an_agent_is_translated() -> None:
    items = [
        said("input_text", "You are an agent.", "developer"),
        said("input_text", "do it"),
        {"type": "reasoning", "summary": [], "encrypted_content": seal("hm", [{"a": 1}])},
        said("output_text", "I look.", "assistant"),
        {"type": "function_call", "name": "look", "arguments": "{}", "call_id": "c1"},
        {"type": "function_call", "name": "close", "namespace": "agents", "arguments": "{}",
         "call_id": "c2"},
        {"type": "function_call_output", "call_id": "c1", "output": "42"},
        {"type": "function_call_output", "call_id": "c2",
         "output": [{"type": "input_text", "text": "shut"}]},
        {"type": "custom_tool_call", "name": "patch", "input": "x", "call_id": "c3"},
        {"type": "custom_tool_call_output", "call_id": "c3", "output": "done"},
        said("input_text", "Mind the tests.", "developer"),
        {"type": "web_search_call", "status": "completed"},
    ]  # fmt: skip
    wish = read(
        input=items, instructions="Be brief.", tools=TOOLS, max_output_tokens=9, store=False,
        include=["reasoning.encrypted_content"], reasoning={"effort": "high", "summary": "auto"},
        prompt_cache_key="k", client_metadata={"a": "b"}, parallel_tool_calls=False, top_p=0.5,
        tool_choice={"type": "function", "namespace": "agents", "name": "close"}, user=None,
        text={"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}},
    )  # fmt: skip
    asked = wish.other
    assert asked is not None
    assert asked.messages == (
        Message("system", "Be brief.\n\nYou are an agent."),
        Message("user", "do it"),
        Message("assistant", "I look.", "hm", ({"a": 1},),
                (ToolCall("c1", "look", "{}"), ToolCall("c2", "agents__close", "{}"))),
        Message("tool", "42", tool_call_id="c1"),
        Message("tool", "shut", tool_call_id="c2"),
        Message("assistant", "", tool_calls=(ToolCall("c3", "patch", '{"input": "x"}'),)),
        Message("tool", "done", tool_call_id="c3"),
        Message("user", "Mind the tests."),
    )  # fmt: skip
    assert [t.name for t in asked.tools] == ["look", "agents__close", "patch"]
    assert "start: x" in asked.tools[2].description
    assert (asked.reasoning, asked.max_tokens, asked.tool_choice) == ("high", 9, "agents__close")
    assert asked.options == {"top_p": 0.5, "parallel_tool_calls": False}
    assert asked.schema == {"type": "object"}
    assert wish.dropped == (
        "client_metadata", "prompt_cache_key", "tools.web_search", "web_search_call",
    )  # fmt: skip
    assert wish.same is None


def test_a_path_of_the_dialect_gets_the_clients_own_fields() -> None:
    tools = [{"type": "web_search"}, TOOLS[0]]
    wish = read(tools=tools, preset="pro", store=False, metadata={"a": 1}, max_output_tokens=5)
    assert wish.same is not None
    assert wish.same.options == {"input": HI, "tools": tools, "preset": "pro"}
    assert wish.same.max_tokens == 5
    assert wish.same_dropped == ("metadata",)
    assert wish.dropped == ("metadata", "preset", "tools.web_search")


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"input": []}, "input"),
        ({"input": [1]}, "input[0]"),
        ({"input": [said("input_image", "")]}, "input[0]"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0]"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"background": True}, "background"),
        ({"tools": [TOOLS[0], TOOLS[0]]}, "tools[1]"),
        ({"tools": [TOOLS[0]], "tool_choice": {"type": "function", "name": "x"}}, "tool_choice"),
        ({"text": {"format": {"type": "xml"}}}, "text.format"),
        ({"stream": 1}, "stream"),
        ({"instructions": 1}, "instructions"),
    ],
)
def test_what_cannot_be_carried_is_refused_by_its_name(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(NemoError, match=re.escape(f"`{name}`")):
        read(**fields)


@given(WORDS, st.lists(st.dictionaries(WORDS, WORDS, max_size=2), max_size=2))
def test_reasoning_comes_back_as_it_was(text: str, details: list[dict[str, str]]) -> None:
    assert unseal(seal(text, details)) == (text, tuple(details))


@pytest.mark.parametrize("given", ["gAAAA", "nemocli.1:", "nemocli.1:!!", "nemocli.1:AAAA"])
def test_what_was_not_sealed_here_is_dropped_and_named(given: str) -> None:
    wish = read(input=[*HI, {"type": "reasoning", "summary": [], "encrypted_content": given}])
    assert wish.dropped == ("reasoning.encrypted_content",)
    assert len(wish.other.messages) == 1


def test_a_bomb_in_a_seal_stays_small() -> None:
    assert unseal(seal("x" * (MOST_SEALED + 1), [])) is None


ITEM = st.dictionaries(
    st.sampled_from(
        ["type", "role", "content", "name", "arguments", "call_id", "output", "summary", "id",
         "encrypted_content", "namespace", "input"]
    ),
    st.sampled_from(
        ["message", "function_call", "function_call_output", "reasoning", "user", "assistant",
         "developer", "custom_tool_call", "custom_tool_call_output", "nemocli.1:AA"]
    ) | JSON,
)  # fmt: skip


@given(st.lists(ITEM | JSON, max_size=4) | JSON, JSON | st.lists(ITEM, max_size=2), JSON, JSON)
def test_odd_items_are_a_wish_or_a_refusal(items: Any, tools: Any, words: Any, text: Any) -> None:
    status = None
    try:
        wish = read(input=items, tools=tools, instructions=words, text=text, reasoning=words)
    except NemoError as error:
        status = error.fault.status
    else:
        assert wish.other is not None
    assert status in (None, 400)


def replied(events: list[Event], **tools: ToolName) -> tuple[list[dict[str, Any]], Fold]:
    fold, reply = Fold(), ResponsesReply("id", "m", 1, tools)
    data = b""
    for event in events:
        fold.add(event)
        data += reply.chunk(event)
    return events_of(data + reply.end(fold)), fold


@given(EVENTS)
def test_events_add_up_and_items_are_opened_and_closed_in_order(events: list[Event]) -> None:
    found, fold = replied([*events, Metered(Usage(10, 4, None, 3, 1)), Finished("stop")])
    assert [e["sequence_number"] for e in found] == list(range(len(found)))
    assert [e["type"] for e in found[:2]] == ["response.created", "response.in_progress"]
    assert found[-1]["type"] == "response.completed"
    open_: list[int] = []
    done = []
    for event in found:
        if event["type"] == "response.output_item.added":
            assert not open_
            open_.append(event["output_index"])
        elif event["type"] == "response.output_item.done":
            assert [event["output_index"]] == open_
            open_.clear()
            done.append(event["item"])
        elif "output_index" in event:
            assert [event["output_index"]] == open_
    assert not open_
    response = found[-1]["response"]
    assert response["output"] == done
    texts = [c["text"] for i in done if i["type"] == "message" for c in i["content"]]
    thoughts = [c["text"] for i in done if i["type"] == "reasoning" for c in i["content"]]
    deltas = [e["delta"] for e in found if e["type"] == "response.output_text.delta"]
    assert "".join(texts) == "".join(deltas) == fold.text
    assert "".join(thoughts) == fold.reasoning
    calls = [i["arguments"] for i in done if i["type"] == "function_call"]
    assert calls == [c.arguments or "{}" for c in fold.tool_calls]
    assert response["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 13,
    }


@given(EVENTS)
def test_what_is_written_is_read_as_it_was_said(events: list[Event]) -> None:
    """Through our own reader of the dialect: text, reasoning and calls are the same again."""
    fold, reply = Fold(), ResponsesReply("id", "m", 1, {})
    data = b""
    named = [
        replace(e, call_id=f"c{e.index}") if isinstance(e, ToolCallPart) else e for e in events
    ]
    for event in [*named, Finished("stop")]:
        fold.add(event)
        data += reply.chunk(event)
    data += reply.end(fold)
    provider = Provider("p", "p", "responses", "https://p.test/v1")
    again = Fold()
    reader = decoder(Target(provider, "m", None, None), read().other)
    for event in (*reader.feed(data), *reader.close()):
        again.add(event)
    assert again.text == fold.text
    assert again.reasoning == fold.reasoning
    assert [(c.name, c.arguments) for c in again.tool_calls] == [
        (c.name, c.arguments or "{}") for c in fold.tool_calls
    ]
    assert isinstance(again.end, Finished)


def test_tools_are_called_by_the_names_the_client_knows() -> None:
    parts = [
        ToolCallPart(0, "c1", "agents__close", '{"a": 1}'),
        ToolCallPart(1, "c2", "patch", '{"input": "+x"}'),
        ToolCallPart(2, "c3", "patch", "not an object"),
    ]
    found, _ = replied(
        [*parts, Finished("tool_calls")],
        agents__close=ToolName("close", "agents"),
        patch=ToolName("patch", custom=True),
    )
    close, patch, odd = found[-1]["response"]["output"]
    assert (close["name"], close["namespace"], close["arguments"]) == (
        "close",
        "agents",
        '{"a": 1}',
    )
    assert (patch["type"], patch["input"]) == ("custom_tool_call", "+x")
    assert odd["input"] == "not an object"


def test_a_reply_that_breaks_off_closes_nothing_that_was_open() -> None:
    reply = ResponsesReply("id", "m", 1, {})
    data = reply.chunk(Reasoning("hm")) + reply.chunk(Text("half"))
    data += reply.fail(Fault(FaultKind.CUT, "the connection broke", None, "p"))
    found = events_of(data)
    done = [e["item"]["type"] for e in found if e["type"] == "response.output_item.done"]
    assert done == ["reasoning"]
    assert found[-1]["type"] == "response.failed"
    assert found[-1]["response"]["error"]["code"] == "server_error"
    assert found[-1]["response"]["usage"] is None
    assert reply.chunk(ToolCallPart(0, "c", "f", '{"a')) == b""


def test_an_answer_at_its_limit_is_incomplete() -> None:
    found, fold = replied([Text("half"), Citation("https://x.test", "X"), Finished("length")])
    assert found[-1]["type"] == "response.incomplete"
    response = found[-1]["response"]
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["output"][0]["content"][0]["annotations"][0]["url"] == "https://x.test"
    whole = json.loads(ResponsesReply("id", "m", 1, {}).whole(fold))
    assert (whole["status"], whole["output"]) == ("incomplete", response["output"])
    assert usage_of(None) is None


def test_pictures_are_carried_and_those_of_tools_follow_their_results() -> None:
    seen = {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"}
    items = [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}, seen]},
        {"type": "function_call", "name": "look", "arguments": "{}", "call_id": "c1"},
        {"type": "function_call", "name": "look", "arguments": "{}", "call_id": "c2"},
        {"type": "function_call_output", "call_id": "c1", "output": [seen]},
        {"type": "function_call_output", "call_id": "c2", "output": "two"},
        said("input_text", "go on"),
    ]
    asked = read(input=items).other
    assert asked is not None
    image = Image("data:image/png;base64,AA", "low")
    shown = [(turn.role, turn.text, turn.parts) for turn in asked.messages]
    assert shown == [
        ("user", "a", ("a", image)),
        ("assistant", "", ()),
        ("tool", "(a picture follows)", ()),
        ("tool", "two", ()),
        ("user", "", (image,)),
        ("user", "go on", ()),
    ]
