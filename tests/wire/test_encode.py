"""What is asked, and who has a say in it."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemocli.core.card import ModelCard, Offer
from nemocli.core.faults import FaultKind, NemoError
from nemocli.core.plan import Target
from nemocli.core.provider import Provider, ReasoningWire
from nemocli.core.request import Message, Request, ToolCall, ToolSpec
from nemocli.core.values import JsonObject
from nemocli.wire.dialect import (
    DIALECTS,
    LARGE,
    dialect_named,
    encode,
    schema_instruction,
    strict_ready,
)
from tests.wire.speaking import AGENT, AGGREGATOR, HOSTED, ID

CARD = ModelCard(
    "ultra",
    efforts=("off", "high"),
    sampling={"temperature": Decimal(1), "top_p": Decimal("0.95")},
    sampling_off={"temperature": Decimal("0.2")},
)
SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL = ToolSpec("weather", "The weather.", {"type": "object", "properties": {}})
USER = Message("user", "hi")


def body(
    provider: Provider, *, card: ModelCard | None = None, offer: Offer | None = None, **wish: Any
) -> dict[str, Any]:
    target = Target(provider, ID, card, offer)
    wish.setdefault("messages", (USER,))
    call = dialect_named(provider.dialect).encode(
        target, Request("ultra", **wish), provider.base_url
    )
    decoded: dict[str, Any] = json.loads(call.body)
    return decoded


# The call


def test_a_chat_call() -> None:
    provider = replace(HOSTED, headers={"X-Title": "t"})
    call = dialect_named("chat").encode(
        Target(provider, ID), Request("ultra", (USER,)), "http://127.0.0.1:9/v1/"
    )
    assert (call.method, call.url) == ("POST", "http://127.0.0.1:9/v1/chat/completions")
    assert call.headers == {
        "content-type": "application/json",
        "accept": "text/event-stream",
        "x-title": "t",
    }
    assert json.loads(call.body) == {
        "model": ID,
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_responses_call_holds_only_documented_fields() -> None:
    messages = (Message("system", "Be brief."), USER)
    asked = body(AGENT, messages=messages, max_tokens=50, tools=(TOOL,), schema=SCHEMA)
    assert asked == {
        "model": ID,
        "input": [{"type": "message", "role": "user", "content": "hi"}],
        "instructions": "Be brief.",
        "stream": True,
        "max_output_tokens": 50,
        "tools": [
            {"type": "function", "name": "weather", "description": "The weather.",
             "parameters": TOOL.parameters}
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA},
        },
    }  # fmt: skip


def test_a_path_of_the_providers_own() -> None:
    provider = replace(HOSTED, paths={"chat": "/openai/chat"})
    call = dialect_named("chat").encode(Target(provider, ID), Request("u", (USER,)), "https://x")
    assert call.url == "https://x/openai/chat"


@pytest.mark.parametrize("provider", [HOSTED, AGENT], ids=["chat", "responses"])
def test_where_nothing_can_be_streamed_nothing_is_asked_to_be(provider: Provider) -> None:
    for asked in (body(replace(provider, streaming=False)), body(provider, stream=False)):
        assert asked["stream"] is False
        assert "stream_options" not in asked


def test_the_same_wish_is_the_same_bytes() -> None:
    wish = Request("u", (USER,), options={"b": 1, "a": 2})
    first, second = (dialect_named("chat").encode(Target(HOSTED, ID), wish, "x") for _ in "ab")
    assert first == second


def test_a_dialect_nobody_speaks() -> None:
    assert set(DIALECTS) == {"chat", "responses"}
    with pytest.raises(NemoError) as caught:
        dialect_named("smoke")
    assert caught.value.fault.kind is FaultKind.CONFIG


# Who has a say


def test_the_cards_sampling_is_sent_as_numbers() -> None:
    assert body(HOSTED, card=CARD)["top_p"] == 0.95
    provider = replace(HOSTED, reasoning=ReasoningWire(request={"off": {"think": False}}))
    asked = body(provider, card=CARD, reasoning="off")
    assert (asked["temperature"], asked["top_p"], asked["think"]) == (0.2, 0.95, False)
    assert "top_p" not in body(replace(HOSTED, sampling_defaults=False), card=CARD)


def test_an_option_beats_the_card_the_dialect_and_the_patches() -> None:
    provider = replace(
        HOSTED,
        body={"temperature": 5, "kwargs": {"a": 1, "b": 1}},
        reasoning=ReasoningWire(request={"high": {"kwargs": {"c": 1, "b": 2}}}),
    )
    options = {"temperature": Decimal("0.5"), "kwargs": {"c": 7}, "stream_options": None}
    asked = body(provider, card=CARD, options=options, reasoning="high")
    assert asked["temperature"] == 0.5
    assert asked["kwargs"] == {"a": 1, "b": 2, "c": 7}
    assert "stream_options" not in asked


def test_a_patch_removes_what_the_dialect_would_send() -> None:
    assert "stream_options" not in body(replace(HOSTED, body={"stream_options": None}))


def test_the_effort_patch_comes_after_the_providers_and_an_offers_beats_its_providers() -> None:
    wire = ReasoningWire(request={"high": {"reasoning": {"effort": "high"}}})
    provider = replace(HOSTED, reasoning=wire, body={"reasoning": {"effort": "x", "keep": 1}})
    assert body(provider, reasoning="high")["reasoning"] == {"effort": "high", "keep": 1}
    offer = Offer("hosted", ID, reasoning={"high": {"reasoning": {"effort": "max"}}})
    assert body(provider, reasoning="high", offer=offer)["reasoning"]["effort"] == "max"


def test_an_effort_the_target_does_not_have_is_a_usage_fault() -> None:
    with pytest.raises(NemoError) as caught:
        body(HOSTED, reasoning="low")
    assert caught.value.fault.kind is FaultKind.USAGE


def test_fields_are_dropped_and_renamed_the_users_too() -> None:
    provider = replace(
        HOSTED, drop=frozenset({"seed", "top_p"}), rename={"max_tokens": "max_completion_tokens"}
    )
    asked = body(provider, card=CARD, max_tokens=9, options={"seed": 1})
    assert asked["max_completion_tokens"] == 9
    assert not {"max_tokens", "seed", "top_p"} & set(asked)
    assert body(provider, options={"max_tokens": 4})["max_completion_tokens"] == 4


@pytest.mark.parametrize(
    ("limit", "options", "sent"),
    [
        (100, {}, 100),
        (None, {"max_tokens": 7}, 7),
        (100, {"max_tokens": 7}, 7),
        (100, {"max_tokens": 900}, 100),
        (100, {"max_completion_tokens": 900}, 100),
    ],
)
def test_no_option_raises_a_limit_that_was_set(
    limit: int | None, options: dict[str, Any], sent: int
) -> None:
    asked = body(HOSTED, max_tokens=limit, options=options)
    assert asked["max_tokens"] == sent
    assert "max_completion_tokens" not in asked


def test_what_json_cannot_say_is_a_usage_fault() -> None:
    with pytest.raises(NemoError) as caught:
        body(HOSTED, options={"temperature": float("nan")})
    assert caught.value.fault.kind is FaultKind.USAGE


def test_text_is_sent_as_it_is_half_characters_included() -> None:
    assert body(HOSTED, messages=(Message("user", "Zürich 🦙 \ud83e"),))["messages"] == [
        {"role": "user", "content": "Zürich 🦙 \ud83e"}
    ]


# Schemas


def schema_body(how: Any, *messages: Message) -> dict[str, Any]:
    offer = Offer("hosted", ID, structured_output=how)
    return body(HOSTED, offer=offer, schema=SCHEMA, messages=messages or (USER,))


def test_a_schema_the_server_enforces() -> None:
    asked = schema_body("json_schema")
    assert asked["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA},
    }
    assert len(asked["messages"]) == 1


def test_a_schema_of_which_the_server_enforces_only_that_it_is_json() -> None:
    asked = schema_body("json_object")
    assert asked["response_format"] == {"type": "json_object"}
    assert asked["messages"][0] == {"role": "system", "content": schema_instruction(SCHEMA)}


def test_a_schema_nobody_enforces_joins_the_one_system_message() -> None:
    asked = schema_body("none", Message("system", "Be brief."), USER)
    assert "response_format" not in asked
    assert [m["role"] for m in asked["messages"]] == ["system", "user"]
    assert asked["messages"][0]["content"] == f"Be brief.\n\n{schema_instruction(SCHEMA)}"
    assert json.dumps(SCHEMA) in schema_instruction(SCHEMA)


def test_a_schema_as_instructions() -> None:
    provider = replace(AGENT, structured_output="none")
    asked = body(provider, schema=SCHEMA, messages=(Message("system", "Be brief."), USER))
    assert asked["instructions"] == f"Be brief.\n\n{schema_instruction(SCHEMA)}"


# History

DETAILS = ({"type": "reasoning.text", "text": "a"}, {"type": "reasoning.encrypted", "data": "b"})
TURNS = (
    USER,
    Message("assistant", "", "why", DETAILS, (ToolCall("c1", "weather", '{"city":"Bern"}'),)),
    Message("tool", "sunny", tool_call_id="c1"),
    Message("assistant", "Sunny."),
)


@pytest.mark.parametrize(
    ("returns", "sent"),
    [
        ("reasoning_content", {"reasoning_content": "why"}),
        ("reasoning", {"reasoning": "why"}),
        ("reasoning_details", {"reasoning_details": list(DETAILS)}),
        ("none", {}),
    ],
)
def test_reasoning_goes_back_as_the_provider_wants_it(returns: Any, sent: dict[str, Any]) -> None:
    provider = replace(HOSTED, reasoning=ReasoningWire(returns=returns))
    _, assistant, tool, last = body(provider, messages=TURNS, tools=(TOOL,))["messages"]
    function = {"name": "weather", "arguments": '{"city":"Bern"}'}
    assert assistant == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        **sent,
    }
    assert tool == {"role": "tool", "content": "sunny", "tool_call_id": "c1"}
    assert last == {"role": "assistant", "content": "Sunny."}


def test_reasoning_without_details_goes_back_as_text() -> None:
    turns = (USER, Message("assistant", "A", "why"), USER)
    assert body(AGGREGATOR, messages=turns)["messages"][1]["reasoning"] == "why"


def test_history_as_input_items() -> None:
    assert body(AGENT, messages=TURNS)["input"][1:] == [
        {"type": "function_call", "call_id": "c1", "name": "weather",
         "arguments": '{"city":"Bern"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "sunny", "name": "weather"},
        {"type": "message", "role": "assistant", "content": "Sunny."},
    ]  # fmt: skip


@pytest.mark.parametrize("broken", ['{"city":', "[1]", "words"])
@pytest.mark.parametrize("provider", [HOSTED, AGENT], ids=["chat", "responses"])
def test_broken_arguments_go_back_inside_an_object(provider: Provider, broken: str) -> None:
    turns = (USER, Message("assistant", "", tool_calls=(ToolCall("c", "f", broken),)))
    asked = body(provider, messages=turns)
    sent = (
        asked["input"][1]["arguments"]
        if provider is AGENT
        else asked["messages"][1]["tool_calls"][0]["function"]["arguments"]
    )
    assert json.loads(sent) == {"malformed_arguments": broken}


def test_no_arguments_are_an_empty_object() -> None:
    turns = (USER, Message("assistant", "", tool_calls=(ToolCall("c", "f", ""),)))
    calls = body(HOSTED, messages=turns)["messages"][1]["tool_calls"]
    assert calls[0]["function"]["arguments"] == "{}"


@pytest.mark.parametrize(
    ("choice", "chat", "responses"),
    [
        ("required", "required", "required"),
        ("weather", {"type": "function", "function": {"name": "weather"}},
         {"type": "function", "name": "weather"}),
    ],
)  # fmt: skip
def test_tool_choices(choice: str, chat: Any, responses: Any) -> None:
    assert body(HOSTED, tools=(TOOL,), tool_choice=choice)["tool_choice"] == chat
    assert body(AGENT, tools=(TOOL,), tool_choice=choice)["tool_choice"] == responses
    assert body(HOSTED, tools=(TOOL,))["tools"][0]["function"]["name"] == "weather"


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (SCHEMA, True),
        ({**SCHEMA, "required": []}, False),
        ({**SCHEMA, "additionalProperties": True}, False),
        ({"type": "array", "items": SCHEMA}, False),
        ({"type": "string"}, False),
    ],
)
def test_strict_is_asked_for_only_where_it_can_be_had(schema: dict, strict: bool) -> None:
    assert strict_ready(schema) is strict


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text() | st.decimals(allow_nan=False, allow_infinity=False, places=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(ANY)
@settings(max_examples=100, deadline=None)
def test_a_long_body_says_what_a_short_one_does(value: Any) -> None:
    long = {"role": "user", "content": "w " * LARGE}
    body = json.loads(encode({"messages": [long], "extra": value}))
    assert body == {"messages": [long], "extra": json.loads(encode({"extra": value}))["extra"]}


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), object()])
@pytest.mark.parametrize("words", ["hi", "w " * LARGE])
def test_what_json_cannot_say_is_refused(odd: Any, words: str) -> None:
    with pytest.raises(NemoError, match="cannot be written as JSON"):
        encode({"messages": [{"role": "user", "content": words}], "odd": [odd]})


def test_half_a_character_arrives_as_it_is() -> None:
    for words in ("\ud800", "\ud800" * LARGE):
        body = json.loads(encode({"messages": [{"role": "user", "content": words}]}))
        assert body["messages"][0]["content"] == words
