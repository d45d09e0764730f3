"""`nemocli eval`: should this model be adopted?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nemocli.cli import options
from nemocli.cli.eval.outside_command import Arms, Attempts, Dir, RunArg
from nemocli.cli.eval.outside_command import app as outside
from nemocli.cli.help.text import examples

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="Adopt it or not?"
)

Trust = Annotated[
    Path | None,
    typer.Option("--trust", metavar="DIR", help="Its tools may run on this machine."),
]
TaskIds = Annotated[
    list[str] | None, typer.Option("--task", metavar="ID", help="Only this task; repeatable.")
]


Jobs = Annotated[int, typer.Option("--jobs", "-j", metavar="N", min=1, help="At a time.")]


@app.callback(epilog=examples("nemocli eval init my-eval --from quick"))
def evaluation() -> None:
    """Should a model be adopted? Tasks with tools and state, attempts in pairs, a verdict."""


@app.command(epilog=examples("nemocli eval init my-eval --from quick"))
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


Candidate = Annotated[
    str, typer.Option("--candidate", metavar="PROVIDER:MODEL", help="What is tried.")
]
StageEpochs = Annotated[
    int | None, typer.Option("--epochs", metavar="N", min=1, help="Attempts of each task.")
]


@app.command(
    epilog=examples("nemocli eval day1 my-eval --candidate nvidia:nemotron-3-ultra || true")
)
def day1(
    ctx: typer.Context,
    folder: Dir,
    candidate: Candidate = "nvidia:nemotron-3-ultra",
    jobs: Jobs = 1,
    max_cost: options.MaxCost = None,
    trust: Trust = None,
    json: options.Json = False,
) -> None:
    """Day 1: which way of asking works, a behaviour card of 12 probes, three smoke tasks; gate 1
    (exit 0 or 11). Stopped, it goes on from there."""
    from nemocli.cli.eval.stages import StageOptions
    from nemocli.cli.eval.stages import day1 as stage

    wish = StageOptions(candidate, jobs=jobs, max_cost=max_cost, trust=trust)
    raise typer.Exit(stage(ctx.obj, folder, wish, as_json=json))


@app.command(
    epilog=examples(
        "nemocli eval day3 my-eval --baseline nvidia:nemotron-3-ultra --epochs 1 -j 8 || true"
    )
)
def day3(
    ctx: typer.Context,
    folder: Dir,
    candidate: Candidate = "openrouter:nemotron-3-ultra",
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", metavar="PROVIDER:MODEL", help="What it is compared with."),
    ] = None,
    pilot_epochs: Annotated[
        int, typer.Option("--pilot-epochs", metavar="N", min=1, help="Of the pilot.")
    ] = 2,
    epochs: StageEpochs = None,
    jobs: Jobs = 4,
    max_cost: options.MaxCost = None,
    trust: Trust = None,
    json: options.Json = False,
) -> None:
    """Days 2-3: a pilot, a plan, the main run against a baseline; gate 2 (exit 0 or 11)."""
    from nemocli.cli.eval.stages import StageOptions
    from nemocli.cli.eval.stages import day3 as stage

    wish = StageOptions(candidate, baseline, epochs, pilot_epochs, jobs, max_cost, trust)
    raise typer.Exit(stage(ctx.obj, folder, wish, as_json=json))


app.command(
    "day2",
    hidden=True,
    epilog=examples("nemocli eval day2 my-eval --baseline nvidia:nemotron-3-ultra -j 8 || true"),
)(day3)


@app.command(
    epilog=examples(
        "nemocli eval week2 my-eval --candidate openrouter:nemotron-3-ultra -j 8 || true"
    )
)
def week2(
    ctx: typer.Context,
    folder: Dir,
    candidate: Candidate = "nim:nemotron-3-ultra",
    epochs: StageEpochs = None,
    jobs: Jobs = 4,
    sweep: Annotated[
        str, typer.Option("--sweep", metavar="N,N,...", help="Recorded requests at once.")
    ] = "1,2,4,8",
    no_load: Annotated[bool, typer.Option("--no-load", help="Leave the load step out.")] = False,
    slo: Annotated[
        list[str] | None,
        typer.Option("--slo", metavar="NAME=MS", help="ttft, ttfo, itl or e2e; repeatable."),
    ] = None,
    gpus: Annotated[
        int | None, typer.Option("--gpus", metavar="N", min=1, help="GPUs the path runs on.")
    ] = None,
    gpu_hour: Annotated[
        str | None, typer.Option("--gpu-hour", metavar="USD", help="What one of them costs.")
    ] = None,
    max_cost: options.MaxCost = None,
    trust: Trust = None,
    json: options.Json = False,
) -> None:
    """Week 2: the same suite on the path it will run on, then its recorded turns as load; gate 3:
    parity with days 2-3, shown by an equivalence test, and every limit kept (exit 0 or 11)."""
    from nemocli.cli.eval.stages import StageOptions
    from nemocli.cli.eval.week2 import week2 as stage

    load = None if no_load else sweep
    wish = options.options_from(StageOptions, ctx.params, sweep=load, trust=trust)
    raise typer.Exit(stage(ctx.obj, folder, wish, as_json=json))


@app.command(
    epilog=examples(
        "nemocli eval record agents --arm new --task greet --check true -- env || true",
    )
)
def record(
    ctx: typer.Context,
    folder: Dir,
    words: Annotated[list[str], typer.Argument(metavar="-- AGENT [ARGS]...")],
    arm: Annotated[str, typer.Option("--arm", metavar="NAME", help="First one: the candidate.")],
    task: Annotated[str, typer.Option("--task", metavar="ID", help="What the agent is to do.")],
    epoch: Annotated[
        int | None, typer.Option("--epoch", metavar="N", min=1, help="Else the next one.")
    ] = None,
    check: Annotated[
        str | None,
        typer.Option(
            "--check", metavar="CMD", help="Its exit code is the grade; else the agent's."
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=1, help="For the agent, in all.")
    ] = 1800.0,
    provider: options.Provider = None,
    model: options.Model = None,
    max_cost: options.MaxCost = None,
    new: Annotated[bool, typer.Option("--new", help="Begin another run.")] = False,
    json: options.Json = False,
) -> None:
    """One attempt of an agent of your own, seen through the gateway; arms compare as any others.

    The agent is one that `launch` knows, or any program. `decide` and `report` read the run.
    """
    from nemocli.cli.eval.record import RecordOptions
    from nemocli.cli.eval.record import record as begin

    wish = options.options_from(RecordOptions, ctx.params, timeout_s=timeout, anew=new)
    raise typer.Exit(begin(ctx.obj, folder, wish, words, as_json=json))


@app.command(
    epilog=examples(
        "nemocli eval run my-eval --arm new=openrouter:nemotron-3-ultra"
        " --arm old=nvidia:nemotron-3-ultra --epochs 1"
    )
)
def run(
    ctx: typer.Context,
    folder: Dir,
    arm: Arms,
    epochs: Annotated[
        int | None, typer.Option("--epochs", metavar="N", min=1, help="Attempts of each task.")
    ] = None,
    task: TaskIds = None,
    jobs: Attempts = 4,
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

    wish = options.options_from(EvalOptions, ctx.params, resume=resume, trust=trust)
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


app.registered_commands += outside.registered_commands
