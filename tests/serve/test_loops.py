"""Agents that loop, told from those that work."""

from __future__ import annotations

from nemocli.core.request import Message, ToolCall
from nemocli.serve.loops import MOST_BODIES, QUIET_S, Failures, count_repeats, digest

ASK = Message("user", "do it")


def turn(arguments: str, result: str) -> list[Message]:
    call = ToolCall("c", "look", arguments)
    return [Message("assistant", "", tool_calls=(call,)), Message("tool", result)]


def test_equal_turns_at_the_end_are_counted() -> None:
    same = turn('{"q": 1}', "no")
    assert count_repeats([ASK, *same * 3]) == 3
    assert count_repeats([ASK, *same * 3, *turn('{"q": 2}', "no")]) == 1
    assert count_repeats([ASK, *same, *turn('{"q": 1}', "yes"), *same]) == 1
    assert count_repeats([ASK]) == 0
    assert count_repeats([]) == 0


def test_polling_that_gets_other_answers_is_no_loop() -> None:
    polls = [m for n in range(20) for m in turn("{}", f"{n} % done")]
    assert count_repeats([ASK, *polls]) == 1


def test_words_of_the_user_begin_anew() -> None:
    same = turn("{}", "no")
    assert count_repeats([ASK, *same * 5, ASK, *same * 2]) == 2


def test_failures_count_until_an_answer_comes_or_time_has_passed() -> None:
    failures = Failures()
    key = digest(b"body", "s")
    assert key != digest(b"body", None)
    for now in (0, 30, 60):
        failures.fail(key, now)
    assert failures.of(key, 61) == 3
    assert failures.of(key, 60 + QUIET_S) == 0
    failures.fail(key, 60 + QUIET_S)
    assert failures.of(key, 60 + QUIET_S) == 1
    failures.succeed(key)
    assert failures.of(key, 60 + QUIET_S) == 0


def test_what_is_remembered_is_bounded() -> None:
    failures = Failures()
    failures.fail(b"first", 0)
    for n in range(MOST_BODIES):
        failures.fail(str(n).encode(), 0)
    assert failures.of(b"first", 0) == 0
