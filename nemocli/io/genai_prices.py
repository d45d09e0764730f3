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


def installed() -> bool:
    """Whether the package is there."""
    return find_spec("genai_prices") is not None


def bundled_prices(cards: Iterable[ModelCard]) -> Iterator[Price]:
    """Its rows for models that the cards offer, each from its first day on. Sellers there are
    called as here, or SELLER_VARIANT. Conditions other than a first day are passed over: they are
    no price of every call."""
    from genai_prices.data_snapshot import get_snapshot

    said = f"genai-prices {metadata.version('genai-prices')}"
    wanted = {
        (offer.provider, offer.variant, _bare(offer.id)): card.name
        for card in cards
        for offer in card.offers
    }
    for seller in get_snapshot().providers:
        name, _, variant = seller.id.partition("_")
        for model in seller.models:
            bare = _bare(model.id)
            card = wanted.get((name, variant or None, bare))
            if card is None and bare.endswith(":free"):
                card = wanted.get((name, "free", bare))
                variant = "free"
            if card is None:
                continue
            for begin, rates in _dated(model.prices):
                row = _row(rates, name, card, variant=variant or None, begin=begin, said=said)
                if row is not None:
                    yield row


class _Rates(Protocol):
    """USD per million tokens: a Decimal, tiers by context, or None."""

    input_mtok: object
    output_mtok: object
    cache_read_mtok: object


def _bare(name: str) -> str:
    return name.lower().rpartition("/")[2]


_FIRST = date(2026, 6, 4)
"""The model's first day: a row without one holds from there."""


def _dated(prices: object) -> Iterator[tuple[date, _Rates]]:
    if not isinstance(prices, list):
        yield _FIRST, cast(_Rates, prices)
        return
    for one in prices:
        begin = getattr(one.constraint, "start_date", None)
        if one.constraint is None or begin is not None:
            yield begin or _FIRST, one.prices


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
