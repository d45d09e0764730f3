"""`nemocli help`: what does not fit under one command."""

from __future__ import annotations

from typing import Annotated

import typer

from nemocli.cli.commands import BY_NAME
from nemocli.cli.context import Setup
from nemocli.cli.help.text import examples, root_help
from nemocli.cli.help.topics import TOPICS
from nemocli.core.faults import usage_error

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(name="help", epilog=examples("nemocli help exit-codes", "nemocli help models probe"))
def help_(
    ctx: typer.Context,
    topic: Annotated[list[str] | None, typer.Argument(metavar="[TOPIC]...")] = None,
) -> None:
    """Help on a topic (exit-codes, environment, formats, providers, scripting, streams) or a
    command."""
    setup: Setup = ctx.obj
    first, *rest = topic or [""]
    if not first:
        setup.out.text(root_help())
        setup.out.line("\nTopics: " + ", ".join(TOPICS))
    elif first in BY_NAME and (rest or first not in TOPICS):
        from nemocli.cli.app import main

        raise typer.Exit(main([first, *rest, "--help"]))
    elif first in TOPICS and not rest:
        setup.out.text(TOPICS[first](setup))
        if first in BY_NAME:
            setup.out.line(f"\nThe command of that name: `nemocli {first} --help`")
    else:
        from difflib import get_close_matches

        said = " ".join(topic or ())
        near = get_close_matches(first, [*TOPICS, *BY_NAME], 1)
        hint = f"did you mean `nemocli help {near[0]}`?" if near else ", ".join(TOPICS)
        raise usage_error(f"no help on {said!r}", hint)
