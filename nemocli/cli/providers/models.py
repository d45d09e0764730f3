"""`nemocli models`: which there are, who serves them, and which really answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from nemocli.cli import options
from nemocli.cli.context import Setup
from nemocli.cli.help.text import examples
from nemocli.core.faults import usage_error

if TYPE_CHECKING:
    from nemocli.core.plan import Target

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
"""Models probed for money without a yes: each takes up to five calls."""


@app.command(
    epilog=examples(
        "nemocli models ls", "nemocli models ls -p openrouter --json", "nemocli -q models ls --all"
    )
)
def ls(
    ctx: typer.Context,
    provider: One = None,
    all_: Annotated[
        bool, typer.Option("--all", help="What every provider that is ready lists.")
    ] = False,
    json: options.Json = False,
) -> None:
    """The models that are known, or with `-p` or `--all` what providers list right now."""
    setup: Setup = ctx.obj
    if all_ and provider is not None:
        raise usage_error("`--all` is every provider: leave `-p` out")
    width = setup.out.width
    if all_ or provider is not None:
        from nemocli.cli.providers import listings

        listed = (
            listings.all_listed_rows(setup)
            if provider is None
            else listings.listing_rows(setup, provider)
        )
        names = [row["id"] for row in listed]
        _show(setup, listed, names, lambda: listings.listing_table(listed, width), as_json=json)
    else:
        from nemocli.cli.providers import model_facts

        cards = model_facts.card_rows(setup)
        names = [row["model"] for row in cards]
        _show(setup, cards, names, lambda: model_facts.card_table(cards, width), as_json=json)


def _show(
    setup: Setup,
    rows: object,
    names: list[str],
    table: Callable[[], list[str]],
    *,
    as_json: bool,
) -> None:
    """Rows as JSON, as names alone (`--quiet`), or as a table."""
    if as_json:
        setup.out.json(rows)
        return
    setup.out.lines(names if setup.globals.quiet else table())


@app.command(epilog=examples("nemocli models info nemotron-3-ultra"))
def info(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL")],
    json: options.Json = False,
) -> None:
    """One model's card: limits, reasoning, who serves it at what price, weights, hardware."""
    from nemocli.cli.providers.model_facts import card_info, card_lines, find_card

    setup: Setup = ctx.obj
    card = find_card(setup, model)
    wrong = {name.lower(): said for name, said in card.misnomers.items()}.get(model.lower())
    if wrong is not None:
        setup.err.warn(f"{model}: {wrong}; taken for {card.name}")
    elif model.lower() != card.name:
        setup.err.dim(f"{model} is {card.name}")
    said = card_info(setup, card)
    if json:
        setup.out.json(said)
        return
    setup.out.lines(card_lines(card, said))


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
    all_: Annotated[
        bool, typer.Option("--all", help="Also listed ids of models without a card.")
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=0, help="Most that cost money.")
    ] = MOST_PROBED,
    max_cost: options.MaxCost = None,
    yes: options.Yes = False,
    json: options.Json = False,
) -> None:
    """Which really answer, and what they support: streaming, reasoning, tools, JSON schema. Makes
    up to five small real calls a model; without a MODEL every listed one that has a card."""
    from nemocli.cli.providers.probe import probe_models, unpaid

    setup: Setup = ctx.obj
    setup.flags(max_cost_usd=max_cost)
    targets = _targets(setup, list(provider or ()), list(models or ()), every=all_)
    paid = sum(not unpaid(target) for target in targets)
    if paid > limit and not yes:
        raise usage_error(
            f"{paid} models that cost money would be probed, with up to five calls each",
            f"`--yes` does it, `--limit {paid}` allows so many, `--max-cost` bounds the sum",
        )
    raise typer.Exit(probe_models(setup, targets))


def _targets(setup: Setup, providers: list[str], models: list[str], *, every: bool) -> list[Target]:
    """What is probed. Raises NemoError where that is nothing."""
    from nemocli.cli.choice import choose_targets
    from nemocli.cli.providers.listings import listing_targets

    if models:
        return [t for model in models for t in choose_targets(setup, providers, model).targets]
    if not providers:
        raise usage_error("name a model, or a provider with `-p`", "`nemocli models ls`")
    targets = [t for name in providers for t in listing_targets(setup, name, every=every)]
    if not targets:
        said = f"{', '.join(providers)}: no listed model has a card"
        raise usage_error(said, "name ids of theirs, or `--all` probes whatever is listed")
    return targets


@app.command(
    epilog=examples(
        "nemocli models default",
        "nemocli models default nemotron-3-super",
        "nemocli models default --clear",
    )
)
def default(
    ctx: typer.Context,
    model: Annotated[str | None, typer.Argument(metavar="[MODEL]", show_default=False)] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Back to the built-in one.")] = False,
) -> None:
    """Show or set the model that is asked when none is named."""
    from nemocli.core.plan import DEFAULT_MODEL
    from nemocli.io.settings import set_value, unset_value

    setup: Setup = ctx.obj
    if model is not None and clear:
        raise usage_error("either a model or `--clear`")
    file = setup.loaded.config_file
    if clear:
        said = "taken out of" if unset_value(file, "model") else "not set in"
        setup.err.dim(f"model: {said} {file}")
    elif model is not None:
        if setup.catalogue.card(model.partition(":")[0]) is None:
            setup.err.warn(f"no card is called {model}: it is passed to providers as it is")
        set_value(file, "model", model)
        setup.err.dim(f"model: {model} in {file}")
    else:
        setup.out.line(setup.settings.text("model") or DEFAULT_MODEL)
        setup.err.dim(f"from {setup.settings.origin('model')}")
