"""`nemocli help`: what does not fit under one command."""

from __future__ import annotations

from typing import Annotated

import typer

from nemocli.cli.helping import examples, root_help
from nemocli.cli.setup import Setup
from nemocli.cli.topics import TOPICS
from nemocli.cli.tree import BY_NAME
from nemocli.core.faults import usage_error

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(name="help", epilog=examples("nemocli help exit-codes", "nemocli help ask"))
def help_(
    ctx: typer.Context,
    topic: Annotated[str | None, typer.Argument(metavar="[TOPIC]", show_default=False)] = None,
) -> None:
    """Help on a topic (exit-codes, environment, formats, providers, streams) or a command."""
    setup: Setup = ctx.obj
    if topic is None:
        setup.out.text(root_help())
        setup.out.line("\nTopics: " + ", ".join(TOPICS))
    elif topic in TOPICS:
        setup.out.text(TOPICS[topic](setup))
    elif topic in BY_NAME:
        from nemocli.cli.app import main

        raise typer.Exit(main([topic, "--help"]))
    else:
        from difflib import get_close_matches

        near = get_close_matches(topic, [*TOPICS, *BY_NAME], 1)
        hint = f"did you mean `nemocli help {near[0]}`?" if near else ", ".join(TOPICS)
        raise usage_error(f"no help on {topic!r}", hint)
