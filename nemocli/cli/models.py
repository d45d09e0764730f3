"""`nemocli models`: which there are, who serves them, and which really answer."""

from __future__ import annotations

from typing import Annotated

import typer

from nemocli.cli import options
from nemocli.cli.helping import examples
from nemocli.cli.setup import Setup
from nemocli.core.faults import usage_error

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="Which models there are, and which really answer.",
    epilog=examples("nemocli models ls"),
)

One = Annotated[
    str | None, typer.Option("--provider", "-p", metavar="NAME", help="What this provider lists.")
]
MOST_PROBED = 10
"""Models probed without a yes: each takes up to five paid calls."""


@app.command(epilog=examples("nemocli models ls", "nemocli models ls -p openrouter --json"))
def ls(ctx: typer.Context, provider: One = None, json: options.Json = False) -> None:
    """The models that are known, or with `-p` what a provider lists right now."""
    from nemocli.cli.model_facts import card_rows, card_table, listed_rows, listed_table

    setup: Setup = ctx.obj
    rows = card_rows(setup) if provider is None else listed_rows(setup, provider)
    if json:
        setup.out.json([dict(row) for row in rows])
    elif setup.globals.quiet:
        for row in rows:
            setup.out.line(str(row["model"] if provider is None else row["id"]))
    else:
        width = setup.terminal.width if setup.terminal.stdout else None
        draw = card_table if provider is None else listed_table
        for line in draw(rows, width):
            setup.out.line(line)


@app.command(epilog=examples("nemocli models info nemotron-3-ultra"))
def info(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL")],
    json: options.Json = False,
) -> None:
    """One model's card: limits, reasoning, who serves it at what price, weights, hardware."""
    from nemocli.cli.model_facts import card_info, card_lines, found_card

    setup: Setup = ctx.obj
    card = found_card(setup, model)
    wrong = {name.lower(): said for name, said in card.misnomers.items()}.get(model.lower())
    if wrong is not None:
        setup.err.warn(f"{model}: {wrong}; taken for {card.name}")
    said = card_info(setup, card)
    if json:
        setup.out.json(said)
        return
    for line in card_lines(card, said):
        setup.out.line(line)


@app.command(
    epilog=examples(
        "nemocli models probe -p openrouter nemotron-3-ultra",
        "nemocli models probe -p nvidia nemotron-3-ultra nemotron-3-super --json",
    )
)
def probe(
    ctx: typer.Context,
    models: Annotated[list[str] | None, typer.Argument(metavar="[MODEL]...")] = None,
    provider: options.Provider = None,
    yes: options.Yes = False,
    json: options.Json = False,
) -> None:
    """Which really answer, and what they support: reasoning, tools, JSON schema. Makes up to five
    small real calls a model; without a MODEL every listed one that has a card."""
    from nemocli.cli.choice import chosen
    from nemocli.cli.model_facts import listed_targets
    from nemocli.cli.probing import probe_models

    setup: Setup = ctx.obj
    names = list(provider or [])
    if models:
        targets = [t for m in models for t in chosen(setup, names, m).targets]
    elif names:
        targets = [t for name in names for t in listed_targets(setup, name)]
    else:
        raise usage_error("name a model, or a provider with `-p`", "`nemocli models ls`")
    if len(targets) > MOST_PROBED and not yes:
        raise usage_error(
            f"{len(targets)} models would be probed with up to five calls each", "`--yes` does it"
        )
    raise typer.Exit(probe_models(setup, targets))


@app.command(epilog=examples("nemocli models default", "nemocli models default nemotron-3-super"))
def default(
    ctx: typer.Context,
    model: Annotated[str | None, typer.Argument(metavar="[MODEL]", show_default=False)] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Back to the built-in one.")] = False,
) -> None:
    """Show or set the model that is asked when none is named."""
    from nemocli.core.plan import DEFAULT_MODEL
    from nemocli.io.settings import set_value

    setup: Setup = ctx.obj
    if model is None and not clear:
        setup.out.line(setup.settings.text("model") or DEFAULT_MODEL)
        return
    card = setup.catalogue.card(model) if model else None
    if model and card is None:
        setup.err.warn(f"no card is called {model}: it is passed to providers as it is")
    set_value(setup.loaded.config_file, "model", model or DEFAULT_MODEL)
    setup.err.dim(f"model: {model or DEFAULT_MODEL} in {setup.loaded.config_file}")
