"""`nemocli batch`: scripted calls at scale."""

from __future__ import annotations

from typing import Annotated

import typer

from nemocli.cli import options
from nemocli.cli.help.text import examples

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="Calls at scale."
)


@app.callback(epilog=examples("nemocli batch run prompts.jsonl -o answers.jsonl"))
def batch() -> None:
    """Very many calls: resumable, priced, at the pace that is allowed."""


Inputs = Annotated[
    list[str],
    typer.Argument(metavar="IN...", help="JSONL, CSV, TSV, text or Parquet; patterns; - is stdin."),
]
Out = Annotated[str, typer.Argument(metavar="OUT", help="The output of a job.")]
Template = Annotated[
    str | None,
    typer.Option("--template", metavar="TEXT", help="The prompt, with {column}; @FILE reads it."),
]
Jinja = Annotated[bool, typer.Option("--jinja", help="The template is Jinja2.")]
Form = Annotated[
    str | None,
    typer.Option("--format", metavar="FORMAT", help="jsonl, csv, tsv, text, json, parquet."),
]
Delimiter = Annotated[
    str | None, typer.Option("--delimiter", metavar="SIGN", help="Of CSV, where it is not found.")
]
Encoding = Annotated[
    str | None, typer.Option("--encoding", metavar="NAME", help="Of the input, if not UTF-8.")
]
Schema = Annotated[
    str | None,
    typer.Option("--schema", metavar="SCHEMA", help="JSON Schema or fields every answer fits."),
]
Jobs = Annotated[
    int | None, typer.Option("--jobs", "-j", metavar="N", min=1, help="Calls at a time.")
]
Rpm = Annotated[
    float | None, typer.Option("--rpm", metavar="N", min=0.001, help="Requests a minute.")
]
Tpm = Annotated[float | None, typer.Option("--tpm", metavar="N", min=1, help="Tokens a minute.")]
Share = Annotated[
    str | None, typer.Option("--shard", metavar="I/N", help="Only this share of the rows.")
]
Sample = Annotated[
    int, typer.Option("--sample", metavar="N", min=0, help="Ask N rows for the length of answers.")
]
Progress = Annotated[
    str, typer.Option("--progress", metavar="FORM", help="auto, bar, line, json or none.")
]

Repairs = Annotated[
    int, typer.Option("--repairs", metavar="N", min=0, help="Answers sent back by --schema.")
]
Spread = Annotated[
    str | None,
    typer.Option("--spread", metavar="BY", help="All of -p at once: weight, price or speed."),
]
Weight = Annotated[
    list[str] | None,
    typer.Option("--weight", metavar="NAME=N", help="A provider's part, for --spread weight."),
]
Tries = Annotated[
    int, typer.Option("--tries", metavar="N", min=1, help="Failed calls a row may have.")
]
Order = Annotated[str, typer.Option("--order", metavar="ORDER", help="completion or input.")]
Engine = Annotated[
    str, typer.Option("--engine", metavar="NAME", help="local, or ray for a cluster.")
]
Actors = Annotated[
    int, typer.Option("--actors", metavar="N", min=1, help="Shares for --engine ray.")
]


@app.command(
    epilog=examples(
        "nemocli batch run prompts.jsonl -o answers.jsonl",
        'nemocli batch run people.csv -o out.jsonl --template "Greet {name}." --max-tokens 40',
        "nemocli batch run prompts.jsonl -o answers.jsonl --max-cost 2 -j 16",
    )
)
def run(
    ctx: typer.Context,
    inputs: Inputs,
    out: Annotated[
        str,
        typer.Option(
            "--out", "-o", metavar="OUT", help="Answers: JSONL; or a table beside the input, .csv."
        ),
    ],
    provider: options.Provider = None,
    model: options.Model = None,
    system: options.System = None,
    template: Template = None,
    jinja: Jinja = False,
    form: Form = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    option: options.Option = None,
    reasoning: options.Reasoning = None,
    max_tokens: options.MaxTokens = None,
    timeout: options.Timeout = None,
    max_cost: options.MaxCost = None,
    schema: Schema = None,
    repairs: Repairs = 1,
    cache: Annotated[
        bool, typer.Option("--cache", help="Use answers again, unless temperature is above 0.")
    ] = False,
    cache_any: Annotated[
        bool, typer.Option("--cache-any", help="Use them again at any temperature.")
    ] = False,
    dedupe: Annotated[
        bool, typer.Option("--dedupe", help="Ask what rows have in common once.")
    ] = False,
    fresh_connections: Annotated[
        bool,
        typer.Option("--fresh-connections", help="One per call, for servers not to be trusted."),
    ] = False,
    jobs: Jobs = None,
    rpm: Rpm = None,
    tpm: Tpm = None,
    spread: Spread = None,
    weight: Weight = None,
    tries: Tries = 4,
    order: Order = "completion",
    shard: Share = None,
    engine: Engine = "local",
    actors: Actors = 2,
    remote: Annotated[
        bool, typer.Option("--remote", help="Hand rows to the provider's own batches.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it will come to, and stop.")
    ] = False,
    sample: Sample = 0,
    restart: Annotated[bool, typer.Option("--restart", help="Write over what is there.")] = False,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop at the first bad row.")
    ] = False,
    progress: Progress = "auto",
    tag: options.Tag = None,
    json: options.Json = False,
) -> None:
    """Ask every row once. The same line again goes on where it stopped."""
    from nemocli.cli.batch.wish import BatchOptions

    wish = options.options_from(BatchOptions, ctx.params)
    if dry_run:
        from nemocli.cli.batch.estimate import run_estimate

        raise typer.Exit(run_estimate(ctx.obj, wish, sample=sample))
    from nemocli.cli.batch.run import run_batch

    raise typer.Exit(run_batch(ctx.obj, wish))


@app.command(
    epilog=examples(
        "nemocli batch estimate prompts.jsonl",
        "nemocli batch estimate prompts.jsonl --sample 2 --max-tokens 200 --json",
    )
)
def estimate(
    ctx: typer.Context,
    inputs: Inputs,
    provider: options.Provider = None,
    model: options.Model = None,
    system: options.System = None,
    template: Template = None,
    jinja: Jinja = False,
    form: Form = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    option: options.Option = None,
    reasoning: options.Reasoning = None,
    max_tokens: options.MaxTokens = None,
    timeout: options.Timeout = None,
    max_cost: options.MaxCost = None,
    schema: Schema = None,
    jobs: Jobs = None,
    rpm: Rpm = None,
    tpm: Tpm = None,
    shard: Share = None,
    sample: Sample = 0,
    json: options.Json = False,
) -> None:
    """What a job will come to: tokens, money, time, and rows that cannot work.

    No call is made, unless --sample asks a few rows for the length of their answers.
    """
    from nemocli.cli.batch.estimate import run_estimate
    from nemocli.cli.batch.wish import BatchOptions

    wish = options.options_from(BatchOptions, ctx.params, out="")
    raise typer.Exit(run_estimate(ctx.obj, wish, sample=sample))


@app.command(
    epilog=examples(
        "nemocli batch status answers.jsonl", "nemocli batch status answers.jsonl --json"
    )
)
def status(
    ctx: typer.Context,
    out: Out,
    watch: Annotated[
        bool, typer.Option("--watch", help="Say it again every two seconds, until the job ends.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Until the provider's batches are over, and fetch them.")
    ] = False,
    json: options.Json = False,
) -> None:
    """How far a job is, whoever runs it: this machine or a provider's own batches."""
    from nemocli.cli.batch.jobs import show_status
    from nemocli.cli.batch.results import job_at

    job = job_at(out)
    if job.remote() is not None:
        from nemocli.cli.batch.remote import fetch_remote

        with job.hold():
            fetch_remote(ctx.obj, job, wait=wait, fetch=wait)
    show_status(ctx.obj, job, watch=watch, as_json=json)


@app.command(
    epilog=examples(
        "nemocli batch show answers.jsonl",
        "nemocli batch show answers.jsonl --to csv -o answers.csv",
        "nemocli batch show answers.jsonl --row 1",
    )
)
def show(
    ctx: typer.Context,
    out: Out,
    row: Annotated[
        str | None,
        typer.Option("--row", metavar="ID", help="One row in full: its id or number."),
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only rows that failed.")] = False,
    limit: Annotated[int, typer.Option("-n", "--limit", metavar="N", min=1, help="Rows.")] = 20,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="FORMAT", help="All rows: csv, tsv, parquet or jsonl."),
    ] = None,
    into: Annotated[
        str | None, typer.Option("--out", "-o", metavar="FILE", help="Where --to writes.")
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Leave cells alone that a spreadsheet would run.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Results for people, and as a table for other programs."""
    from nemocli.cli.batch import results as batch_show

    job = batch_show.job_at(out)
    if job.remote() is not None:
        from nemocli.cli.batch.remote import fetch_remote

        with job.hold():
            fetch_remote(ctx.obj, job)
    if row is not None:
        batch_show.show_one(ctx.obj, job, row)
    elif to is not None or json:
        batch_show.write_table(ctx.obj, job, to or "jsonl", into, failed=failed, raw=raw)
    else:
        batch_show.show(ctx.obj, job, failed=failed, limit=limit)


@app.command(epilog=examples("nemocli batch retry answers.jsonl"))
def retry(
    ctx: typer.Context,
    out: Out,
    bad: Annotated[bool, typer.Option("--bad", help="Rows that were none, too.")] = False,
    progress: Progress = "auto",
    json: options.Json = False,
) -> None:
    """Ask the rows again that were given up, as the job was started."""
    from nemocli.cli.batch.results import job_at
    from nemocli.cli.batch.retry import retry as ask_again

    job = job_at(out)
    raise typer.Exit(ask_again(ctx.obj, job, bad=bad, progress=progress, as_json=json))


@app.command("ls", epilog=examples("nemocli batch ls"))
def list_(ctx: typer.Context, json: options.Json = False) -> None:
    """The jobs that were started here."""
    from nemocli.cli.batch.jobs import list_jobs

    list_jobs(ctx.obj)


@app.command(
    epilog=examples(
        "nemocli batch merge all.jsonl shares.1-of-2.jsonl shares.2-of-2.jsonl --order input"
    )
)
def merge(
    ctx: typer.Context,
    out: Annotated[str, typer.Argument(metavar="OUT", help="The output to make or add to.")],
    parts: Annotated[list[str], typer.Argument(metavar="PART...", help="Outputs of shares.")],
    order: Annotated[
        str, typer.Option("--order", metavar="ORDER", help="completion or input.")
    ] = "completion",
    json: options.Json = False,
) -> None:
    """Join the outputs of shares, and book calls of other machines in this ledger."""
    from pathlib import Path

    from nemocli.cli.batch.retry import merge as join
    from nemocli.core.faults import usage_error

    if order not in ("completion", "input"):
        raise usage_error(f"--order {order!r} is none", "one of: completion, input")
    join(ctx.obj, Path(out), [Path(part) for part in parts], ordered=order == "input")
