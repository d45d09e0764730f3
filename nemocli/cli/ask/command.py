"""`nemocli ask`: one answer, scriptable."""

from __future__ import annotations

from typing import Annotated

import typer

from nemocli.cli import options
from nemocli.cli.help.text import examples

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(
    epilog=examples(
        'nemocli ask "Name three uses of a paperclip."',
        'git diff | nemocli ask "Write a commit message." -x',
        'nemocli ask "Sum this up." -f notes.txt --max-tokens 200',
        'nemocli ask "Invent a person." --schema "name, age int" --json',
    )
)
def ask(
    ctx: typer.Context,
    prompt: Annotated[
        str | None, typer.Argument(help="The question; `-` reads stdin to its end.")
    ] = None,
    stdin: Annotated[str | None, typer.Argument(metavar="[-]", show_default=False)] = None,
    provider: options.Provider = None,
    model: options.Model = None,
    system: options.System = None,
    file: Annotated[
        list[str] | None,
        typer.Option("--file", "-f", metavar="PATH", help="Attach a text file; repeatable."),
    ] = None,
    no_stdin: Annotated[
        bool, typer.Option("--no-stdin", "-n", help="Leave stdin alone: for loops and cron.")
    ] = False,
    option: options.Option = None,
    old_option: Annotated[
        list[str] | None, typer.Option("-o", metavar="K=V", hidden=True, help="Now -O.")
    ] = None,
    reasoning: options.Reasoning = None,
    show_reasoning: Annotated[
        bool, typer.Option("--show-reasoning", help="Show the reasoning on stderr as it comes.")
    ] = False,
    max_tokens: options.MaxTokens = None,
    timeout: options.Timeout = None,
    max_cost: options.MaxCost = None,
    schema: Annotated[
        str | None,
        typer.Option(
            "--schema",
            metavar="SCHEMA",
            help="JSON Schema (file or inline) or fields (`name, age int`) the answer must fit.",
        ),
    ] = None,
    extract: Annotated[
        bool, typer.Option("--extract", "-x", help="Print only the first code block.")
    ] = False,
    json: options.Json = False,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="One JSON event a line, as they come.")
    ] = False,
    fallback: Annotated[
        bool | None,
        typer.Option("--fallback/--no-fallback", help="Go on to the next provider on failure."),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="All providers named, side by side.")
    ] = False,
    tag: options.Tag = None,
    no_log: options.NoLog = False,
) -> None:
    """Ask once and print the answer. A prompt and piped text are combined.

    The answer goes to stdout; its receipt, notes and failures to stderr. The exit code is 0 only
    for a complete answer (`nemocli help exit-codes`).
    """
    from nemocli.cli.ask.job import AskOptions
    from nemocli.cli.ask.run import answer_once

    if old_option:
        ctx.obj.err.warn("a body field is `-O K=V` now: `-o` is kept for the output file")
    wish = options.options_from(
        AskOptions,
        ctx.params,
        dash=stdin,
        options=(*(option or ()), *(old_option or ())),
        form="jsonl" if jsonl else "json" if json else "text",
        log=not no_log,
    )
    if compare:
        from nemocli.cli.ask.compare import compare as beside

        raise typer.Exit(beside(ctx.obj, wish))
    raise typer.Exit(answer_once(ctx.obj, wish))
