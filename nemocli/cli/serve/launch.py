"""`nemocli launch`: a coding agent, or any program, behind a gateway of its own."""

from __future__ import annotations

from typing import Annotated

import typer

from nemocli.cli import options
from nemocli.cli.help.text import examples
from nemocli.cli.serve.command import LoopGuard, Map, Record, Replay

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(epilog=examples("nemocli launch", "nemocli launch -- env"))
def launch(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[AGENT] [-- ARGS]...", help="An agent, or any command after --."),
    ] = None,
    provider: options.Provider = None,
    model: options.Model = None,
    map_: Map = None,
    max_cost: options.MaxCost = None,
    tag: options.Tag = None,
    loop_guard: LoopGuard = 8,
    record: Record = None,
    replay: Replay = None,
    own_settings: Annotated[
        bool,
        typer.Option("--own-settings", help="The agent's usual settings, not a folder of its own."),
    ] = False,
    json: options.Json = False,
) -> None:
    """Run a coding agent behind a gateway: its calls are booked here, its exit code is kept.

    Without words: the agents that are known. A known one (codex, claude, opencode, ...) is told the
    address, the model and its context. Any other program gets OPENAI_BASE_URL, OPENAI_API_KEY,
    ANTHROPIC_BASE_URL and ANTHROPIC_AUTH_TOKEN. None gets the key of a provider.
    """
    from nemocli.cli.serve.run import ServeOptions
    from nemocli.cli.serve.start import launch as begin
    from nemocli.cli.serve.start import show_agents

    if not words:
        show_agents(ctx.obj, as_json=json)
        return
    own = {"maps": tuple(map_ or ()), "loops": loop_guard, "command": "launch"}
    wish = options.options_from(ServeOptions, ctx.params, **own)
    raise typer.Exit(begin(ctx.obj, wish, words, own_settings=own_settings))
