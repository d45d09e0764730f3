"""`nemocli launch`: a program of the user's behind a gateway of its own."""

from __future__ import annotations

from typing import Annotated

import typer

from nemocli.cli import options
from nemocli.cli.help.text import examples
from nemocli.cli.serve.command import Map

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(epilog=examples("nemocli launch -- env"))
def launch(
    ctx: typer.Context,
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND [ARGS]...")],
    provider: options.Provider = None,
    model: options.Model = None,
    map_: Map = None,
    max_cost: options.MaxCost = None,
    tag: options.Tag = None,
) -> None:
    """Run a program behind a gateway: its calls are booked here, its exit code is kept.

    It gets OPENAI_BASE_URL, OPENAI_API_KEY, ANTHROPIC_BASE_URL and ANTHROPIC_AUTH_TOKEN, and no
    key of a provider.
    """
    from nemocli.cli.serve.run import ServeOptions
    from nemocli.cli.serve.run import launch as begin

    wish = ServeOptions(
        providers=tuple(provider or ()),
        model=model,
        maps=tuple(map_ or ()),
        max_cost=max_cost,
        tags=tuple(tag or ()),
    )
    raise typer.Exit(begin(ctx.obj, wish, command))
