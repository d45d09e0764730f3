"""The one door: attempts in order, each reserved before and booked after, whatever happens."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.events import Failed, Retrying, Text
from nemocli.core.faults import ExitCode, FaultKind
from nemocli.core.policy import Policy
from nemocli.core.ports import Endpoint
from nemocli.core.provider import Runtime
from nemocli.engine.run import run
from tests.engine.scripted import (
    ASKED,
    AT_OTHER,
    AT_SHOP,
    BROKEN,
    FOREVER,
    ONCE,
    STALLED,
    Later,
    Scene,
    Script,
    ask,
    cancelled,
    chunk,
    fault,
    frame,
    good,
    plan,
    refused,
    scene,
    sse,
    virtually,
)


def test_an_answer_is_seen_folded_and_booked_once() -> None:
    first, *rest = sse("Hello", " you")
    at = scene(Script([Later(1.5), first, Later(2), *rest], before=[Later(0.5)]))
    answer = ask(at, command="ask", tags=("t",), project="/p")
    assert (at.said, answer.fold.text, answer.fault) == ("Hello you", "Hello you", None)
    assert answer.entries == at.book.entries
    entry = at.entry
    assert (entry.status, entry.http_status, entry.finish_reason) == ("ok", 200, "stop")
    assert (entry.run_id, entry.attempt, entry.command) == ("run-1", 1, "ask")
    assert (entry.provider, entry.model, entry.requested_model) == ("shop", "big", "big")
    assert (entry.served_model, entry.reply_id) == ("vendor/big-fp8", "gen-1")
    assert (entry.tags, entry.project) == (("t",), "/p")
    assert entry.ttft_s == pytest.approx(2, abs=0.2)
    assert entry.total_s == pytest.approx(4, abs=0.2)


def test_reasoning_counts_as_the_first_token() -> None:
    thought = frame(chunk({"reasoning_content": "hm"}))
    at = scene(Script([thought, Later(3), *sse("Hello")]))
    ask(at)
    assert at.entry.ttft_s == pytest.approx(0, abs=0.2)


def test_a_text_that_need_not_be_kept_is_counted_all_the_same() -> None:
    at = scene(good())
    answer = ask(at, keep=False)
    assert (answer.fault, answer.fold.text, answer.fold.text_chars) == (None, "", 9)
    assert at.said == "Hello you"


# Again, next or stop


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(status: int) -> None:
    at = scene(refused(status), good())
    answer = ask(at)
    assert answer.fault is None
    assert [e.status for e in at.book.entries] == ["error", "ok"]
    assert [e.attempt for e in at.book.entries] == [1, 2]
    assert [e.http_status for e in at.book.entries] == [status, 200]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 410, 413, 422])
def test_what_will_not_pass_is_not_tried_again(status: int) -> None:
    at = scene(refused(status), good())
    answer = ask(at)
    assert answer.fault is not None
    assert answer.fault.status == status
    assert len(at.calls) == 1


def test_a_broken_connection_is_tried_again_so_often_and_no_more() -> None:
    at = scene(Script(before=[BROKEN]))
    answer = ask(at, policy=Policy(tries=3))
    assert answer.fault is not None
    assert answer.fault.exit_code is ExitCode.NETWORK
    assert len(at.calls) == len(at.book.entries) == 3
    assert at.clock.slept == [0.25, 0.5]


def test_a_server_is_asked_again_when_it_says_and_not_kept_waiting_for() -> None:
    at = scene(refused(429, retry_after="7"), good())
    assert ask(at).fault is None
    assert at.clock.slept == [7]
    assert at.transport.times[1] - at.transport.times[0] == pytest.approx(7, abs=0.2)
    patient = scene(refused(429, retry_after="3600"), good())
    answer = ask(patient)
    assert answer.fault is not None
    assert answer.fault.exit_code is ExitCode.RATE
    assert len(patient.calls) == 1


@pytest.mark.parametrize("status", [401, 402, 403, 404, 429])
def test_what_another_path_may_not_have_goes_there_without_a_wait(status: int) -> None:
    at = scene(refused(status), good())
    answer = ask(at, AT_SHOP, AT_OTHER)
    assert (answer.fault, answer.target.provider.name) == (None, "other")
    assert at.clock.slept == []
    assert [e.provider for e in at.book.entries] == ["shop", "other"]
    assert [e.provider for e in at.seen if isinstance(e, Retrying)] == ["other"]


def test_another_path_is_taken_when_this_one_has_been_tried_enough() -> None:
    at = scene(refused(500), refused(500), good())
    answer = ask(at, AT_SHOP, AT_OTHER, policy=Policy(tries=2))
    assert [e.provider for e in answer.entries] == ["shop", "shop", "other"]
    assert answer.fault is None


def test_a_wrong_question_is_wrong_everywhere() -> None:
    at = scene(refused(400), good())
    answer = ask(at, AT_SHOP, AT_OTHER)
    assert answer.fault is not None
    assert answer.fault.kind is FaultKind.REQUEST
    assert len(at.calls) == 1


def test_no_other_path_is_taken_where_none_is_wanted() -> None:
    at = scene(refused(401), good())
    answer = ask(at, AT_SHOP, AT_OTHER, policy=Policy(fallback=False))
    assert answer.fault is not None
    assert answer.fault.exit_code is ExitCode.AUTH


def test_retries_over_all_paths_come_out_of_one_budget() -> None:
    at = scene(Script(before=[BROKEN]))
    ask(at, AT_SHOP, AT_OTHER, policy=Policy(tries=5, budget=5))
    # Four retries here and one there: the way to another path is none.
    assert len(at.calls) == 6


def test_failures_that_are_mended_never_reach_the_sink() -> None:
    at = scene(Script([b"data: {}\n\n", BROKEN]), refused(500), good())
    assert ask(at).fault is None
    assert not any(isinstance(e, Failed) for e in at.seen)
    assert [type(e) for e in at.seen if isinstance(e, Retrying | Text)][:2] == [Retrying] * 2


# After something was seen

SEEN = {
    "text": {"content": "Hello"},
    "reasoning": {"reasoning_content": "hm"},
    "a tool call": {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f"}}]},
}


@pytest.mark.parametrize("delta", SEEN.values(), ids=SEEN)
@pytest.mark.parametrize("late", [None, BROKEN, STALLED], ids=["end", "reset", "stall"])
def test_nothing_follows_what_was_seen(delta, late) -> None:
    at = scene(Script([frame(chunk(delta)), *([late] if late else [])]), good())
    answer = ask(at, AT_SHOP, AT_OTHER)
    assert answer.fault is not None
    assert len(at.calls) == 1
    assert at.entry.status == "cut"


LATE = {
    "end": ([], FaultKind.CUT, 8),
    "reset": ([BROKEN], FaultKind.CUT, 8),
    "stall": ([STALLED], FaultKind.TIMEOUT, 7),
    "server error": ([frame({"error": {"code": 502, "message": "gone"}})], FaultKind.CUT, 8),
    "filter": ([frame({"error": {"code": "content_filter"}})], FaultKind.FILTERED, 8),
}


@pytest.mark.parametrize(("late", "kind", "code"), LATE.values(), ids=LATE)
def test_a_failure_after_words_says_that_the_answer_broke_off(late, kind, code) -> None:
    at = scene(Script([*sse("Hello", end=None), *late]))
    answer = ask(at)
    assert answer.fault is not None
    assert (answer.fault.kind, answer.fault.exit_code) == (kind, code)
    assert (answer.fold.text, at.said) == ("Hello", "Hello")
    assert (at.entry.status, at.entry.usage.source) == ("cut", "estimated")
    assert at.entry.fault == answer.fault


ENDS = {
    "length": (sse("Hel", end="length"), FaultKind.TRUNCATED, "truncated"),
    "filter": (sse("Hel", end="content_filter"), FaultKind.FILTERED, "error"),
    "empty": (sse(""), FaultKind.NO_ANSWER, "error"),
    "reasoning": (
        [frame(chunk({"reasoning": "hm"})), *sse()],
        FaultKind.NO_ANSWER,
        "error",
    ),
}


@pytest.mark.parametrize(("steps", "kind", "status"), ENDS.values(), ids=ENDS)
def test_an_end_that_is_no_answer_is_a_fault_and_not_tried_again(steps, kind, status) -> None:
    at = scene(Script(steps), good())
    answer = ask(at, AT_SHOP, AT_OTHER)
    assert answer.fault is not None
    assert (answer.fault.kind, answer.fault.exit_code) == (kind, 8)
    assert (at.entry.status, at.entry.http_status, len(at.calls)) == (status, 200, 1)


# Cancelled

SLOW = Script([Later(1), *sse("Hel", end=None), FOREVER], before=[Later(1)])


@pytest.mark.parametrize(
    ("after_s", "text"),
    [(0.5, ""), (1.5, ""), (9, "Hel")],
    ids=["before the headers", "before the text", "in the text"],
)
def test_a_cancelled_call_is_booked_once_with_what_came(after_s: float, text: str) -> None:
    at = scene(SLOW)
    answer, out = cancelled(at, after_s)
    assert out
    assert (at.entry.status, answer.fold.text, answer.entries) == ("aborted", text, [at.entry])
    assert at.entry.usage.source == "estimated"
    assert at.entry.cost.pico is not None
    assert at.entry.fault is not None
    assert at.entry.fault.kind is FaultKind.INTERRUPTED
    assert (at.book.open, at.transport.open) == ({}, 0)


def test_a_run_cancelled_while_it_waits_to_try_again_has_no_second_attempt() -> None:
    at = scene(refused(503, retry_after="30"))
    _, out = cancelled(at, 10)
    assert out
    assert [e.status for e in at.book.entries] == ["error"]
    assert at.book.open == {}


STARTED = replace(
    AT_SHOP, provider=replace(AT_SHOP.provider, base_url="", runtime=Runtime("command", {}))
)


def test_what_was_cancelled_before_it_was_sent_cost_nothing() -> None:
    at = scene(good())
    at.servers.before = [FOREVER]
    _, out = cancelled(at, 60, STARTED)
    assert out
    assert at.calls == []
    assert (at.entry.status, at.entry.cost.pico) == ("aborted", 0)
    assert (at.entry.usage.input_tokens, at.entry.usage.output_tokens) == (None, None)
    assert at.book.open == {}


def test_starting_a_server_is_not_time_to_the_first_token() -> None:
    at = scene(good())
    at.servers.before = [Later(40)]
    at.servers.found = Endpoint("http://127.0.0.1:9/v1")
    assert ask(at, STARTED).fault is None
    assert at.entry.total_s == pytest.approx(0, abs=0.2)


def test_a_sink_that_gives_up_ends_the_run_and_the_attempt_is_booked() -> None:
    at = scene(good())

    def reader(event: object) -> None:
        if isinstance(event, Text):
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        virtually(run(plan(), ASKED, at.world, reader))
    assert at.entry.status == "aborted"
    assert (at.book.open, at.transport.open) == ({}, 0)


@given(
    st.lists(
        st.sampled_from(["good", "cut", "refused", "broken", "slow", "endless"]),
        min_size=1,
        max_size=5,
    ),
    st.floats(0, 12),
    st.booleans(),
)
def test_whenever_a_run_is_cancelled_every_call_is_booked_once(
    kinds: list[str], after_s: float, two: bool
) -> None:
    at = scene(*map(_scripted, kinds))
    answer, out = cancelled(at, after_s, *((AT_SHOP, AT_OTHER) if two else (AT_SHOP,)))
    assert len(at.book.entries) == len(answer.entries) == len(at.calls)
    assert [r.attempt_id for r in at.book.reserved] == [e.attempt_id for e in at.book.entries]
    assert (at.book.open, at.transport.open) == ({}, 0)
    aborted = [e for e in at.book.entries if e.status == "aborted"]
    assert len(aborted) <= out
    assert aborted in ([], at.book.entries[-1:])


def _scripted(kind: str) -> Script:
    wait = Later(1)
    return {
        "good": Script([wait, *sse("a", "b")], before=[wait]),
        "cut": Script([wait, *sse("a", end=None)], before=[wait]),
        "refused": Script([wait, b"no"], 503, before=[wait]),
        "broken": Script(before=[wait, BROKEN]),
        "slow": Script([piece for step in sse("a", "b") for piece in (wait, step)]),
        "endless": Script([FOREVER]),
    }[kind]


# The ledger


def test_a_reservation_stands_under_the_attempts_own_id_while_it_runs() -> None:
    at = scene(good())
    held: list[str] = []
    at.transport.scripts = [lambda _: held.extend(at.book.open) or good()]
    ask(at)
    assert held == [at.entry.attempt_id]
    assert at.book.open == {}
    (reservation,) = at.book.reserved
    assert (reservation.provider, reservation.model, reservation.pico) == ("shop", "big", None)


@pytest.mark.parametrize("broken", [("reserve",), ("enter",), ("reserve", "enter")])
def test_a_ledger_that_fails_loses_no_answer_and_is_complained_of_once(broken) -> None:
    at = scene(refused(500), good())
    at.book.broken = broken
    answer = ask(at)
    assert (answer.fault, at.said) == (None, "Hello you")
    assert len(answer.entries) == 2
    # That a row is missing says more than that its reservation is.
    assert answer.warnings == [f"could not {broken[-1]}: the disk is full"]


def test_a_failure_on_the_way_to_a_call_is_booked_at_nothing() -> None:
    finding = replace(
        AT_SHOP, model="", offer=None, provider=replace(AT_SHOP.provider, discover=True)
    )
    at = scene(Script(before=[STALLED]))
    answer = ask(at, finding, policy=ONCE)
    assert answer.fault is not None
    assert answer.fault.kind is FaultKind.TIMEOUT
    assert (at.entry.status, at.entry.cost.pico) == ("error", 0)


def test_a_server_that_does_not_start_is_a_fault_and_another_path_is_taken() -> None:
    at = scene(good())
    at.servers.before = [fault(FaultKind.UNAVAILABLE, "no engine here", sent=False)]
    answer = ask(at, STARTED, AT_OTHER)
    assert (answer.fault, answer.target.provider.name) == (None, "other")
    assert [e.cost.pico for e in at.book.entries] == [0, None]


def unbooked(at: Scene) -> int:
    return len(at.calls) - len(at.book.entries)


@given(
    st.lists(
        st.one_of(
            st.sampled_from(["good", "cut", "broken", "slow"]).map(_scripted),
            st.integers(400, 599).map(refused),
            st.binary(max_size=60).map(lambda data: Script([data])),
            st.binary(max_size=60).map(lambda data: Script([*sse("x", end=None), data, BROKEN])),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_whatever_servers_do_every_call_is_booked_once(scripts: list[Script]) -> None:
    at = scene(*scripts)
    answer = ask(at, AT_SHOP, AT_OTHER)
    assert unbooked(at) == 0
    assert at.book.open == {}
    assert len({e.attempt_id for e in at.book.entries}) == len(at.calls)
    assert (answer.fault is None) == (at.book.entries[-1].status == "ok")
    assert not any(isinstance(e, Failed) for e in at.seen)
