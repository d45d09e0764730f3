"""`nemocli eval`: should this model be adopted?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nemocli.cli import options
from nemocli.cli.help.text import examples

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="Adopt it or not?"
)

Dir = Annotated[Path, typer.Argument(metavar="DIR", help="A suite's folder.")]
RunArg = Annotated[Path, typer.Argument(metavar="RUN", help="A suite's folder, or a run's.")]
Trust = Annotated[
    Path | None,
    typer.Option("--trust", metavar="DIR", help="Its tools may run on this machine."),
]
TaskIds = Annotated[
    list[str] | None, typer.Option("--task", metavar="ID", help="Only this task; repeatable.")
]


@app.callback(epilog=examples("nemocli eval init my-eval"))
def evaluation() -> None:
    """Should a model be adopted? Tasks with tools and state, attempts in pairs, a verdict."""


@app.command(epilog=examples("nemocli eval init my-eval"))
def init(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make.")],
    source: Annotated[
        str, typer.Option("--from", metavar="SUITE", help="A suite that is shipped, or a folder.")
    ] = "starter",
) -> None:
    """Make a suite: tasks, a policy, all of it to be read and edited."""
    from nemocli.cli.eval.suites import init as make

    make(ctx.obj, folder, source)


@app.command(epilog=examples("nemocli eval lint my-eval"))
def lint(ctx: typer.Context, folder: Dir, trust: Trust = None, json: options.Json = False) -> None:
    """Test the tasks: gold passes, lazy and silent agents fail, every call left out is noticed."""
    from nemocli.cli.eval.suites import lint_all

    raise typer.Exit(lint_all(ctx.obj, folder, trust, as_json=json))


@app.command(
    epilog=examples(
        "nemocli eval run my-eval --arm new=openrouter:nemotron-3-ultra"
        " --arm old=nvidia:nemotron-3-ultra --epochs 1"
    )
)
def run(
    ctx: typer.Context,
    folder: Dir,
    arm: Annotated[
        list[str],
        typer.Option(
            "--arm", metavar="NAME=PROVIDER:MODEL", help="Candidate first, then baseline."
        ),
    ],
    epochs: Annotated[
        int | None, typer.Option("--epochs", metavar="N", min=1, help="Attempts of each task.")
    ] = None,
    task: TaskIds = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", metavar="N", min=1, help="Attempts at a time.")
    ] = 4,
    max_cost: options.MaxCost = None,
    reasoning: options.Reasoning = None,
    max_tokens: options.MaxTokens = None,
    option: options.Option = None,
    timeout: options.Timeout = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="RUN", help="Go on with this run.")
    ] = None,
    trust: Trust = None,
    json: options.Json = False,
) -> None:
    """Make attempts, in pairs and interleaved, and keep every step. The same command with --resume
    goes on after anything."""
    from nemocli.cli.eval.options import EvalOptions
    from nemocli.cli.eval.run import run_eval

    wish = EvalOptions(
        arms=tuple(arm),
        epochs=epochs,
        tasks=tuple(task or ()),
        jobs=jobs,
        max_cost=max_cost,
        reasoning=reasoning,
        max_tokens=max_tokens,
        options=tuple(option or ()),
        timeout=timeout,
        resume=resume,
        trust=trust,
    )
    raise typer.Exit(run_eval(ctx.obj, folder, wish, as_json=json))


@app.command(epilog=examples("nemocli eval decide my-eval || true"))
def decide(
    ctx: typer.Context,
    run: RunArg,
    look: Annotated[
        int, typer.Option("--look", metavar="N", min=1, help="Which of the policy's looks.")
    ] = 1,
    json: options.Json = False,
) -> None:
    """ADOPT, REJECT, MARGINAL or INVALID (exit 0, 11, 12, 13), and why."""
    from nemocli.cli.eval.decide import decide_run

    raise typer.Exit(decide_run(ctx.obj, run, look, as_json=json))


@app.command(
    epilog=examples(
        "nemocli eval report my-eval || true",
        "nemocli eval report my-eval -o report.html || true",
    )
)
def report(
    ctx: typer.Context,
    run: RunArg,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="FILE", help="Into this file: .md or .html."),
    ] = None,
    html: Annotated[bool, typer.Option("--html", help="One page with plots.")] = False,
) -> None:
    """All of it: both arms, how sure, retries, coherence, money, what it does not show. Markdown,
    or one page for a browser that needs nothing else."""
    from nemocli.cli.eval.decide import report_run

    report_run(ctx.obj, run, out, html=html)


@app.command(epilog=examples("nemocli eval status my-eval || true"))
def status(ctx: typer.Context, run: RunArg, json: options.Json = False) -> None:
    """How far a run is."""
    from nemocli.cli.eval.decide import status_run

    status_run(ctx.obj, run, as_json=json)


@app.command(epilog=examples("nemocli eval show my-eval new/orders-hold.1 || true"))
def show(
    ctx: typer.Context,
    run: RunArg,
    attempt: Annotated[str, typer.Argument(metavar="ATTEMPT", help="ARM/TASK.EPOCH.")],
    json: options.Json = False,
) -> None:
    """One attempt, turn by turn."""
    from nemocli.cli.eval.decide import show_attempt

    show_attempt(ctx.obj, run, attempt, as_json=json)


@app.command(epilog=examples("nemocli eval regrade my-eval || true"))
def regrade(ctx: typer.Context, run: RunArg, json: options.Json = False) -> None:
    """Judge the records anew with the tasks as they are now; no call is made."""
    from nemocli.cli.eval.decide import regrade_run

    regrade_run(ctx.obj, run, as_json=json)


@app.command(epilog=examples("nemocli eval plan my-eval || true"))
def plan(ctx: typer.Context, run: RunArg, json: options.Json = False) -> None:
    """What would settle it: tasks, epochs and money, from the variances of a pilot run."""
    from nemocli.cli.eval.decide import plan_run

    plan_run(ctx.obj, run, as_json=json)


@app.command(epilog=examples("nemocli eval selfcheck"))
def selfcheck(ctx: typer.Context, json: options.Json = False) -> None:
    """Check the machine itself, without a key or a network: statistics, lint, mutation scores."""
    from nemocli.cli.eval.selfcheck import selfcheck as check

    raise typer.Exit(check(ctx.obj, as_json=json))
