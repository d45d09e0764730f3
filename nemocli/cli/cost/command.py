"""`nemocli cost`: what calls came to, and how that is known."""

from __future__ import annotations

from typing import Annotated

import typer

from nemocli.cli import options
from nemocli.cli.cost.budget import app as budget_app
from nemocli.cli.cost.gpu import app as gpu_app
from nemocli.cli.cost.prices import app as prices_app
from nemocli.cli.help.text import examples

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    invoke_without_command=True,
    help="What calls cost, and how that is known.",
    epilog=examples(
        "nemocli cost",
        "nemocli cost --since 7d --by provider",
        "nemocli cost --by month --by model --json",
    ),
)
app.add_typer(prices_app, name="prices")
app.add_typer(budget_app, name="budget")
app.add_typer(gpu_app, name="gpu")

Since = Annotated[
    str | None,
    typer.Option("--since", metavar="WHEN", help="From then on: 2026-11-01, today, 7d, 12h."),
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="WHEN", help="Before then: as `--since`.")
]
By = Annotated[
    list[str] | None,
    typer.Option(
        "--by",
        metavar="WHAT",
        help="day, week, month, provider, upstream, model, project, tag, session, run, command or"
        " status; repeatable.",
    ),
]
One = Annotated[str | None, typer.Option("--provider", "-p", metavar="NAME", help="Only this one.")]
Model = Annotated[str | None, typer.Option("--model", "-m", metavar="MODEL", help="Only this one.")]
Tag = Annotated[str | None, typer.Option("--tag", metavar="TAG", help="Only calls with this tag.")]
Project = Annotated[
    str | None, typer.Option("--project", metavar="DIR", help="Only calls made in this project.")
]
Zone = Annotated[
    str | None, typer.Option("--tz", metavar="ZONE", help="Days of this zone: Europe/Berlin, UTC.")
]
Csv = Annotated[bool, typer.Option("--csv", help="Comma-separated values with a header.")]
Call = Annotated[str, typer.Argument(metavar="ID", help="A call or a run, or how its id begins.")]


@app.callback()
def cost(
    ctx: typer.Context,
    since: Since = None,
    until: Until = None,
    by: By = None,
    provider: One = None,
    model: Model = None,
    project: Project = None,
    tag: Tag = None,
    tz: Zone = None,
    csv: Csv = False,
    json: options.Json = False,
) -> None:
    """Totals by provider and model. A call whose price nobody knows is counted, never as 0."""
    if ctx.invoked_subcommand is None:
        from nemocli.cli.cost.summary import SummaryOptions, show_summary

        asked = options.options_from(SummaryOptions, ctx.params, zone=tz)
        show_summary(ctx.obj, asked, csv=csv, json=json)


app.command(
    "summary",
    epilog=examples("nemocli cost summary --since 2026-11-01"),
    help="Totals by provider and model (what `nemocli cost` alone shows).",
)(cost)


@app.command(epilog=examples("nemocli cost explain last"))
def explain(
    ctx: typer.Context,
    call: Call,
    every: Annotated[
        bool, typer.Option("--all", help="Every call of a run, however many it made.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Tokens times price: one call's cost, where each number comes from, and what the other paths
    would have taken. `last` is the latest call; a run of many calls is summed up."""
    from nemocli.cli.cost.explain import explain as show

    show(ctx.obj, call, every=every, json=json)


@app.command(
    "what-if", epilog=examples("nemocli cost what-if", "nemocli cost what-if --gpus 8xH200")
)
def what_if(
    ctx: typer.Context,
    since: Since = None,
    until: Until = None,
    model: Model = None,
    gpus: Annotated[
        str, typer.Option("--gpus", metavar="NxKIND", help="GPUs of one's own to compare with.")
    ] = "8xH100",
    rate: Annotated[
        str | None,
        typer.Option(
            "--rate", metavar="USD", help="Per GPU and hour; the market's when not given."
        ),
    ] = None,
    utilisation: Annotated[
        int,
        typer.Option("--utilisation", metavar="PERCENT", min=1, max=100, help="GPUs in use."),
    ] = 40,
    speed: Annotated[
        str | None,
        typer.Option(
            "--speed",
            metavar="TOKENS/S",
            help="Output of all GPUs together; measured if not given.",
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """This period's traffic (30 days, if none is given) at the prices of every other path, and on
    GPUs of one's own: what it would take, and from which use on it pays."""
    from nemocli.cli.cost.what_if import WhatIf
    from nemocli.cli.cost.what_if import what_if as show

    show(ctx.obj, WhatIf(since, until, model, gpus, rate, utilisation, speed), json=json)


@app.command(epilog=examples("nemocli cost statusline"))
def statusline(ctx: typer.Context) -> None:
    """One line for a shell prompt: today, this month, and the tightest budget."""
    from nemocli.cli.cost.statusline import status_text

    ctx.obj.out.line(status_text(ctx.obj.env))


@app.command(epilog=examples("nemocli cost report -o cost.html"))
def report(
    ctx: typer.Context,
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="FILE", help="Where the page goes; - is stdout.")
    ] = "nemocli-cost.html",
    since: Since = None,
    until: Until = None,
    tz: Zone = None,
) -> None:
    """An HTML page with plots, whole in itself: nothing in it is fetched from anywhere."""
    from nemocli.cli.cost.summary import SummaryOptions, write_report

    write_report(ctx.obj, SummaryOptions(since=since, until=until, zone=tz), out)


@app.command(epilog=examples("nemocli cost reconcile --since 7d"))
def reconcile(
    ctx: typer.Context,
    since: Since = None,
    until: Until = None,
    provider: One = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Also calls whose cost was reported at once.")
    ] = False,
    activity: Annotated[
        bool, typer.Option("--activity", help="Compare whole days; needs a management key.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Ask sellers what calls really cost (30 days, if none is given). What they say is written
    beside the calls, never over them."""
    from nemocli.cli.cost.reconcile import reconcile as run

    run(ctx.obj, since, until, provider, everything=all_, activity=activity, json=json)


@app.command(epilog=examples("nemocli cost reprice --as-of 2026-10-19 --since 2026-09-01"))
def reprice(
    ctx: typer.Context,
    as_of: Annotated[
        str, typer.Option("--as-of", metavar="DATE", help="The day whose prices hold: today.")
    ] = "today",
    since: Since = None,
    until: Until = None,
    provider: One = None,
    json: options.Json = False,
) -> None:
    """What calls cost at the prices of another day: a valuation beside what was booked."""
    from nemocli.cli.cost.reconcile import reprice as run

    run(ctx.obj, as_of, since, until, provider, json=json)


@app.command(epilog=examples("nemocli cost export --to focus > focus.csv", "nemocli cost export"))
def export(
    ctx: typer.Context,
    form: Annotated[
        str, typer.Option("--to", "--format", metavar="FORM", help="jsonl, csv, focus or otel.")
    ] = "jsonl",
    since: Since = None,
    until: Until = None,
    provider: One = None,
    tag: Tag = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Leave cells alone that a spreadsheet would run.")
    ] = False,
) -> None:
    """Every call, one a line: JSON, CSV, FOCUS 1.2 columns, or OpenTelemetry GenAI metrics."""
    from nemocli.cli.cost.export import export as run

    run(ctx.obj, form, since, until, provider, tag, raw=raw)


@app.command(epilog=examples("nemocli cost prune --before 2026-01-01 --yes"))
def prune(
    ctx: typer.Context,
    before: Annotated[
        str, typer.Option("--before", metavar="DATE", help="Calls before that day (UTC) go.")
    ],
    yes: options.Yes = False,
) -> None:
    """Take single calls out of the ledger; sums by day, provider, model, project, status stay."""
    from nemocli.cli.cost.export import prune as run

    run(ctx.obj, before, yes=yes)
