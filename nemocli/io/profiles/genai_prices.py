"""The dated table of the genai-prices package, where it is installed; nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from importlib import metadata
from importlib.util import find_spec
from typing import Protocol, cast

from nemocli.core.card import ModelCard
from nemocli.core.money import Price


def is_installed() -> bool:
    """Whether the package is there."""
    return find_spec("genai_prices") is not None


def package_prices(cards: Iterable[ModelCard], today: date) -> Iterator[Price]:
    """Its rows for models that the cards offer, each from its first day on; one without a day is
    what holds now, and says nothing of the past. Sellers there are called as here, or
    SELLER_VARIANT. Conditions other than a first day are passed over: they are no price of every
    call."""
    from genai_prices.data_snapshot import get_snapshot

    said = f"genai-prices {metadata.version('genai-prices')}"
    wanted = {
        (offer.provider, offer.variant, _bare(offer.id)): card.name
        for card in cards
        for offer in card.offers
    }
    for seller in get_snapshot().providers:
        name, _, host = seller.id.partition("_")
        for model in seller.models:
            bare = _bare(model.id)
            variant = "free" if bare.endswith(":free") else host or None
            card = wanted.get((name, variant, bare))
            if card is None:
                continue
            for begin, rates in _dated(model.prices, today):
                row = _row(rates, name, card, variant=variant, begin=begin, said=said)
                if row is not None:
                    yield row


class _Rates(Protocol):
    """USD per million tokens: a Decimal, tiers by context, or None."""

    input_mtok: object
    output_mtok: object
    cache_read_mtok: object


def _bare(name: str) -> str:
    return name.lower().rpartition("/")[2]


def _dated(prices: object, today: date) -> Iterator[tuple[date, _Rates]]:
    if not isinstance(prices, list):
        yield today, cast(_Rates, prices)
        return
    dated = [p for p in prices if getattr(p.constraint, "start_date", None) is not None]
    for one in dated:
        yield one.constraint.start_date, one.prices
    if not dated:
        yield from ((today, one.prices) for one in prices if one.constraint is None)


def _row(
    rates: _Rates, seller: str, model: str, *, variant: str | None, begin: date, said: str
) -> Price | None:
    given, made, cached = rates.input_mtok, rates.output_mtok, rates.cache_read_mtok
    if not isinstance(given, Decimal) or not isinstance(made, Decimal):
        return None
    return Price(
        seller,
        model,
        begin,
        given,
        made,
        cached if isinstance(cached, Decimal) else None,
        variant=variant,
        source=said,
        origin="catalogue",
    )
