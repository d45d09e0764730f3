"""The responses dialect's typed events, and what servers leave out of them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemocli.core.events import Citation, Failed, Finish, Finished, Metered, Reasoning, Text
from nemocli.core.faults import FaultKind
from nemocli.core.provider import ReasoningWire, UsageWire
from nemocli.core.request import ToolCall
from nemocli.core.usage import Usage
from tests.wire.speaking import AGENT, events, fault, read, sse
from tests.wire.test_chat_replies import JSON


def ev(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", **more}


def response(status: str, *output: Any, **more: Any) -> dict[str, Any]:
    head = {"id": "r-1", "object": "response", "model": "m", "status": status}
    return {**head, "output": list(output), **more}


def message(text: str, kind: str = "output_text", **more: Any) -> dict[str, Any]:
    name = "refusal" if kind == "refusal" else "text"
    return {"type": "message", "content": [{"type": kind, name: text, **more}]}


def stream(*payloads: Any) -> bytes:
    return sse(ev("created", response=response("in_progress")), *payloads, done=False)


DONE = ev("completed", response=response("completed"))
HI = ev("output_text.delta", delta="Hi", item_id="m", output_index=0, content_index=0)
CALL = {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": '{"x":1}'}


def test_text_that_comes_only_in_its_closing_event_is_shown_once() -> None:
    done = ev("output_text.done", text="Hi", item_id="m", output_index=0, content_index=0)
    assert read(AGENT, stream(done, DONE)).text == "Hi"
    assert read(AGENT, stream(HI, done, DONE)).text == "Hi"
    assert read(AGENT, stream({**HI, "output_index": None}, done, DONE)).text == "Hi"


def test_text_that_comes_only_at_the_end_is_shown_once() -> None:
    end = ev("completed", response=response("completed", message("Hi")))
    assert read(AGENT, stream(end)).text == "Hi"
    assert read(AGENT, stream(HI, end)).text == "Hi"


@pytest.mark.parametrize(
    ("name", "finish"),
    [("completed", "stop"), ("incomplete", "length"), ("requires_action", "tool_calls")],
)
def test_typed_ends(name: str, finish: Finish) -> None:
    assert read(AGENT, stream(HI, ev(name, response=response(name)))).end == Finished(finish)


def test_an_incomplete_answer_that_was_filtered() -> None:
    about = response("incomplete", incomplete_details={"reason": "content_filter"})
    end = read(AGENT, stream(HI, ev("incomplete", response=about))).end
    assert end == Finished("content_filter")


@pytest.mark.parametrize("tail", [b"", b"data: [DONE]\n\n", b": bye\n\n"])
def test_without_a_typed_end_it_was_cut(tail: bytes) -> None:
    assert fault(read(AGENT, stream(HI) + tail)).kind is FaultKind.CUT


def test_a_typed_end_without_its_blank_line_is_one() -> None:
    assert read(AGENT, stream(HI, DONE).rstrip(b"\n")).end == Finished("stop")


@pytest.mark.parametrize(
    "failure",
    [
        ev("failed", response=response("failed", error={"message": "m", "code": "server_error"})),
        ev("failed", error={"message": "m", "type": "server_error"}),
        ev("completed", response=response("failed", error={"message": "m"})),
        {"type": "error", "code": "server_error", "message": "m"},
        {"type": "error", "error": {"message": "m"}},
        {"error": {"message": "m", "code": 500}},
        ev("error", error={"message": "m"}),
        ev("error", message="m"),
        {"message": "m", "type": "internal_server_error", "code": 500},
        {"status": 503, "title": "Service Unavailable", "detail": "m"},
    ],
)
def test_failures(failure: Any) -> None:
    fold = read(AGENT, stream(HI, failure))
    assert (fold.text, fault(fold).kind) == ("Hi", FaultKind.SERVER)
    assert fault(fold).message.endswith("m")


def test_a_cancelled_answer_is_cut_and_not_asked_for_again() -> None:
    end = fault(read(AGENT, stream(HI, ev("cancelled", response=response("cancelled")))))
    assert (end.kind, end.retryable) == (FaultKind.CUT, False)


def test_usage_comes_with_a_failure_too() -> None:
    usage = {"input_tokens": 3, "output_tokens": 1}
    failed = ev("failed", response=response("failed", error={"message": "m"}, usage=usage))
    assert read(AGENT, stream(failed)).metered == Metered(Usage(3, None, None, 1))


def test_a_profile_that_leaves_chats_paths_gets_this_dialects_own() -> None:
    usage = {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
    }
    end = ev("completed", response=response("completed", usage=usage))
    fold = read(replace(AGENT, usage=UsageWire()), stream(HI, end))
    assert fold.metered == Metered(Usage(9, 4, None, 5, 2))


@pytest.mark.parametrize("kind", ["reasoning_text", "reasoning_summary_text", "reasoning"])
def test_reasoning_in_deltas_comes_once(kind: str) -> None:
    bits = (ev(f"{kind}.delta", delta="wh"), ev(f"{kind}.delta", delta="y"))
    done = ev(f"{kind}.done", text="why")
    assert read(AGENT, stream(*bits, done, DONE)).reasoning == "why"
    assert read(AGENT, stream(done, DONE)).reasoning == "why"


def test_thoughts_of_a_search_are_lines_and_not_repeated() -> None:
    steps = [ev("reasoning.started", thought="One."), ev("reasoning.stopped", thought="One.")]
    found = events(AGENT, stream(*steps, ev("reasoning.started", thought="Two."), DONE))
    assert [e.text for e in found if isinstance(e, Reasoning)] == ["One.\n", "Two.\n"]


@pytest.mark.parametrize(
    "payloads",
    [
        (
            ev("output_item.added", output_index=1, item={**CALL, "arguments": ""}),
            ev("function_call_arguments.delta", output_index=1, item_id="fc", delta='{"x"'),
            ev("function_call_arguments.delta", output_index=1, item_id="fc", delta=":1}"),
            ev("function_call_arguments.done", output_index=1, item_id="fc", arguments='{"x":1}'),
            ev("output_item.done", output_index=1, item=CALL),
            ev("completed", response=response("completed", CALL)),
        ),
        (
            ev("output_item.added", output_index=1, item={**CALL, "arguments": ""}),
            ev("function_call_arguments.done", item_id="fc", arguments='{"x":1}'),
            DONE,
        ),
        (ev("output_item.done", output_index=1, item=CALL), DONE),
        (ev("completed", response=response("requires_action", CALL)),),
        (
            ev("output_item.added", output_index=1, item={**CALL, "arguments": "", "id": "other"}),
            ev("function_call_arguments.delta", output_index=1, item_id="new", delta='{"x":1}'),
            ev("output_item.done", output_index=1, item={**CALL, "id": "newer"}),
            ev("completed", response=response("completed", {**CALL, "id": "newest"})),
        ),
    ],
    ids=["documented", "no deltas", "item only", "end only", "a new id for every event"],
)
def test_function_calls_come_once(payloads: tuple[Any, ...]) -> None:
    fold = read(AGENT, stream(*payloads))
    assert fold.tool_calls == (ToolCall("c", "f", '{"x":1}'),)
    assert fold.end == Finished("tool_calls")


def test_two_calls_stay_two() -> None:
    second = {**CALL, "id": "fd", "call_id": "d", "arguments": '{"x":2}'}
    end = ev("completed", response=response("completed", CALL, second))
    items = [ev("output_item.done", output_index=i, item=c) for i, c in enumerate((CALL, second))]
    for raw in (stream(end), stream(*items, end)):
        assert [c.call_id for c in read(AGENT, raw).tool_calls] == ["c", "d"]


def test_a_refusal_is_shown_and_ends_as_one() -> None:
    bits = stream(ev("refusal.delta", delta="No."), DONE)
    whole = json.dumps(response("completed", message("No.", "refusal"))).encode()
    for raw in (bits, whole):
        assert (read(AGENT, raw).text, read(AGENT, raw).end) == ("No.", Finished("content_filter"))


def test_citations_from_annotations_and_results() -> None:
    note = {"type": "url_citation", "url": "https://b", "title": "B"}
    found = [
        ev("reasoning.search_results", results=[{"url": "https://a", "title": "A"}]),
        ev("output_text.annotation.added", annotation=note),
        ev("output_item.done", item={"type": "search_results", "results": [{"url": "https://a"}]}),
        ev("completed", response=response("completed", message("Hi", annotations=[note]))),
    ]
    citations = [e for e in events(AGENT, stream(*found)) if isinstance(e, Citation)]
    assert citations == [Citation("https://a", "A"), Citation("https://b", "B")]


@pytest.mark.parametrize(
    ("status", "kind"),
    [("queued", FaultKind.PROTOCOL), ("in_progress", FaultKind.PROTOCOL),
     ("failed", FaultKind.SERVER), ("cancelled", FaultKind.CUT)],
)  # fmt: skip
def test_whole_responses_that_are_no_answer(status: str, kind: FaultKind) -> None:
    assert fault(read(AGENT, json.dumps(response(status)).encode())).kind is kind


def test_a_whole_response_with_an_error_and_no_status_is_that_error() -> None:
    raw = json.dumps({"object": "response", "output": [], "error": {"message": "m", "code": 429}})
    assert fault(read(AGENT, raw.encode())).kind is FaultKind.RATE


@pytest.mark.parametrize("whole", [False, True])
def test_tags_in_the_text_are_reasoning(whole: bool) -> None:
    text = "<think>why</think>\n\nHi"
    deltas = (ev("output_text.delta", delta=c, item_id="m") for c in text)
    raw = stream(*deltas, DONE)
    if whole:
        raw = json.dumps(response("completed", message(text))).encode()
    assert (read(AGENT, raw).reasoning, read(AGENT, raw).text) == ("why", "Hi")
    plain = replace(AGENT, reasoning=ReasoningWire(tags=False))
    assert read(plain, raw).text == text


def test_what_may_become_a_tag_is_shown_before_the_end() -> None:
    assert read(AGENT, stream(ev("output_text.delta", delta="<thi"), DONE)).text == "<thi"


def test_a_whole_response_that_reasoned() -> None:
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "why"}]}
    raw = json.dumps(response("completed", thought, message("Hi"))).encode()
    assert [type(e) for e in events(AGENT, raw)][1:] == [Reasoning, Text, Finished]


def test_types_nobody_knows_yet_are_ignored() -> None:
    assert (
        read(AGENT, stream(ev("skill.loaded", name="x"), HI, {"type": "ping"}, DONE)).text == "Hi"
    )


KINDS = st.sampled_from(
    [
        "error",
        "response.created",
        "response.completed",
        "response.failed",
        "response.incomplete",
        "response.output_item.done",
        "response.output_text.done",
        "response.output_text.annotation.added",
        "response.reasoning.started",
        "response.function_call_arguments.done",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(KINDS, JSON), max_size=4))
def test_no_json_makes_it_raise(payloads: list[tuple[str, Any]]) -> None:
    typed = [{**p, "type": k} if isinstance(p, dict) else p for k, p in payloads]
    assert read(AGENT, sse(*typed)).end is not None
    for payload in typed:
        assert read(AGENT, json.dumps(payload).encode()).end is not None


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=80), st.sampled_from([b"", b"{", b"<", b"data: ", b"data: {"]))
def test_no_bytes_make_it_raise_and_none_are_an_answer(junk: bytes, start: bytes) -> None:
    assert isinstance(read(AGENT, start + junk).end, Failed)
