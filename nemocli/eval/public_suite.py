"""A public benchmark as attempts: its tasks said turn by turn, its own machines called, every step
on record as of any other attempt, so that arms compare alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from nemocli.core.budget import RunBudget
from nemocli.core.faults import Fault
from nemocli.core.ports import World
from nemocli.core.request import Message, ToolCall, ToolSpec
from nemocli.core.value_class import value_class
from nemocli.core.values import Json, JsonObject
from nemocli.engine.agent import LoopLimits, ToolResult, converse
from nemocli.engine.run import Answer
from nemocli.eval.attempt import Arm, Record, model_event, stopping, tool_event
from nemocli.eval.judge import Event, Measures, class_of, leaks, sums_of

MOST_STEPS = 20
"""Calls of the model in one turn, as BFCL's own runner bounds them (`MAXIMUM_STEP_LIMIT`)."""

MORE_FUNCTIONS = "I have updated some more functions you can choose from. What about now?"
"""What BFCL says in a turn that brings functions that were held out (`default_prompts.py`)."""

_TYPES = {"dict": "object", "float": "number", "tuple": "array", "any": "string"}


@value_class(frozen=True, slots=True)
class PublicTask:
    """A task: the user's messages by turn, the functions, and those that come in a later turn."""

    name: str
    turns: tuple[tuple[str, ...], ...]
    functions: tuple[ToolSpec, ...]
    later: Mapping[int, tuple[ToolSpec, ...]]


class Benchmark(Protocol):
    """Whoever carries out the calls and judges them. Each attempt has machines of its own."""

    async def open(self, task: str, attempt: str) -> None: ...
    async def call(self, attempt: str, name: str, arguments: JsonObject) -> str: ...
    async def end_turn(self, attempt: str) -> str | None: ...
    async def close(self, attempt: str) -> None: ...


def task_from(name: str, row: Mapping[str, Any]) -> PublicTask:
    """A task as the benchmark's process describes it."""
    return PublicTask(
        name,
        tuple(tuple(map(str, turn)) for turn in row["turns"]),
        tuple(map(spec_of, row["functions"])),
        {int(turn): tuple(map(spec_of, docs)) for turn, docs in row["later"].items()},
    )


def spec_of(doc: Mapping[str, Any]) -> ToolSpec:
    """A function's description, its types as JSON Schema calls them."""
    schema: Any = _schema(doc["parameters"])
    return ToolSpec(str(doc["name"]), str(doc["description"]), schema)


def _schema(node: Any) -> Json:  # noqa: ANN401 - whatever the description holds
    if isinstance(node, list):
        return [_schema(each) for each in node]
    if not isinstance(node, dict):
        return node  # type: ignore[no-any-return]
    found: dict[str, Json] = {}
    for name, value in node.items():
        if name == "type" and isinstance(value, str):
            found[name] = _TYPES.get(value, value)
        else:
            found[str(name)] = _schema(value)
    return found


class PublicAttempt:
    """One attempt at a task of a benchmark; runs once. Fills `engine.agent.Tools` and `Steps`."""

    checks = False

    def __init__(
        self,
        task: PublicTask,
        arm: Arm,
        world: World,
        benchmark: Benchmark,
        record: Record,
        *,
        budget: RunBudget | None = None,
    ) -> None:
        self._task = task
        self._arm = arm
        self._outside = world
        self._benchmark = benchmark
        self._record = record
        self._budget = budget
        self._key = world.clock.new_id()
        self._specs = task.functions
        self._messages: tuple[Message, ...] = ()
        self._models: list[Event] = []
        self._turn = self._calls = 0
        self._fault: Event | None = None
        self._limit: str | None = None
        self._why: str | None = None

    async def run(self) -> tuple[Measures, Fault | None]:
        """All turns, or as many as there can be: what it came to, and the fault that stops a whole
        run."""
        began = self._outside.clock.monotonic()
        stop: Fault | None = None
        await self._benchmark.open(self._task.name, self._key)
        try:
            for number, said in enumerate(self._task.turns):
                self._turn = number + 1
                if number in self._task.later:
                    self._specs = (*self._specs, *self._task.later[number])
                stop = await self._say(said or (MORE_FUNCTIONS,))
                if self._fault is not None:
                    break
                self._why = await self._benchmark.end_turn(self._key)
                if self._why is not None or self._limit is not None:
                    break  # it cannot become right any more
        finally:
            await self._benchmark.close(self._key)
        wall_s = self._outside.clock.monotonic() - began
        self._record({"type": "clock", "wall_s": round(wall_s, 4), "waiting_s": 0.0})
        return self._measures(wall_s), stop

    async def _say(self, texts: Sequence[str]) -> Fault | None:
        """What the user says in a turn, and the model's work on it."""
        for text in texts:
            self._record({"type": "user", "turn": self._turn, "text": text, "nudge": False})
        self._messages += tuple(Message("user", text) for text in texts)
        outcome = await converse(
            self._arm.plan,
            self._arm.request(self._messages),
            self._outside,
            lambda event: None,
            tools=self,
            steps=self,
            limits=LoopLimits(MOST_STEPS, 1_000, same=1_000_000),
            budget=self._budget,
        )
        self._messages += tuple(outcome.messages)
        last = outcome.answers[-1]
        if outcome.ending == "failed":
            self._fault = self._models[-1]["fault"]
            return stopping(outcome)
        if outcome.ending != "answered":
            self._limit = outcome.ending
            self._record({"type": "limit", "name": outcome.ending})
            return None
        self._messages += (replace(last.fold.message(), reasoning=None),)
        return None

    def _measures(self, wall_s: float) -> Measures:
        cls, why = "success", ""
        if self._fault is not None:
            cls, why = class_of(self._fault)
        elif self._why is not None:
            shown = any(leaks(m) and not m.get("calls") for m in self._models)
            cls = "fail.serving" if shown else "fail.model"
            why = "tool or reasoning markup arrived as text" if shown else self._why
        elif self._limit is not None:
            cls, why = "fail.limit", self._limit
        return Measures(
            cls,  # type: ignore[arg-type]
            why,
            user_turns=self._turn,
            tool_calls=self._calls,
            completed_at=len(self._models) if cls == "success" else None,
            wall_s=wall_s,
            leaks=sum(map(leaks, self._models)),
            **sums_of(self._models),
        )

    # What the loop asks for, and what it tells

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The functions that may be called in this turn."""
        return self._specs

    async def call(self, call: ToolCall) -> ToolResult:
        """The benchmark's machines do it, or say what is wrong."""
        arguments: Any = call.parse() or {}
        text = await self._benchmark.call(self._key, call.name, arguments)
        return ToolResult(text, failed=text.startswith("Error during execution"))

    def asking(self, answer: Answer) -> None:
        """A model call begins."""

    def after_answer(self, answer: Answer) -> None:
        """It is over."""
        event, _ = model_event(answer, self._turn)
        self._models.append(event)
        self._record(event)

    async def refusal(self, call: ToolCall) -> str | None:
        """Never."""
        return None

    def result(self, call: ToolCall, result: ToolResult) -> None:
        """A call was answered."""
        self._calls += 1
        self._record(tool_event(call, result, self._turn))
