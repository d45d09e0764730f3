"""An agent that is tried serves a user whom another model plays, as tau2-bench has it.

Both are models with tools of their own, on machines that neither sees whole. They speak in turns
until the user ends it; then the end state and what was said are judged. Every call of either is on
record, and what the user's model cost stands apart from what the arm cost. Where the user's model
fails, the attempt says nothing about the arm (`user_sim`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Protocol

from nemocli.core.budget import RunBudget
from nemocli.core.faults import Fault
from nemocli.core.money import total_of
from nemocli.core.ports import World
from nemocli.core.request import Message, ToolCall, ToolSpec
from nemocli.core.value_class import value_class
from nemocli.core.values import JsonObject
from nemocli.engine.agent import LoopLimits, ToolResult, converse
from nemocli.engine.run import Answer
from nemocli.eval.attempt import Arm, Record, model_event, stopping, tool_event
from nemocli.eval.judge import Event, Measures, class_of, leaks, sums_of

MOST_STEPS = 200
"""Messages and rounds of tools of both sides, as tau2's own runner bounds them (`config.py`)."""
MOST_ERRORS = 10
"""Failed tool calls of both sides, as above."""

Side = Literal["assistant", "user"]


@value_class(frozen=True, slots=True)
class ServiceTask:
    """What each side is told and may call, how the agent begins, and the words that end it."""

    name: str
    system: str
    tools: tuple[ToolSpec, ...]
    greeting: str
    stops: tuple[str, ...]
    user_system: str
    user_tools: tuple[ToolSpec, ...]


class ServiceDesk(Protocol):
    """Whoever carries out the calls of both sides and judges the end. Each attempt has machines of
    its own."""

    async def open(self, task: str, attempt: str) -> None: ...
    async def call(
        self, attempt: str, who: Side, name: str, arguments: JsonObject
    ) -> ToolResult: ...
    async def judge(self, attempt: str, texts: tuple[str, ...]) -> str | None: ...
    async def close(self, attempt: str) -> None: ...


def task_from(name: str, row: Mapping[str, Any]) -> ServiceTask:
    """A task as the benchmark's process describes it."""
    return ServiceTask(
        name,
        str(row["system"]),
        _specs(row["tools"]),
        str(row["greeting"]),
        tuple(map(str, row["stops"])),
        str(row["user_system"]),
        _specs(row["user_tools"]),
    )


def _specs(docs: Sequence[Mapping[str, Any]]) -> tuple[ToolSpec, ...]:
    return tuple(
        ToolSpec(str(d["name"]), str(d.get("description", "")), d["parameters"]) for d in docs
    )


class _LimitReached(Exception):
    """The conversation has been as long as it may be."""


class _Speaker:
    """One side: its model, its view of the conversation, its calls. Fills `engine.agent.Tools` and
    `Steps`."""

    checks = True

    def __init__(
        self, side: Side, arm: Arm, begin: tuple[Message, ...], attempt: ServiceAttempt
    ) -> None:
        self.side = side
        self.arm = arm
        self.messages = begin
        self.models: list[Event] = []
        self.calls = 0
        self._attempt = attempt

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """What this side may call."""
        task = self._attempt.task
        return task.tools if self.side == "assistant" else task.user_tools

    async def call(self, call: ToolCall) -> ToolResult:
        """The benchmark's machines do it, or say what is wrong."""
        arguments = call.parse()
        if arguments is None:
            return ToolResult("Error: the arguments are no JSON object", failed=True)
        attempt = self._attempt
        return await attempt.desk.call(attempt.key, self.side, call.name, arguments)

    def asking(self, answer: Answer) -> None:
        """A model call begins, unless there were enough."""
        self._attempt.step()

    def after_answer(self, answer: Answer) -> None:
        """It is over."""
        event, _ = model_event(answer, self._attempt.turn)
        self.models.append(event)
        mine = self.side == "assistant"
        self._attempt.record(event if mine else {**event, "type": "user_model"})
        if answer.fold.tool_calls:
            self._attempt.steps += 1

    async def refusal(self, call: ToolCall) -> str | None:
        """Never."""
        return None

    def result(self, call: ToolCall, result: ToolResult) -> None:
        """A call was answered."""
        self.calls += 1
        event = tool_event(call, result, self._attempt.turn)
        mine = self.side == "assistant"
        self._attempt.record(event if mine else {**event, "type": "user_tool"})
        if result.failed:
            self._attempt.error()


class ServiceAttempt:
    """One attempt at a task; runs once. `user` is who plays the user."""

    def __init__(
        self,
        task: ServiceTask,
        arm: Arm,
        user: Arm,
        world: World,
        desk: ServiceDesk,
        *,
        record: Record,
        budget: RunBudget | None = None,
    ) -> None:
        self.task = task
        self.desk = desk
        self.record = record
        self.key = world.clock.new_id()
        self.turn = self.steps = 0
        self._world = world
        self._budget = budget
        self._errors = 0
        self._texts: list[str] = [task.greeting]
        greeting = task.greeting
        self._agent = _Speaker(
            "assistant",
            arm,
            (Message("system", task.system), Message("assistant", greeting)),
            self,
        )
        self._user = _Speaker(
            "user", user, (Message("system", task.user_system), Message("user", greeting)), self
        )
        self._cls: Any = "success"
        self._why = ""

    def step(self) -> None:
        """A message is due. Raises where there were as many as there may be."""
        if self.steps >= MOST_STEPS:
            raise _LimitReached("steps")
        self.steps += 1

    def error(self) -> None:
        """A call failed. Raises where as many did as may."""
        self._errors += 1
        if self._errors >= MOST_ERRORS:
            raise _LimitReached("failed calls")

    async def run(self) -> tuple[Measures, Fault | None]:
        """The whole conversation: what it came to, and the fault that stops a whole run."""
        clock = self._world.clock
        began = clock.monotonic()
        stop: Fault | None = None
        await self.desk.open(self.task.name, self.key)
        try:
            stop = await self._talk()
            if self._cls == "success":
                why = await self.desk.judge(self.key, tuple(self._texts))
                if why is not None:
                    self._fail(why)
        except _LimitReached as limit:
            self._cls, self._why = "fail.limit", str(limit)
            self.record({"type": "limit", "name": str(limit)})
        finally:
            await self.desk.close(self.key)
        wall_s = clock.monotonic() - began
        self.record({"type": "clock", "wall_s": round(wall_s, 4), "waiting_s": 0.0})
        return self._measures(wall_s), stop

    async def _talk(self) -> Fault | None:
        """In turns, until the user ends it or one of them fails."""
        while True:
            self.turn += 1
            said, stop = await self._speak(self._user)
            if said is None:
                return stop
            self.record({"type": "user", "turn": self.turn, "text": said, "nudge": False})
            if any(word in said for word in self.task.stops):
                return None
            self._agent.messages += (Message("user", said),)
            told, stop = await self._speak(self._agent)
            if told is None:
                return stop
            self._texts.append(told)
            self._user.messages += (Message("user", told),)

    async def _speak(self, speaker: _Speaker) -> tuple[str | None, Fault | None]:
        """What one says next, its calls made on the way; None where it failed."""
        outcome = await converse(
            speaker.arm.plan,
            speaker.arm.request(speaker.messages),
            self._world,
            lambda event: None,
            tools=speaker,
            steps=speaker,
            limits=LoopLimits(MOST_STEPS, 1_000_000, same=1_000_000),
            budget=self._budget,
        )
        speaker.messages += tuple(outcome.messages)
        if speaker.side == "assistant":
            # What is said beside a call counts as told, as it does in tau2's evaluator.
            self._texts += [m.text for m in outcome.messages if m.role == "assistant"]
        last = outcome.answers[-1]
        if outcome.ending == "failed":
            fault = speaker.models[-1]["fault"]
            self._cls, self._why = class_of(fault)
            if speaker.side == "user":
                self._cls, self._why = "user_sim", f"the simulated user: {self._why}"
            return None, stopping(outcome)
        said = last.fold.text
        if not said.strip():
            if speaker.side == "user":
                self._cls, self._why = "user_sim", "the simulated user said nothing"
            else:
                self._fail("the answer was empty")
            return None, None
        speaker.messages += (replace(last.fold.message(), reasoning=None),)
        return said, None

    def _fail(self, why: str) -> None:
        shown = any(leaks(m) and not m.get("calls") for m in self._agent.models)
        self._cls = "fail.serving" if shown else "fail.model"
        self._why = "tool or reasoning markup arrived as text" if shown else why

    def _measures(self, wall_s: float) -> Measures:
        models = self._agent.models
        return Measures(
            self._cls,
            self._why,
            user_turns=self.turn,
            tool_calls=self._agent.calls,
            completed_at=len(models) if self._cls == "success" else None,
            wall_s=wall_s,
            leaks=sum(map(leaks, models)),
            user_cost_pico=total_of(m.get("cost_pico") for m in self._user.models),
            **sums_of(models),
        )
