"""`batch show`: results for people, and as tables for other programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, cast

from nemocli.batch.report import COLUMNS, Result, result_of
from nemocli.batch.table import TableShape
from nemocli.cli.batch.table import csv_line, lines_beside, reason_of, table_rows
from nemocli.cli.terminal.tables import facts
from nemocli.core.faults import NemoError, config_error, usage_error
from nemocli.core.text import one_line
from nemocli.io.batch.job import BatchJob
from nemocli.io.batch.lines import lines_in

if TYPE_CHECKING:
    from nemocli.cli.context import Setup

FORMS = ("csv", "tsv", "parquet", "jsonl")
CUT = 200
"""Characters of an answer that a table shows at most."""


def results_of(job: BatchJob, *, failed: bool = False) -> Iterator[Result]:
    """Every row that is over, answers first. Raises NemoError at a line that is none."""
    for path in (job.errors,) if failed else (job.out, job.errors):
        for number, line in enumerate(lines_in(path), 1):
            try:
                yield result_of(line)
            except ValueError as error:
                raise config_error(
                    f"{path}:{number}: {error}", "take the line out, or start over with `--restart`"
                ) from error


def _cells(row: Result) -> tuple[str, ...]:
    return (
        str(row.row),
        one_line(row.custom_id, 24),
        row.status if row.error_code is None else row.error_code,
        row.provider or "-",
        "-" if row.output_tokens is None else f"{row.input_tokens or 0}/{row.output_tokens}",
        "-" if row.usd is None else row.usd,
        one_line(row.error_message or row.answer or "", CUT),
    )


def show(setup: Setup, job: BatchJob, *, failed: bool, limit: int) -> None:
    """A table of the first rows."""
    rows = results_of(job, failed=failed)
    shown = list(islice(rows, limit))
    cells = [_cells(row) for row in shown]
    if not cells:
        setup.err.dim("no rows are over yet" if not failed else "no row has failed")
        return
    heads = ("ROW", "ID", "STATUS", "PROVIDER", "TOKENS", "USD", "ANSWER")
    setup.out.table(heads, cells)
    if next(rows, None) is not None:
        setup.err.dim(f"the first {limit:,}; `-n` shows more, `--to csv` writes all")


def show_one(setup: Setup, job: BatchJob, name: str) -> None:
    """One row in full, by its `custom_id` or number. Raises NemoError where it is not over."""
    for row in results_of(job):
        if row.custom_id == name or str(row.row) == name:
            break
    else:
        raise usage_error(f"no row {name!r} is over", f"`nemocli batch show {job.out}` lists them")
    if setup.json:
        setup.out.json({name: getattr(row, name) for name in COLUMNS})
        return
    said = [(k.replace("_", " "), str(getattr(row, k) or "")) for k in COLUMNS if k != "answer"]
    for line in facts(said):
        setup.err.dim(line)
    setup.out.text(row.answer or "")
    setup.out.end_line()


def write_table(
    setup: Setup, job: BatchJob, form: str, into: str | None, *, failed: bool, raw: bool = False
) -> None:
    """All rows as CSV, TSV, Parquet or JSON lines. A table stands beside the input, where that can
    be read again; only failed rows, and JSON lines, are what the output says."""
    form = {"json": "jsonl"}.get(form, form)
    if form not in FORMS:
        raise usage_error(f"--to {form!r} is none", f"one of: {', '.join(FORMS)}")
    if form == "parquet" and into is None:
        raise usage_error("Parquet goes to a file", "`-o FILE` names it")
    if form == "jsonl":
        _written(setup, _objects(results_of(job, failed=failed)), into)
        return
    rows = _beside(setup, job) if not failed else None
    shape, cells = rows if rows is not None else (COLUMNS, _plain_rows(job, failed=failed))
    if form == "parquet":
        from nemocli.io.batch.parquet import write_parquet

        count = write_parquet(Path(into or ""), shape, cells)
        setup.err.dim(f"{count:,} rows in {into}")
        return
    sign = "\t" if form == "tsv" else ","
    lines = (csv_line(list(row), sign, raw=raw) for row in cells)
    _written(setup, chain([csv_line(list(shape), sign)], lines), into, heads=1)


Cells = Iterator[Sequence[object]]


def _beside(setup: Setup, job: BatchJob) -> tuple[Mapping[str, str], Cells] | None:
    from nemocli.cli.batch.retry import wish_of

    try:
        wish, folder = wish_of(job)
        rows = table_rows(job, wish, Path(folder))
        shape = cast("TableShape", next(rows))
    except NemoError as error:
        setup.err.warn(reason_of(error))
        return None
    return shape.columns, cast("Cells", rows)


def _plain_rows(job: BatchJob, *, failed: bool) -> Cells:
    for row in results_of(job, failed=failed):
        yield [
            Decimal(value) if kind == "usd" and value is not None else value
            for value, kind in zip(astuple(row), COLUMNS.values(), strict=True)
        ]


def _written(setup: Setup, texts: Iterator[str], into: str | None, heads: int = 0) -> None:
    if into is None:
        for text in texts:
            setup.out.text(text)
        return
    from nemocli.io.files import write_lines

    setup.err.dim(f"{write_lines(Path(into), texts) - heads:,} rows in {into}")


def _objects(rows: Iterator[Result]) -> Iterator[str]:
    from nemocli.cli.terminal.output import json_text

    for row in rows:
        yield json_text({name: getattr(row, name) for name in COLUMNS}) + "\n"


def job_at(name: str) -> BatchJob:
    """The job that writes a file. Raises NemoError where there is none."""
    job = BatchJob(lines_beside(Path(name)))
    if not job.out.exists() and job.facts() is None:
        what = f"no batch job wrote {name}"
        raise usage_error(what, "`nemocli batch ls` lists them")
    return job
