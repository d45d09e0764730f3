"""`nemocli nim`: a local NIM, from GPUs to an endpoint."""

from __future__ import annotations

from typing import Annotated

import typer

from nemocli.cli import options
from nemocli.cli.help.text import examples

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="A NIM of your own."
)

Model = Annotated[str, typer.Argument(metavar="MODEL", help="A model card's name.")]
Precision = Annotated[str, typer.Option("--precision", metavar="P", help="NVFP4 or BF16.")]
Gpus = Annotated[
    str | None, typer.Option("--gpus", metavar="8xH100", help="Instead of this machine's own.")
]
Engine = Annotated[str, typer.Option("--engine", metavar="NAME", help="docker or podman.")]
Port = Annotated[int, typer.Option("--port", metavar="N", min=1, max=65535, help="On loopback.")]
Cache = Annotated[
    str | None, typer.Option("--cache", metavar="DIR", help="Where the container keeps weights.")
]
Length = Annotated[
    int | None, typer.Option("--max-model-len", metavar="N", min=1, help="Longest context.")
]
User = Annotated[
    str | None, typer.Option("--user", metavar="UID", help="The container's user; else 1000.")
]
Weights = Annotated[
    str | None,
    typer.Option("--from-weights", metavar="DIR", help="Weights that were pulled and verified."),
]


@app.callback(epilog=examples("nemocli nim plan nemotron-3-ultra --gpus 8xH100"))
def nim() -> None:
    """A NIM of your own: what fits, the command, the state of what runs."""


@app.command(
    epilog=examples(
        "nemocli nim plan nemotron-3-ultra --gpus 8xH100",
        "nemocli nim plan nemotron-3-ultra --gpus 8xB200 --precision BF16 --json",
    )
)
def plan(
    ctx: typer.Context,
    model: Model,
    precision: Precision = "NVFP4",
    gpus: Gpus = None,
    engine: Engine = "docker",
    port: Port = 8000,
    max_model_len: Length = None,
    json: options.Json = False,
) -> None:
    """Does it fit, and with which command: the vendor's list and our arithmetic side by side."""
    from nemocli.cli.nim.plan import NimOptions, show_plan

    wish = NimOptions(model, precision, gpus, engine, port, max_model_len=max_model_len)
    show_plan(ctx.obj, wish, as_json=json)


@app.command(
    epilog=examples(
        "nemocli nim up nemotron-3-ultra --gpus 8xH100 --dry-run",
    )
)
def up(
    ctx: typer.Context,
    model: Model,
    precision: Precision = "NVFP4",
    gpus: Gpus = None,
    engine: Engine = "docker",
    port: Port = 8000,
    cache: Cache = None,
    user: User = None,
    max_model_len: Length = None,
    from_weights: Weights = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the command, ready to paste.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Start it though it is not shown to fit.")
    ] = False,
) -> None:
    """Start the container, or the one that is stopped. A second time changes nothing."""
    from nemocli.cli.nim.containers import start
    from nemocli.cli.nim.plan import NimOptions

    wish = NimOptions(
        model, precision, gpus, engine, port, cache, user, max_model_len, from_weights
    )
    start(ctx.obj, wish, dry_run=dry_run, force=force)


@app.command(
    epilog=examples(
        "nemocli nim manifest nemotron-3-ultra --gpus 8xH100 --to compose",
        "nemocli nim manifest nemotron-3-ultra --gpus 16xH100 --precision BF16 --to operator",
    )
)
def manifest(
    ctx: typer.Context,
    model: Model,
    to: Annotated[
        str, typer.Option("--to", metavar="ENGINE", help="compose, operator, helm or slurm.")
    ] = "compose",
    precision: Precision = "NVFP4",
    gpus: Gpus = None,
    port: Port = 8000,
    cache: Cache = None,
    max_model_len: Length = None,
) -> None:
    """The same plan for engines that go beyond one command."""
    from nemocli.cli.nim.plan import NimOptions, show_manifest

    wish = NimOptions(model, precision, gpus, "docker", port, cache, None, max_model_len)
    show_manifest(ctx.obj, wish, to)


@app.command(epilog=examples("nemocli nim status || true"))
def status(
    ctx: typer.Context,
    engine: Engine = "docker",
    port: Port = 8000,
    watch: Annotated[
        bool, typer.Option("--watch", help="Say it again every two seconds, until Ctrl-C.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Our containers, whether the server is ready, and what it measures of itself."""
    from nemocli.cli.nim.containers import show_status

    show_status(ctx.obj, engine, port, watch=watch, as_json=json)


@app.command(epilog=examples("nemocli nim wait --timeout 1 || true"))
def wait(
    ctx: typer.Context,
    engine: Engine = "docker",
    port: Port = 8000,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", metavar="SECONDS", help="In all; else as long as it moves on."),
    ] = None,
) -> None:
    """Until the server is ready. It gives up when nothing moves for ten minutes, not sooner."""
    from nemocli.cli.nim.containers import wait_ready

    wait_ready(ctx.obj, engine, port, timeout)


@app.command(
    epilog=examples(
        "nemocli nim bench -p embedded --sweep 1,2 --requests 2 --input-tokens 32 --max-tokens 8",
    )
)
def bench(
    ctx: typer.Context,
    provider: options.Provider = None,
    model: options.Model = None,
    sweep: Annotated[
        str, typer.Option("--sweep", metavar="N,N,...", help="How many requests at once.")
    ] = "1,2,4,8",
    requests: Annotated[
        int | None,
        typer.Option("--requests", metavar="N", min=1, help="At each load; else 3 for each, or 8."),
    ] = None,
    prompts: Annotated[
        str | None, typer.Option("--prompts", metavar="FILE", help="Lines of text, or JSON Lines.")
    ] = None,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="EVAL_RUN", help="The recorded turns of an evaluation."),
    ] = None,
    input_tokens: Annotated[
        int, typer.Option("--input-tokens", metavar="N", min=1, help="Of each invented prompt.")
    ] = 512,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", metavar="N", min=1, help="Most output tokens.")
    ] = 128,
    reasoning: options.Reasoning = None,
    option: options.Option = None,
    slo: Annotated[
        list[str] | None,
        typer.Option("--slo", metavar="NAME=MS", help="ttft, ttfo, itl or e2e; repeatable."),
    ] = None,
    gpus: Annotated[
        int | None, typer.Option("--gpus", metavar="N", min=1, help="For tokens a second per GPU.")
    ] = None,
    svg: Annotated[
        str | None, typer.Option("--svg", metavar="FILE", help="The sweep as a picture.")
    ] = None,
    export: Annotated[
        str | None,
        typer.Option("--export", metavar="DIR", help="Write the requests for AIPerf; ask nobody."),
    ] = None,
    max_cost: options.MaxCost = None,
    json: options.Json = False,
) -> None:
    """A server under rising load: time to the first token and between tokens, throughput, knee."""
    from nemocli.cli.nim.bench import BenchOptions
    from nemocli.cli.nim.bench import bench as begin

    wish = options.options_from(BenchOptions, ctx.params)
    raise typer.Exit(begin(ctx.obj, wish, as_json=json))


@app.command(epilog=examples("nemocli nim logs || true"))
def logs(
    ctx: typer.Context,
    engine: Engine = "docker",
    lines: Annotated[
        int, typer.Option("-n", "--lines", metavar="N", min=1, help="How many of the last.")
    ] = 50,
) -> None:
    """What our container said last, and what is known of its troubles."""
    from nemocli.cli.nim.containers import show_logs

    show_logs(ctx.obj, engine, lines)


@app.command(epilog=examples("nemocli nim down || true"))
def down(ctx: typer.Context, engine: Engine = "docker") -> None:
    """Stop our containers and take them away; nothing else, and no cache."""
    from nemocli.cli.nim.containers import take_down

    take_down(ctx.obj, engine)


@app.command(epilog=examples("nemocli nim doctor || true"))
def doctor(
    ctx: typer.Context, engine: Engine = "docker", port: Port = 8000, cache: Cache = None,
    json: options.Json = False,
) -> None:  # fmt: skip
    """What would go wrong, before anything starts."""
    from nemocli.cli.nim.doctor import examine

    raise typer.Exit(examine(ctx.obj, engine, port, cache, as_json=json))
