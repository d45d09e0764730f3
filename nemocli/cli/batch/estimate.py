"""`batch estimate` and `batch run --dry-run`: what a job will come to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nemocli.batch.attempt import Asker
from nemocli.batch.estimate import (
    CHARS_PER_TOKEN,
    Estimate,
    Picked,
    SeenAnswers,
    Sizes,
    Source,
    estimate_job,
    too_long,
)
from nemocli.batch.progress import Tally
from nemocli.batch.rows import Bad, Row, limit_in, row_of
from nemocli.batch.sampling import SampledResults, one_by_one
from nemocli.batch.shard import MOST_TOLD, Shard
from nemocli.cli.batch.plan import BatchPlan, lanes_of, plan_of
from nemocli.cli.batch.wish import BatchOptions
from nemocli.cli.event_loop import run_async
from nemocli.cli.terminal.tables import facts
from nemocli.core.budget import RunBudget
from nemocli.core.faults import ExitCode, Fault, NemoError
from nemocli.core.money import Pico, usd_short, usd_text
from nemocli.core.quantities import time_text
from nemocli.core.request import answers_in
from nemocli.engine.pool.gate import LocalGate

if TYPE_CHECKING:
    from nemocli.cli.context import Setup
    from nemocli.core.plan import Target
    from nemocli.core.values import Json

MOST_ANSWERS = 1000
"""Answers of an earlier run that are looked at."""


def run_estimate(setup: Setup, wish: BatchOptions, *, sample: int) -> int:
    """Look at every row, ask `sample` of them, and say what all of them will come to."""
    plan = plan_of(setup, wish)
    for line in plan.notices:
        setup.err.warn(line)
    sizes, picked = _looked_at(setup, plan, sample)
    seen, source, spent = SeenAnswers(), "assumed", 0
    if picked.rows:
        seen, spent = _sampled(setup, plan, picked.rows)
        source = "sample" if seen.outputs else "assumed"
    elif wish.out:
        seen = _answers_so_far(plan)
        source = "answers" if seen.outputs else "assumed"
    found = _estimate(setup, plan, sizes, seen, "sample" if source == "sample" else _source(source))
    fits = _fits(plan, found)
    if wish.json:
        setup.out.json(estimate_json(found, plan, spent))
    else:
        setup.out.lines(estimate_lines(found, plan, spent))
        if not fits:
            setup.err.warn("it may come to more than `--max-cost`, and would stop there (exit 9)")
    return ExitCode.OK


def _source(name: str) -> Source:
    return "answers" if name == "answers" else "assumed"


def _fits(plan: BatchPlan, found: Estimate) -> bool:
    return plan.cap is None or found.pico_p95 is None or found.pico_p95 <= plan.cap


def _looked_at(setup: Setup, plan: BatchPlan, sample: int) -> tuple[Sizes, Picked]:
    """One pass over the input."""
    spec, sizes, picked = plan.terms.spec, Sizes(), Picked(sample)
    for record in plan.inputs:
        row = row_of(record, spec, plan.jinja)
        if isinstance(row, Bad):
            sizes.bad += 1
            if sizes.bad <= MOST_TOLD:
                setup.err.warn(f"{row.where}: {row.message}")
            continue
        most = limit_in(row.body)
        if too_long(row, CHARS_PER_TOKEN, most, plan.context):
            sizes.over += 1
        sizes.see(row, most if most is None else most * answers_in(row.body))
        picked.see(row)
    return sizes, picked


def _sampled(setup: Setup, plan: BatchPlan, rows: list[Row]) -> tuple[SeenAnswers, int]:
    """What the answers to a few rows were like, and what they cost in pico-USD."""
    told = replace(plan.terms.told, command="batch estimate")
    terms = replace(plan.terms, told=told)
    seen = SeenAnswers()

    async def ask() -> tuple[Fault | None, int]:
        from nemocli.cli.world import world_of

        async with world_of(setup) as world:
            tally, clock = Tally(), setup.clock
            cap = None if plan.cap is None else RunBudget(Pico(plan.cap))
            gate = LocalGate(lanes_of(plan, clock), clock.monotonic, cap, plan.spread)
            looked = SampledResults(world.ledger, terms, rows, seen)
            asker = Asker(terms, world, gate, looked, tally, check=plan.check, warn=setup.err.warn)
            shard = Shard(
                asker, one_by_one(rows), gate, looked, clock, tally=tally, warn=setup.err.warn
            )
            return await shard.run(), looked.pico

    fault, pico = run_async(ask)
    if fault is not None:
        raise NemoError(fault)
    return seen, pico


def _answers_so_far(plan: BatchPlan) -> SeenAnswers:
    """The first answers that an earlier run of the job has."""
    from nemocli.batch.lines import settlement_of
    from nemocli.io.batch.lines import lines_in

    seen = SeenAnswers()
    for number, line in enumerate(lines_in(plan.out)):
        if number >= MOST_ANSWERS:
            break
        for entry in settlement_of(line).entries[-1:]:
            seen.add(0, entry.usage, entry.total_s)
    return seen


def _estimate(
    setup: Setup, plan: BatchPlan, sizes: Sizes, seen: SeenAnswers, source: Source
) -> Estimate:
    target: Target = plan.terms.targets[0]
    clock = setup.clock
    lane = lanes_of(plan, clock)[0]
    return estimate_job(
        sizes,
        seen,
        target.price(clock.now().date()),
        free=target.free,
        source=source,
        output_limit=target.output_limit,
        rpm=lane.pinned.rpm or lane.likely_rpm,
        tpm=lane.pinned.tpm,
        cap=lane.pinned.cap,
    )


_FROM = {
    "sample": "of {n} rows that were asked",
    "answers": "of {n} answers that are there already",
    "assumed": "length is guessed; `--sample 20` measures it",
}


def estimate_lines(found: Estimate, plan: BatchPlan, spent: int) -> list[str]:
    """For people."""
    target = plan.terms.targets[0]
    rows = [f"{found.rows:,}"]
    if found.bad:
        rows.append(f"{found.bad:,} bad rows beside them")
    if found.over:
        rows.append(f"{found.over:,} over the context of {plan.context:,}")
    money = "unknown: no price is known here"
    if found.source == "assumed":
        money += "; `--sample 20` sees what is reported"
    if target.free:
        money = "nothing: it is free here"
    elif found.pico_p50 is not None and found.pico_p95 is not None:
        money = f"{usd_short(found.pico_p50)}, at p95 {usd_short(found.pico_p95)}"
    time = "unknown: no limit is known"
    if found.seconds is not None:
        time = f"{time_text(found.seconds)} at {found.slowest}"
    lines = facts(
        [
            ("rows", ", ".join(rows)),
            ("provider", f"{target.provider.name}, {target.model}"),
            ("input", f"{found.input_tokens:,} tokens"),
            ("output", f"{found.output_p50:,} tokens, at p95 {found.output_p95:,}"),
            ("answers", _FROM[found.source].format(n=found.seen)),
            ("cost", money),
            ("time", time),
        ]
    )
    if spent:
        lines.append(f"the sample itself cost {usd_short(spent)}")
    return lines


def estimate_json(found: Estimate, plan: BatchPlan, spent: int) -> dict[str, Json]:
    """The same as one object; amounts are decimal strings."""
    target = plan.terms.targets[0]
    return {
        "schema": "nemocli.batch_estimate/1",
        "provider": target.provider.name,
        "model": target.name,
        "rows": found.rows,
        "bad_rows": found.bad,
        "over_context": found.over,
        "input_tokens": found.input_tokens,
        "output_tokens": {"p50": found.output_p50, "p95": found.output_p95},
        "usd": {"p50": usd_text(found.pico_p50), "p95": usd_text(found.pico_p95)},
        "wall_s": found.seconds,
        "limit": found.slowest or None,
        "lengths_from": found.source,
        "sampled": found.seen,
        "sample_usd": usd_text(spent),
    }
