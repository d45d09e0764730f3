"""What sellers list today, as price rows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from urllib.parse import quote

from nemocli.core.card import ModelCard, Offer
from nemocli.core.faults import Fault, NemoError
from nemocli.core.money import Price
from nemocli.core.ports import World
from nemocli.core.provider import Provider
from nemocli.core.value_class import value_class
from nemocli.engine.discover import get, list_models
from nemocli.wire.catalog import Listed, hosts


@value_class(frozen=True, slots=True)
class ListedPrice:
    """A row that a seller lists, and whether it may cost nothing."""

    price: Price
    may_be_free: bool


@value_class(frozen=True, slots=True)
class Unlisted:
    """Why there is no row for an offer: the seller's refusal, or that it names no price."""

    seller: str
    id: str
    why: str


async def list_prices(
    provider: Provider, cards: Iterable[ModelCard], world: World
) -> list[ListedPrice | Unlisted]:
    """A row for every offer of this provider on the cards, as listed now. Raises NemoError when the
    provider cannot be asked at all. No key is sent: listings are public."""
    offers = [(c, o) for c in cards for o in c.offers if o.provider == provider.name]
    today = world.clock.now().date()
    path = provider.paths.get("endpoints")
    if path is None:
        rows = {m.id: m for m in await list_models(provider, provider.base_url, None, world)}
        where = provider.url("models")
        return [_found(provider, c, o, rows.get(o.id), url=where, today=today) for c, o in offers]
    found: list[ListedPrice | Unlisted] = []
    for card, offer in offers:
        url = provider.base_url + path.replace("{model}", quote(offer.id, safe="/:"))
        try:
            up = hosts(await get(provider, url, None, world))
        except NemoError as error:
            if not _unknown(error.fault):
                raise
            found.append(Unlisted(provider.name, offer.id, "it is not listed"))
            continue
        found.append(_found(provider, card, offer, up[0] if up else None, url=url, today=today))
    return found


def _unknown(fault: Fault) -> bool:
    """One model that is gone says nothing about the others."""
    return fault.status in (400, 404, 410)


def _found(
    provider: Provider,
    card: ModelCard,
    offer: Offer,
    row: Listed | None,
    *,
    url: str,
    today: date,
) -> ListedPrice | Unlisted:
    if row is None:
        return Unlisted(provider.name, offer.id, "it is not listed")
    if row.input_usd is None or row.output_usd is None:
        return Unlisted(provider.name, offer.id, "no price is listed")
    host = "" if row.id == offer.id else f", cheapest host {row.id}"
    price = Price(
        provider.name,
        card.name,
        today,
        row.input_usd,
        row.output_usd,
        row.cached_input_usd,
        row.cache_write_usd,
        row.reasoning_usd,
        row.request_usd or None,
        offer.variant,
        source=f"{url} ({today.isoformat()}{host})",
        origin="catalogue",
        tiers=row.tiers,
    )
    return ListedPrice(price, offer.variant == "free" or offer.id.endswith(":free"))
