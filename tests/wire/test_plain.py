"""The short way through a usual reply gives what the long way gives, or nothing."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.events import Event
from nemocli.core.provider import Provider, UsageWire
from nemocli.wire.chat.fast import plain_events
from nemocli.wire.chat.reply import ChatReader

PROVIDER = Provider(
    "p", "chat", "http://x", upstream="provider", usage=UsageWire(cost="usage.cost")
)
words = st.text(max_size=12)
odd = st.none() | words | st.integers(0, 9) | st.just([]) | st.just({})
messages = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": words | st.none() | st.just("<think>a</think>b")},
    optional={"refusal": odd, "reasoning": odd, "tool_calls": odd, "annotations": odd},
)
choices = st.fixed_dictionaries(
    {"message": messages},
    optional={"index": st.just(0), "finish_reason": st.sampled_from(["stop", "length", None])},
)
payloads = st.fixed_dictionaries(
    {"choices": st.lists(choices, max_size=2) | odd},
    optional={
        "id": odd,
        "model": odd,
        "provider": odd,
        "error": odd,
        "usage": st.fixed_dictionaries(
            {},
            optional={"prompt_tokens": st.integers(0, 99), "completion_tokens": odd, "cost": odd},
        ),
    },
)


def the_long_way(payload: dict[str, Any]) -> list[Event]:
    reader = ChatReader(PROVIDER, "m")
    events = list(reader.whole(payload))
    rest = list(reader.rest())
    return [*events[:-1], *rest, *events[-1:]]


@given(payloads)
def test_both_ways_agree(payload: dict[str, Any]) -> None:
    short = plain_events(payload, PROVIDER)
    if short is not None:
        assert short == the_long_way(payload)


def test_the_short_way_is_taken() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2}
    message = {"role": "assistant", "content": "hi"}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    assert plain_events({"id": "a", "choices": [choice], "usage": usage}, PROVIDER) is not None
