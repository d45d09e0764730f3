"""`ask --compare`: the same question to several paths at once, side by side with what each took."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from nemocli.cli.ask.answer_json import answer_json
from nemocli.cli.ask.receipt import receipt
from nemocli.cli.ask.run import Job, Wish, job_of
from nemocli.cli.event_loop import run_async
from nemocli.cli.terminal.tables import columns, folded
from nemocli.core.budget import RunBudget
from nemocli.core.events import Fold
from nemocli.core.faults import ExitCode, Fault, FaultKind, usage_error
from nemocli.core.text import neutral, wrapped
from nemocli.engine.run import Answer, run
from nemocli.engine.waiting import stopped

if TYPE_CHECKING:
    from nemocli.cli.context import Setup
    from nemocli.core.ports import World

SCHEMA = "nemocli.compare/1"
NARROWEST = 36
"""Columns of text that can still be read; with less for each, the answers stand one below another.
"""
GAP = 3


def compare(setup: Setup, wish: Wish) -> int:
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
    answers, took = run_async(lambda: _all(setup, job))
    if wish.form == "json":
        rows = [
            answer_json(answer, job.plan, job.request, seconds)
            for answer, seconds in zip(answers, took, strict=True)
        ]
        setup.out.json({"schema": SCHEMA, "answers": list(rows)})
    else:
        _show(setup, answers, took)
    for answer in answers:
        for line in answer.warnings:
            setup.err.warn(f"{answer.target.provider.name}: {line}")
    faults = [answer.fault for answer in answers if answer.fault is not None]
    if faults and wish.form == "json":
        setup.err.error(faults[0])
    return faults[0].exit_code if faults else ExitCode.OK


async def _all(setup: Setup, job: Job) -> tuple[list[Answer], list[float]]:
    from nemocli.cli.world import world_of

    plans = [replace(job.plan, targets=(target,), keep=True) for target in job.plan.targets]
    cap = job.plan.max_cost_pico
    budget = None if cap is None else RunBudget(cap)  # one cap over all of them
    answers = [Answer(Fold(), plan.targets[0]) for plan in plans]
    took = [0.0] * len(plans)
    async with world_of(setup) as world:
        begun = world.clock.monotonic()

        async def one(number: int, world: World) -> None:
            await run(
                plans[number],
                job.request,
                world,
                lambda event: None,
                budget=budget,
                answer=answers[number],
            )
            took[number] = world.clock.monotonic() - begun
            setup.err.dim(f"{answers[number].target.provider.name} is done")

        tasks = [asyncio.create_task(one(number, world)) for number in range(len(plans))]
        try:
            await asyncio.gather(*tasks)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            stopped()
            for number, answer in enumerate(answers):
                if not took[number]:
                    took[number] = world.clock.monotonic() - begun
                    answer.fault = Fault(FaultKind.INTERRUPTED, "interrupted")
    return answers, took


def _show(setup: Setup, answers: list[Answer], took: list[float]) -> None:
    width = setup.terminal.width
    each = (width - GAP * (len(answers) - 1)) // len(answers)
    beside = setup.terminal.stdout and each >= NARROWEST
    if not beside:
        for number, (answer, seconds) in enumerate(zip(answers, took, strict=True)):
            if number:
                setup.out.line()
            setup.out.line(f"## {_head(answer)}\n")
            setup.out.line(_said(answer).rstrip("\n"))
            setup.out.line(f"\n{_foot(answer, seconds)}")
        return
    columns = [
        [
            *_lines(_head(answer), each),
            "-" * each,
            *_lines(_said(answer), each),
            "",
            *_lines(_foot(answer, seconds), each),
        ]
        for answer, seconds in zip(answers, took, strict=True)
    ]
    for row in range(max(map(len, columns))):
        cells = [column[row] if row < len(column) else "" for column in columns]
        setup.out.line((" " * GAP).join(_padded(cell, each) for cell in cells).rstrip())


def _head(answer: Answer) -> str:
    return f"{answer.target.provider.name}: {answer.target.name}"


def _said(answer: Answer) -> str:
    return answer.fold.text or "(nothing)"


def _foot(answer: Answer, seconds: float) -> str:
    """The receipt, or why there is no answer."""
    if answer.fault is not None:
        return f"failed: {answer.fault.message}"
    return receipt(answer, seconds)


def _lines(text: str, width: int) -> list[str]:
    """The text in lines of at most a width; a word that is longer is cut."""
    return folded(wrapped(neutral(text).expandtabs(4), width, "").split("\n"), width)


def _padded(cell: str, width: int) -> str:
    return cell + " " * max(0, width - columns(cell))
