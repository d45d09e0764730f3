"""`nemocli weights`: repositories of weights, planned, pulled, verified and carried about."""

from __future__ import annotations

from typing import Annotated

import typer

from nemocli.cli import options
from nemocli.cli.help.text import examples

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Weights that arrive whole: plan, pull, verify, carry.",
    epilog=examples("nemocli weights pull acme/tiny"),
)

Repo = Annotated[
    str,
    typer.Argument(metavar="REPO", help="ORG/NAME, a model card's name, or PROVIDER:MODEL/QUANT."),
]
WhichRevision = Annotated[
    str | None,
    typer.Option("--revision", metavar="REV", help="Which one, where several are here."),
]
Revision = Annotated[str, typer.Option("--revision", metavar="REV", help="Branch, tag or commit.")]
LocalDir = Annotated[
    str | None,
    typer.Option("--local-dir", metavar="DIR", help="A plain folder instead of the shared cache."),
]
Include = Annotated[
    list[str] | None,
    typer.Option("--include", metavar="PATTERN", help="Only files that match; repeatable."),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="PATTERN", help="No files that match; repeatable."),
]
Precision = Annotated[
    str | None,
    typer.Option("--precision", metavar="NAME", help="Of a model card's weights: nvfp4, bf16."),
]
MaxWorkers = Annotated[
    int | None,
    typer.Option("--max-workers", metavar="N", min=1, max=64, help="Streams at once."),
]
LimitRate = Annotated[
    str | None,
    typer.Option("--limit-rate", metavar="RATE", help="All streams together: 50M, 400Mbit."),
]
Window = Annotated[
    str | None,
    typer.Option("--window", metavar="HH:MM-HH:MM", help="Fetch only then, local time."),
]
Mirror = Annotated[
    list[str] | None,
    typer.Option(
        "--mirror", metavar="URL", help="Take the bytes from there; digests stay the endpoint's."
    ),
]
Shape = Annotated[
    str, typer.Option("--progress", metavar="FORM", help="auto, bar, line, json or none.")
]
Copy = Annotated[
    bool, typer.Option("--copy", help="Copy the bytes, also where a second name would do.")
]


@app.command(
    epilog=examples(
        "nemocli weights plan acme/tiny", "nemocli weights plan acme/tiny --gpus 8xH100 --json"
    )
)
def plan(
    ctx: typer.Context,
    repo: Repo,
    revision: Revision = "main",
    local_dir: LocalDir = None,
    include: Include = None,
    exclude: Exclude = None,
    precision: Precision = None,
    gpus: Annotated[
        str | None, typer.Option("--gpus", metavar="NxKIND", help="8xH100; else those found here.")
    ] = None,
    probe: Annotated[
        bool, typer.Option("--probe/--no-probe", help="Measure the line for a moment.")
    ] = True,
    json: options.Json = False,
) -> None:
    """What a pull would fetch, whether it fits the disk and the GPUs, and how long it takes."""
    from nemocli.cli.weights.held import find_in_program

    if (held := find_in_program(ctx.obj, repo)) is not None:
        from nemocli.cli.weights.program import run_program_plan

        run_program_plan(ctx.obj, held, local_dir, json=json)
        return
    from nemocli.cli.weights.plan import run_plan
    from nemocli.cli.weights.pull import PullOptions
    from nemocli.weights.names import resolve_repo

    named = resolve_repo(ctx.obj.catalogue, repo, precision and precision.lower())
    wish = PullOptions(named.repo, revision, local_dir, tuple(include or ()), tuple(exclude or ()))
    # A card's name alone means the model: every precision is judged.
    judged = named.weights if precision or "/" in repo else None
    only = judged.precision.lower() if judged is not None else None
    run_plan(ctx.obj, named, wish, gpus, only, probe=probe, json=json)


@app.command(
    epilog=examples(
        "nemocli weights pull acme/tiny",
        "nemocli weights pull acme/tiny --local-dir tiny --exclude '*.md' --limit-rate 50M",
    )
)
def pull(
    ctx: typer.Context,
    repo: Repo,
    revision: Revision = "main",
    local_dir: LocalDir = None,
    include: Include = None,
    exclude: Exclude = None,
    precision: Precision = None,
    max_workers: MaxWorkers = None,
    limit_rate: LimitRate = None,
    window: Window = None,
    mirror: Mirror = None,
    engine: Annotated[
        str, typer.Option("--engine", metavar="NAME", help="http, or xet (an extra).")
    ] = "http",
    recheck: Annotated[
        bool, typer.Option("--recheck", help="Read every file that is here, known or not.")
    ] = False,
    reserve: Annotated[
        bool, typer.Option("--reserve/--no-reserve", help="Take the disk space first.")
    ] = True,
    progress: Shape = "auto",
    json: options.Json = False,
) -> None:
    """Fetch what is missing, verify all of it, and put it where everybody looks. The same line
    again goes on after any interruption."""
    from nemocli.cli.weights.held import find_in_program

    if (held := find_in_program(ctx.obj, repo)) is not None:
        from nemocli.cli.weights.program import run_program_pull

        run_program_pull(ctx.obj, held, local_dir, json=json)
        return
    from nemocli.cli.weights.pull import PullOptions, run_pull
    from nemocli.cli.weights.session import Manners
    from nemocli.weights.names import resolve_repo

    name = resolve_repo(ctx.obj.catalogue, repo, precision and precision.lower()).repo
    wish = PullOptions(name, revision, local_dir, tuple(include or ()), tuple(exclude or ()))
    mirrors = tuple(mirror or ())
    manners = Manners(max_workers, limit_rate, window, mirrors, reserve, recheck, engine)
    run_pull(ctx.obj, wish, manners, progress, json=json)


@app.command(epilog=examples("nemocli weights status", "nemocli weights status --json"))
def status(
    ctx: typer.Context,
    target: Annotated[
        str | None, typer.Argument(metavar="[DIR|REPO]", help="All in the cache without it.")
    ] = None,
    local_dir: LocalDir = None,
    json: options.Json = False,
) -> None:
    """How far a pull is, asked from anywhere."""
    from nemocli.cli.weights.manage import run_status

    run_status(ctx.obj, target, local_dir, json=json)


@app.command(
    epilog=examples("nemocli weights verify tiny", "nemocli weights verify acme/tiny --sample 10%")
)
def verify(
    ctx: typer.Context,
    target: Annotated[
        str, typer.Argument(metavar="DIR|REPO", help="A folder, or a model in the shared cache.")
    ],
    repair: Annotated[
        bool, typer.Option("--repair", help="Fetch what is bad, segment by segment.")
    ] = False,
    sample: Annotated[
        str | None, typer.Option("--sample", metavar="SHARE", help="Read only so much: 10%.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", metavar="N", min=1, help="Files at once.")
    ] = None,
    allow_foreign: Annotated[
        bool, typer.Option("--allow-foreign", help="Files that do not belong are no finding.")
    ] = False,
    revision: WhichRevision = None,
    mirror: Mirror = None,
    progress: Shape = "auto",
    json: options.Json = False,
) -> None:
    """Whether every byte is what it should be; no network is needed. Exit 8 if not."""
    from nemocli.cli.weights.verify import VerifyOptions, run_verify

    wish = VerifyOptions(target, repair, sample, jobs, allow_foreign, tuple(mirror or ()), revision)
    run_verify(ctx.obj, wish, progress, json=json)


@app.command(
    epilog=examples(
        "nemocli weights export acme/tiny stick", "nemocli weights export tiny - > weights.tar"
    )
)
def export(
    ctx: typer.Context,
    target: Annotated[
        str, typer.Argument(metavar="DIR|REPO", help="A folder, or a model in the shared cache.")
    ],
    dest: Annotated[
        str, typer.Argument(metavar="DEST", help="A folder, a NAME.tar, or - for a tar stream.")
    ],
    as_nim: Annotated[
        bool, typer.Option("--nim", help="DEST is a NIM cache: lay it out so that NIM finds it.")
    ] = False,
    copy: Copy = False,
    revision: WhichRevision = None,
    json: options.Json = False,
) -> None:
    """Carry weights away with their manifest; every byte is verified as it is read."""
    from nemocli.cli.weights.transfer import Export, run_export

    wish = Export(target, dest, as_nim, copy, revision)
    run_export(ctx.obj, wish, json=json)


@app.command("import", epilog=examples("nemocli weights import stick"))
def import_(
    ctx: typer.Context,
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="An export, a tar (- for stdin), or a cache.")
    ],
    local_dir: LocalDir = None,
    copy: Copy = False,
    json: options.Json = False,
) -> None:
    """Take weights over without a network: only what has the right digest."""
    from nemocli.cli.weights.transfer import Carrying, run_import

    run_import(ctx.obj, source, Carrying(local_dir, copy), json=json)


@app.command(epilog=examples("nemocli weights ls"))
def ls(ctx: typer.Context, json: options.Json = False) -> None:
    """Models in the shared cache, whoever brought them."""
    from nemocli.cli.weights.manage import run_ls

    run_ls(ctx.obj, json=json)


@app.command(epilog=examples("nemocli weights rm acme/tiny --yes"))
def rm(
    ctx: typer.Context,
    repo: Repo,
    parts: Annotated[
        bool, typer.Option("--parts", help="Only what an interrupted pull has left.")
    ] = False,
    yes: options.Yes = False,
) -> None:
    """Remove a model from the shared cache."""
    from nemocli.cli.weights.manage import run_rm
    from nemocli.weights.names import resolve_repo

    run_rm(ctx.obj, resolve_repo(ctx.obj.catalogue, repo, None).repo, parts=parts, yes=yes)
