"""Price rows: shown, refreshed, and set by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nemocli.cli.context import Setup
from nemocli.cli.cost.summary import day_named
from nemocli.core.faults import Fault, NemoError, config_error, usage_error
from nemocli.core.moments import utc_text
from nemocli.core.money import Price
from nemocli.cost.prices import JudgedPrice, holding, judge_price, price_from, price_json

if TYPE_CHECKING:
    from nemocli.core.card import ModelCard
    from nemocli.core.money import Tier
    from nemocli.core.ports import World
    from nemocli.core.provider import Provider
    from nemocli.core.values import Json
    from nemocli.engine.pricing import ListedPrice, Unlisted


def show_prices(
    setup: Setup, model: str, seller: str | None, on: str | None, *, everything: bool, json: bool
) -> None:
    """Rows that hold on a day, or all of them, seller by seller."""
    card = _card(setup, model)
    day = day_named(on or "today", "--on")
    rows = [p for p in card.prices if seller in (None, p.seller)]
    held = {id(p) for p in holding(rows, day)}
    shown = [p for p in rows if everything or id(p) in held]
    shown.sort(key=lambda p: (p.seller, p.variant or "", p.valid_from))
    if json:
        found: list[Json] = [price_json(p) | {"holds": id(p) in held} for p in shown]
        setup.out.json(
            {
                "schema": "nemocli.prices/1",
                "model": card.name,
                "on": day.isoformat(),
                "unit": "USD per million tokens",
                "prices": found,
            }
        )
        return
    if not shown:
        setup.err.dim(f"no price of {card.name} is known" + (f" at {seller}" if seller else ""))
        return
    holds = {id(p): "" if id(p) in held else "no more" if p.valid_from <= day else "not yet"
             for p in shown}  # fmt: skip
    _print_prices(setup, shown, holds if everything else None)
    setup.err.dim(f"USD per million tokens of {card.name} on {day.isoformat()}")


def _print_prices(setup: Setup, shown: Sequence[Price], holds: Mapping[int, str] | None) -> None:
    """A line each; `holds`, where rows that do not are shown, says when each does."""
    heads = ["seller", "input", "cached", "output", "since", "origin", "source"]
    lines = [
        [
            p.listing,
            _rate(p.input),
            _rate(p.cached_input),
            _rate(p.output),
            p.valid_from.isoformat(),
            p.origin,
            "; ".join((p.source, *(_tier(t) for t in p.tiers))),
        ]
        for p in shown
    ]
    if holds is not None:
        heads.insert(5, "")
        for line, price in zip(lines, shown, strict=True):
            line.insert(5, holds[id(price)])
    setup.out.table(heads, lines)


def update_prices(setup: Setup, names: tuple[str, ...], *, dry_run: bool, json: bool) -> None:
    """Ask, judge, keep what is news. Raises the first failure where nobody could be asked."""
    from nemocli.cli.event_loop import run_async
    from nemocli.engine.pricing import ListedPrice

    if setup.offline:
        raise config_error("prices cannot be asked for offline", "leave `--offline` out")
    asked = _asked(setup, names)
    cards = [card for card in setup.catalogue.cards.values() if card.offers]
    found: list[ListedPrice] = []
    failed: list[Fault] = []
    for answer in run_async(lambda: _all_listed(setup, asked, cards)):
        if isinstance(answer, Fault):
            failed.append(answer)
            setup.err.warn(answer.message)
            continue
        for row in answer:
            if isinstance(row, ListedPrice):
                found.append(row)
            elif setup.globals.verbose:
                setup.err.dim(f"{row.seller} {row.id}: {row.why}")
    verdicts = [
        judge_price(f.price, _card(setup, f.price.model).prices, may_be_free=f.may_be_free)
        for f in found
    ]
    if not names:
        verdicts += _from_package(setup, cards)
    if not verdicts and failed:
        raise NemoError(failed[0])
    new = [j.price for j in verdicts if j.verdict == "new"]
    if new and not dry_run:
        from nemocli.io.profiles.price_file import add_prices

        add_prices(setup.paths.prices, new, utc_text(datetime.now(UTC), "seconds"))
    _said(setup, verdicts, failed, dry_run=dry_run, json=json)


def set_price(
    setup: Setup,
    seller: str,
    rates: Mapping[str, str | None],
    *,
    model: str,
    variant: str | None,
    begin: str,
) -> None:
    """A row of the user's own."""
    from nemocli.io.profiles.price_file import add_prices

    card = _card(setup, model)
    setup.catalogue.provider(seller)
    row: dict[str, Json] = {
        "seller": seller,
        "model": card.name,
        "variant": variant,
        "valid_from": day_named(begin, "--from").isoformat(),
        "source": "set by hand",
        "origin": "override",
        **{name: value for name, value in rates.items() if value is not None},
    }
    try:
        price = price_from(row)
    except ValueError as error:
        raise usage_error(f"not a price: {error}", "USD per million tokens: 0.60") from None
    add_prices(setup.paths.prices, [price], utc_text(datetime.now(UTC), "seconds"))
    setup.err.dim(f"{price.id}: {_rates(price)} USD per million tokens, from you")


async def _all_listed(
    setup: Setup, asked: list[Provider], cards: list[ModelCard]
) -> list[list[ListedPrice | Unlisted] | Fault]:
    from nemocli.cli.world import world_of

    async with world_of(setup) as world:
        return [await _listed(provider, cards, world) for provider in asked]


async def _listed(
    provider: Provider, cards: list[ModelCard], world: World
) -> list[ListedPrice | Unlisted] | Fault:
    from nemocli.engine.pricing import list_prices

    try:
        return await list_prices(provider, cards, world)
    except NemoError as error:
        return error.fault.at(provider.name)


def _from_package(setup: Setup, cards: list[ModelCard]) -> list[JudgedPrice]:
    """Rows of the installed table that no row here is as good as."""
    from nemocli.io.profiles.genai_prices import is_installed, package_prices

    if not is_installed():
        return []
    found = []
    for price in package_prices(cards, datetime.now(UTC).date()):
        rows = _card(setup, price.model).prices
        free = price.variant == "free"
        found.append(judge_price(price, rows, may_be_free=free))
    return found


def _asked(setup: Setup, names: tuple[str, ...]) -> list[Provider]:
    if names:
        return [setup.catalogue.provider(name) for name in names]
    return [p for p in setup.catalogue.providers.values() if p.lists_prices]


def _said(
    setup: Setup, verdicts: list[JudgedPrice], failed: list[Fault], *, dry_run: bool, json: bool
) -> None:
    unchanged = sum(j.verdict == "unchanged" for j in verdicts)
    if json:
        rows: list[Json] = [
            {
                "verdict": j.verdict,
                "why": j.why or None,
                "price": price_json(j.price),
                "before": None if j.before is None else price_json(j.before),
            }
            for j in verdicts
            if j.verdict != "unchanged"
        ]
        setup.out.json(
            {
                "schema": "nemocli.price-update/1",
                "rows": rows,
                "unchanged": unchanged,
                "kept": not dry_run,
                "failed": [{"provider": f.provider, "message": f.message} for f in failed],
            }
        )
        return
    for j in verdicts:
        if j.verdict == "new":
            was = f", was {_rates(j.before)}" if j.before is not None else ""
            setup.out.line(f"new  {j.price.id}  {_rates(j.price)}{was}  {j.price.source}")
        elif j.verdict == "refused":
            setup.err.warn(f"refused {j.price.id}: {j.why} ({j.price.source})")
    new = sum(j.verdict == "new" for j in verdicts)
    kept = "would be kept" if dry_run else "kept"
    setup.err.dim(f"{new} new rows {kept}, {unchanged} unchanged")


def _card(setup: Setup, model: str) -> ModelCard:
    card = setup.catalogue.card(model)
    if card is None:
        raise usage_error(f"no card is called {model!r}", "`nemocli models ls` lists them")
    return card


def _rate(rate: object) -> str:
    return "" if rate is None else f"{rate:f}"


def _tier(tier: Tier) -> str:
    rates = "/".join(_rate(r) or "-" for r in (tier.input, tier.cached_input, tier.output))
    return f"above {tier.above:,} tokens {rates}"


def _rates(price: Price) -> str:
    """Input, cached input and output."""
    return "/".join(_rate(r) or "-" for r in (price.input, price.cached_input, price.output))
