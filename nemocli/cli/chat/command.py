"""`nemocli chat`: a conversation in the terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from nemocli.cli import options
from nemocli.cli.help.text import examples

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(
    epilog=examples(
        "nemocli chat --help",
    )
)
def chat(
    ctx: typer.Context,
    provider: options.Provider = None,
    model: options.Model = None,
    system: options.System = None,
    option: options.Option = None,
    reasoning: options.Reasoning = None,
    max_tokens: options.MaxTokens = None,
    timeout: options.Timeout = None,
    max_cost: options.MaxCost = None,
    again: Annotated[
        bool, typer.Option("--continue", "-c", help="Go on with the last conversation.")
    ] = False,
    session: Annotated[
        str | None,
        typer.Option("--session", metavar="NAME", help="Go on with this one, or begin it."),
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option("--file", "-f", metavar="PATH", help="Sent with the first message."),
    ] = None,
    mcp: Annotated[
        list[str] | None,
        typer.Option("--mcp", metavar="FILE", help="Tools: JSON with `mcpServers`; repeatable."),
    ] = None,
    show_reasoning: Annotated[
        bool, typer.Option("--show-reasoning", help="Show reasoning as it comes.")
    ] = False,
    auto_compact: Annotated[
        bool, typer.Option("--auto-compact", help="Summarise old turns when the context fills.")
    ] = False,
    vi: Annotated[bool, typer.Option("--vi", help="vi keys instead of emacs keys.")] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="All providers answer, side by side.")
    ] = False,
    fallback: Annotated[
        bool | None,
        typer.Option("--fallback/--no-fallback", help="Go on to the next provider on failure."),
    ] = None,
    tag: options.Tag = None,
    no_log: options.NoLog = False,
) -> None:
    """Talk with a model. Enter sends, Ctrl-J breaks the line, Ctrl-C stops an answer.

    What is typed and answered is kept as it happens (`nemocli sessions ls`), unless --no-log is
    said. `/help` lists the commands inside.
    """
    from nemocli.cli.chat.options import ChatOptions
    from nemocli.cli.chat.run import run_chat

    wish = options.options_from(ChatOptions, ctx.params, log=not no_log)
    raise typer.Exit(run_chat(ctx.obj, wish))
