"""`eval run`: attempts in pairs, every step on record, to be gone on with after anything."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemocli.cli.eval.options import ArmCell, EvalOptions, arm_json, arms_of
from nemocli.cli.eval.suites import suite_at
from nemocli.cli.event_loop import run_async
from nemocli.core.budget import RunBudget
from nemocli.core.faults import ExitCode, Fault, NemoError, config_error
from nemocli.core.money import Pico, pico_from_usd, usd_short, usd_text
from nemocli.core.provider import loopback, origin_of
from nemocli.core.quantities import time_text
from nemocli.engine.pool.each import for_each
from nemocli.engine.pool.gate import TargetLane
from nemocli.engine.pool.paced import PacedTransport
from nemocli.engine.pool.pacing import Pinned
from nemocli.eval.attempt import Arm, Attempt
from nemocli.eval.grade import gold_world
from nemocli.eval.judge import judge
from nemocli.eval.lint import lint
from nemocli.eval.metrics import summary_of
from nemocli.eval.plan import Slot, schedule
from nemocli.eval.task import Task, instance
from nemocli.eval.world import canonical
from nemocli.io.eval.machine import machines
from nemocli.io.eval.runs import Run, missing_slots, results_of
from nemocli.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from nemocli.cli.context import Setup
    from nemocli.core.ports import World
    from nemocli.eval.machine import Machine, Machines
    from nemocli.io.eval.suite import Suite


def run_eval(setup: Setup, folder: Path, wish: EvalOptions, *, as_json: bool) -> int:
    """Make every attempt that is not made yet; the exit code."""
    run, fault = run_attempts(setup, folder, wish)
    return _ended(setup, run, fault, as_json=as_json)


def run_attempts(
    setup: Setup,
    folder: Path,
    wish: EvalOptions,
    cells: Sequence[ArmCell] = (),
    *,
    begun: Callable[[Run], None] | None = None,
) -> tuple[Run, Fault | None]:
    """Make every attempt that is not made yet: the run, and the fault that stopped it. With `cells`
    the first arm is tried in each of those ways, beside the others; `begun` is told a new run
    before its first call."""
    suite = suite_at(folder, wish.trust)
    tasks = suite.choose(wish.tasks)
    _check(tasks, machines(folder, setup.env))
    run = Run(wish.resume) if wish.resume is not None else Run(suite.runs / setup.clock.new_id())
    arms = arms_of(setup, wish, run.name)
    if cells:
        arms = [*(cell.of(arms[0]) for cell in cells), *arms[1:]]
    epochs = wish.epochs or suite.epochs
    if wish.resume is None:
        run.begin(_manifest(setup, suite, tasks, arms, epochs))
        if begun is not None:
            begun(run)
    else:
        epochs = _same(setup, run, suite, tasks, arms, epochs)
    cap = setup.settings.amount("max_cost_usd")
    with run.hold():
        slots = schedule([a.name for a in arms], [t.task_id for t in tasks], epochs, run.name)
        todo = missing_slots(run, slots, {t.task_id: t.digest for t in tasks})
        spent = _spent(setup, run)
        budget = None if cap is None else RunBudget(pico_from_usd(cap), spent=spent)
        setup.err.dim(f"{len(todo)} of {len(slots)} attempts in {run.folder}")
        work = _Work(setup, run, tasks, arms, budget, len(todo))
        return run, run_async(lambda: work.all(todo, wish.jobs))


def _check(tasks: tuple[Task, ...], on: Machines) -> None:
    """No attempt at a task that cannot tell right from wrong. Raises NemoError."""
    for task in tasks:
        found = lint(task, machines=on)
        if found.errors:
            raise config_error(
                f"{task.task_id} does not pass its lint: {found.errors[0]}",
                "`nemocli eval lint DIR` shows all of it",
            )


def _manifest(
    setup: Setup, suite: Suite, tasks: tuple[Task, ...], arms: list[Arm], epochs: int
) -> dict[str, Any]:
    return {
        "suite": suite.name,
        "suite_digest": suite.digest,
        "policy_digest": suite.policy_digest,
        "tasks": {task.task_id: task.digest for task in tasks},
        "families": {task.task_id: task.family for task in tasks},
        "roles": {task.task_id: task.role for task in tasks},
        "arms": [arm_json(arm) for arm in arms],
        "epochs": epochs,
        "began_at": setup.clock.now().isoformat(),
        "version": __version__,
    }


def _same(
    setup: Setup, run: Run, suite: Suite, tasks: tuple[Task, ...], arms: list[Arm], epochs: int
) -> int:
    """The epochs of a run that is gone on with. Raises NemoError where it would be another run."""
    before = run.manifest
    now = _manifest(setup, suite, tasks, arms, epochs)
    for name, what in (
        ("tasks", "a task"), ("policy_digest", "the policy"), ("arms", "an arm")
    ):  # fmt: skip
        if before[name] != now[name]:
            raise config_error(
                f"{what} was changed since {run.name} began", "begin another run, without --resume"
            )
    return int(before["epochs"])


def _spent(setup: Setup, run: Run) -> Pico:
    """What the run came to so far, as the ledger has it, interrupted attempts included."""
    from nemocli.cost.calls import Where

    if not setup.paths.ledger.exists():
        return Pico(0)
    sums = setup.ledger.totals(where=Where(run_id=run.name))
    return Pico(sum(total.pico or 0 for total in sums))


class _Work:
    """The attempts of one command, several at a time."""

    def __init__(
        self,
        setup: Setup,
        run: Run,
        tasks: tuple[Task, ...],
        arms: list[Arm],
        budget: RunBudget | None,
        count: int,
    ) -> None:
        self._setup = setup
        self._run = run
        self._tasks = {task.task_id: task for task in tasks}
        self._arms = {arm.name: arm for arm in arms}
        self._budget = budget
        self._count = count
        self._done = 0
        self._good = 0
        self._pico = 0
        self._began = time.monotonic()

    async def all(self, slots: list[Slot], jobs: int) -> Fault | None:
        """Every slot; the fault that stopped the run."""
        from nemocli.cli.world import world_of

        async with world_of(self._setup) as outside:
            world = pace_world(outside, self._arms.values())
            return await for_each(
                slots,
                lambda slot: self._one(slot, world),
                world.clock,
                at_once=jobs,
                resume=f"go on with `--resume {self._run.folder}`",
            )

    async def _one(self, slot: Slot, world: World) -> Fault | None:
        task, arm = instance(self._tasks[slot.task], slot.epoch), self._arms[slot.arm]
        record = self._run.record(slot)
        events: list[Any] = []

        def tell(event: Any) -> None:
            events.append(event)
            record.event(event)

        record.event(
            {
                "type": "begin",
                "slot": slot.name,
                "task_digest": self._tasks[slot.task].digest,
                "at": world.clock.now().isoformat(),
            }
        )
        try:
            with self._machine(task)() as machine:
                if machine is not None:
                    tell(await asyncio.to_thread(self._gold, task))
                attempt = Attempt(task, arm, world, tell, budget=self._budget, machine=machine)
                fault = await attempt.run()
            if fault is None:
                measures = judge(task, events)
                record.end(measures)
                self._good += measures.cls == "success"
                self._pico += measures.cost_pico or 0
                self._tell(slot, measures.cls)
            return fault
        finally:
            record.close()

    def _machine(self, task: Task) -> Callable[[], AbstractContextManager[Machine | None]]:
        """What carries out tools that are not declarative; none where there are none."""
        if not task.trusted_only:
            return nullcontext
        return machines(self._run.folder.parent.parent, self._setup.env)

    def _gold(self, task: Task) -> dict[str, Any]:
        """The end of the gold path, kept in the record to be judged by without a machine."""
        with self._machine(task)() as machine:
            world = gold_world(task, machine)
        state = json.loads(canonical(world.state))
        return {"type": "gold", "state": state, "made_ids": sorted(world.made_ids)}

    def _tell(self, slot: Slot, cls: str) -> None:
        self._done += 1
        spent = time.monotonic() - self._began
        left = spent / self._done * (self._count - self._done)
        self._setup.err.dim(
            f"{self._done}/{self._count} {slot.name}: {cls} · ~{time_text(left)} left"
            f" · {usd_short(self._pico)}"
        )


def _ended(setup: Setup, run: Run, fault: Fault | None, *, as_json: bool) -> int:
    results = results_of(run)
    summaries = {arm: summary_of(tasks) for arm, tasks in results.items()}
    spent = _spent(setup, run)
    with suppress(NemoError):
        setup.ledger.close()
    if as_json:
        setup.out.json(
            {
                "schema": "nemocli.eval_run/1",
                "run": str(run.folder),
                "attempts": sum(s.attempts for s in summaries.values()),
                "classes": {
                    arm: {str(cls): count for cls, count in s.classes.items()}
                    for arm, s in summaries.items()
                },
                "cost_usd": usd_text(spent),
                "lost_usd": usd_text(Pico(run.cost_of_lost())),
            }
        )
    else:
        for arm, summary in summaries.items():
            said = ", ".join(f"{count} {cls}" for cls, count in summary.classes.items())
            setup.out.line(f"{arm}: {said}")
        setup.err.dim(f"{usd_short(spent)} in all; `nemocli eval decide {run.folder}` is next")
    if fault is not None:
        setup.err.error(fault)
        return fault.exit_code
    return ExitCode.OK


def pace_world(world: World, arms: Iterable[Arm]) -> World:
    """The world with requests no faster than the servers of the arms take them: what a provider's
    file says of its limits is kept, and the rest is learned from what they refuse."""
    lanes: dict[str, TargetLane] = {}
    for arm in arms:
        provider = arm.plan.targets[0].provider
        if not loopback(provider.base_url):
            limits = provider.limits
            pinned = Pinned(rpm=limits.requests_per_minute, cap=limits.concurrency)
            lanes[origin_of(provider.base_url)] = TargetLane(provider.name, pinned)
    if not lanes:
        return world
    return replace(world, transport=PacedTransport(world.transport, lanes, world.clock))
