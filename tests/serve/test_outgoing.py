"""Events as a client sees them: what is put together again is what was said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.events import Event, Finished, Fold, Metered, Reasoning, Text, ToolCallPart
from nemocli.core.faults import Fault, FaultKind
from nemocli.core.usage import Usage
from nemocli.serve.outgoing import (
    DONE,
    ChatReply,
    completion,
    error_headers,
    error_json,
    status_of,
    usage_json,
)

WORDS = st.text(max_size=12)
EVENTS = st.lists(
    st.builds(Text, WORDS)
    | st.builds(Reasoning, WORDS)
    | st.builds(ToolCallPart, st.integers(0, 2), st.just("c"), st.just("f"), WORDS),
    max_size=12,
)


def sent(events: list[Event], *, usage: bool) -> tuple[list[dict[str, Any]], Fold]:
    fold, stream = Fold(), ChatReply("id", "m", 1, include_usage=usage)
    out = b""
    for event in events:
        fold.add(event)
        out += stream.chunk(event)
    out += stream.end(fold)
    assert out.endswith(DONE)
    lines = [line for line in out.decode().split("\n\n") if line]
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]], fold


@given(EVENTS)
def test_chunks_add_up_to_what_was_said(events: list[Event]) -> None:
    chunks, fold = sent([*events, Finished("stop")], usage=False)
    deltas = [c["choices"][0]["delta"] for c in chunks]
    assert "".join(d.get("content") or "" for d in deltas) == fold.text
    assert "".join(d.get("reasoning") or "" for d in deltas) == fold.reasoning
    said: dict[int, str] = {}
    for delta in deltas:
        for part in delta.get("tool_calls", ()):
            said[part["index"]] = said.get(part["index"], "") + part["function"]["arguments"]
    assert [said[i] for i in sorted(said)] == [c.arguments for c in fold.tool_calls]
    assert deltas[0]["role"] == "assistant"
    assert [c["choices"][0]["finish_reason"] for c in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


def test_usage_is_sent_where_it_was_asked_for_and_known() -> None:
    metered = Metered(Usage(10, 4, None, 3, 1))
    events: list[Event] = [Text("a"), metered, Finished("stop")]
    assert sent(events, usage=True)[0][-1]["usage"] == {
        "prompt_tokens": 10,
        "completion_tokens": 3,
        "total_tokens": 13,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    assert all("usage" not in chunk for chunk in sent(events, usage=False)[0])
    assert usage_json(None) is None
    assert usage_json(Metered(Usage(10, None, None, 3, None, "estimated"))) is None


@given(EVENTS)
def test_a_whole_reply_says_the_same(events: list[Event]) -> None:
    fold = Fold()
    for event in [*events, Finished("tool_calls")]:
        fold.add(event)
    [choice] = json.loads(completion(fold, "id", "m", 1))["choices"]
    assert (choice["message"]["content"] or "") == fold.text
    assert len(choice["message"].get("tool_calls", ())) == len(fold.tool_calls)
    assert choice["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("fault", "status", "headers"),
    [
        (Fault(FaultKind.BUDGET, "spent"), 400, {"x-should-retry": "false"}),
        (Fault(FaultKind.RATE, "slow", status=429, retry_after_s=7), 429, {"retry-after": "7"}),
        (Fault(FaultKind.AUTH, "no"), 401, {"x-should-retry": "false"}),
        (Fault(FaultKind.QUOTA, "no"), 402, {"x-should-retry": "false"}),
        (Fault(FaultKind.SERVER, "no", status=529), 529, {}),
        (Fault(FaultKind.REQUEST, "no", status=413), 413, {"x-should-retry": "false"}),
        (Fault(FaultKind.CUT, "no"), 502, {}),
        (Fault(FaultKind.TIMEOUT, "no"), 504, {}),
        (Fault(FaultKind.INTERNAL, "no"), 500, {"x-should-retry": "false"}),
    ],
)
def test_a_failure_has_its_status(fault: Fault, status: int, headers: dict[str, str]) -> None:
    assert status_of(fault) == status
    assert dict(error_headers(fault)) == headers
    error = json.loads(error_json(fault))["error"]
    assert error["code"] == ("budget_exceeded" if fault.kind is FaultKind.BUDGET else fault.kind)
