"""From a plan to its rows, and from their end to an exit code."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from nemocli.cli.batch.plan import BatchPlan, check_keys, plan_of
from nemocli.cli.batch.wish import BatchOptions
from nemocli.cli.batch.work import run_local
from nemocli.cli.context import Setup
from nemocli.io.batch.job import BatchJob

if TYPE_CHECKING:
    from collections.abc import Callable


MOST_RUNS = 100
"""Runs a job remembers."""


def run_batch(
    setup: Setup,
    wish: BatchOptions,
    *,
    prepare: Callable[[BatchPlan, BatchJob], None] | None = None,
) -> int:
    """Ask every row that is not over; the exit code. `prepare` is called once the job is held."""
    plan = plan_of(setup, wish)
    for line in plan.notices:
        setup.err.warn(line)
    check_keys(setup, plan)
    job = BatchJob(plan.out)
    with job.hold():
        if wish.restart:
            job.clear()
        job.check(plan.terms.spec.fingerprint)
        if prepare is not None:
            prepare(plan, job)
        begin(setup, wish, plan, job)
        if wish.remote:
            from nemocli.cli.batch.remote import submit

            return submit(setup, wish, plan, job)
        if wish.engine == "ray":
            from nemocli.cli.batch.ray import ray_run

            return ray_run(setup, wish, plan, job)
        return run_local(setup, wish, plan, job)


def begin(setup: Setup, wish: BatchOptions, plan: BatchPlan, job: BatchJob) -> None:
    """Remember what is being done."""
    facts = job.facts() or {}
    runs = [*facts.get("runs", ()), plan.terms.told.run_id][-MOST_RUNS:]
    job.remember(
        {
            "schema": "nemocli.batch_job/1",
            "out": str(plan.out.absolute()),
            "folder": str(Path.cwd()),
            "wish": {**asdict(wish), "restart": False},
            "providers": [t.provider.name for t in plan.terms.targets],
            "models": [t.name for t in plan.terms.targets],
            "runs": runs,
            "began_at": setup.clock.now().isoformat(),
            "summary": None,
        }
    )
    job.register(setup.paths.state / "batches.jsonl")
