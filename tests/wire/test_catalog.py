"""Listings of models in the shapes that servers have for them."""

from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemocli.core.faults import FaultKind, NemoError
from nemocli.core.money import Tier
from nemocli.wire.catalog import Listed, hosts, listing
from tests.wire.speaking import ID

WORDS = ["data", "models", "id", "providers", "pricing", "input", "prompt", "meta", "name"]


def listed(value: Any) -> tuple[Listed, ...]:
    return listing(json.dumps(value).encode())


def test_the_plain_shape() -> None:
    rows = [{"id": ID, "object": "model", "created": 735790403, "owned_by": "nvidia"}]
    assert listed({"object": "list", "data": rows}) == (Listed(ID, owned_by="nvidia"),)


def test_an_aggregators_prices_per_token_become_prices_per_million() -> None:
    row = {
        "id": ID,
        "context_length": 262144,
        "top_provider": {"context_length": 262144, "max_completion_tokens": 16384},
        "pricing": {"prompt": "0.0000005", "completion": "0.0000022", "request": "0"},
        "supported_parameters": ["max_tokens", "tools", "structured_outputs"],
    }
    (model,) = listed({"data": [row]})
    assert model == Listed(
        ID, 262144, 16384, Decimal("0.5"), Decimal("2.2"), True, "json_schema", None
    )


@pytest.mark.parametrize(
    ("parameters", "tools", "structured"),
    [
        (["tools", "response_format"], True, "json_object"),
        (["temperature"], False, "none"),
        (None, None, None),
    ],
)
def test_what_is_not_listed_is_not_supported_and_what_is_not_said_is_unknown(
    parameters: Any, tools: Any, structured: Any
) -> None:
    (model,) = listed({"data": [{"id": "m", "supported_parameters": parameters}]})
    assert (model.tools, model.structured_output) == (tools, structured)


def test_free_is_a_price_and_a_variable_price_is_none() -> None:
    pricing = {"prompt": "0", "completion": "-1"}
    (model,) = listed({"data": [{"id": "m", "pricing": pricing}]})
    assert (model.input_usd, model.output_usd) == (Decimal(0), None)


def test_a_routers_hosts_can_be_named_and_keep_their_own_prices() -> None:
    hosts = [
        {"provider": "a", "status": "live", "context_length": 512288,
         "pricing": {"input": 0.6, "output": 3.6}, "supports_tools": True,
         "supports_structured_output": False},
        {"provider": "b", "status": "live", "context_length": 262144,
         "pricing": {"input": 0.6, "output": 2.4}, "supports_tools": True},
        {"provider": "c", "status": "error"},
    ]  # fmt: skip
    assert listed({"data": [{"id": "m", "owned_by": "o", "providers": hosts}]}) == (
        Listed("m", 262144, None, None, None, True, None, "o"),
        Listed("m:a", 512288, None, Decimal("0.6"), Decimal("3.6"), True, "none", "a"),
        Listed("m:b", 262144, None, Decimal("0.6"), Decimal("2.4"), True, None, "b"),
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"data": [{"id": "m", "max_model_len": 8192}]}, Listed("m", 8192)),
        ({"data": [{"id": "m", "max_context_length": 4096}]}, Listed("m", 4096)),
        ({"data": [{"id": "m.gguf", "meta": {"n_ctx_train": 2048}}]}, Listed("m.gguf", 2048)),
        ({"models": [{"name": "m:cloud", "model": "m:cloud"}]}, Listed("m:cloud")),
        ([{"id": "m", "pricing": {"input": 0.6, "output": 3.6}}],
         Listed("m", None, None, Decimal("0.6"), Decimal("3.6"))),
        (["m"], Listed("m")),
        ({"data": [{"id": "m", "metadata": {"context_length": 9, "max_tokens": 5,
          "pricing": {"input_tokens": 0.5, "output_tokens": 2.2}}}]},
         Listed("m", 9, 5, Decimal("0.5"), Decimal("2.2"))),
        ({"data": [{"id": "m", "context_length": "many", "max_model_len": 0}]}, Listed("m")),
    ],
    ids=["vllm", "lm studio", "llama.cpp", "ollama", "bare list", "words", "metadata", "odd"],
)  # fmt: skip
def test_other_shapes(value: Any, expected: Listed) -> None:
    assert listed(value) == (expected,)


def test_an_id_is_listed_once_and_junk_between_models_is_passed_over() -> None:
    rows = [{"id": "m"}, None, {"id": ""}, {"id": "m"}, {"id": "evil\x1b[2J"}, {"id": "n"}]
    assert [m.id for m in listed({"data": rows})] == ["m", "n"]


def test_a_server_without_models_lists_none() -> None:
    assert listed({"object": "list", "data": []}) == ()


@pytest.mark.parametrize(
    "body",
    [b"", b"<html><title>Sign in</title>", b"oops", b"{}", b'{"error":{"message":"no"}}', b"[1,2]"],
)
def test_junk_is_a_protocol_fault(body: bytes) -> None:
    with pytest.raises(NemoError) as caught:
        listing(body)
    assert caught.value.fault.kind is FaultKind.PROTOCOL
    assert caught.value.fault.hint


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=40)
    | st.recursive(
        st.none() | st.integers() | st.floats() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(WORDS),
                inner,
            )
        ),
        max_leaves=15,
    ).map(lambda value: json.dumps(value).encode())
)
def test_no_body_raises_anything_else(body: bytes) -> None:
    with suppress(NemoError):
        assert isinstance(listing(body), tuple)


def test_cached_rates_and_prices_per_request_are_read() -> None:
    pricing = {
        "prompt": "0.0000006", "completion": "0.0000024", "input_cache_read": "0.00000012",
        "input_cache_write": "0.00000075", "internal_reasoning": "0", "request": "0.01",
    }  # fmt: skip
    (model,) = listed({"data": [{"id": ID, "pricing": pricing}]})
    assert (model.cached_input_usd, model.cache_write_usd) == (Decimal("0.12"), Decimal("0.75"))
    assert (model.reasoning_usd, model.request_usd) == (Decimal(0), Decimal("0.01"))


def test_the_hosts_of_a_model_come_cheapest_first_without_those_that_are_down() -> None:
    def row(tag: str, price: str, **more: object) -> dict[str, object]:
        return {"tag": tag, "pricing": {"prompt": price, "completion": price}, **more}

    rows = [row("dear", "0.000002"), row("down", "0.0000001", status=-2),
            row("cheap", "0.000001", status=0), {"pricing": {}}, "nonsense"]  # fmt: skip
    found = hosts(json.dumps({"data": {"endpoints": rows}}).encode())
    assert [(h.id, h.output_usd) for h in found] == [("cheap", 1), ("dear", 2)]
    for body in (b"<html>", b"{}", b'{"data": []}'):
        with pytest.raises(NemoError, match="was asked for its models"):
            hosts(body)


def test_rates_of_long_prompts_are_read_and_those_of_some_hours_are_not() -> None:
    long = {"min_prompt_tokens": 200001, "prompt": "0.000001", "completion": "0.000004"}
    night = {"min_prompt_tokens": 5, "prompt": "0", "completion": "0", "utc_start": "22:00"}
    pricing = {"prompt": "0.0000005", "completion": "0.000002", "overrides": [night, long, {}]}
    (model,) = listed({"data": [{"id": ID, "pricing": pricing}]})
    assert model.tiers == (Tier(200_000, Decimal(1), Decimal(4)),)
