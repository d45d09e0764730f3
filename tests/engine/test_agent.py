"""The loop of a model with tools, against a scripted World."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from nemocli.core.faults import FaultKind
from nemocli.core.request import Message, Request, ToolCall, ToolSpec
from nemocli.engine.agent import LoopLimits, LoopOutcome, ToolResult, converse
from tests.engine.scripted import Script, plan, scene, sse, virtually

SPECS = (ToolSpec("add", "Add", {"type": "object"}), ToolSpec("look", "Look", {"type": "object"}))


@dataclass
class Box:
    checks = False
    specs: tuple[ToolSpec, ...] = SPECS
    called: list[tuple[str, str]] = field(default_factory=list)

    async def call(self, call: ToolCall) -> ToolResult:
        self.called.append((call.name, call.arguments))
        return ToolResult(f"result {len(self.called)}")


@dataclass
class Told:
    refuse: set[str] = field(default_factory=set)
    steps: list[str] = field(default_factory=list)

    def asking(self, answer) -> None:
        self.steps.append("asking")

    def after_answer(self, answer) -> None:
        self.steps.append(f"answered {answer.fold.text or len(answer.fold.tool_calls)}")

    async def refusal(self, call: ToolCall) -> str | None:
        return "no" if call.name in self.refuse else None

    def result(self, call: ToolCall, result: ToolResult) -> None:
        self.steps.append(f"{call.name}: {result.text}")


def calling(*calls: tuple[str, str, str]) -> list[bytes]:
    """A reply that calls tools: id, name, arguments."""
    parts = [
        {"index": i, "id": c[0], "type": "function", "function": {"name": c[1], "arguments": c[2]}}
        for i, c in enumerate(calls)
    ]
    rows = [
        {"choices": [{"index": 0, "delta": {"tool_calls": parts}, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    ]
    return [b"data: %b\n\n" % json.dumps(r).encode() for r in rows] + [b"data: [DONE]\n\n"]


def talk(
    *replies: list[bytes], box: Box | None = None, told: Told | None = None, **limits
) -> tuple[LoopOutcome, Box, Told]:
    at = scene(*(Script(reply) for reply in replies))
    box, told = box or Box(), told or Told()
    request = Request("m", (Message("user", "?"),))
    outcome = virtually(
        converse(plan(), request, at.world, lambda event: None, tools=box, steps=told,
                 limits=LoopLimits(**limits))
    )  # fmt: skip
    return outcome, box, told


def test_an_answer_without_a_call_is_the_end() -> None:
    outcome, box, told = talk(sse("Hello"))
    assert (outcome.ending, outcome.fault, box.called) == ("answered", None, [])
    assert told.steps == ["asking", "answered Hello"]


def test_results_are_handed_back_in_order() -> None:
    outcome, box, told = talk(calling(("c1", "add", '{"a": 1}'), ("c2", "look", "{}")), sse("Done"))
    assert box.called == [("add", '{"a": 1}'), ("look", "{}")]
    assert [m.role for m in outcome.messages] == ["assistant", "tool", "tool"]
    assert [m.tool_call_id for m in outcome.messages[1:]] == ["c1", "c2"]
    assert told.steps[-1] == "answered Done"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (("c", "nothing", "{}"), "There is no tool 'nothing'. There are: add, look."),
        (("c", "add", '{"a": '), "The arguments are not a JSON object."),
        (("c", "look", "{}"), "no"),
    ],
)
def test_what_may_not_be_called_is_not(call: tuple[str, str, str], said: str) -> None:
    outcome, box, _ = talk(calling(call), sse("Well"), told=Told(refuse={"look"}))
    assert box.called == []
    assert outcome.messages[1].text == said
    assert outcome.ending == "answered"


def test_the_same_call_again_and_again_is_a_loop() -> None:
    again = [
        calling((f"c{n}", "add", '{"b":2,"a": 1}' if n % 2 else '{"a":1, "b":2}')) for n in range(9)
    ]
    outcome, box, _ = talk(*again)
    assert outcome.ending == "loop"
    assert len(box.called) == 3
    assert outcome.fault is not None


def test_rounds_and_calls_are_bounded() -> None:
    many = [calling((f"c{n}", "add", f'{{"a": {n}}}')) for n in range(9)]
    assert talk(*many, rounds=4)[0].ending == "rounds"
    assert talk(*many, calls=2)[0].ending == "calls"


def test_a_failure_ends_it_and_is_said() -> None:
    outcome, _, told = talk(calling(("c", "add", "{}")), [b"data: {\n"])
    assert outcome.ending == "failed"
    assert outcome.fault is not None
    assert outcome.fault.kind in (FaultKind.CUT, FaultKind.PROTOCOL)
    assert told.steps.count("asking") == 2
