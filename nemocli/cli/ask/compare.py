"""`ask --compare`: the same question to several paths at once, side by side with what each took."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from nemocli.cli.ask.answer_json import answer_json
from nemocli.cli.ask.job import AskJob, AskOptions
from nemocli.cli.ask.receipt import receipt
from nemocli.cli.ask.run import job_of
from nemocli.cli.event_loop import run_async
from nemocli.cli.terminal.side_by_side import NARROWEST, SideBySide, column_width, lines_of
from nemocli.cli.terminal.streams import screen_size
from nemocli.core.budget import RunBudget
from nemocli.core.events import Event, Fold, Text
from nemocli.core.faults import ExitCode, Fault, FaultKind, usage_error
from nemocli.engine.run import Answer, run
from nemocli.engine.waiting import acknowledge_stop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemocli.cli.context import Setup
    from nemocli.core.plan import Target
    from nemocli.core.ports import World

SCHEMA = "nemocli.compare/1"


def compare(setup: Setup, wish: AskOptions) -> int:
    """Ask all, show all; 0 only where every answer is complete. Raises NemoError."""
    if wish.schema is not None or wish.extract or wish.form == "jsonl":
        raise usage_error("`--compare` goes without `--schema`, `--extract` and `--jsonl`")
    setup.out.ready()
    job = job_of(setup, replace(wish, fallback=True))
    targets = job.plan.targets
    if len(targets) < 2:
        raise usage_error(
            "`--compare` needs two paths", "name them: `--compare -p openrouter -p nvidia`"
        )
    beside = None if wish.form == "json" else side_by_side(setup, [head(t) for t in targets])
    answers, took = run_async(lambda: _all(setup, job, beside))
    if wish.form == "json":
        rows = [
            answer_json(answer, job.plan, job.request, seconds)
            for answer, seconds in zip(answers, took, strict=True)
        ]
        setup.out.json({"schema": SCHEMA, "answers": list(rows)})
    else:
        _show(setup, answers, took, beside)
    for answer in answers:
        for line in answer.warnings:
            setup.err.warn(f"{answer.target.provider.name}: {line}")
    faults = [answer.fault for answer in answers if answer.fault is not None]
    if faults and wish.form == "json":
        setup.err.error(faults[0])
    return faults[0].exit_code if faults else ExitCode.OK


async def _all(
    setup: Setup, job: AskJob, beside: SideBySide | None
) -> tuple[list[Answer], list[float]]:
    from nemocli.cli.world import world_of

    plans = [replace(job.plan, targets=(target,), keep=True) for target in job.plan.targets]
    cap = job.plan.max_cost_pico
    budget = None if cap is None else RunBudget(cap)  # one cap over all of them
    answers = [Answer(Fold(), plan.targets[0]) for plan in plans]
    took = [0.0] * len(plans)
    async with world_of(setup) as world:
        begun = world.clock.monotonic()

        async def one(number: int, world: World) -> None:
            def sink(event: Event) -> None:
                if beside is not None and isinstance(event, Text):
                    beside.add(number, event.text)

            await run(
                plans[number], job.request, world, sink, budget=budget, answer=answers[number]
            )
            took[number] = world.clock.monotonic() - begun
            if beside is not None:
                beside.end(number)
            else:
                setup.err.dim(f"{answers[number].target.provider.name} is done")

        tasks = [asyncio.create_task(one(number, world)) for number in range(len(plans))]
        try:
            await asyncio.gather(*tasks)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            acknowledge_stop()
            for number, answer in enumerate(answers):
                if not took[number]:
                    took[number] = world.clock.monotonic() - begun
                    answer.fault = Fault(FaultKind.INTERRUPTED, "interrupted")
    return answers, took


def side_by_side(setup: Setup, names: Sequence[str]) -> SideBySide | None:
    """Columns for some answers, with their heads; None where the screen has no room for them."""
    terminal = setup.terminal
    if not terminal.stdout or column_width(terminal.width, len(names)) < NARROWEST:
        return None
    live = setup.env.get("TERM") not in (None, "", "dumb")
    return SideBySide(setup.out.paint, lambda: screen_size(terminal.width), names, live=live)


def _show(
    setup: Setup, answers: list[Answer], took: list[float], beside: SideBySide | None
) -> None:
    """What is not on the screen yet."""
    if beside is not None:
        beside.close()
        nothing = [[] if a.fold.text else ["(nothing)"] for a in answers]
        feet = [lines_of(foot(a, s), beside.width) for a, s in zip(answers, took, strict=True)]
        beside.block([[*n, "", *f] for n, f in zip(nothing, feet, strict=True)])
        return
    for number, (answer, seconds) in enumerate(zip(answers, took, strict=True)):
        if number:
            setup.out.line()
        setup.out.line(f"## {head(answer.target)}\n")
        setup.out.line((answer.fold.text or "(nothing)").rstrip("\n"))
        setup.out.line(f"\n{foot(answer, seconds)}")


def head(target: Target) -> str:
    """Who answers."""
    return f"{target.provider.name}: {target.name}"


def foot(answer: Answer, seconds: float) -> str:
    """The receipt, or why there is no answer."""
    if answer.fault is not None:
        return f"failed: {answer.fault.message}"
    return receipt(answer, seconds)
