"""What a reply came to in the end, as its seller says afterwards."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemocli.core.faults import FaultKind, NemoError
from nemocli.core.provider import Settlement
from nemocli.core.usage import Usage
from nemocli.wire.settle import cost_from, settlement_call
from tests.wire.speaking import AGGREGATOR, HOSTED

FIELDS = {
    "cost": "data.total_cost",
    "upstream": "data.provider_name",
    "cancelled": "data.cancelled",
    "input_tokens": "data.native_tokens_prompt",
    "cached_input_tokens": "data.native_tokens_cached",
    "output_tokens": "data.native_tokens_completion",
    "reasoning_tokens": "data.native_tokens_reasoning",
}
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
DOCUMENTS = st.recursive(
    st.dictionaries(st.sampled_from([p.partition(".")[2] for p in FIELDS.values()]), SCALARS),
    lambda inner: st.fixed_dictionaries({"data": inner | SCALARS}) | st.lists(inner, max_size=2),
    max_leaves=4,
)
SELLER = replace(AGGREGATOR, settlement=Settlement("/generation?id={id}", FIELDS))


def test_the_question() -> None:
    call = settlement_call(SELLER, "gen-1/../?x", "https://proxy.example/v1/")
    assert (call.method, call.body) == ("GET", b"")
    assert call.url == "https://proxy.example/v1/generation?id=gen-1%2F..%2F%3Fx"


def test_the_answer_exactly() -> None:
    body = b"""{"data": {"total_cost": 0.000000123456789012345, "provider_name": "Host",
      "cancelled": true, "native_tokens_prompt": 10, "native_tokens_cached": 4,
      "native_tokens_completion": 7, "native_tokens_reasoning": null}}"""
    assert cost_from(SELLER, body) == (
        Decimal("0.000000123456789012345"),
        Usage(10, 4, None, 7, None),
        "Host",
        True,
    )


def test_what_is_not_said_is_unknown() -> None:
    assert cost_from(SELLER, b'{"data": {"total_cost": "?"}}') == (None, None, None, None)
    assert cost_from(SELLER, b'{"error": {"code": 404}}') == (None, None, None, None)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"7", b"\xff"])
def test_junk_is_a_protocol_fault(body: bytes) -> None:
    with pytest.raises(NemoError) as caught:
        cost_from(SELLER, body)
    assert caught.value.fault.kind is FaultKind.PROTOCOL


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60) | DOCUMENTS.map(lambda value: json.dumps(value).encode()))
def test_no_body_raises_anything_else(body: bytes) -> None:
    with suppress(NemoError):
        final = cost_from(SELLER, body)
        assert final.cost_usd is None or final.cost_usd >= 0


def test_half_a_character_in_an_id_can_be_asked_for() -> None:
    assert settlement_call(SELLER, "\ud83e", HOSTED.base_url).url.endswith("?id=%3F")


def test_whoever_has_no_settlement_cannot_be_asked() -> None:
    with pytest.raises(NemoError) as caught:
        settlement_call(HOSTED, "x", HOSTED.base_url)
    assert caught.value.fault.kind is FaultKind.CONFIG
    assert cost_from(HOSTED, json.dumps({"data": {}}).encode()) == (None, None, None, None)
