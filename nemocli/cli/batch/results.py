"""`batch show`: results for people, and as tables for other programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import astuple
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from nemocli.batch.report import COLUMNS, Result, result_of
from nemocli.cli.terminal.tables import facts, table
from nemocli.core.faults import config_error, usage_error
from nemocli.core.text import one_line
from nemocli.io.batch.job import Job
from nemocli.io.batch.lines import lines_in

if TYPE_CHECKING:
    from nemocli.cli.context import Setup

FORMS = ("csv", "parquet", "jsonl")
CUT = 200
"""Characters of an answer that a table shows at most."""


def results_of(job: Job, *, failed: bool = False) -> Iterator[Result]:
    """Every row that is over, answers first. Raises NemoError at a line that is none."""
    for path in (job.errors,) if failed else (job.out, job.errors):
        for number, line in enumerate(lines_in(path), 1):
            try:
                yield result_of(line)
            except ValueError as error:
                raise config_error(
                    f"{path}:{number}: {error}", "take the line out, or start over with `--restart`"
                ) from error


def show(setup: Setup, job: Job, *, failed: bool, limit: int) -> None:
    """A table of the first rows."""
    rows = results_of(job, failed=failed)
    shown = list(islice(rows, limit))
    cells = [
        (
            str(row.row),
            one_line(row.custom_id, 24),
            row.status if row.error_code is None else row.error_code,
            row.provider or "-",
            "-" if row.output_tokens is None else f"{row.input_tokens or 0}/{row.output_tokens}",
            "-" if row.usd is None else row.usd,
            one_line(row.error_message or row.answer or "", CUT),
        )
        for row in shown
    ]
    if not cells:
        setup.err.dim("no rows are over yet" if not failed else "no row has failed")
        return
    heads = ("ROW", "ID", "STATUS", "PROVIDER", "TOKENS", "USD", "ANSWER")
    for line in table(heads, cells, setup.terminal.width if setup.terminal.stdout else None):
        setup.out.line(line)
    if next(rows, None) is not None:
        setup.err.dim(f"the first {limit:,}; `-n` shows more, `--to csv` writes all")


def show_one(setup: Setup, job: Job, name: str) -> None:
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


def write_table(setup: Setup, job: Job, form: str, into: str | None, *, failed: bool) -> None:
    """All rows as CSV, Parquet or JSON lines."""
    if form not in FORMS:
        raise usage_error(f"--to {form!r} is none", f"one of: {', '.join(FORMS)}")
    rows = results_of(job, failed=failed)
    if form == "parquet":
        if into is None:
            raise usage_error("Parquet goes to a file", "`-o FILE` names it")
        from nemocli.io.batch.parquet import write_parquet

        count = write_parquet(Path(into), COLUMNS, (_exact(row) for row in rows))
        setup.err.dim(f"{count:,} rows in {into}")
        return
    if into is None:
        _to_stdout(setup, rows, form)
        return
    from nemocli.io.files import write_lines

    count = write_lines(Path(into), _texts(rows, form))
    setup.err.dim(f"{count - (form == 'csv'):,} rows in {into}")


def _to_stdout(setup: Setup, rows: Iterator[Result], form: str) -> None:
    for text in _texts(rows, form):
        setup.out.text(text)


def _texts(rows: Iterator[Result], form: str) -> Iterator[str]:
    """Rows as text, each with its line end."""
    from nemocli.cli.terminal.output import json_text

    if form == "csv":
        yield _csv(tuple(COLUMNS))
    for row in rows:
        if form == "csv":
            yield _csv(astuple(row))
        else:
            yield json_text({name: getattr(row, name) for name in COLUMNS}) + "\n"


def _csv(cells: tuple[object, ...]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(["" if c is None else c for c in cells])
    return line.getvalue()


def _exact(row: Result) -> tuple[object, ...]:
    return tuple(
        Decimal(value) if kind == "usd" and value is not None else value
        for value, kind in zip(astuple(row), COLUMNS.values(), strict=True)
    )


def job_at(name: str) -> Job:
    """The job that writes a file. Raises NemoError where there is none."""
    job = Job(Path(name))
    if not job.out.exists() and job.facts() is None:
        what = f"{name} is the output of no batch job"
        raise usage_error(what, "`nemocli batch ls` lists them")
    return job
