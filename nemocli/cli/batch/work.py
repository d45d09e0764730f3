"""What a batch needs before its first row and after its last, whatever runs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemocli.batch.attempt import Asker
from nemocli.batch.lines import attempt_of, settlement_of, unpack_answer
from nemocli.batch.progress import Tally, tally_json
from nemocli.batch.reuse import Recall
from nemocli.batch.shard import Shard
from nemocli.batch.source import Feed
from nemocli.cli.batch.plan import BatchPlan, lanes_of, price_of
from nemocli.cli.batch.progress import ShownBatch
from nemocli.cli.batch.table import table_form, write_beside
from nemocli.cli.batch.wish import BatchOptions
from nemocli.cli.context import Setup
from nemocli.cli.event_loop import run_async
from nemocli.core.budget import RunBudget
from nemocli.core.faults import ExitCode, Fault, NemoError
from nemocli.core.money import Pico
from nemocli.engine.pool.gate import LocalGate
from nemocli.io.batch.count import count_in_background
from nemocli.io.batch.in_flight import UnderWay
from nemocli.io.batch.job import BatchJob, StoredPast, recover
from nemocli.io.batch.join import in_order
from nemocli.io.batch.results import GroupedResults
from nemocli.io.batch.spool import Arrived
from nemocli.io.batch.writer import About, Keeper, Words
from nemocli.io.batch.writer_process import start_writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from nemocli.cli.batch.progress import Watched
    from nemocli.core.money import Cost
    from nemocli.core.ports import Entry
    from nemocli.core.records import Record
    from nemocli.engine.pool.ports import CallGate


def words_of(price: Callable[[Entry], Cost]) -> Words:
    """What the lines of a job mean; `price`: what an attempt of estimated tokens cost."""
    return Words(settlement_of, attempt_of, unpack_answer, price)


def keeper_maker(setup: Setup, plan: BatchPlan, job: BatchJob) -> Callable[[], Keeper]:
    """What opens the files of a job."""
    told = plan.terms.told
    about = About(told.run_id, told.command, told.project, told.tags)
    words = words_of(price_of(setup, plan.terms))
    fingerprint = plan.terms.spec.fingerprint
    return lambda: job.keeper(setup.paths.ledger, about, words, fingerprint, ordered=plan.ordered)


def run_local(
    setup: Setup,
    wish: BatchOptions,
    plan: BatchPlan,
    job: BatchJob,
    *,
    gate: CallGate | None = None,
    beside: tuple[Path, ...] = (),
    fork: bool = True,
    report: Callable[[Tally, Fault | None], None] | None = None,
) -> int:
    """Ask the rows of a plan; the exit code. `gate` is one that others share, `beside` are folders
    of other files in which rows may be over; `report` gets what is otherwise shown."""
    make = keeper_maker(setup, plan, job)
    shown = ShownBatch(setup, wish.progress)
    found = recover(make)
    shown.show_recovery(found)
    clock = setup.clock
    cap = (
        None
        if plan.cap is None
        else RunBudget(Pico(plan.cap), spent=spend_so_far(setup, job, plan))
    )
    ours = gate or LocalGate(lanes_of(plan, clock), clock.monotonic, cap, plan.spread)
    setup.ledger.close()  # a connection must not be open on both sides of a fork
    keeper = start_writer(make, fork=fork)
    with ExitStack() as stack:
        past = StoredPast(plan.terms.spec.fingerprint, job.folder, *beside)
        stack.callback(past.close)
        results = GroupedResults(
            keeper, UnderWay(job.under_way), Arrived(job.folder), ordered=plan.ordered
        )
        tally = Tally(size=plan.inputs.size)
        count_in_background(plan.inputs, partial(setattr, tally, "rows"))
        recall = _recall(setup, wish, job, stack)
        fault = run_async(
            lambda: _run(setup, plan, past, results, tally, shown, ours, recall, job), many=True
        )
    job.compact(past.stale, settlement_of)
    if plan.ordered and past.stale:
        in_order(job.out, settlement_of)
    if report is not None:
        report(tally, fault)
        return _code(tally, fault)
    return finish(setup, wish, plan.out, job, tally, shown, fault)


def finish(
    setup: Setup,
    wish: BatchOptions,
    out: Path,
    job: BatchJob,
    tally: Tally,
    shown: ShownBatch,
    fault: Fault | None,
) -> int:
    """Say how it ended; the exit code."""
    code = _code(tally, fault)
    facts = job.facts() or {}
    summary = tally_json(tally, shown.pace, cap=None, limit="", why="")
    ending = {"ended_at": setup.clock.now().isoformat(), "exit_code": int(code)}
    with suppress(NemoError):  # a full disk has been told of already
        job.remember({**facts, **ending, "summary": summary, "live": None})
    _table(setup, wish, job, shown)
    shown.summary(tally, out, job.errors, fault, as_json=wish.json)
    if fault is not None:
        setup.err.error(fault)
    return code


def _table(setup: Setup, wish: BatchOptions, job: BatchJob, shown: ShownBatch) -> None:
    """The table that was asked for by the name of the output, as far as the job is."""
    into = Path(wish.out)
    form = table_form(into)
    if form is None or wish.shard is not None:
        return
    try:
        count = write_beside(job, wish, Path(), into, form)
    except NemoError as error:
        shown.warn(f"{into} is not written: {error.fault.message}")
        return
    shown.warn(f"{count:,} rows in {into}, made from {job.out}")


def _code(tally: Tally, fault: Fault | None) -> int:
    if fault is not None:
        return fault.exit_code
    return ExitCode.BATCH_FAILURES if tally.failed + tally.bad else ExitCode.OK


def spend_so_far(setup: Setup, job: BatchJob, plan: BatchPlan) -> Pico:
    """What earlier runs of the job came to, in pico-USD: its cap holds over all of them."""
    from nemocli.cost.calls import Where

    runs = (job.facts() or {}).get("runs", [])
    spent = 0
    for run_id in runs:
        if run_id != plan.terms.told.run_id:
            sums = setup.ledger.totals(where=Where(run_id=str(run_id)))
            spent += sum(total.pico or 0 for total in sums)
    return Pico(spent)


def _recall(setup: Setup, wish: BatchOptions, job: BatchJob, stack: ExitStack) -> Recall | None:
    if not (wish.cache or wish.cache_any or wish.dedupe):
        return None
    from nemocli.io.batch.answer_cache import StoredAnswers

    lasting = wish.cache or wish.cache_any
    folder = setup.paths.cache if lasting else job.folder
    answers = StoredAnswers(folder / "answers.db")
    stack.callback(answers.close)
    warm = wish.cache_any or not lasting
    return Recall(answers, warm=warm, coalesce=wish.dedupe)


async def _run(
    setup: Setup,
    plan: BatchPlan,
    past: StoredPast,
    results: GroupedResults,
    tally: Tally,
    shown: ShownBatch,
    gate: Any,
    recall: Recall | None,
    job: BatchJob,
) -> Fault | None:
    from nemocli.cli.world import world_of

    try:
        async with world_of(setup, fresh=plan.fresh_connections) as world:
            asker = Asker(
                plan.terms,
                world,
                gate,
                results,
                tally,
                check=plan.check,
                recall=recall,
                warn=shown.warn,
            )
            feed = Feed(
                _records(plan),
                plan.terms.spec,
                past,
                tally,
                ordered=plan.ordered,
                jinja=plan.jinja,
                context=plan.context,
                warn=shown.warn,
            )
            shard = Shard(
                asker,
                feed,
                gate,
                results,
                world.clock,
                tally=tally,
                warn=shown.warn,
                piped=plan.inputs.pipe,
            )
            watched: Watched = gate
            watching = asyncio.create_task(shown.watch(tally, watched, plan.cap, job.live))
            try:
                return await shard.run()
            finally:
                watching.cancel()
    finally:
        await results.close()


def _records(plan: BatchPlan) -> Iterable[Record] | AsyncIterable[Record]:
    if not plan.inputs.pipe:
        return plan.inputs
    from nemocli.io.batch.pipe import Piped

    return Piped(plan.inputs)
