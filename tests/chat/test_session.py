"""A conversation as a value: what the model is shown of it, whatever happened in it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from nemocli.chat.session import Turn, context_tokens, last_question, messages_of, question
from nemocli.chat.slash import NAMES, Slash, help_lines, parse
from nemocli.core.faults import NemoError
from nemocli.core.request import ToolCall
from nemocli.core.usage import Usage

AT = datetime(2026, 11, 28, tzinfo=UTC)
CALL = ToolCall("c1", "add", '{"a": 1}')


def turn(role: str, text: str = "", **more) -> Turn:
    return Turn(f"t{turn.count}", role, text, AT, **more)


turn.count = 0


def shown(*turns: Turn, system: str | None = None, provider: str = "a") -> list[tuple[str, str]]:
    return [(m.role, m.text) for m in messages_of(turns, system, provider)]


def test_what_was_said_is_shown_in_order() -> None:
    turns = (turn("user", "hi"), turn("assistant", "hello"), turn("user", "bye"))
    assert shown(*turns, system="be brief") == [
        ("system", "be brief"), ("user", "hi"), ("assistant", "hello"), ("user", "bye")
    ]  # fmt: skip


def test_a_stopped_answer_is_shown_as_far_as_it_came() -> None:
    turns = (turn("user", "hi"), turn("assistant", "hel", status="interrupted"), turn("user", "?"))
    assert ("assistant", "hel") in shown(*turns)


def test_an_answer_that_failed_without_a_word_is_left_out() -> None:
    turns = (turn("user", "hi"), turn("assistant", "", status="error"), turn("user", "again"))
    assert shown(*turns) == [("user", "hi"), ("user", "again")]


def test_tool_calls_go_back_with_their_results_only() -> None:
    asked = turn("assistant", "", tool_calls=(CALL, ToolCall("c2", "add", "{}")))
    result = turn("tool", "3", tool_call_id="c1")
    messages = messages_of((turn("user", "?"), asked, result), None, "a")
    assert [c.call_id for c in messages[1].tool_calls] == ["c1"]
    assert messages[2].tool_call_id == "c1"
    alone = messages_of((turn("user", "?"), asked), None, "a")
    assert [m.role for m in alone] == ["user"], "a call nobody answered is refused by servers"
    orphan = messages_of((turn("user", "?"), result), None, "a")
    assert [m.role for m in orphan] == ["user"]


def test_reasoning_items_go_back_to_their_own_provider_alone() -> None:
    item = {"type": "reasoning.encrypted", "data": "x"}
    said = turn("assistant", "hi", details=(item,), provider="a")
    assert messages_of((said,), None, "a")[0].reasoning_details == (item,)
    assert messages_of((said,), None, "b")[0].reasoning_details == ()


def test_questions_are_found_by_number() -> None:
    turns = (turn("user", "1"), turn("assistant", "x"), turn("user", "2"))
    assert (question(turns, 1), question(turns, 2), question(turns, -1)) == (0, 2, 2)
    assert (question(turns, 3), question(turns, 0), last_question(())) == (None, None, None)


def test_the_context_is_what_the_last_answer_counted_and_what_came_since() -> None:
    counted = turn("assistant", "x", usage=Usage(100, output_tokens=20))
    assert context_tokens((turn("user", "hi"), counted), None) == (120, False)
    assert context_tokens((turn("user", "hi"), counted, turn("user", "12345678")), None) == (
        122,
        True,
    )
    assert context_tokens((turn("user", "12345678"),), "1234") == (3, True)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("hello", "hello"),
        ("/help", Slash("help")),
        ("/model nemotron-3-ultra", Slash("model", "nemotron-3-ultra")),
        ("/exit", Slash("quit")),
        ("//help me", "/help me"),
        ("/usr/bin/env is a path", "/usr/bin/env is a path"),
        ("/system be\nbrief", Slash("system", "be\nbrief")),
        ("  /cost", Slash("cost")),
    ],
)
def test_a_line_is_a_command_or_a_message(text: str, meant: object) -> None:
    assert parse(text) == meant


def test_a_typo_is_no_question() -> None:
    with pytest.raises(NemoError) as caught:
        parse("/mdoel x")
    assert "did you mean `/model`?" in (caught.value.fault.hint or "")


def test_quotes_hold_words_together() -> None:
    assert Slash("file", '"my notes.txt" b').words == ["my notes.txt", "b"]
    assert Slash("file", "it's").words == ["it's"]


def test_every_command_is_carried_out_and_explained() -> None:
    from nemocli.cli.chat.commands import _HANDLERS

    assert {*_HANDLERS, "quit"} == set(NAMES)
    assert len(help_lines()) == len(NAMES)
