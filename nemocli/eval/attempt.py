"""One attempt at a task: its turns said, its tools called, every step told to a record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict, field, replace
from typing import Any

from nemocli.core.backoff import STOPPING
from nemocli.core.budget import RunBudget
from nemocli.core.events import Finished
from nemocli.core.faults import Fault
from nemocli.core.plan import Plan
from nemocli.core.ports import World as Outside
from nemocli.core.request import Effort, Message, Request, ToolCall, ToolSpec
from nemocli.core.value_class import value_class
from nemocli.core.values import Json
from nemocli.engine.agent import LoopLimits, LoopOutcome, ToolResult, converse
from nemocli.engine.run import Answer
from nemocli.eval.backends import TRUSTED
from nemocli.eval.machine import Machine, MachineResult
from nemocli.eval.task import Task
from nemocli.eval.world import TaskWorld

Record = Callable[[Mapping[str, Any]], None]


@value_class(frozen=True, slots=True)
class Arm:
    """Who is tried: a name, a plan with one target, and what goes with every request."""

    name: str
    plan: Plan
    model: str
    reasoning: Effort | None = None
    max_tokens: int | None = None
    options: Mapping[str, Json] = field(default_factory=dict)

    def request(self, messages: tuple[Message, ...]) -> Request:
        """What is asked after these turns."""
        return Request(self.model, messages, self.reasoning, self.max_tokens, self.options)


def stopping(outcome: LoopOutcome) -> Fault | None:
    """The fault that ended the loop and that every further attempt would meet too."""
    fault = outcome.answers[-1].fault
    return fault if fault is not None and fault.kind in STOPPING else None


class Attempt:
    """Runs once. `record` gets every event as it happens; a cancellation leaves what was told."""

    checks = True

    def __init__(
        self,
        task: Task,
        arm: Arm,
        outside: Outside,
        record: Record,
        *,
        budget: RunBudget | None = None,
        machine: Machine | None = None,
    ) -> None:
        self._task = task
        self._arm = arm
        self._outside = outside
        self._record = record
        self._budget = budget
        self._world = TaskWorld(task, machine)
        self._carried: dict[int, MachineResult] = {}
        self._messages: tuple[Message, ...] = ()
        self._turn = 0
        self._calls = self._tools = self._tokens = 0
        self._spent = 0
        self._began = outside.clock.monotonic()
        self._waiting = 0.0

    async def run(self) -> Fault | None:
        """All turns, or as many as there can be. The fault that stops a whole run, such as a
        budget that is used up, is returned; everything else is in the record."""
        if self._task.system:
            self._messages = (Message("system", self._task.system),)
        stop: Fault | None = None
        for number, turn in enumerate(self._task.turns, 1):
            self._turn = self._world.turn = number
            over, stop = await self._say(turn.user, nudge=False)
            if not over and turn.nudge and not all(map(self._world.holds, turn.checks)):
                over, stop = await self._say(turn.nudge, nudge=True)
            if over:
                break
        wall = self._outside.clock.monotonic() - self._began
        self._record({"type": "clock", "wall_s": round(wall, 4), "waiting_s": self._waiting})
        return stop

    async def _say(self, text: str, *, nudge: bool) -> tuple[bool, Fault | None]:
        """One message of the user, and the model's work on it. Whether the attempt is over."""
        self._record({"type": "user", "turn": self._turn, "text": text, "nudge": nudge})
        self._messages = (*self._messages, Message("user", text))
        arm, most = self._arm, self._task.budget
        left_s = None if most.wall_s is None else most.wall_s - self._spent_s()
        if left_s is not None and left_s <= 0:
            return self._over("time"), None
        outcome = await converse(
            arm.plan,
            arm.request(self._messages),
            self._outside,
            lambda event: None,
            tools=self,
            steps=self,
            limits=LoopLimits(
                max(1, most.model_calls - self._calls),
                max(1, most.tool_calls - self._tools),
                same=1_000_000,
                wall_s=left_s,
            ),
            budget=self._budget,
        )
        return self._judge(outcome)

    def _judge(self, outcome: LoopOutcome) -> tuple[bool, Fault | None]:
        last = outcome.answers[-1]
        self._messages = (*self._messages, *outcome.messages)
        if outcome.ending == "failed":
            return True, stopping(outcome)
        if outcome.ending != "answered":
            return self._over(outcome.ending), None
        self._messages = (*self._messages, replace(last.fold.message(), reasoning=None))
        most = self._task.budget
        if most.usd is not None and self._spent > most.usd * 1e12:
            return self._over("usd"), None
        if most.output_tokens is not None and self._tokens > most.output_tokens:
            return self._over("output tokens"), None
        return False, None

    def _over(self, limit: str) -> bool:
        self._record({"type": "limit", "name": limit})
        return True

    def _spent_s(self) -> float:
        return self._outside.clock.monotonic() - self._began

    # What the loop asks for (`engine.agent.Tools`)

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The task's tools."""
        return tuple(
            ToolSpec(tool.name, tool.description, dict(tool.parameters))
            for tool in self._task.tools
        )

    async def call(self, call: ToolCall) -> ToolResult:
        """The world does it, or says why not; what takes a machine's time is waited for aside."""
        tool = self._task.tool(call.name)
        if tool is not None and tool.backend in TRUSTED:
            done = await asyncio.to_thread(self._world.call, call.name, call.arguments)
        else:
            done = self._world.call(call.name, call.arguments)
        result = ToolResult(done.text, failed=done.kind != "ok")
        if done.outside is not None:
            self._carried[id(result)] = done.outside
        return result

    # What the loop tells (`engine.agent.Steps`)

    def asking(self, answer: Answer) -> None:
        """A model call begins."""
        self._calls += 1

    def after_answer(self, answer: Answer) -> None:
        """It is over: everything known of it goes on record."""
        event, known = model_event(answer, self._turn)
        self._spent += known
        self._tokens += int((event["usage"] or {}).get("output_tokens") or 0)
        self._record(event)

    async def refusal(self, call: ToolCall) -> str | None:
        """Never: the world itself says what is wrong with a call."""
        return None

    def result(self, call: ToolCall, result: ToolResult) -> None:
        """A call was answered."""
        self._tools += 1
        outside = self._carried.pop(id(result), None)
        self._record(
            {
                **({} if outside is None else {"outside": outside.event()}),
                **tool_event(call, result, self._turn),
            }
        )


def tool_event(call: ToolCall, result: ToolResult, turn: int) -> dict[str, Any]:
    """What goes on record of one call of a tool."""
    return {
        "type": "tool",
        "turn": turn,
        "id": call.call_id,
        "name": call.name,
        "arguments": call.arguments,
        "result": result.text,
        "failed": result.failed,
    }


def model_event(answer: Answer, turn: int) -> tuple[dict[str, Any], int]:
    """What goes on record of one call of the model, and what is known of its cost (pico-USD)."""
    fold, last = answer.fold, answer.last
    costs = [entry.cost for entry in answer.entries]
    picos = [cost.pico for cost in costs]
    lists = [c.list_pico if c.list_pico is not None else c.pico for c in costs]
    known = [p for p in picos if p is not None]
    usage = asdict(fold.metered.usage) if fold.metered is not None else None
    if usage is None and last is not None:
        usage = asdict(last.usage)
    event = {
        "type": "model",
        "turn": turn,
        "text": fold.text,
        "reasoning": fold.reasoning or None,
        "calls": [[c.call_id, c.name, c.arguments] for c in fold.tool_calls],
        "finish": fold.end.reason if isinstance(fold.end, Finished) else None,
        "usage": usage,
        "cost_pico": sum(known) if len(known) == len(picos) else None,
        "cost_source": last.cost.source if last is not None else None,
        "list_pico": None if None in lists else sum(p or 0 for p in lists),
        "ttft_s": last.ttft_s if last is not None else None,
        "total_s": last.total_s if last is not None else None,
        "transport_retries": max(0, len(answer.entries) - 1),
        "attempts": [entry.attempt_id for entry in answer.entries],
        "provider": answer.target.provider.name,
        "upstream": last.upstream if last is not None else None,
        "served_model": fold.started.model,
        "fault": _fault_json(answer.fault),
    }
    return event, sum(known)


def _fault_json(fault: Fault | None) -> dict[str, Any] | None:
    if fault is None:
        return None
    return {"code": str(fault.kind), "message": fault.message, "status": fault.status}
