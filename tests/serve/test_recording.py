"""Recordings: requests found again whatever run they come from, replies that are what they were."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.events import Citation, Event, Finished, Fold, Metered, Reasoning, Text
from nemocli.core.faults import FaultKind
from nemocli.core.request import Message
from nemocli.serve.recording import (
    TOGETHER_MS,
    RecordedExchange,
    Script,
    Taken,
    exchanges,
    request_key,
)
from tests.serve.test_outgoing import EVENTS

BODY: dict[str, Any] = {
    "model": "m",
    "metadata": {"user_id": "a"},
    "prompt_cache_key": "k1",
    "stream": True,
    "input": [
        {"id": "msg_1", "role": "user", "content": "On 2026-11-28, do it"},
        {"type": "function_call_output", "call_id": "c",
         "output": "Chunk ID: ab12\nWall time: 0.0017 seconds\nhello"},
    ],
}  # fmt: skip


def key(**changes: Any) -> str:
    return request_key(json.dumps({**BODY, **changes}).encode())


def test_what_differs_from_run_to_run_does_not_count() -> None:
    other = json.loads(json.dumps(BODY))
    other["input"][0] |= {"id": "msg_2", "content": "On 2027-01-01, do it"}
    other["input"][1]["output"] = "Chunk ID: ff00\nWall time: 1.5 seconds\nhello"
    assert key(input=other["input"]) == key()
    assert key(metadata={"user_id": "b"}, prompt_cache_key="k2", stream=False) == key()
    assert key(model="n") != key()
    other["input"][1]["output"] = other["input"][1]["output"].replace("hello", "goodbye")
    assert key(input=other["input"]) != key()
    assert request_key(b"\xff") != request_key(b"\xfe")


@given(EVENTS, st.lists(st.integers(0, 3 * TOGETHER_MS), max_size=12))
def test_a_reply_comes_back_as_it_was(events: list[Event], gaps: list[int]) -> None:
    taken, fold, now = Taken(), Fold(), 0
    for event, gap in zip(events, [*gaps, *[0] * len(events)], strict=False):
        now += gap
        fold.add(event)
        taken.add(now, event)
    row = json.loads(json.dumps({"events": taken.events, "finish": "stop", "usage": None}))
    again = Fold()
    times = []
    for at, event in RecordedExchange({}, row).events():
        again.add(event)
        times.append(at)
    assert (again.text, again.reasoning) == (fold.text, fold.reasoning)
    assert again.tool_calls == fold.tool_calls
    assert times[:-1] == sorted(times[:-1])


def test_what_is_known_of_a_reply_is_kept() -> None:
    usage = {"input_tokens": 3, "output_tokens": 1, "source": "reported"}
    row = {
        "model": "x", "reply_id": "r", "events": [[5, "cite", ["https://a", "A"]],
        [9, "details", [{"k": 1}]]], "usage": usage, "finish": "length",
    }  # fmt: skip
    fold = Fold()
    for _, event in RecordedExchange({}, row).events():
        fold.add(event)
    assert fold.citations == [Citation("https://a", "A")]
    assert fold.details == [{"k": 1}]
    assert isinstance(fold.metered, Metered)
    assert fold.end == Finished("length")
    assert fold.started.model == "x"
    assert RecordedExchange({}, {}).fault is not None
    failed = RecordedExchange(
        {}, {"fault": {"code": "rate_limited", "message": "slow", "status": 429}}
    )
    assert failed.fault is not None
    assert (failed.fault.kind, failed.fault.status) == (FaultKind.RATE, 429)
    assert RecordedExchange({}, {"fault": {"code": "odd", "message": ""}}).fault is not None


def recorded(*texts: str, keys: str = "") -> list[RecordedExchange]:
    lines: list[dict[str, Any]] = []
    for n, text in enumerate(texts):
        name = keys[n] if keys else f"k{n}"
        messages = [{"role": "user", "text": t} for t in texts[: n + 1]]
        lines.append({"type": "request", "id": str(n), "key": name, "messages": messages})
        lines.append({"type": "reply", "id": str(n), "events": [[0, "text", text]]})
    return exchanges(lines)


def test_equal_requests_get_their_replies_in_turn_and_the_last_one_again() -> None:
    script = Script(recorded("a", "b", "c", keys="xyx"))

    def said(name: str) -> str:
        found = script.take(name)
        assert found is not None
        return next(e.text for _, e in found.events() if isinstance(e, Text | Reasoning))

    assert [said("x"), said("y"), said("x"), said("x")] == ["a", "b", "c", "c"]
    assert script.take("z") is None


def test_a_request_that_was_not_recorded_is_told_where_it_left_the_script() -> None:
    script = Script(recorded("one", "two"))
    said = script.nearest([Message("user", "one"), Message("user", "other\nwords")])
    assert "exchange 2, the same up to message 1" in said
    assert "'other words'" in said
    assert "'two'" in said
    assert Script([]).nearest([]) == "the recording is empty"
