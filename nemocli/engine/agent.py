"""The loop of a model with tools: ask, call what it asks for, hand back the results, ask again.

There is no terminal in it: who may call what, what is shown and what is kept is decided by the
`Steps` it is given. It ends when the model answers without a call, or at a limit; a call that keeps
coming with the same arguments is a loop, and ends it too.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from nemocli.core.budget import RunBudget
from nemocli.core.events import Fold
from nemocli.core.faults import Fault, FaultKind
from nemocli.core.plan import Plan
from nemocli.core.ports import World
from nemocli.core.request import Message, Request, ToolCall, ToolSpec
from nemocli.core.value_class import value_class
from nemocli.engine.call import Sink
from nemocli.engine.run import Answer, run

Ending = Literal["answered", "failed", "rounds", "calls", "loop", "time"]

MOST_RESULT = 256 * 1024
"""Characters of one result that a model is shown."""


@value_class(frozen=True, slots=True)
class ToolResult:
    """What a tool gave back. `failed`: it says what went wrong."""

    text: str
    failed: bool = False


class Tools(Protocol):
    """Functions a model may call. `checks`: it says itself what is wrong with a call, and wants to
    hear of broken ones too."""

    @property
    def specs(self) -> tuple[ToolSpec, ...]: ...
    @property
    def checks(self) -> bool: ...
    async def call(self, call: ToolCall) -> ToolResult: ...


class Steps(Protocol):
    """Who is told of each step, in their order, and decides what may be called."""

    def asking(self, answer: Answer) -> None: ...
    def after_answer(self, answer: Answer) -> None: ...
    async def refusal(self, call: ToolCall) -> str | None: ...
    def result(self, call: ToolCall, result: ToolResult) -> None: ...


@value_class(frozen=True, slots=True)
class LoopLimits:
    """Bounds on one run of the loop: model calls, tool calls, equal calls, seconds."""

    rounds: int = 25
    calls: int = 100
    same: int = 3
    wall_s: float | None = None


@dataclass(slots=True)
class LoopOutcome:
    """What a run of the loop came to: every model call's answer, the messages that were added, and
    why it ended."""

    ending: Ending = "answered"
    answers: list[Answer] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)

    @property
    def fault(self) -> Fault | None:
        """What ended it badly, if anything did."""
        if self.ending in ("answered", "failed"):
            return self.answers[-1].fault if self.answers else None
        return Fault(FaultKind.TRUNCATED, _ENDINGS[self.ending], sent=False)


_ENDINGS = {
    "rounds": "the model went on calling tools, up to the limit of rounds",
    "calls": "the model made as many tool calls as it may",
    "loop": "the model made the same tool call again and again",
    "time": "the time for this answer is over",
}


async def converse(
    plan: Plan,
    request: Request,
    world: World,
    sink: Sink,
    *,
    tools: Tools,
    steps: Steps,
    limits: LoopLimits | None = None,
    budget: RunBudget | None = None,
) -> LoopOutcome:
    """Ask until the model answers without calling anything, or a limit is reached. Cancelling it
    leaves what arrived with `steps`."""
    limits = limits or LoopLimits()
    outcome, begun, seen = LoopOutcome(), world.clock.monotonic(), Counter[tuple[str, str]]()
    request = replace(request, tools=tools.specs)
    while True:
        answer = Answer(Fold(), plan.targets[0])
        outcome.answers.append(answer)
        steps.asking(answer)
        try:
            await run(plan, request, world, sink, budget=budget, answer=answer)
        finally:
            steps.after_answer(answer)
        calls = answer.fold.tool_calls
        if answer.fault is not None or not calls:
            outcome.ending = "answered" if answer.fault is None else "failed"
            return outcome
        messages = [answer.fold.message()]
        for call in calls:
            result = await _called(call, tools, steps, seen, limits)
            messages.append(Message("tool", result.text[:MOST_RESULT], tool_call_id=call.call_id))
        outcome.messages += messages
        request = replace(request, messages=(*request.messages, *messages))
        ending = _ended(outcome, seen, limits, world.clock.monotonic() - begun)
        if ending is not None:
            outcome.ending = ending
            return outcome


async def _called(
    call: ToolCall, tools: Tools, steps: Steps, seen: Counter[tuple[str, str]], limits: LoopLimits
) -> ToolResult:
    """One call, as far as it may be made."""
    seen[_signature(call)] += 1
    result = await _result(call, tools, steps, seen, limits)
    steps.result(call, result)
    return result


async def _result(
    call: ToolCall, tools: Tools, steps: Steps, seen: Counter[tuple[str, str]], limits: LoopLimits
) -> ToolResult:
    if tools.checks:
        return await tools.call(call)
    known = {spec.name for spec in tools.specs}
    if call.name not in known:
        names = ", ".join(sorted(known)) or "none"
        return ToolResult(f"There is no tool {call.name!r}. There are: {names}.", failed=True)
    if call.parse() is None:
        return ToolResult("The arguments are not a JSON object.", failed=True)
    if seen[_signature(call)] > limits.same:
        return ToolResult("This call was made before, with the same result.", failed=True)
    refused = await steps.refusal(call)
    if refused is not None:
        return ToolResult(refused, failed=True)
    return await tools.call(call)


def _ended(
    outcome: LoopOutcome, seen: Counter[tuple[str, str]], limits: LoopLimits, spent_s: float
) -> Ending | None:
    if any(count >= limits.same for count in seen.values()):
        return "loop"
    if sum(seen.values()) >= limits.calls:
        return "calls"
    if len(outcome.answers) >= limits.rounds:
        return "rounds"
    if limits.wall_s is not None and spent_s >= limits.wall_s:
        return "time"
    return None


def _signature(call: ToolCall) -> tuple[str, str]:
    """What makes two calls the same: the name, and the arguments however they are spelt."""
    value = call.parse()
    return call.name, call.arguments if value is None else json.dumps(value, sort_keys=True)


class NoTools:
    """Nothing may be called."""

    checks = False

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """None."""
        return ()

    async def call(self, call: ToolCall) -> ToolResult:
        """Never asked for."""
        return ToolResult("There are no tools.", failed=True)
