"""`nemocli sessions`: conversations that are kept."""

from __future__ import annotations

from typing import Annotated

import typer

from nemocli.cli import options
from nemocli.cli.help.text import examples

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="Kept conversations."
)

Id = Annotated[str, typer.Argument(metavar="ID", help="A name, the beginning of an id, or `last`.")]
Limit = Annotated[int, typer.Option("-n", "--limit", metavar="N", min=1, help="How many.")]


@app.callback(epilog=examples("nemocli sessions ls"))
def sessions() -> None:
    """Conversations that are kept: every turn of `nemocli chat`, unless `--no-log` was said."""


@app.command("ls", epilog=examples("nemocli sessions ls", "nemocli sessions ls --json"))
def list_(
    ctx: typer.Context,
    limit: Limit = 20,
    tag: Annotated[str | None, typer.Option("--tag", metavar="TAG", help="Only these.")] = None,
    json: options.Json = False,
) -> None:
    """Conversations, newest first."""
    from nemocli.cli.sessions.show import show_list

    show_list(ctx.obj, limit, tag, as_json=json)


@app.command(epilog=examples("nemocli sessions show last || true"))
def show(ctx: typer.Context, session: Id, json: options.Json = False) -> None:
    """One conversation, turn by turn."""
    from nemocli.cli.sessions.show import show_one

    show_one(ctx.obj, session, as_json=json)


@app.command(epilog=examples("nemocli sessions search experts router"))
def search(
    ctx: typer.Context,
    words: Annotated[list[str], typer.Argument(metavar="WORD...", help="Beginnings of words.")],
    limit: Limit = 20,
    json: options.Json = False,
) -> None:
    """Turns that hold all the words."""
    from nemocli.cli.sessions.show import show_found

    show_found(ctx.obj, " ".join(words), limit, as_json=json)


@app.command(epilog=examples("nemocli sessions export last -o talk.md || true"))
def export(
    ctx: typer.Context,
    session: Id,
    to: Annotated[
        str, typer.Option("--to", metavar="FORMAT", help="markdown or json.")
    ] = "markdown",
    out: Annotated[
        str | None, typer.Option("--out", "-o", metavar="FILE", help="Where to; else stdout.")
    ] = None,
) -> None:
    """One conversation as a document."""
    from nemocli.cli.sessions.show import export_one

    export_one(ctx.obj, session, to, out)


@app.command(epilog=examples("nemocli sessions tag last draft || true"))
def tag(
    ctx: typer.Context,
    session: Id,
    tags: Annotated[
        list[str] | None, typer.Argument(metavar="[TAG...]", help="Tags to add.")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="TAG", help="Tags to take away.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Call the conversation this.")
    ] = None,
) -> None:
    """Add or take away tags, or give a name."""
    from nemocli.cli.sessions.show import tag_one

    tag_one(ctx.obj, session, tags or [], remove or [], name)


@app.command(epilog=examples("nemocli sessions rm last --yes || true"))
def rm(
    ctx: typer.Context,
    sessions: Annotated[list[str], typer.Argument(metavar="ID...", help="Which.")],
    yes: options.Yes = False,
) -> None:
    """Remove conversations for good. The ledger keeps what they cost."""
    from nemocli.cli.sessions.show import remove

    remove(ctx.obj, sessions, yes=yes)


@app.command(epilog=examples("nemocli sessions prune --before 2026-01-01 --yes"))
def prune(
    ctx: typer.Context,
    before: Annotated[
        str, typer.Option("--before", metavar="DATE", help="Last touched before it; or 30d.")
    ],
    yes: options.Yes = False,
) -> None:
    """Remove conversations that nobody touched for long."""
    from nemocli.cli.sessions.show import prune_old

    prune_old(ctx.obj, before, yes=yes)
