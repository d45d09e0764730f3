"""Replies as real servers, routers and proxies were seen to send them, each once misread."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from nemocli.core.events import Failed, Finished, Fold
from nemocli.core.faults import FaultKind
from nemocli.core.provider import Provider
from nemocli.core.request import Effort, Message, Request, ToolCall
from nemocli.core.usage import Usage
from nemocli.wire.chat.tool_calls import MOST_CALLS
from nemocli.wire.dialect import dialect_named
from tests.wire.speaking import AGENT, AGGREGATOR, HOSTED, chunk, fault, read, sse, stream, target

SAID = {"content": "Hi"}
THOUGHT = {"reasoning_content": "The answer is 4."}


def asked(effort: Effort | None, *chunks: bytes, provider: Provider = HOSTED) -> Fold:
    request = Request("ultra", (Message("user", "hi"),), reasoning=effort)
    decoder = dialect_named(provider.dialect).decoder(target(provider), request)
    fold = Fold()
    for part in chunks:
        for event in decoder.feed(part):
            fold.add(event)
    for event in decoder.close():
        fold.add(event)
    return fold


def codes(fold: Fold) -> list[str]:
    assert isinstance(fold.end, Finished), fold.end
    return [warned.code for warned in fold.end.warnings]


def call(index: int | None = None, **function: Any) -> dict[str, Any]:
    piece: dict[str, Any] = {} if index is None else {"index": index}
    if "id" in function:
        piece["id"] = function.pop("id")
    return {"tool_calls": [{**piece, "function": function}]}


# Tool calls


def test_a_call_of_nothing_but_empty_strings_is_none() -> None:
    empty = {"id": "", "type": "", "function": {"name": "", "arguments": ""}}
    message = {"content": "Hi", "tool_calls": [empty]}
    document = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    for raw in (stream(SAID, {"tool_calls": [empty]}), json.dumps(document).encode()):
        fold = read(HOSTED, raw)
        assert (fold.text, fold.tool_calls, fold.end) == ("Hi", (), Finished("stop"))


def test_a_piece_without_id_and_name_continues_the_call_under_way() -> None:
    pieces = (
        call(0, id="a", name="f", arguments="{}"),
        call(0, id="b", name="g", arguments=""),
        call(1, arguments='{"x": 1}'),
    )
    fold = read(HOSTED, stream(*pieces, finish="tool_calls"))
    assert fold.tool_calls == (ToolCall("a", "f", "{}"), ToolCall("b", "g", '{"x": 1}'))


def test_a_call_whose_name_comes_late_is_whole_and_one_without_is_a_failure() -> None:
    late = (call(0, id="a", arguments='{"x"'), call(0, name="f", arguments=": 1}"))
    assert read(HOSTED, stream(*late, finish="tool_calls")).tool_calls == (
        ToolCall("a", "f", '{"x": 1}'),
    )
    never = read(HOSTED, stream(late[0], finish="tool_calls"))
    assert fault(never).kind is FaultKind.PROTOCOL
    assert "without a name" in fault(never).message


def test_calls_without_end_stop_at_a_bound_and_cost_what_they_weigh() -> None:
    pieces = [call(i, id=f"c{i}", name="f", arguments="{}") for i in range(MOST_CALLS + 1)]
    assert len(read(HOSTED, stream(*pieces[:-1], finish="tool_calls")).tool_calls) == MOST_CALLS
    over = read(HOSTED, stream(*pieces, finish="tool_calls"))
    assert fault(over).kind is FaultKind.PROTOCOL
    assert fault(over).retry is False
    calls = [piece["tool_calls"][0] for piece in pieces]
    message = {"index": 0, "message": {"tool_calls": calls}, "finish_reason": "tool_calls"}
    assert fault(read(HOSTED, json.dumps({"choices": [message]}).encode())).retry is False


# What was said twice, or by another choice


def responses(*events: dict[str, Any], text: str) -> bytes:
    item = {"type": "message", "content": [{"type": "output_text", "text": text}]}
    whole = {"id": "r", "status": "completed", "output": [item]}
    return sse(*events, {"type": "response.completed", "response": whole}, done=False)


@pytest.mark.parametrize("placed", [True, False], ids=["with positions", "without"])
def test_ids_that_change_with_every_event_do_not_double_the_answer(placed: bool) -> None:
    place = {"output_index": 0, "content_index": 0} if placed else {}
    kind = "response.output_text"
    deltas = [
        {"type": f"{kind}.delta", "delta": t, "item_id": f"i{n}", **place}
        for n, t in enumerate(("Hello ", "wörld"))
    ]
    done = {"type": f"{kind}.done", "text": "Hello wörld", "item_id": "i9", **place}
    assert read(AGENT, responses(*deltas, done, text="Hello wörld")).text == "Hello wörld"


def test_a_refusal_under_changing_ids_is_said_once() -> None:
    delta = {"type": "response.refusal.delta", "delta": "No.", "item_id": "a"}
    done = {"type": "response.refusal.done", "refusal": "No.", "item_id": "b"}
    assert read(AGENT, responses(delta, done, text="No.")).text == "No."


def test_a_part_that_came_only_as_a_whole_is_not_lost() -> None:
    first = {"type": "response.output_text.delta", "delta": "one ", "output_index": 0}
    done = {"type": "response.output_text.done", "text": "one ", "output_index": 0}
    second = {"type": "response.output_text.done", "text": "two", "output_index": 1}
    assert read(AGENT, responses(first, done, second, text="one two")).text == "one two"


def test_choice_0_is_the_answer_whichever_comes_first() -> None:
    def of(index: int, text: str, finish: str | None = None) -> dict[str, Any]:
        return {"choices": [{"index": index, "delta": {"content": text}, "finish_reason": finish}]}

    fold = read(HOSTED, sse(of(1, "wrong"), of(0, "right"), of(1, "", "stop"), of(0, "", "stop")))
    assert fold.text == "right"


# Counts and money


@pytest.mark.parametrize(
    ("last", "usage"),
    [
        (
            {"x_groq": {"usage": {"prompt_tokens": 5, "completion_tokens": 2}}},
            Usage(5, None, None, 2),
        ),
        (
            {"usage": {"prompt_tokens": 9, "completion_tokens": 2, "cached_tokens": 4}},
            Usage(9, 4, None, 2),
        ),
        (
            {"usage": {"prompt_tokens": 9, "completion_tokens": 2, "prompt_cache_hit_tokens": 4}},
            Usage(9, 4, None, 2),
        ),
        ({"usage": {"prompt_tokens": "9", "completion_tokens": "2"}}, Usage(9, None, None, 2)),
    ],
    ids=["x_groq", "cached_tokens", "prompt_cache_hit_tokens", "digits"],
)
def test_counts_in_places_of_their_own(last: dict[str, Any], usage: Usage) -> None:
    fold = read(HOSTED, sse(chunk(SAID), {**chunk({}, "stop"), **last}))
    assert fold.metered is not None
    assert fold.metered.usage == usage


def test_counts_inside_the_choice() -> None:
    choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 1}
    fold = read(HOSTED, sse(chunk(SAID), {"choices": [{**choice, "usage": usage}]}))
    assert fold.metered is not None
    assert fold.metered.usage == Usage(3, None, None, 1)


@pytest.mark.parametrize(
    "later",
    [
        {"prompt_tokens": 0, "completion_tokens": 0, "cost": 0},
        {"prompt_tokens": 1000},
        {"completion_tokens": 500, "cost": "0.25"},
        {"prompt_tokens": 1000, "completion_tokens": 500},
    ],
)
def test_what_is_known_is_not_erased(later: dict[str, Any]) -> None:
    known = {"prompt_tokens": 1000, "completion_tokens": 500, "cost": 0.25}
    raw = sse(chunk(SAID, usage=known), chunk({}, "stop"), {"choices": [], "usage": later})
    metered = read(AGGREGATOR, raw).metered
    assert metered is not None
    assert (metered.usage, metered.reported_usd) == (Usage(1000, None, None, 500), Decimal("0.25"))


def test_counts_in_two_halves_add_up_and_the_later_of_two_counts_holds() -> None:
    halves = ({"prompt_tokens": 10, "completion_tokens": 1}, {"completion_tokens": 7})
    chunks = [chunk(SAID, usage=half) for half in halves]
    metered = read(HOSTED, sse(*chunks, chunk({}, "stop"))).metered
    assert metered is not None
    assert metered.usage == Usage(10, None, None, 7)


# Ends


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("model_context_window_exceeded", "length"),
        ("max_completion_tokens", "length"),
        ("RECITATION", "content_filter"),
        ("prohibited_content", "content_filter"),
    ],
)
def test_bad_ends_by_other_words(word: str, reason: str) -> None:
    end = read(HOSTED, stream(SAID, finish=word)).end
    assert isinstance(end, Finished)
    assert (end.reason, end.raw, end.warnings) == (reason, word.lower(), ())


@pytest.mark.parametrize("word", ["MALFORMED_FUNCTION_CALL", "cancelled", "timeout"])
def test_ends_that_broke_the_answer_off(word: str) -> None:
    assert isinstance(read(HOSTED, stream(SAID, finish=word)).end, Failed)


def test_an_unknown_end_is_never_complete_without_a_word() -> None:
    fold = read(HOSTED, stream(SAID, finish="something new"))
    assert codes(fold) == ["unknown_finish_reason"]
    assert codes(read(HOSTED, stream(SAID, finish="eos"))) == []


# Reasoning and calls where they do not belong


@pytest.mark.parametrize("effort", ["off", None, "high"])
def test_with_reasoning_off_what_came_as_reasoning_is_the_answer(effort: Effort | None) -> None:
    fold = asked(effort, stream(THOUGHT, {"content": ""}))
    if effort == "off":
        assert (fold.text, fold.reasoning) == ("The answer is 4.", "")
        assert codes(fold) == ["reasoning_as_answer"]
    else:
        assert (fold.text, fold.reasoning) == ("", "The answer is 4.")


def test_with_reasoning_off_reasoning_before_an_answer_stays_reasoning() -> None:
    fold = asked("off", stream(THOUGHT, SAID))
    assert (fold.text, fold.reasoning, codes(fold)) == ("Hi", "The answer is 4.", [])
    cut = asked("off", stream(THOUGHT, finish=None, done=False))
    assert (cut.text, cut.reasoning) == ("", "The answer is 4.")


LEAK = "Let me look. <tool_call>\n<function=bash>\n<parameter=cmd>\nls\n</parameter></function>"


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_a_call_left_in_the_text_is_an_answer_with_a_warning(step: int) -> None:
    pieces = [{"content": LEAK[i : i + step]} for i in range(0, len(LEAK), step)]
    fold = read(HOSTED, stream(*pieces))
    assert (fold.text, codes(fold)) == (LEAK, ["leaked_tool_call"])
    assert isinstance(fold.end, Finished)
    assert "--tool-call-parser" in fold.end.warnings[0].message
    whole = {"choices": [{"message": {"content": LEAK}, "finish_reason": "stop"}]}
    assert codes(read(HOSTED, json.dumps(whole).encode())) == ["leaked_tool_call"]


def test_words_about_calls_are_no_leak() -> None:
    assert (
        codes(read(HOSTED, stream({"content": "Put it in a <tool_call> tag, like [this]."}))) == []
    )


# Errors and replies of others


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({"error": "rate limited, slow down"}, FaultKind.RATE),
        ({"error": {"message": "Too many requests"}}, FaultKind.RATE),
        ({"detail": "Not authenticated"}, FaultKind.AUTH),
        ({"error": "Invalid API key provided"}, FaultKind.AUTH),
        ({"error": "You have no credits left"}, FaultKind.QUOTA),
    ],
)
def test_words_say_the_kind_where_there_is_no_code(document: Any, kind: FaultKind) -> None:
    assert fault(read(HOSTED, json.dumps(document).encode())).kind is kind
    assert fault(read(HOSTED, sse(document))).kind is kind


def test_a_token_limit_is_about_length() -> None:
    told = fault(read(HOSTED, sse({"error": {"code": 400, "message": "Token limit reached"}})))
    assert told.kind is FaultKind.REQUEST
    assert "shorter" in (told.hint or "")


@pytest.mark.parametrize(
    "payload",
    [
        {"code": 20012, "message": "Model disabled"},
        {"success": False, "errors": ["nothing here"]},
        {"error_msg": "quux", "error_code": 17},
        {"base_resp": {"status_code": 1004, "status_msg": "login fail"}},
    ],
)
@pytest.mark.parametrize("provider", [HOSTED, AGENT], ids=["chat", "responses"])
def test_a_finished_reply_with_nothing_of_the_dialect_is_quoted(
    provider: Provider, payload: Any
) -> None:
    for raw in (sse(payload), sse(payload, done=False), json.dumps(payload).encode()):
        told = fault(read(provider, raw))
        assert (told.kind, told.retry) == (FaultKind.PROTOCOL, False), told
        assert "no reply of its dialect" in told.message
        assert next(iter(payload)) in told.message


def test_chat_chunks_at_a_responses_provider_are_quoted() -> None:
    told = fault(read(AGENT, stream(SAID)))
    assert (told.kind, told.retry) == (FaultKind.PROTOCOL, False)
    assert "choices" in told.message


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (
            b'{"model":"m","message":{"role":"assistant","content":"Hi"},"done":false}\n'
            b'{"model":"m","message":{"role":"assistant","content":""},"done":true}\n',
            "Ollama",
        ),
        (b'{"model":"m","response":"Hi","done":true}', "Ollama"),
        (
            b'{"type":"message","role":"assistant","content":[{"type":"text","text":"Hi"}]}',
            "Anthropic",
        ),
        (b'{"event_id":"x","data":[]}', "Gradio"),
        (b'[{"generated_text":"Hi"}]', "text-generation"),
        (b"<!doctype html><html><title>Gradio</title></html>", "web page"),
    ],
)
def test_another_api_is_named_with_the_address_to_set(body: bytes, name: str) -> None:
    told = fault(read(HOSTED, body))
    assert told.kind is FaultKind.PROTOCOL
    assert name in told.message
    assert "base_url" in (told.hint or "")


def test_chunks_as_lines_of_json_are_read_to_the_end() -> None:
    lines = [chunk({"content": "Hel"}), chunk({"content": "lo"}), chunk({}, "stop")]
    fold = read(HOSTED, b"\n".join(json.dumps(line).encode() for line in lines))
    assert (fold.text, fold.end) == ("Hello", Finished("stop"))
