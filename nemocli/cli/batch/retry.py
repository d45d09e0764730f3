"""`batch retry` and `merge`: rows asked once more, and outputs joined."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemocli.batch.lines import settlement_of
from nemocli.cli.batch.plan import BatchPlan
from nemocli.cli.batch.run import run_batch
from nemocli.cli.batch.table import table_form
from nemocli.cli.batch.wish import BatchOptions
from nemocli.cli.batch.work import keeper_maker, words_of
from nemocli.core.faults import config_error
from nemocli.core.quantities import count_of
from nemocli.io.batch.job import BatchJob, recover
from nemocli.io.batch.join import in_order, merge_outputs

if TYPE_CHECKING:
    from nemocli.cli.context import Setup


def wish_of(job: BatchJob) -> tuple[BatchOptions, str]:
    """The command line a job was started with, and the folder it was typed in. Raises NemoError."""
    said = job.facts() or {}
    known = {field.name for field in fields(BatchOptions)}
    given = said.get("wish")
    if not isinstance(given, dict) or not set(given) <= known or "inputs" not in given:
        raise config_error(
            f"{job.out}: nothing says how this job was started",
            "type its `nemocli batch run` line again",
        )
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    return BatchOptions(**values), str(said.get("folder") or ".")


def retry(setup: Setup, job: BatchJob, *, bad: bool, progress: str, as_json: bool) -> int:
    """Ask the failed rows of a job again, as it was started."""
    import os
    from dataclasses import replace

    wish, folder = wish_of(job)
    out = str(job.out.absolute())
    if table_form(Path(wish.out)) is not None:
        out = out.removesuffix(".jsonl")  # the table is written anew
    try:
        os.chdir(folder)
    except OSError as error:
        raise config_error(f"{folder}: {error.strerror}", "the job was started there") from error
    if wish.shard is None:
        wish = replace(wish, out=out)  # wherever it lies by now
    wish = replace(wish, progress=progress, json=as_json)

    def prepare(plan: BatchPlan, held: BatchJob) -> None:
        recover(keeper_maker(setup, plan, held))
        again = held.reopen(settlement_of, bad=bad)
        setup.err.dim(f"{count_of(again, 'row')} asked again")

    return run_batch(setup, wish, prepare=prepare)


def merge(setup: Setup, out: Path, parts: list[Path], *, ordered: bool) -> None:
    """Join outputs of shares into one, and book what this machine's ledger does not have."""
    from nemocli.core.money import UNKNOWN
    from nemocli.io.batch.writer import About

    job = BatchJob(out)
    words = words_of(lambda entry: UNKNOWN)
    with job.hold():
        found = merge_outputs(job, parts, setup.paths.ledger, About("", "batch merge"), words)
        if ordered:
            in_order(out, settlement_of)
        job.register(setup.paths.state / "batches.jsonl")
    said = f"{found.fresh:,} rows of {len(parts)} files are in {out}"
    if found.known:
        said += f"; {found.known:,} were there"
    if found.replaced:
        said += f"; {found.replaced:,} replace older ones"
    if setup.json:
        setup.out.json(
            {
                "schema": "nemocli.batch_merge/1",
                "out": str(out),
                "fresh": found.fresh,
                "known": found.known,
                "replaced": found.replaced,
                "booked": found.booked,
            }
        )
        return
    setup.err.dim(said)
    setup.err.dim(f"{found.booked:,} calls of other machines are in the ledger now")
