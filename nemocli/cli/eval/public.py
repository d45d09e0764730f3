"""`eval suite`: a public benchmark as attempts of arms, kept and compared like any others."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemocli.cli.eval.options import EvalOptions, arm_json, arms_of
from nemocli.cli.eval.record import DIGEST, open_recorded_run
from nemocli.cli.eval.run import pace_world
from nemocli.cli.event_loop import run_async
from nemocli.core.budget import RunBudget
from nemocli.core.faults import ExitCode, Fault, config_error, usage_error
from nemocli.core.money import pico_from_usd, total_of, usd_short, usd_text
from nemocli.core.value_class import value_class
from nemocli.engine.pool.each import for_each
from nemocli.eval.grade import LOST, SCORED
from nemocli.eval.plan import Slot
from nemocli.eval.public_suite import PublicAttempt
from nemocli.eval.simulated_user import ServiceAttempt
from nemocli.eval.stats import wilson
from nemocli.io.eval import bfcl, tau2
from nemocli.io.eval.bfcl import Bfcl
from nemocli.io.eval.tau2 import Tau2
from nemocli.io.servers.fetch import Fetcher
from nemocli.io.servers.pinned import PinnedShelf

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from nemocli.cli.context import Setup
    from nemocli.core.ports import World
    from nemocli.eval.attempt import Arm
    from nemocli.eval.judge import Measures
    from nemocli.io.eval.runs import AttemptRecord, Run

    MakeAttempt = Callable[[Slot, AttemptRecord], Awaitable[tuple[Measures, Fault | None]]]

SUITES: dict[str, tuple[type[Bfcl] | type[Tau2], str, tuple[str, ...]]] = {
    "bfcl-mt": (Bfcl, bfcl.VERSION, bfcl.CATEGORIES),
    "tau2": (Tau2, tau2.VERSION, tau2.DOMAINS),
}
"""By name: the benchmark, its version, its categories of tasks."""


@value_class(frozen=True, slots=True)
class PublicOptions:
    """The command line of `eval suite`. `limit`: tasks of each category; `user`: PROVIDER:MODEL of
    who plays the user."""

    name: str
    asking: EvalOptions
    categories: tuple[str, ...] = ()
    limit: int | None = None
    user: str | None = None
    anew: bool = False


async def fetch_suite(setup: Setup, name: str) -> Bfcl | Tau2:
    """A benchmark, fetched if need be. Raises NemoError."""
    from nemocli.cli.downloads import notices
    from nemocli.cli.weights.pinned import pull_pinned

    shelf = PinnedShelf(setup.paths.cache / "suites")
    pull = partial(pull_pinned, setup)
    fetcher = Fetcher(shelf, pull, setup.env, notices(setup), setup.offline)
    return await SUITES[name][0].fetch(fetcher, setup.env)


def run_suite(setup: Setup, folder: Path, wish: PublicOptions, *, as_json: bool) -> int:
    """Make every attempt that is not made yet; the exit code. Raises NemoError."""
    if wish.name not in SUITES:
        raise usage_error(f"unknown suite {wish.name!r}", f"there is {', '.join(SUITES)}")
    known = SUITES[wish.name][2]
    wish = replace(wish, categories=wish.categories or known)
    for category in wish.categories:
        if category not in known:
            raise usage_error(f"unknown category {category!r}", f"these are: {', '.join(known)}")
    if (wish.name == "tau2") != (wish.user is not None):
        raise usage_error(
            "tau2 needs a model that plays the user, and no other suite does",
            "`--user PROVIDER:MODEL`; results are compared only where it is the same",
        )
    work = _Work(setup, folder, wish)
    fault = run_async(work.all)
    work.show(as_json=as_json)
    if fault is not None:
        setup.err.error(fault)
        return fault.exit_code
    return ExitCode.OK


@dataclass(slots=True)
class _Work:
    setup: Setup
    folder: Path
    wish: PublicOptions
    run: Run | None = None
    tasks: dict[str, list[str]] = field(default_factory=dict)
    done: int = 0

    async def all(self) -> Fault | None:
        from nemocli.cli.world import world_of

        setup = self.setup
        arms = arms_of(setup, self.wish.asking, "suite")
        user = self._user()
        async with await fetch_suite(setup, self.wish.name) as benchmark:
            for category in self.wish.categories:
                self.tasks[category] = (await benchmark.tasks(category))[: self.wish.limit]
            names = [name for category in self.wish.categories for name in self.tasks[category]]
            self.run = run = self._begin(arms, names)
            cap = setup.settings.amount("max_cost_usd")
            budget = None if cap is None else RunBudget(pico_from_usd(cap))
            with run.hold():
                slots = list(self._missing(arms, names))
                setup.err.dim(f"{len(slots)} attempts to make in {run.folder}")
                async with world_of(setup) as outside:
                    world = pace_world(outside, arms if user is None else [*arms, user])
                    by_name = {arm.name: arm for arm in arms}
                    make = partial(self._attempt, by_name, user, world, benchmark, budget)
                    return await for_each(
                        slots,
                        lambda slot: self._one(slot, len(slots), make, world),
                        world.clock,
                        at_once=self.wish.asking.jobs,
                        resume="the same command goes on",
                    )

    def _user(self) -> Arm | None:
        """Who plays the user: with nothing of what the arms are asked with, at temperature 0 as
        the benchmark has it. Raises NemoError."""
        if self.wish.user is None:
            return None
        asking = replace(self.wish.asking, arms=(f"user={self.wish.user}",))
        arm = arms_of(self.setup, asking, "suite")[0]
        plan = replace(arm.plan, tags=("user-simulator",))
        return replace(arm, plan=plan, reasoning=None, max_tokens=None, options={"temperature": 0})

    def _begin(self, arms: list[Arm], names: list[str]) -> Run:
        """The run, with these arms in it. Raises NemoError where one of them was another."""
        run = None
        user = {} if self.wish.user is None else {"user": self.wish.user}
        for arm in arms:
            about = {**arm_json(arm), "benchmark": self._benchmark, **user}
            run = open_recorded_run(
                self.setup, self.folder, arm.name, names, about, anew=self.wish.anew and run is None
            )
            kept = next(each for each in run.manifest["arms"] if each["name"] == arm.name)
            if any(kept.get(key) != value for key, value in about.items()):
                raise config_error(
                    f"the arm {arm.name} of {run.folder} was asked another way",
                    "give it another name, or begin another run with --new",
                )
        assert run is not None
        return run

    @property
    def _benchmark(self) -> str:
        return f"{self.wish.name} {SUITES[self.wish.name][1]}"

    def _missing(self, arms: list[Arm], names: list[str]) -> Iterator[Slot]:
        """Attempts that did not end yet or say nothing about their arm, arms interleaved."""
        assert self.run is not None
        made = {f.slot for f in self.run.results() if f.measures.cls not in LOST}
        for epoch in range(1, (self.wish.asking.epochs or 1) + 1):
            for name in names:
                for arm in arms:
                    if Slot(arm.name, name, epoch) not in made:
                        yield Slot(arm.name, name, epoch)

    async def _one(
        self,
        slot: Slot,
        count: int,
        make: Callable[[Slot, AttemptRecord], Awaitable[tuple[Measures, Fault | None]]],
        world: World,
    ) -> Fault | None:
        assert self.run is not None
        record = self.run.record(slot)
        record.event(
            {
                "type": "begin",
                "slot": slot.name,
                "task_digest": DIGEST,
                "suite": self._benchmark,
                "at": world.clock.now().isoformat(),
            }
        )
        try:
            measures, fault = await make(slot, record)
            if fault is None:
                record.end(measures)
                self.done += 1
                self.setup.err.dim(f"{self.done}/{count} {slot.name}: {measures.cls}")
            return fault
        finally:
            record.close()

    async def _attempt(
        self,
        arms: dict[str, Arm],
        user: Arm | None,
        world: World,
        benchmark: Bfcl | Tau2,
        budget: RunBudget | None,
        slot: Slot,
        record: AttemptRecord,
    ) -> tuple[Measures, Fault | None]:
        """One attempt, made as its benchmark has it."""
        arm, tell = arms[slot.arm], record.event
        if isinstance(benchmark, Bfcl):
            task = await benchmark.task(slot.task)
            return await PublicAttempt(task, arm, world, benchmark, tell, budget=budget).run()
        assert user is not None
        service = await benchmark.task(slot.task)
        return await ServiceAttempt(
            service, arm, user, world, benchmark, record=tell, budget=budget
        ).run()

    def show(self, *, as_json: bool) -> None:
        """Right answers by arm and category, with their intervals."""
        if self.run is None:
            return
        finished = self.run.results()
        tasks = {category: set(names) for category, names in self.tasks.items()}
        rows = [
            _row_of(arm["name"], category, [
                f.measures for f in finished
                if f.slot.arm == arm["name"] and f.slot.task in wanted
            ])
            for arm in self.run.manifest["arms"]
            for category, wanted in tasks.items()
        ]  # fmt: skip
        if as_json:
            self.setup.out.json({"schema": "nemocli.eval_suite/1", "suite": self.wish.name,
                                 "version": SUITES[self.wish.name][1], "run": str(self.run.folder),
                                 "results": _plain(rows)})  # fmt: skip
            return
        for row in rows:
            if row["scored"] or row["not_scored"]:
                self.setup.out.line(_line_of(row, played=self.wish.user is not None))
        self.setup.err.dim(f"`nemocli eval decide {self.folder}` compares the arms")


def _row_of(arm: str, category: str, found: Sequence[Measures]) -> dict[str, Any]:
    """How one arm did in one category."""
    scored = [m for m in found if m.cls in SCORED]
    right = sum(m.cls == "success" for m in scored)
    interval = wilson(right, len(scored))
    return {
        "arm": arm,
        "category": category,
        "right": right,
        "scored": len(scored),
        "not_scored": len(found) - len(scored),
        "low": interval.low,
        "high": interval.high,
        "cost_pico": total_of(m.cost_pico for m in found),
        "user_cost_pico": total_of(m.user_cost_pico for m in found),
    }


def _line_of(row: Mapping[str, Any], *, played: bool) -> str:
    """For people; `played`: a model played the user."""
    share, bounds = "-", ""
    if row["scored"]:
        share = f"{row['right'] / row['scored']:.1%}"
        bounds = "" if row["low"] is None else f" ({row['low']:.1%} to {row['high']:.1%})"
    cost = "cost unknown" if row["cost_pico"] is None else usd_short(row["cost_pico"])
    if played:
        spent = row["user_cost_pico"]
        cost += f", the user {'unknown' if spent is None else usd_short(spent)}"
    lost = f", {row['not_scored']} not scored" if row["not_scored"] else ""
    return (
        f"{row['arm']} {row['category']}: {row['right']} of {row['scored']} right,"
        f" {share}{bounds}{lost} · {cost}"
    )


def _plain(rows: list[dict[str, Any]]) -> list[Any]:
    return [
        {
            **{k: v for k, v in row.items() if not k.endswith("cost_pico")},
            "cost_usd": usd_text(row["cost_pico"]),
            "user_cost_usd": usd_text(row["user_cost_pico"]),
        }
        for row in rows
    ]
