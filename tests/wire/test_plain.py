"""The short way through a usual reply gives what the long way gives, or nothing."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.events import Event, Text
from nemocli.core.provider import Provider, ReasoningWire, UsageWire
from nemocli.wire.chat.fast import CACHED, plain_events
from nemocli.wire.chat.reply import ChatReader
from nemocli.wire.meter import UsageMeter
from nemocli.wire.reply import ReplyDecoder

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


def meter() -> UsageMeter:
    return UsageMeter(PROVIDER.usage, CACHED)


def the_long_way(payload: dict[str, Any]) -> list[Event]:
    reader = ChatReader(PROVIDER, "m")
    events = list(reader.whole(payload))
    rest = list(reader.rest())
    return [*events[:-1], *rest, *events[-1:]]


@given(payloads)
def test_both_ways_agree(payload: dict[str, Any]) -> None:
    short = plain_events(payload, PROVIDER, meter())
    if short is not None:
        assert short == the_long_way(payload)


def test_the_short_way_is_taken() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2}
    message = {"role": "assistant", "content": "hi"}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    payload = {"id": "a", "choices": [choice], "usage": usage}
    assert plain_events(payload, PROVIDER, meter()) is not None


# Pieces of a stream

deltas = st.fixed_dictionaries(
    {},
    optional={
        "role": st.just("assistant") | odd,
        "content": words
        | odd
        | st.sampled_from(["<tool_call>{", "\ud83d", "\ude00", "[TOOL_CALLS]["]),
        "reasoning": words | odd,
        "reasoning_content": words | odd,
        "reasoning_details": st.just([{"type": "reasoning.text", "text": "t"}]) | odd,
        "refusal": odd,
        "tool_calls": odd,
        "annotations": odd,
        "new": odd,
    },
)
pieces = st.fixed_dictionaries(
    {},
    optional={
        "id": odd,
        "model": odd,
        "provider": odd,
        "error": odd,
        "citations": st.just(["http://a"]) | odd,
        "choices": odd
        | st.lists(
            st.fixed_dictionaries(
                {"delta": deltas | odd},
                optional={
                    "index": st.sampled_from([None, 0, 1, "0"]),
                    "finish_reason": st.sampled_from([None, "", "stop", "length", "error"]),
                    "message": messages,
                    "error": odd,
                    "logprobs": odd,
                },
            ),
            max_size=2,
        ),
        "usage": st.none() | st.just({"prompt_tokens": 1, "completion_tokens": 2}) | odd,
    },
)
providers = st.sampled_from(
    [
        PROVIDER,
        Provider("p", "chat", "http://x", reasoning=ReasoningWire(fields=("reasoning",))),
        Provider(
            "p",
            "chat",
            "http://x",
            reasoning=ReasoningWire(
                fields=("reasoning_content", "reasoning"), details="reasoning_details", tags=True
            ),
        ),
    ]
)


class LongWay(ChatReader):
    """Looks at every piece."""

    __slots__ = ()

    def piece(self, payload: dict[str, Any]) -> None:  # type: ignore[override]
        return None


@given(st.lists(pieces, max_size=6), providers, st.booleans())
def test_a_piece_means_the_same_by_both_ways(
    payloads: list[dict[str, Any]], provider: Provider, off: bool
) -> None:
    body = "".join(f"data: {json.dumps(piece)}\n\n" for piece in payloads) + "data: [DONE]\n\n"
    told = []
    for kind in (ChatReader, LongWay):
        decoder = ReplyDecoder(kind(provider, "m", off=off), provider, "m")
        told.append([*decoder.feed(body.encode("utf-8", "surrogatepass")), *decoder.close()])
    assert told[0] == told[1]


def test_the_short_way_through_a_piece_is_taken() -> None:
    reader = ChatReader(Provider("p", "chat", "http://x"), "m")
    choice = {"index": 0, "delta": {"role": "assistant", "content": "hi"}, "finish_reason": None}
    piece = {"id": "a", "model": "m", "choices": [choice]}
    assert reader.piece(piece) is None  # the first one says who answers
    assert len(list(reader.take(piece))) == 2
    assert reader.piece(piece) == Text("hi")
