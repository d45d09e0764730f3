"""`nemocli serve`: every path at one address."""

from __future__ import annotations

from typing import Annotated

import typer

from nemocli.cli import options
from nemocli.cli.help.text import examples

app = typer.Typer(add_completion=False, rich_markup_mode=None)

Map = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="NAME=TARGET", help="What a client's model name means."),
]
LoopGuard = Annotated[
    int,
    typer.Option(
        "--loop-guard", metavar="N", min=0, help="Refuse what failed or came N times in a row."
    ),
]
Record = Annotated[
    str | None,
    typer.Option("--record", metavar="NAME|DIR", help="Keep what is asked and answered there."),
]
Replay = Annotated[
    str | None,
    typer.Option("--replay", metavar="NAME|DIR", help="Answer from a recording; ask nobody."),
]


@app.command(epilog=examples("timeout 3 nemocli serve --port 0 || true"))
def serve(
    ctx: typer.Context,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Else loopback only.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="0 takes a free one.")
    ] = 0,
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Whoever reaches it may use it; loopback only.")
    ] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="A name it is reached by; repeatable."),
    ] = None,
    keys: Annotated[
        str | None,
        typer.Option("--keys", metavar="FILE", help="Several people, each with a token."),
    ] = None,
    new_key: Annotated[
        str | None,
        typer.Option("--new-key", metavar="NAME", help="Make a token in that file, and end."),
    ] = None,
    provider: options.Provider = None,
    model: options.Model = None,
    map_: Map = None,
    max_cost: options.MaxCost = None,
    tag: options.Tag = None,
    loop_guard: LoopGuard = 8,
    record: Record = None,
    replay: Replay = None,
    json: options.Json = False,
) -> None:
    """Chat completions, Responses and Messages over every path, with the same ledger and budgets.

    The token is NEMOCLI_SERVE_TOKEN, or made for each start.
    """
    from nemocli.cli.serve.run import ServeOptions, make_key
    from nemocli.cli.serve.run import serve as begin

    if new_key is not None:
        make_key(ctx.obj, keys, new_key)
        return
    hosts, maps = tuple(allow_host or ()), tuple(map_ or ())
    own = {"open_": no_token, "hosts": hosts, "maps": maps, "loops": loop_guard}
    wish = options.options_from(ServeOptions, ctx.params, **own)
    begin(ctx.obj, wish, as_json=json)
