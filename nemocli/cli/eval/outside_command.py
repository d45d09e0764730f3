"""`nemocli eval` and the world outside: others' formats, public benchmarks, known figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nemocli.cli import options
from nemocli.cli.help.text import examples

app = typer.Typer(add_completion=False, rich_markup_mode=None)

Dir = Annotated[Path, typer.Argument(metavar="DIR", help="A suite's folder.")]
RunArg = Annotated[Path, typer.Argument(metavar="RUN", help="A suite's folder, or a run's.")]
Arms = Annotated[
    list[str],
    typer.Option("--arm", metavar="NAME=PROVIDER:MODEL", help="Candidate first, then baseline."),
]
Attempts = Annotated[
    int, typer.Option("--jobs", "-j", metavar="N", min=1, help="Attempts at a time.")
]


@app.command(epilog=examples("nemocli eval export my-eval -o logs || true"))
def export(
    ctx: typer.Context,
    run: RunArg,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Where the files go.")],
    form: Annotated[
        str,
        typer.Option("--to", metavar="FORMAT", help="inspect (logs), or nel (NeMo Evaluator)."),
    ] = "inspect",
) -> None:
    """Each arm for others' tools: logs of Inspect, or results of NeMo Evaluator."""
    from nemocli.cli.eval.exchange import export_run

    export_run(ctx.obj, run, out, form)


@app.command("import", epilog=examples("nemocli eval import old log.json --arm before || true"))
def import_(
    ctx: typer.Context,
    folder: Dir,
    file: Annotated[Path, typer.Argument(metavar="LOG.json", help="A log of Inspect, as JSON.")],
    arm: Annotated[str, typer.Option("--arm", metavar="NAME", help="What the arm is called.")],
    new: Annotated[bool, typer.Option("--new", help="Begin another run.")] = False,
) -> None:
    """A log of Inspect as an arm of another day, beside those of `record`."""
    from nemocli.cli.eval.exchange import import_log

    import_log(ctx.obj, folder, file, arm, anew=new)


@app.command(
    epilog=examples(
        "nemocli eval suite bfcl-mt bfcl --arm new=nvidia:nemotron-3-ultra --limit 2 || true",
        "nemocli eval suite tau2 tau --arm new=nvidia:nemotron-3-ultra"
        " --user openrouter:nemotron-3-ultra --limit 2 || true",
    )
)
def suite(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="SUITE", help="bfcl-mt or tau2.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the runs are kept.")],
    arm: Arms,
    category: Annotated[
        list[str] | None,
        typer.Option(
            "--category",
            metavar="NAME",
            help="base, miss_func, miss_param or long_context; airline, retail or telecom.",
        ),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="PROVIDER:MODEL", help="Who plays the user (tau2)."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="Tasks of each category.")
    ] = None,
    epochs: Annotated[
        int, typer.Option("--epochs", metavar="N", min=1, help="Attempts of each task.")
    ] = 1,
    jobs: Attempts = 4,
    max_cost: options.MaxCost = None,
    reasoning: options.Reasoning = None,
    max_tokens: options.MaxTokens = None,
    option: options.Option = None,
    timeout: options.Timeout = None,
    new: Annotated[bool, typer.Option("--new", help="Begin another run.")] = False,
    json: options.Json = False,
) -> None:
    """A public benchmark as attempts: fetched once by its sum, its tools run in a process of their
    own. The same command goes on after anything; `decide` and `report` compare the arms."""
    from nemocli.cli.eval.options import EvalOptions
    from nemocli.cli.eval.public import PublicOptions, run_suite

    asking = options.options_from(EvalOptions, ctx.params)
    wish = PublicOptions(name, asking, tuple(category or ()), limit, user, new)
    raise typer.Exit(run_suite(ctx.obj, folder, wish, as_json=json))


@app.command(epilog=examples("nemocli eval selfcheck"))
def selfcheck(
    ctx: typer.Context,
    bfcl: Annotated[
        bool, typer.Option("--bfcl", help="BFCL's published figures too; fetches 2 MB once.")
    ] = False,
    tau2: Annotated[
        bool, typer.Option("--tau2", help="tau2's too (2 MB, once; a minute or two).")
    ] = False,
    json: options.Json = False,
) -> None:
    """Check the machine itself, without a key: statistics, lint, mutation scores, and figures that
    others published."""
    from nemocli.cli.eval.selfcheck import selfcheck as check

    raise typer.Exit(check(ctx.obj, bfcl=bfcl, tau2=tau2, as_json=json))
