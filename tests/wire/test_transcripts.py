"""Whole replies: what they mean, under any cut, and that no cut one is a success."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nemocli.core.events import (
    Citation,
    Event,
    Failed,
    Finished,
    Metered,
    Reasoning,
    Started,
    Text,
    ToolCallPart,
)
from nemocli.core.faults import FaultKind
from nemocli.core.request import ToolCall
from nemocli.core.usage import Usage
from nemocli.core.values import JsonObject
from tests.wire.speaking import (
    DOCUMENTS,
    ID,
    STREAMS,
    TRANSCRIPTS,
    events,
    fault,
    provider_of,
    read,
)

NEWLINES = {"lf": b"\n", "crlf": b"\r\n", "cr": b"\r"}
SLOW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def body(name: str) -> tuple[Path, bytes]:
    path = TRANSCRIPTS / name
    return path, path.read_bytes()


def known(name: str) -> list[Event]:
    path, raw = body(name)
    return events(provider_of(path), raw)


def test_aggregator_reasoning() -> None:
    first: JsonObject = {
        "type": "reasoning.text",
        "text": "Let me",
        "format": "unknown",
        "index": 0,
    }
    second: JsonObject = {**first, "text": " see."}
    assert known("chat/aggregator-reasoning.sse") == [
        Started("gen-1780551208-a", ID, "Fireworks"),
        Reasoning("Let me", (first,)),
        Reasoning(" see.", (second,)),
        Text("Grüße, line\u2028sep "),
        Text("\x85end 🦙"),
        Metered(Usage(10, 4, 0, 8, 3), Decimal("0.0000123")),
        Finished("stop"),
    ]


def test_aggregator_error() -> None:
    path, raw = body("chat/aggregator-error.sse")
    fold = read(provider_of(path), raw)
    assert fold.text == "One two"
    end = fault(fold)
    assert (end.kind, end.status, end.retryable) == (FaultKind.SERVER, 502, True)
    assert "Fireworks: Provider returned error: Worker local total request limit" in end.message


def test_aggregator_tools() -> None:
    path, raw = body("chat/aggregator-tools.sse")
    fold = read(provider_of(path), raw)
    assert fold.tool_calls == (
        ToolCall("call_a", "weather", '{"city":"Zürich"}'),
        ToolCall("call_b", "time", '{"zone":"CET"}'),
    )
    assert fold.end == Finished("tool_calls")
    assert fold.details[0]["signature"] == "c2ln"


def test_hosted_reasoning_leaves_its_uncounted_tokens_unknown() -> None:
    path, raw = body("chat/hosted-reasoning.sse")
    fold = read(provider_of(path), raw)
    assert (fold.reasoning, fold.text) == ("Thinking.\n", "The answer is 4.")
    assert fold.metered == Metered(Usage(12, None, None, 9, None))


def test_aggregator_debug_and_a_key_of_ones_own() -> None:
    assert known("chat/aggregator-debug.sse") == [
        Started("gen-1780551209-d", ID, "Fireworks"),
        Text("Four"),
        Text("."),
        Metered(Usage(11, 0, None, 2, 0), Decimal("0.0000205")),
        Finished("stop"),
    ]


def test_tool_calls_of_an_engine() -> None:
    path, raw = body("chat/engine-tools.sse")
    fold = read(provider_of(path), raw)
    assert (fold.reasoning, fold.end) == ("I need both.", Finished("tool_calls"))
    assert fold.tool_calls == (
        ToolCall("chatcmpl-tool-0a1b2c3d4e5f6071", "read", '{"path": "a.txt"}'),
        ToolCall("chatcmpl-tool-8192a3b4c5d6e7f8", "read", '{"path": "b.txt"}'),
    )


def test_hosted_overload_is_no_success_for_the_done_after_it() -> None:
    path, raw = body("chat/hosted-overload.sse")
    fold = read(provider_of(path), raw)
    assert (fold.reasoning, fault(fold).status, fault(fold).retryable) == ("Let me", 503, True)


def test_hosted_error() -> None:
    path, raw = body("chat/hosted-error.sse")
    fold = read(provider_of(path), raw)
    assert fold.text == "Half an "
    assert (fault(fold).kind, fault(fold).status) == (FaultKind.SERVER, 500)


def test_think_tags_in_the_text_of_an_engine() -> None:
    path, raw = body("chat/engine-think-tags.sse")
    fold = read(provider_of(path), raw)
    assert (fold.reasoning, fold.text) == ("\nIt is simple.", "Use `</think>` to close it.")
    assert fold.end == Finished("stop")


def test_a_whole_completion() -> None:
    path, raw = body("chat/whole.json")
    fold = read(provider_of(path), raw)
    assert (fold.reasoning, fold.text, fold.end) == ("Short.", "Done.", Finished("tool_calls"))
    assert fold.tool_calls[0].arguments == '{"ok": true}'
    assert fold.metered == Metered(Usage(5, None, None, 6))


def test_search_with_the_agent() -> None:
    assert known("responses/search.sse") == [
        Started("resp_01", "perplexity/nemotron-3-ultra-550b-a55b"),
        Reasoning("Looking it up.\n"),
        Citation("https://example.org/a", "Nemotron"),
        Citation("https://example.org/b", "Second"),
        Text("Hello, "),
        Text("wörld."),
        Citation("https://example.org/c"),
        Metered(Usage(21, 16, 0, 6), Decimal("0.00253")),
        Finished("stop"),
    ]


def test_a_function_call_of_the_agent() -> None:
    found = known("responses/function-call.sse")
    assert found[1:4] == [
        ToolCallPart(0, "call_1", "weather"),
        ToolCallPart(0, arguments='{"city"'),
        ToolCallPart(0, arguments=':"Bern"}'),
    ]
    assert [type(e) for e in found[4:]] == [Metered, Finished]
    assert found[-1] == Finished("tool_calls")


def test_the_agent_fails_inside_a_good_status() -> None:
    *_, end = known("responses/failed.sse")
    assert isinstance(end, Failed)
    assert end.fault.kind is FaultKind.SERVER
    assert "upstream model is overloaded" in end.fault.message
    *_, end = known("responses/whole-failed.json")
    assert isinstance(end, Failed)
    assert end.fault.kind is FaultKind.RATE


def test_the_agent_ran_out_of_tokens() -> None:
    *_, metered, end = known("responses/incomplete.sse")
    assert isinstance(metered, Metered)
    assert end == Finished("length")


def test_a_whole_response_says_what_its_stream_says() -> None:
    path, raw = body("responses/whole.json")
    fold = read(provider_of(path), raw)
    streamed = read(provider_of(path), body("responses/search.sse")[1])
    assert (fold.text, fold.metered, fold.end) == (streamed.text, streamed.metered, streamed.end)
    assert set(fold.citations) == set(streamed.citations)


@pytest.mark.parametrize("path", [*STREAMS, *DOCUMENTS], ids=lambda p: f"{p.parent.name}-{p.stem}")
@pytest.mark.parametrize("newline", NEWLINES.values(), ids=NEWLINES)
def test_any_cut_in_two_reads_the_same(path: Path, newline: bytes) -> None:
    raw = path.read_bytes().replace(b"\n", newline)
    provider = provider_of(path)
    whole = events(provider, path.read_bytes())
    assert events(provider, *(raw[i : i + 1] for i in range(len(raw)))) == whole
    for cut in range(0, len(raw), 7):
        assert events(provider, raw[:cut], raw[cut:]) == whole


@SLOW
@given(
    st.sampled_from([*STREAMS, *DOCUMENTS]),
    st.sampled_from(list(NEWLINES.values())),
    st.lists(st.integers(0, 10_000), max_size=12),
)
def test_any_cut_in_many_reads_the_same(path: Path, newline: bytes, cuts: list[int]) -> None:
    raw = path.read_bytes().replace(b"\n", newline)
    at = sorted({0, len(raw), *(c % (len(raw) + 1) for c in cuts)})
    pieces = [raw[a:b] for a, b in pairwise(at)]
    assert events(provider_of(path), *pieces) == events(provider_of(path), raw)


TERMINAL = (
    b'"finish_reason":"',
    b"[DONE]",
    b'"type":"response.completed"',
    b'response.incomplete"',
)


@pytest.mark.parametrize("path", [*STREAMS, *DOCUMENTS], ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_cut_at_any_byte_it_ends_once_and_never_in_success_before_its_terminal_signal(
    path: Path,
) -> None:
    raw, provider = path.read_bytes(), provider_of(path)
    streamed = path.suffix == ".sse"
    whole = read(provider, raw)
    for cut in range(len(raw)):
        found = events(provider, raw[:cut])
        ends = [e for e in found if isinstance(e, Finished | Failed)]
        assert len(ends) == 1
        assert found[-1] is ends[0]
        if isinstance(ends[0], Finished):
            fold = read(provider, raw[:cut])
            assert ends[0] == whole.end
            assert (fold.text, fold.tool_calls) == (whole.text, whole.tool_calls)
            assert any(mark in raw[:cut] for mark in TERMINAL) if streamed else cut >= len(raw) - 1
        elif not isinstance(whole.end, Failed):
            assert ends[0].fault.kind is FaultKind.CUT


@SLOW
@given(
    st.sampled_from(STREAMS),
    st.sampled_from(list(NEWLINES.values())),
    st.integers(0, 10_000),
    st.lists(st.integers(0, 10_000), max_size=6),
)
def test_a_cut_stream_reads_the_same_in_any_pieces_and_is_no_success_unless_it_was_over(
    path: Path, newline: bytes, end: int, cuts: list[int]
) -> None:
    raw = path.read_bytes().replace(b"\n", newline)
    raw = raw[: end % len(raw)]
    at = sorted({0, len(raw), *(c % (len(raw) + 1) for c in cuts)})
    found = events(provider_of(path), *(raw[a:b] for a, b in pairwise(at)))
    assert found == events(provider_of(path), raw)
    if isinstance(found[-1], Finished):
        assert any(mark in raw for mark in TERMINAL)


@SLOW
@given(st.sampled_from(STREAMS), st.integers(0, 10_000), st.binary(max_size=30), st.integers(0, 30))
def test_spoilt_bytes_never_raise(path: Path, at: int, junk: bytes, drop: int) -> None:
    raw = path.read_bytes()
    at %= len(raw)
    found = events(provider_of(path), raw[:at] + junk + raw[at + drop :])
    assert sum(isinstance(e, Finished | Failed) for e in found) == 1
