"""`batch run --engine ray`: the same shares as `--shard`, each in an actor, around one gate."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemocli.batch.lines import settlement_of
from nemocli.batch.progress import Tally
from nemocli.cli.batch.plan import BatchPlan, lanes_of, part_of, plan_of, price_of
from nemocli.cli.batch.progress import ShownBatch
from nemocli.cli.batch.wish import BatchOptions
from nemocli.cli.batch.work import finish, keeper_maker, run_local, spend_so_far, words_of
from nemocli.cli.context import Globals, Setup
from nemocli.core.budget import RunBudget
from nemocli.core.faults import Fault, FaultKind, NemoError, usage_error
from nemocli.core.money import Pico
from nemocli.engine.pool.gate import LocalGate, Spread, TargetLane
from nemocli.engine.pool.ports import CallOutcome
from nemocli.io.batch.job import BatchJob, recover
from nemocli.io.batch.join import in_order, merge_outputs
from nemocli.io.batch.writer import About
from nemocli.io.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nemocli.io.batch.ray_pool import RemoteGate

_LEFT = ("NEMOCLI_HOME", "NEMOCLI_RETRY_BASE_S", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
"""What a worker on this machine has to know of its driver's environment; keys it has itself."""


def ray_run(setup: Setup, wish: BatchOptions, plan: BatchPlan, job: BatchJob) -> int:
    """Ask every row that is not over, by actors; the exit code."""
    from nemocli.io.batch.ray_pool import run_pool

    if plan.inputs.pipe:
        raise usage_error("--engine ray reads its input in several places", "write it to a file")
    if wish.shard is not None:
        raise usage_error("--engine ray makes the shares itself", "leave `--shard` out")
    found = recover(keeper_maker(setup, plan, job))
    shown = ShownBatch(setup, wish.progress)
    shown.show_recovery(found)
    _collect(setup, plan, job)
    count = wish.actors
    jobs = [partial(_share, wish, setup.globals, _place(setup), i, count) for i in range(count)]
    spent = spend_so_far(setup, job, plan)
    setup.ledger.close()
    tally, fault = Tally(size=plan.inputs.size), None
    try:
        outcomes = run_pool(
            jobs,
            partial(_gate, lanes_of(plan, setup.clock), plan.cap, spent, plan.spread),
            partial(CallOutcome, "other"),
            [t.provider.name for t in plan.terms.targets],
            address=setup.env.get("RAY_ADDRESS"),
            told=shown.warn,
            state=lambda limits, why: shown.show_shared(tally, limits, why),
        )
        for counts, error in outcomes:
            tally.add(counts)
            fault = fault or error
    except NemoError as error:
        fault = error.fault
    finally:
        _collect(setup, plan, job)
    if plan.ordered:
        in_order(job.out, settlement_of)
    return finish(setup, wish, plan.out, job, tally, shown, fault)


def _place(setup: Setup) -> dict[str, str]:
    """Where a worker is, and whose it is."""
    kept = {name: setup.env[name] for name in _LEFT if name in setup.env}
    return {**kept, "PWD": str(Path.cwd())}


def _gate(lanes: list[TargetLane], cap: int | None, spent: Pico, spread: Spread) -> LocalGate:
    """Made where it is to be: by the clock of that machine."""
    budget = None if cap is None else RunBudget(Pico(cap), spent=spent)
    return LocalGate(lanes, SystemClock().monotonic, budget, spread)


def _share(
    wish: BatchOptions,
    given: Globals,
    place: Mapping[str, str],
    share: int,
    count: int,
    gate: RemoteGate,
) -> tuple[Tally, Fault | None]:
    """One share, in a worker: its rows into a file of its own, from where that stands."""
    os.chdir(place["PWD"])
    env = {**os.environ, **place}
    setup = Setup(env)
    setup.begin(replace(given, quiet=True))
    whole = Path(wish.out)
    mine = replace(
        wish,
        shard=f"{share + 1}/{count}",
        engine="local",
        progress="none",
        restart=False,
        json=False,
    )
    plan = plan_of(setup, mine)
    job = BatchJob(plan.out)
    kept: list[Any] = []
    with job.hold():
        job.check(plan.terms.spec.fingerprint)
        run_local(
            setup,
            mine,
            plan,
            job,
            gate=gate,
            beside=(BatchJob(whole).folder,),
            fork=False,
            report=lambda tally, fault: kept.append((tally, fault)),
        )
    tally, fault = kept[0]
    if fault is not None and fault.kind is FaultKind.INTERNAL:
        raise NemoError(fault)
    return tally, fault


def _collect(setup: Setup, plan: BatchPlan, job: BatchJob) -> None:
    """Take finished and left-over parts into the output, and remove them."""
    pattern = part_of(plan.out, (0, 0)).name.replace("1-of-0", "*-of-*")
    parts = [p for p in sorted(plan.out.parent.glob(pattern)) if BatchJob(p).folder.exists()]
    if not parts:
        return
    for part in parts:
        recover(keeper_maker(setup, replace(plan, out=part), BatchJob(part)))
    told = plan.terms.told
    words = words_of(price_of(setup, plan.terms))
    about = About(told.run_id, told.command, told.project, told.tags)
    merge_outputs(job, parts, setup.paths.ledger, about, words)
    for part in parts:
        BatchJob(part).remove()
