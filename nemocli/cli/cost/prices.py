"""`nemocli cost prices`: what tokens cost, since when, and who says so."""

from __future__ import annotations

from typing import Annotated

import typer

from nemocli.cli import options
from nemocli.cli.help.text import examples

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    invoke_without_command=True,
    help="Dated prices with their sources; refreshed only when asked.",
    epilog=examples("nemocli cost prices", "nemocli cost prices --model nemotron-3-ultra --json"),
)

Model = Annotated[str, typer.Option("--model", "-m", metavar="MODEL", help="Of this model card.")]
Seller = Annotated[
    str | None, typer.Option("--provider", "-p", metavar="NAME", help="Of this seller.")
]


@app.callback()
def prices(
    ctx: typer.Context,
    model: Model = "nemotron-3-ultra",
    provider: Seller = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Also rows that hold no more, or not yet.")
    ] = False,
    on: Annotated[
        str | None, typer.Option("--on", metavar="DATE", help="The day in question: today.")
    ] = None,
    json: options.Json = False,
) -> None:
    """USD per million tokens at every seller, as of a day, with the source of each row."""
    if ctx.invoked_subcommand is None:
        from nemocli.cli.cost.price_rows import show_prices

        show_prices(ctx.obj, model, provider, on, everything=all_, json=json)


@app.command(epilog=examples("nemocli cost prices update --dry-run"))
def update(
    ctx: typer.Context,
    provider: Annotated[
        list[str] | None,
        typer.Option("--provider", "-p", metavar="NAME", help="Ask only these; repeatable."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show it and keep nothing.")] = False,
    json: options.Json = False,
) -> None:
    """Ask sellers that list their prices, and read the genai-prices package where it is installed.
    Absurd rows (a jump of 100 times, a unit mistaken) are refused with a line."""
    from nemocli.cli.cost.price_rows import update_prices

    update_prices(ctx.obj, tuple(provider or ()), dry_run=dry_run, json=json)


@app.command(
    "set",
    epilog=examples(
        "nemocli cost prices set openrouter --input 0.55 --output 2.30 --from 2026-11-01"
    ),
)
def set_(
    ctx: typer.Context,
    seller: Annotated[str, typer.Argument(metavar="SELLER", help="A provider's name.")],
    input_: Annotated[str, typer.Option("--input", metavar="USD", help="Per million read.")],
    output: Annotated[str, typer.Option("--output", metavar="USD", help="Per million made.")],
    cached: Annotated[
        str | None, typer.Option("--cached", metavar="USD", help="Per million read from a cache.")
    ] = None,
    model: Model = "nemotron-3-ultra",
    variant: Annotated[
        str | None, typer.Option("--variant", metavar="NAME", help="free, batch, or a host.")
    ] = None,
    begin: Annotated[
        str, typer.Option("--from", metavar="DATE", help="Its first day: today.")
    ] = "today",
) -> None:
    """A price of your own: it stands above every listed one, from its first day on."""
    from nemocli.cli.cost.price_rows import set_price

    set_price(
        ctx.obj,
        seller,
        {"input": input_, "output": output, "cached_input": cached},
        model=model,
        variant=variant,
        begin=begin,
    )
