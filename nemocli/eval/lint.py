"""What can be wrong with a task before a model sees it: a test of the test.

The gold path passes; an agent that does nothing fails; one that makes the right calls and says
nothing fails where something was asked; a gold path with one call left out fails, each of them (the
mutation score); what the answers are does not stand in the questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from nemocli.core.value_class import value_class
from nemocli.eval.grade import gold_world, play, says
from nemocli.eval.judge import Event, judge
from nemocli.eval.machine import Machine, Machines
from nemocli.eval.task import GoldCall, Task, TaskError, instance
from nemocli.eval.world import TaskWorld, canonical


@value_class(frozen=True, slots=True)
class Lint:
    """What was found: errors block a run; `killed` of `mutants` were noticed."""

    task_id: str
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    killed: int
    mutants: int


def lint(task: Task, epoch: int = 1, machines: Machines | None = None) -> Lint:
    """Try a task out on agents that are known to be right, lazy, silent and forgetful; `machines`
    carry out what is not declarative, each for one of them."""
    try:
        one = instance(task, epoch)
    except TaskError as error:
        return Lint(task.task_id, (str(error),), (), 0, 0)
    # A control may have its answer in its question: what it shows is the price of asking.
    bench = _Bench(one, machines)
    errors, warnings = _gold_errors(bench), [] if task.role == "control" else _leaks(one)
    if task.role == "consider" and len(one.turns) < 5:
        warnings.append(f"{len(one.turns)} user turns; at least 5 show coherence")
    if errors:
        return Lint(task.task_id, tuple(errors), tuple(warnings), 0, 0)
    if one.gold or one.final or any(t.probes for t in one.turns):
        errors += _false_passes(bench)
    survivors, mutants = _mutants(bench)
    if survivors:
        errors.append(f"left out and not noticed: {', '.join(survivors)}")
    return Lint(task.task_id, tuple(errors), tuple(warnings), mutants - len(survivors), mutants)


class _Bench:
    """A task on the bench: agents whose steps are known, each with a machine of its own."""

    def __init__(self, task: Task, machines: Machines | None) -> None:
        self.task = task
        self._machines = machines if task.trusted_only else None

    def machine(self) -> AbstractContextManager[Machine | None]:
        return nullcontext() if self._machines is None else self._machines()

    def events(self, calls: Sequence[GoldCall] | None = None, *, says: bool = True) -> list[Event]:
        with self.machine() as machine:
            return gold_events(self.task, calls, says=says, machine=machine)

    def gold(self) -> TaskWorld | None:
        """The world after the gold path, for judging the others by it."""
        if not self.task.gold:
            return None
        with self.machine() as machine:
            return gold_world(self.task, machine)


def _gold_errors(bench: _Bench) -> list[str]:
    task, found = bench.task, []
    with bench.machine() as machine:
        world = TaskWorld(task, machine)
        for place, call in enumerate(task.gold):
            world.turn = call.turn
            last = play(world, call.name, call.args)[-1]
            if last.kind != "ok":
                found.append(f"gold[{place}] {call.name}: {last.value}")
    if found:
        return found
    measures = judge(task, bench.events(), bench.gold())
    if measures.cls != "success":
        return [f"the gold path does not pass: {measures.why}"]
    return []


def _false_passes(bench: _Bench) -> list[str]:
    task, found, gold = bench.task, [], bench.gold()
    if judge(task, bench.events((), says=False), gold).cls == "success":
        found.append("an agent that does nothing passes")
    probes = any(turn.probes for turn in task.turns)
    if probes and judge(task, bench.events(says=False), gold).cls == "success":
        found.append("an agent that says nothing passes, though probes are there")
    return found


def _mutants(bench: _Bench) -> tuple[list[str], int]:
    """Gold calls that nobody misses, and how many were left out in turn."""
    task = bench.task
    needed = [i for i, call in enumerate(task.gold) if not call.optional and _writes(task, call)]
    survivors, gold = [], bench.gold()
    for place in needed:
        rest = [call for i, call in enumerate(task.gold) if i != place]
        if judge(task, bench.events(rest), gold).cls == "success":
            survivors.append(f"gold[{place}] {task.gold[place].name}")
    return survivors, len(needed)


def _writes(task: Task, call: GoldCall) -> bool:
    tool = task.tool(call.name)
    return tool is not None and tool.kind == "write"


def _leaks(task: Task) -> list[str]:
    """Probes whose answer stands in their own question."""
    return [
        f"turn {number}: the question holds its answer {word!r}"
        for number, turn in enumerate(task.turns, 1)
        for probe in turn.probes
        for word in probe.expect_any
        if len(word) > 1 and says(turn.user, word)
    ]


def gold_events(
    task: Task,
    calls: Sequence[GoldCall] | None = None,
    *,
    says: bool = True,
    machine: Machine | None = None,
) -> list[Event]:
    """What an agent's record is that takes the gold path, or a part of it, and answers (or not)
    what it is asked."""
    world, events = TaskWorld(task, machine), list[Event]()
    calls = task.gold if calls is None else calls
    for number, turn in enumerate(task.turns, 1):
        world.turn = number
        events.append({"type": "user", "turn": number, "text": turn.user, "nudge": False})
        for call in (c for c in calls if c.turn == number):
            events += _made(world, call)
        words = "; ".join(p.expect_any[0] for p in turn.probes) if says else ""
        events.append(_reply(words or ("Done." if says else "ok"), []))
    return events


def _made(world: TaskWorld, call: GoldCall) -> list[Event]:
    from nemocli.eval.expr import ExprError, fill

    events: list[Event] = []
    for _ in range(10):
        names = {"state": world.state, "vars": dict(world.task.values)}
        try:
            args = canonical(fill(dict(call.args), names))
        except ExprError:
            args = canonical(dict(call.args))
        result = world.call(call.name, args)
        events.append(_reply("", [["c", call.name, args]]))
        event: dict[str, Any] = {"type": "tool", "name": call.name, "arguments": args}
        if result.outside is not None:
            event["outside"] = result.outside.event()
        events.append(event)
        if result.kind != "transient":
            break
    return events


def _reply(text: str, calls: list[list[str]]) -> dict[str, Any]:
    return {"type": "model", "text": text, "calls": calls, "cost_pico": 0, "fault": None}
