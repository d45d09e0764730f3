"""Every way a chat-completions server departs from the documented stream."""

from __future__ import annotations

import json
import re
import tracemalloc
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemocli.core.events import (
    Citation,
    Failed,
    Finished,
    Fold,
    Metered,
    Reasoning,
    Started,
    Text,
)
from nemocli.core.faults import FaultKind
from nemocli.core.provider import ReasoningWire, UsageWire
from nemocli.core.request import ToolCall
from nemocli.core.usage import Usage
from nemocli.wire.dialect import dialect_named
from tests.wire.speaking import (
    AGGREGATOR,
    ASKED,
    HOSTED,
    chunk,
    events,
    fault,
    read,
    sse,
    stream,
    target,
)

SAID = {"content": "Hi"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2}


def doc(**more: Any) -> bytes:
    message = {"role": "assistant", "content": "Hi"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps({"id": "c-1", "model": "m", "choices": [choice], **more}).encode()


# The end


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("stop", "stop"),
        ("eos", "stop"),
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("COMPLETE", "stop"),
        ("something new", "stop"),
        ("length", "length"),
        ("max_tokens", "length"),
        ("max_output_tokens", "length"),
        ("tool_calls", "tool_calls"),
        ("function_call", "tool_calls"),
        ("tool_use", "tool_calls"),
        ("content_filter", "content_filter"),
        ("SAFETY", "content_filter"),
    ],
)
def test_finish_reasons(reason: str, finish: str) -> None:
    fold = read(HOSTED, stream(SAID, finish=reason))
    assert isinstance(fold.end, Finished)
    assert fold.end.reason == finish


@pytest.mark.parametrize("reason", ["error", "abort"])
def test_a_finish_that_is_an_error_is_one_without_an_error_object(reason: str) -> None:
    end = fault(read(HOSTED, stream(SAID, finish=reason)))
    assert end.kind is FaultKind.SERVER
    assert "hosted" in end.message


@pytest.mark.parametrize("reason", ["", None, "null", 7])
def test_a_finish_reason_that_is_none_ends_nothing(reason: Any) -> None:
    assert fault(read(HOSTED, stream(SAID, finish=reason, done=False))).kind is FaultKind.CUT


@pytest.mark.parametrize("first", ["length", "content_filter", "tool_calls"])
def test_a_second_finish_reason_makes_no_cut_answer_good(first: str) -> None:
    fold = read(HOSTED, sse(chunk(SAID, first), chunk({}, "stop")))
    assert fold.end == Finished(first)  # type: ignore[arg-type]
    assert fault(read(HOSTED, sse(chunk(SAID, first), chunk({}, "error")))).kind is FaultKind.SERVER


def test_done_alone_ends_an_answer_that_was_begun() -> None:
    assert read(HOSTED, sse(chunk(SAID))).end == Finished("stop")


def test_done_alone_is_no_answer() -> None:
    end = fault(read(HOSTED, sse()))
    assert (end.kind, end.message) == (
        FaultKind.CUT,
        "hosted closed the connection without an answer",
    )


def test_a_finish_reason_ends_a_stream_without_done() -> None:
    assert read(HOSTED, stream(SAID, done=False)).end == Finished("stop")


@pytest.mark.parametrize("tail", [b"data: [DONE]", b"data: [DONE]\n", b"data:[DONE]\r\n"])
def test_done_without_its_blank_line_is_done(tail: bytes) -> None:
    assert read(HOSTED, sse(chunk(SAID), done=False) + tail).end == Finished("stop")


def test_half_a_done_is_none() -> None:
    assert fault(read(HOSTED, sse(chunk(SAID), done=False) + b"data: [DON")).kind is FaultKind.CUT


@pytest.mark.parametrize("body", [b"", b"\n\n", b": keep alive\n\n: keep alive\n\n", b"\xef\xbb"])
def test_nothing_is_a_connection_closed_without_an_answer(body: bytes) -> None:
    end = fault(read(HOSTED, body))
    assert (end.kind, end.retryable) == (FaultKind.CUT, True)
    assert "without an answer" in end.message
    assert "-p" in (end.hint or "")


def test_garbage_after_the_end_is_ignored() -> None:
    raw = stream(SAID) + b"data: }{\n\n<html>" + stream({"content": "again"})
    assert (read(HOSTED, raw).text, read(HOSTED, raw).end) == ("Hi", Finished("stop"))


def test_garbage_after_a_finish_reason_is_ignored() -> None:
    raw = stream(SAID, done=False) + b"data: }{\n\n"
    assert read(HOSTED, raw).end == Finished("stop")


def test_data_that_is_not_json_is_a_protocol_fault() -> None:
    end = fault(read(HOSTED, sse(chunk(SAID), "not json", done=False)))
    assert end.kind is FaultKind.PROTOCOL
    assert "not json" in end.message


@pytest.mark.parametrize(
    "oddity",
    ["", "  ", "null", "[]", '"ping"', "{}", '{"choices":null}', '{"message":"queued","code":202}'],
)
def test_keep_alives_in_the_shape_of_data_are_ignored(oddity: str) -> None:
    assert read(HOSTED, sse(oddity, chunk(SAID), oddity, chunk({}, "stop"))).text == "Hi"


def test_annotations_in_events_of_their_own_are_ignored() -> None:
    raw = b'event: worker_id\ndata: not json\n\nevent: trace\n: "x"\n\n' + stream(SAID)
    assert read(HOSTED, raw).end == Finished("stop")


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_server_that_leaves_the_blank_lines_out(end: bytes) -> None:
    raw = stream({"content": "H"}, {"content": "i"}).replace(b"\n\n", end)
    assert (read(HOSTED, raw).text, read(HOSTED, raw).end) == ("Hi", Finished("stop"))
    cut = raw[: raw.index(b'"stop"')]
    assert (read(HOSTED, cut).text, fault(read(HOSTED, cut)).kind) == ("Hi", FaultKind.CUT)
    wrong = raw.replace(b"data: [DONE]", b"data: }{") + b"\n\n"
    assert read(HOSTED, wrong).end == Finished("stop")


def test_json_over_several_data_lines_is_one_payload() -> None:
    text = json.dumps(chunk(SAID, "stop"), indent=1).replace("\n", "\ndata: ")
    assert read(HOSTED, f"data: {text}\n\n".encode()).text == "Hi"


def test_nothing_readable_after_a_readable_value_is_a_fault() -> None:
    end = fault(read(HOSTED, sse(json.dumps(chunk(SAID)) + " and more", done=False)))
    assert (end.kind, "and more" in end.message) == (FaultKind.PROTOCOL, False)


@pytest.mark.parametrize("pad", [b"\0", b"\0\0", b"\0 \0"])
def test_padding_with_nul_is_passed_over(pad: bytes) -> None:
    raw = pad + stream(SAID).replace(b"}\n", b"}" + pad + b"\n")
    assert (read(HOSTED, raw).text, read(HOSTED, raw).end) == ("Hi", Finished("stop"))
    assert read(HOSTED, pad + doc() + pad).text == "Hi"


def test_characters_that_end_lines_elsewhere_stay_in_the_text() -> None:
    text = "a\u2028b\u2029c\u0085d\x0be\x1cf"
    raw = sse(json.dumps(chunk({"content": text}), ensure_ascii=False), chunk({}, "stop"))
    assert read(HOSTED, raw).text == text


def test_a_piece_of_ten_megabytes_is_text_like_any_other() -> None:
    raw = stream({"content": "x" * 10_000_000})
    pieces = [raw[i : i + 65_536] for i in range(0, len(raw), 65_536)]
    assert read(HOSTED, *pieces).text_chars == 10_000_000


@pytest.mark.parametrize("size", [9_000_000, 2**24 - 8, 2**24 - 1])
def test_a_giant_line_that_is_cut_is_a_cut(size: int) -> None:
    fold = read(HOSTED, sse(chunk(SAID), done=False) + b"data: " + b"x" * (size - 6))
    assert (fold.text, fault(fold).kind) == ("Hi", FaultKind.CUT)


def test_a_long_stream_takes_no_more_memory_than_a_short_one() -> None:
    piece = sse(chunk({"content": "x" * 4000}), done=False)
    decoder, fold = dialect_named("chat").decoder(target(HOSTED), ASKED), Fold(keep=False)
    tracemalloc.start()
    try:
        for _ in range(1000):
            for event in decoder.feed(piece):
                fold.add(event)
        assert tracemalloc.get_traced_memory()[1] < 500_000
    finally:
        tracemalloc.stop()
    assert (fold.text_chars, fold.text) == (4_000_000, "")


# What the body is


def test_a_whole_document_is_read_whatever_was_asked_for() -> None:
    assert events(HOSTED, b" \r\n" + doc(usage=USAGE)) == [
        Started("c-1", "m"),
        Text("Hi"),
        Metered(Usage(3, None, None, 2)),
        Finished("stop"),
    ]


@pytest.mark.parametrize("reason", [b"null", b'""'])
def test_a_document_without_a_finish_reason_is_whole_by_its_own_framing(reason: bytes) -> None:
    fold = read(HOSTED, doc(usage=USAGE).replace(b'"stop"', reason))
    assert (fold.text, fold.end) == ("Hi", Finished("stop"))


def test_half_a_document_is_cut() -> None:
    end = fault(read(HOSTED, doc()[:-10]))
    assert (end.kind, end.message.endswith("in the middle of the answer")) == (FaultKind.CUT, True)


def test_chunks_a_line_each_are_a_stream() -> None:
    """Some servers send NDJSON where events were asked for: nothing after the first is lost."""
    raw = json.dumps(chunk(SAID)).encode() + b"\n" + json.dumps(chunk({}, "stop")).encode()
    fold = read(HOSTED, raw)
    assert fold.end == Finished("stop")
    assert fold.text
    cut = json.dumps(chunk(SAID)).encode() + b"\n" + json.dumps(chunk(SAID)).encode()
    assert fault(read(HOSTED, cut)).kind is FaultKind.CUT


def test_two_answers_in_one_body_are_none() -> None:
    whole = {"choices": [{"message": {"content": "one"}, "finish_reason": "stop"}]}
    raw = json.dumps(whole).encode()
    end = fault(read(HOSTED, raw + b"\n" + raw.replace(b"one", b"two")))
    assert end.kind is FaultKind.PROTOCOL
    assert "2 JSON documents" in end.message


@pytest.mark.parametrize(
    "page", [b"<!doctype html><title>Sign in</title>", b"\n <html>", b"\xef\xbb\xbf<ok/>"]
)
def test_a_web_page_is_a_captive_portal(page: bytes) -> None:
    end = fault(read(HOSTED, page))
    assert end.kind is FaultKind.PROTOCOL
    assert "answered with a web page, not with the API" in end.message
    assert "browser" in (end.hint or "")


def test_plain_text_is_no_event_stream() -> None:
    end = fault(read(HOSTED, b"upstream connect error\nreset"))
    assert end.kind is FaultKind.PROTOCOL
    assert "upstream connect error" in end.message


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({"error": {"message": "no", "code": 429}}, FaultKind.RATE),
        ({"error": "no"}, FaultKind.SERVER),
        ({"message": "no", "type": "internal_server_error", "code": 500}, FaultKind.SERVER),
        ({"detail": "no", "status": 404, "title": "Not Found"}, FaultKind.UNAVAILABLE),
        ({"object": "error", "message": "no", "code": 400}, FaultKind.REQUEST),
        ([{"error": {"message": "no", "code": 503}}], FaultKind.SERVER),
        ({"ok": True}, FaultKind.PROTOCOL),
        ([], FaultKind.PROTOCOL),
    ],
)
def test_a_document_that_is_no_completion(document: Any, kind: FaultKind) -> None:
    assert fault(read(HOSTED, json.dumps(document).encode())).kind is kind


# Errors inside a good status


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": 502, "message": "m"}, FaultKind.SERVER),
        ({"code": "502", "message": "m"}, FaultKind.SERVER),
        ({"code": 429, "message": "m"}, FaultKind.RATE),
        ({"code": 401, "message": "m"}, FaultKind.AUTH),
        ({"code": 402, "message": "m"}, FaultKind.QUOTA),
        ({"code": 400, "message": "m"}, FaultKind.REQUEST),
        ({"code": 404, "message": "m"}, FaultKind.UNAVAILABLE),
        ({"code": "server_error", "message": "m"}, FaultKind.SERVER),
        ({"code": "rate_limit_exceeded", "message": "m"}, FaultKind.RATE),
        ({"code": "insufficient_quota", "message": "m"}, FaultKind.QUOTA),
        ({"code": 1301, "message": "m"}, FaultKind.SERVER),
        ({"message": "m"}, FaultKind.SERVER),
        ("m", FaultKind.SERVER),
        ({"message": "m", "type": "BadRequestError", "object": "error"}, FaultKind.REQUEST),
        ({"message": "m", "metadata": {"error_type": "timeout"}}, FaultKind.TIMEOUT),
        ({"message": "m", "error_type": "payment_required"}, FaultKind.QUOTA),
        ({"message": "m", "metadata": {"error_type": "refusal"}}, FaultKind.FILTERED),
    ],
)
@pytest.mark.parametrize("place", ["chunk", "choice", "alone", "event"])
def test_errors_in_a_stream(error: Any, kind: FaultKind, place: str) -> None:
    ended = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
    payload: Any = {"choices": [ended], "error": error}
    if place == "choice":
        payload = {"choices": [{**ended, "error": error}]}
    elif place == "alone":
        payload = {"error": error}
    raw = sse(chunk(SAID), payload, done=False)
    if place == "event":
        raw = sse(chunk(SAID), done=False) + b"event: error\n" + sse(error, done=False)
    fold = read(HOSTED, raw)
    assert (fold.text, fault(fold).kind, fault(fold).provider) == ("Hi", kind, "hosted")
    assert "m" in fault(fold).message


@pytest.mark.parametrize(
    ("payload", "kind", "status"),
    [
        ({"message": "m", "type": "internal_server_error", "code": 500}, FaultKind.SERVER, 500),
        ({"status": 503, "title": "Service Unavailable", "detail": "m"}, FaultKind.SERVER, 503),
        ({"type": "about:blank", "status": 429, "title": "m"}, FaultKind.RATE, 429),
        ({"message": "m", "type": "BadRequestError"}, FaultKind.REQUEST, None),
        ({"type": "error", "message": "m"}, FaultKind.SERVER, None),
        ({"error": True, "message": "m", "code": 402}, FaultKind.QUOTA, 402),
        ([{"error": {"message": "m", "code": 404}}], FaultKind.UNAVAILABLE, 404),
    ],
    ids=["bare", "problem", "title only", "word only", "typed", "flag", "list"],
)
@pytest.mark.parametrize("late", [False, True], ids=["in the answer", "after its finish reason"])
def test_errors_that_stand_for_themselves_in_a_stream(
    payload: Any, kind: FaultKind, status: int | None, late: bool
) -> None:
    end = [chunk({}, "stop")] if late else []
    fold = read(HOSTED, sse(chunk(SAID), *end, payload))
    assert (fold.text, fault(fold).kind, fault(fold).status) == ("Hi", kind, status)
    assert "m" in fault(fold).message


@pytest.mark.parametrize(
    "data", [b"boom", b'"boom"', b'["boom"]', b'{"message":"boom"}', b"", b"{}"]
)
@pytest.mark.parametrize("late", [False, True], ids=["in the answer", "after its finish reason"])
@pytest.mark.parametrize("tail", [b"\n\n", b"\n", b""])
def test_an_error_event_fails_whatever_its_data(data: bytes, late: bool, tail: bytes) -> None:
    end = [chunk({}, "stop")] if late else []
    raw = sse(chunk(SAID), *end, done=False) + b"event: error\ndata: " + data + tail
    fold = read(HOSTED, raw)
    assert (fold.text, fault(fold).kind) == ("Hi", FaultKind.SERVER)
    assert ("boom" in fault(fold).message) == (b"boom" in data)


@pytest.mark.parametrize("opening", [b": PROCESSING\n\n", sse(chunk(SAID), done=False)])
@pytest.mark.parametrize(
    ("put_in", "kind"),
    [
        (b'{"error":{"message":"m","code":402}}', FaultKind.QUOTA),
        (b'{\n  "status": 429,\n  "title": "Too Many Requests"\n}\n', FaultKind.RATE),
        (b"<html>502 Bad Gateway</html>\n", FaultKind.CUT),
        (b'{"error":{"mess', FaultKind.CUT),
        (b'{"ok":1}\n', FaultKind.CUT),
    ],
)
def test_an_error_that_a_gateway_writes_into_the_stream(
    opening: bytes, put_in: bytes, kind: FaultKind
) -> None:
    assert fault(read(HOSTED, opening + put_in)).kind is kind


def test_an_error_without_a_word_is_understood_at_once() -> None:
    for error in ({"code": 500}, {"a": {"b": {"c": {"d": {}}}}}, {"message": None, "error": {}}):
        assert fault(read(HOSTED, sse({"error": error}, done=False))).kind is FaultKind.SERVER


def test_an_availability_error_says_whether_and_when_to_come_back() -> None:
    about = {"code": "capacity_exhausted", "retryable": False, "retry_after": 7}
    error = {"message": "full", "http_status": 429, "availability": about}
    end = fault(read(HOSTED, sse({"error": error}, done=False)))
    assert (end.kind, end.retryable, end.retry_after_s) == (FaultKind.RATE, False, 7.0)


def test_usage_that_comes_with_an_error_is_metered() -> None:
    raw = sse(chunk(SAID), {"error": {"code": 500, "message": "m"}, "usage": USAGE}, done=False)
    assert read(HOSTED, raw).metered == Metered(Usage(3, None, None, 2))


# Usage and money


@pytest.mark.parametrize("place", ["finish", "after", "repeated"])
def test_usage_wherever_it_stands(place: str) -> None:
    late = {"choices": [], "usage": USAGE}
    payloads = {
        "finish": (chunk(SAID), chunk({}, "stop", usage=USAGE)),
        "after": (chunk(SAID), chunk({}, "stop"), late),
        "repeated": (chunk(SAID, usage={"prompt_tokens": 3}), chunk({}, "stop"), late, late),
    }
    fold = read(HOSTED, sse(*payloads[place]))
    assert fold.metered == Metered(Usage(3, None, None, 2))
    assert fold.end == Finished("stop")


def test_an_empty_first_chunk_is_no_answer_yet() -> None:
    raw = sse(
        {"id": "c-1", "model": "m", "choices": [], "debug": {}}, chunk(SAID), chunk({}, "stop")
    )
    assert events(HOSTED, raw)[0] == Started("c-1", "m")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"cost": 0.000000123456789012}, Decimal("0.000000123456789012")),
        ({"cost": "0.5"}, Decimal("0.5")),
        ({"cost": 0}, Decimal(0)),
        ({"cost": None}, None),
        ({"cost": -1}, None),
        ({"cost": "much"}, None),
        ({"cost": 0.1, "is_byok": False, "cost_details": {"upstream_inference_cost": 2}}, "0.1"),
        ({"cost": 0.1, "is_byok": True, "cost_details": {"upstream_inference_cost": 2}}, "2.1"),
        ({"cost": 0.1, "is_byok": True}, None),
    ],
)
def test_the_cost_is_exact_or_unknown(usage: dict[str, Any], expected: Any) -> None:
    raw = sse(chunk(SAID, "stop"), {"choices": [], "usage": {**USAGE, **usage}})
    fold = read(AGGREGATOR, raw)
    assert fold.metered is not None
    assert fold.metered.reported_usd == (None if expected is None else Decimal(expected))


@pytest.mark.parametrize("number", ["1e400", "1e999999999", "NaN", "Infinity", "-Infinity", "-5"])
def test_numbers_that_are_none_are_unknown(number: str) -> None:
    raw = b'data: {"choices":[],"usage":{"prompt_tokens":%b,"cost":%b,"completion_tokens":2}}\n\n'
    fold = read(AGGREGATOR, stream(SAID, done=False) + raw % (number.encode(), number.encode()))
    assert fold.metered == Metered(Usage(output_tokens=2))


def test_disjoint_counts_become_supersets() -> None:
    wire = UsageWire(
        input_tokens="usage.in",
        cached_input_tokens="usage.read",
        cache_write_tokens="usage.write",
        output_tokens="usage.out",
        disjoint=True,
    )
    usage = {"in": 5, "read": 100, "write": 10, "out": 7}
    fold = read(replace(HOSTED, usage=wire), sse(chunk(SAID, "stop", usage=usage)))
    assert fold.metered == Metered(Usage(115, 100, 10, 7))


def test_more_reasoning_than_output_is_not_believed() -> None:
    usage = {**USAGE, "completion_tokens_details": {"reasoning_tokens": 99}}
    fold = read(HOSTED, sse(chunk(SAID, "stop", usage=usage)))
    assert fold.metered == Metered(Usage(3, None, None, 2))


# Reasoning and text


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_reasoning_in_either_field(field: str) -> None:
    fold = read(HOSTED, stream({field: "why"}, {field: None, "content": "Hi"}))
    assert (fold.reasoning, fold.text) == ("why", "Hi")


def test_reasoning_in_both_fields_comes_once() -> None:
    assert read(HOSTED, stream({"reasoning": "why", "reasoning_content": "why"})).reasoning == "why"


def test_details_alone_give_their_text_and_their_encrypted_part_stays() -> None:
    details = [
        {"type": "reasoning.summary", "summary": "in short"},
        {"type": "reasoning.encrypted", "data": "AAAA", "id": "r1"},
    ]
    fold = read(AGGREGATOR, stream({"reasoning_details": details}, SAID))
    assert (fold.reasoning, fold.details) == ("in short", details)


def test_content_in_parts() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "why"}]},
        {"type": "text", "text": "H"},
        {"type": "output_text", "text": "i"},
    ]
    fold = read(HOSTED, stream({"content": parts}))
    assert (fold.reasoning, fold.text) == ("why", "Hi")


def test_a_message_after_deltas_is_the_answer_once_more() -> None:
    last = {"index": 0, "delta": {}, "message": {"content": "Hi"}, "finish_reason": "stop"}
    assert read(HOSTED, sse(chunk(SAID), {"choices": [last]})).text == "Hi"


def test_messages_in_the_place_of_deltas_are_read() -> None:
    bits = [{"choices": [{"message": {"content": c}, "finish_reason": None}]} for c in "Hi"]
    assert read(HOSTED, sse(*bits, chunk({}, "stop"))).text == "Hi"


def test_tags_are_text_where_the_profile_says_so() -> None:
    provider = replace(HOSTED, reasoning=ReasoningWire(tags=False))
    assert read(provider, stream({"content": "<think>a</think>b"})).text == "<think>a</think>b"


def test_what_may_become_a_tag_is_shown_before_a_failure() -> None:
    found = events(HOSTED, sse(chunk({"content": "<thi"}), done=False))
    assert found[1] == Text("<thi")
    assert isinstance(found[2], Failed)


def test_a_refusal_is_shown_and_ends_as_one() -> None:
    fold = read(HOSTED, stream({"refusal": "I will not."}))
    assert (fold.text, fold.end) == ("I will not.", Finished("content_filter"))


def test_only_the_first_choice_is_read() -> None:
    other = {"index": 1, "delta": {"content": "B"}, "finish_reason": "length"}
    both = {**chunk({"content": "A"}), "choices": [chunk({"content": "A"})["choices"][0], other]}
    assert read(HOSTED, sse(both, chunk({}, "stop"))).text == "A"


def test_an_emoji_cut_in_two_escapes_is_whole() -> None:
    raw = rb'data: {"choices":[{"delta":{"content":"a\ud83e"}}]}' + b"\n\n"
    raw += rb'data: {"choices":[{"delta":{"content":"\udd99b"},"finish_reason":"stop"}]}' + b"\n\n"
    assert read(HOSTED, raw).text == "a🦙b"


def test_half_an_emoji_is_a_mark_that_can_be_written() -> None:
    raw = rb'data: {"model":"\ud83e","choices":[{"delta":{"content":"\udd99b \ud83e"}}]}' + b"\n\n"
    fold = read(HOSTED, raw)
    assert fold.text == "\N{REPLACEMENT CHARACTER}b \N{REPLACEMENT CHARACTER}"
    assert fold.started.model == "\N{REPLACEMENT CHARACTER}"


def test_what_is_known_later_fills_in() -> None:
    raw = sse({"choices": []}, chunk(SAID), chunk({}, "stop", provider="Somewhere"))
    started = [e for e in events(AGGREGATOR, raw) if isinstance(e, Started)]
    assert started == [Started("c-1", "m"), Started("c-1", "m", "Somewhere")]


# Tools


def calls(*deltas: Any) -> tuple[ToolCall, ...]:
    return read(HOSTED, stream(*deltas, finish="tool_calls")).tool_calls


def piece(index: Any = 0, call_id: Any = None, name: Any = None, arguments: Any = None) -> Any:
    out: dict[str, Any] = {"function": {"name": name, "arguments": arguments}}
    if index is not None:
        out["index"] = index
    return {**out, "id": call_id} if call_id is not None else out


def parts(*pieces: Any) -> Any:
    return {"tool_calls": list(pieces)}


A, B = ToolCall("a", "f", '{"x":1}'), ToolCall("b", "g", '{"y":2}')


@pytest.mark.parametrize(
    "deltas",
    [
        [
            parts(piece(0, "a", "f", '{"x"')),
            parts(piece(0, None, None, ":1}"), piece(1, "b", "g")),
            parts(piece(1, None, None, '{"y":2}')),
        ],
        [parts(piece(0, "a", "f", '{"x":1}'), piece(1, "b", "g", '{"y":2}'))],
        [
            parts(piece(1, "b", "g")),
            parts(piece(0, "a", "f")),
            parts(piece(1, None, None, '{"y":2}'), piece(0, None, None, '{"x":1}')),
        ],
        [parts(piece(0, "a", "f", '{"x":1}')), parts(piece(0, "b", "g", '{"y":2}'))],
        [parts(piece(None, "a", "f", '{"x":1}')), parts(piece(None, "b", "g", '{"y":2}'))],
        [
            parts(piece(None, "a", "f")),
            parts(piece(None, None, None, '{"x":1}')),
            parts(piece(None, "b", "g")),
            parts(piece(None, "b", None, '{"y":2}')),
        ],
        [
            parts(piece(None, "a", "f"), piece(None, "b", "g")),
            parts(piece(None, "a", None, '{"x":1}'), piece(None, "b", None, '{"y":2}')),
        ],
        [parts(piece(0, "a", "f", {"x": 1})), parts(piece(1, "b", "g", {"y": 2}))],
        [
            parts(piece(0, "a", "f", '{"x"')),
            parts(piece(0, "made-up", None, ":1}")),
            parts(piece(1, "b", "g", '{"y":2}')),
        ],
        [
            parts(piece(0, "a", "f", '{"x"')),
            parts(piece(0, "a", "f", ":1}")),
            parts(piece(1, "b", "g", '{"y":2}')),
        ],
    ],
    ids=[
        "pieces",
        "all in one",
        "out of order",
        "one index for all",
        "no index",
        "no index, pieces",
        "no index, out of order",
        "objects",
        "a new id per piece",
        "id and name repeated",
    ],
)
def test_tool_calls(deltas: list[Any]) -> None:
    found = [(c.call_id, c.name, json.loads(c.arguments)) for c in calls(*deltas)]
    assert found == [(c.call_id, c.name, json.loads(c.arguments)) for c in (A, B)]


def test_missing_ids_are_made_up() -> None:
    found = calls(parts(piece(0, None, "f", "{}"), piece(1, None, "g", "{}")))
    assert [c.call_id for c in found] == ["call_0", "call_1"]


def test_calls_of_one_function_under_one_index_without_ids_are_told_apart() -> None:
    found = calls(parts(piece(0, None, "f", '{"x":1}')), parts(piece(0, None, "f", '{"x":2}')))
    assert [c.arguments for c in found] == ['{"x":1}', '{"x":2}']


def test_a_name_repeated_with_every_piece_begins_no_new_call() -> None:
    found = calls(*(parts(piece(0, None, "f", bit)) for bit in ('{"x"', ":1", "}")))
    assert [c.arguments for c in found] == ['{"x":1}']


def test_the_older_function_call() -> None:
    legacy = [
        {"function_call": {"name": "f", "arguments": '{"x"'}},
        {"function_call": {"arguments": ":1}"}},
    ]
    fold = read(HOSTED, stream(*legacy, finish="function_call"))
    assert fold.tool_calls == (ToolCall("call_0", "f", '{"x":1}'),)
    assert fold.end == Finished("tool_calls")


def test_half_a_character_in_an_id_can_be_written() -> None:
    raw = rb'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"\ud83e","function":'
    raw += rb'{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}' + b"\n\n"
    assert read(HOSTED, raw).tool_calls[0].call_id == "\N{REPLACEMENT CHARACTER}"


def test_broken_arguments_stay_as_they_came() -> None:
    assert calls(parts(piece(0, "a", "f", '{"x":')))[0].arguments == '{"x":'


def test_done_alone_after_tool_calls_ends_with_them() -> None:
    assert read(HOSTED, sse(chunk(parts(piece(0, "a", "f", "{}"))))).end == Finished("tool_calls")


# Citations


@pytest.mark.parametrize(
    "payload",
    [
        chunk(SAID, citations=["https://a", "https://b", "https://a"]),
        chunk(SAID, citations=["https://a", "https://b"], search_results=[{"url": "https://a"}]),
        chunk({**SAID, "annotations": [{"type": "url_citation", "url_citation": {"url": u}}
                                       for u in ("https://a", "https://b")]}),
    ],
    ids=["urls", "with results", "annotations"],
)  # fmt: skip
def test_citations_come_once(payload: Any) -> None:
    found = [e for e in events(HOSTED, sse(payload, payload)) if isinstance(e, Citation)]
    assert [c.url for c in found] == ["https://a", "https://b"]


def test_a_title_wins_over_a_bare_url() -> None:
    payload = chunk(
        SAID, citations=["https://a"], search_results=[{"url": "https://a", "title": "A"}]
    )
    assert Citation("https://a", "A") in events(HOSTED, sse(payload))


# Anything at all

WORDS = set(
    re.findall(
        r"\w+",
        """id model choices delta message content finish_reason tool_calls function name arguments
        index usage prompt_tokens cost error code metadata citations url text reasoning
        reasoning_details annotations type response output status item""",
    )
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(sorted(WORDS)),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(JSON, max_size=4))
def test_no_json_makes_it_raise(payloads: list[Any]) -> None:
    raw = b"".join(b"data: %b\n\n" % json.dumps(p).encode() for p in payloads)
    for body in (raw, json.dumps(payloads[0]).encode() if payloads else b"{"):
        fold = Fold()
        for event in events(AGGREGATOR, body):
            fold.add(event)
        assert fold.end is not None


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80), st.sampled_from([b"", b"{", b"<", b"data: ", b"data: {"]))
def test_no_bytes_make_it_raise_and_none_are_an_answer(junk: bytes, start: bytes) -> None:
    assert isinstance(read(HOSTED, start + junk).end, Failed)


def test_json_nested_beyond_reason_is_a_fault() -> None:
    deep = b'data: {"choices":' + b"[" * 100_000 + b"\n\n"
    assert fault(read(HOSTED, deep)).kind is FaultKind.PROTOCOL
    assert fault(read(HOSTED, b"[" * 100_000 + b"]" * 100_000)).kind is FaultKind.PROTOCOL


def test_a_piece_of_reasoning_in_a_document() -> None:
    raw = doc()
    raw = raw.replace(b'"content": "Hi"', b'"content": "Hi", "reasoning_content": "why"')
    assert Reasoning("why") in events(HOSTED, raw)
