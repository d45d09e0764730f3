"""Answers that must fit a schema: checked, and a wrong one sent back once."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nemocli.core.events import Fold
from nemocli.core.faults import FaultKind
from nemocli.core.money import Pico
from nemocli.engine.run import Answer
from nemocli.engine.structured import SchemaCheck, json_in, run_checked
from tests.engine.scripted import (
    ASKED,
    AT_OTHER,
    AT_SHOP,
    STALLED,
    USED,
    Scene,
    Script,
    plan,
    refused,
    scene,
    sse,
    virtually,
)


def number(text: str) -> list[str]:
    """A judge: a JSON number and nothing else."""
    try:
        return [] if isinstance(json.loads(text), int) else ["at /: not a number"]
    except ValueError:
        return ["not JSON"]


def checked(at: Scene, *targets, repairs: int = 1, max_tokens: int | None = None, **more) -> Answer:
    request = replace(ASKED, max_tokens=max_tokens)
    check = SchemaCheck(number, repairs)
    answer = Answer(Fold(), (targets or (AT_SHOP,))[0])
    work = run_checked(
        plan(*targets, **more), request, at.world, at.seen.append, check, answer=answer
    )
    assert virtually(work) is answer
    return answer


def says(text: str, end: str = "stop") -> Script:
    return Script(sse(text, end=end))


@pytest.mark.parametrize("text", ["1", " 1\n", "```json\n1\n```", "Sure:\n\n~~~\n1\n~~~\nDone."])
def test_a_right_answer_is_taken_with_or_without_its_fence(text: str) -> None:
    at = scene(says(text))
    answer = checked(at)
    assert (answer.fault, json_in(answer.fold.text)) == (None, "1")
    assert len(at.calls) == 1


def test_a_wrong_answer_is_sent_back_once_with_what_is_wrong() -> None:
    at = scene(says('"one"'), says("1"))
    answer = checked(at)
    assert (answer.fault, answer.fold.text) == (None, "1")
    messages = at.sent()["messages"]
    assert [m["role"] for m in messages] == ["user", "assistant", "user"]
    assert messages[1]["content"] == '"one"'
    assert "at /: not a number" in messages[2]["content"]
    assert [e.attempt for e in answer.entries] == [1, 2]
    assert answer.entries == at.book.entries
    assert {e.run_id for e in at.book.entries} == {"run-1"}
    assert at.book.open == {}


def test_an_answer_that_stays_wrong_is_a_schema_fault() -> None:
    at = scene(says("never"))
    answer = checked(at)
    assert answer.fault is not None
    assert (answer.fault.kind, answer.fault.exit_code) == (FaultKind.SCHEMA, 8)
    assert (answer.fault.provider, answer.fold.text) == ("shop", "never")
    assert "not JSON" in answer.fault.message
    assert len(at.calls) == len(answer.entries) == 2


def test_without_repairs_nothing_is_sent_back() -> None:
    at = scene(says("never"))
    answer = checked(at, repairs=0)
    assert answer.fault is not None
    assert len(at.calls) == 1


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (says("[1, 2", "length"), FaultKind.TRUNCATED),
        (says("no", "content_filter"), FaultKind.FILTERED),
        (Script(sse("1", end=None)), FaultKind.CUT),
        (says(""), FaultKind.NO_ANSWER),
    ],
)
def test_what_is_no_answer_is_not_mended(script: Script, kind: FaultKind) -> None:
    at = scene(script)
    answer = checked(at)
    assert answer.fault is not None
    assert answer.fault.kind is kind
    assert len(at.calls) == 1


def test_a_repair_is_asked_of_who_answered_and_may_be_tried_again() -> None:
    at = scene(refused(401), says("one"), refused(503), says("1"))
    answer = checked(at, AT_SHOP, AT_OTHER)
    assert answer.fault is None
    assert [e.provider for e in answer.entries] == ["shop", "other", "other", "other"]


def test_a_repair_that_fails_is_that_failure() -> None:
    at = scene(says("one"), refused(402))
    answer = checked(at)
    assert answer.fault is not None
    assert answer.fault.kind is FaultKind.QUOTA


def test_a_repair_is_paid_from_the_same_budget() -> None:
    wrong = Script(sse("one", usage={**USED, "cost": "0.001"}))
    at = scene(wrong, says("1"))
    answer = checked(at, max_tokens=400, max_cost_pico=Pico(1_200_000_000))
    assert answer.fault is not None
    assert answer.fault.kind is FaultKind.BUDGET
    assert (len(at.calls), len(answer.entries)) == (1, 2)
    richer = scene(wrong, says("1"))
    assert checked(richer, max_tokens=400, max_cost_pico=Pico(2_400_000_000)).fault is None


def test_what_failed_before_the_repair_counts_too() -> None:
    at = scene(Script(before=[STALLED]), says("one"), says("1"))
    worst = 1_100_000_000
    answer = checked(at, max_tokens=400, max_cost_pico=Pico(worst + worst // 2))
    assert answer.fault is not None
    assert answer.fault.kind is FaultKind.BUDGET
