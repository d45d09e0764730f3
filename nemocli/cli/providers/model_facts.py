"""What is known of models, as rows: for tables, for `--json`, for people."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, TypedDict

from nemocli.cli.providers.provider_facts import OfferFacts, PriceFacts, offer_json, price_text
from nemocli.cli.terminal.tables import facts, table
from nemocli.core.faults import NemoError, usage_error
from nemocli.core.plan import Target

if TYPE_CHECKING:
    from nemocli.cli.context import Setup
    from nemocli.core.card import ModelCard, Offer
    from nemocli.core.provider import Provider


class CheapestOffer(PriceFacts):
    """The price of the paid offer that costs least today, and where that is."""

    provider: str


class CardRow(TypedDict):
    """A model in `models ls --json`."""

    model: str
    title: str
    context: int | None
    providers: list[str]
    aliases: list[str]
    cheapest: CheapestOffer | None
    free_at: list[str]


class WeightFacts(TypedDict):
    """A repository with its weights."""

    repo: str
    precision: str
    size_bytes: int | None
    gated: bool
    source: str


class HardwareFacts(TypedDict):
    """GPUs that run it, by the vendor's list."""

    gpu: str
    memory_gb: int
    precision: str
    count: int
    tensor_parallel: int | None
    nodes: int
    source: str


class CardFacts(TypedDict):
    """All of `models show --json`."""

    model: str
    title: str
    description: str
    parameters: str
    context: int | None
    output_limit: int | None
    aliases: list[str]
    reasoning: list[str]
    default_reasoning: str | None
    sampling: dict[str, str]
    tools: bool | None
    licence: str
    released: str
    offers: list[OfferFacts]
    weights: list[WeightFacts]
    hardware: list[HardwareFacts]
    notes: list[str]
    file: str


def card_rows(setup: Setup) -> list[CardRow]:
    """One row a card."""
    return [_card_row(setup, card) for card in setup.catalogue.cards.values()]


def _card_row(setup: Setup, card: ModelCard) -> CardRow:
    offers = [offer_json(card, o, _provider(setup, o.provider)) for o in card.offers]
    contexts = [o.context for o in card.offers if o.context is not None]
    return {
        "model": card.name,
        "title": card.title,
        "context": card.context or max(contexts, default=None),
        "providers": list(dict.fromkeys(o.provider for o in card.offers)),
        "aliases": list(card.aliases),
        "cheapest": _cheapest(offers),
        "free_at": list(dict.fromkeys(o.provider for o in card.offers if _unpaid(setup, card, o))),
    }


def _unpaid(setup: Setup, card: ModelCard, offer: Offer) -> bool:
    provider = _provider(setup, offer.provider)
    own = provider is not None and Target(provider, offer.id, card, offer).free
    return own or _free(offer_json(card, offer, provider))


def _cheapest(offers: list[OfferFacts]) -> CheapestOffer | None:
    """The paid offer at which a million tokens in and a million out cost least today."""
    paid = [(o, p) for o in offers if (p := o["price"]) is not None and not _free(o)]
    if not paid:
        return None
    offer, price = min(paid, key=lambda row: _both(row[1]))
    return {"provider": offer["provider"], **price}


def _both(price: PriceFacts) -> Decimal:
    return Decimal(price["input"]) + Decimal(price["output"])


def _free(offer: OfferFacts) -> bool:
    price = offer["price"]
    return price is not None and not _both(price)


def card_table(rows: list[CardRow], width: int | None) -> list[str]:
    """For people."""
    headers = ("MODEL", "CONTEXT", "CHEAPEST, USD PER MILLION", "SINCE, SOURCE", "SERVED BY")
    return table((*headers, "WHAT IT IS"), [_card_cells(row) for row in rows], width)


def _card_cells(row: CardRow) -> tuple[str, ...]:
    price, free = row["cheapest"], join(row["free_at"])
    shown, since = "-", "-"
    if price is not None:
        shown = f"{price_text(price)} at {price['provider']}"
        since = f"{price['valid_from']}, {price['source']}"
    if free:
        shown = f"free at {free}" if shown == "-" else f"{shown}; free at {free}"
    served = join(row["providers"]) or "-"
    return row["model"], tokens(row["context"]), shown, since, served, row["title"]


def find_card(setup: Setup, name: str) -> ModelCard:
    """The card a name means; a usage fault with the nearest names."""
    from difflib import get_close_matches

    card = setup.catalogue.card(name) or setup.catalogue.card(name.partition(":")[0])
    if card is not None:
        return card
    cards = list(setup.catalogue.cards.values())
    by_id = next((c for c in cards for o in c.offers if o.id == name), None)
    if by_id is not None:
        return by_id
    known = [n for c in cards for n in (c.name, *c.aliases)]
    near = get_close_matches(name.lower(), known, 2, 0.5)
    hint = f"did you mean `{near[0]}`?" if near else "`nemocli models ls` lists them"
    raise usage_error(f"no model {name!r}", hint)


def card_info(setup: Setup, card: ModelCard) -> CardFacts:
    """The whole card, with the prices that hold today."""
    return {
        "model": card.name,
        "title": card.title,
        "description": card.description,
        "parameters": card.parameters,
        "context": card.context,
        "output_limit": card.output_limit,
        "aliases": list(card.aliases),
        "reasoning": list(card.efforts),
        "default_reasoning": card.default_effort,
        "sampling": {k: str(v) for k, v in card.sampling.items()},
        "tools": card.tools,
        "licence": card.licence,
        "released": card.released,
        "offers": [offer_json(card, o, _provider(setup, o.provider)) for o in card.offers],
        "weights": [
            {
                "repo": w.repo,
                "precision": w.precision,
                "size_bytes": w.size_bytes,
                "gated": w.gated,
                "source": w.source,
            }
            for w in card.weights
        ],
        "hardware": [
            {
                "gpu": h.gpu,
                "memory_gb": h.memory_gb,
                "precision": h.precision,
                "count": h.count,
                "tensor_parallel": h.tensor_parallel,
                "nodes": h.nodes,
                "source": h.source,
            }
            for h in card.hardware
        ],
        "notes": list(card.notes),
        "file": card.file,
    }


def _provider(setup: Setup, name: str) -> Provider | None:
    try:
        return setup.catalogue.providers.get(name)
    except NemoError:
        return None


def card_lines(card: ModelCard, said: CardFacts) -> list[str]:
    """For people."""
    lines = facts(
        [
            ("model", f"{card.name} ({card.title})"),
            ("what", card.description),
            ("size", card.parameters),
            ("context", f"{tokens(card.context)} tokens"),
            ("reasoning", ", ".join(card.efforts) or "none"),
            ("sampling", ", ".join(f"{k} {v}" for k, v in card.sampling.items())),
            ("also", ", ".join(card.aliases)),
            ("licence", card.licence),
            ("released", card.released),
        ]
    )
    cells = [
        (o["provider"], o["id"], tokens(o["context"]), price_text(o["price"]), _when(o))
        for o in said["offers"]
    ]
    if cells:
        headers = (
            "PROVIDER",
            "ID THERE",
            "CONTEXT",
            "USD PER MILLION TOKENS",
            "SINCE, SOURCE",
        )
        lines += ["", *table(headers, cells, None)]
    if card.weights:
        cells5 = [(w.repo, w.precision, gigabytes(w.size_bytes), w.source) for w in card.weights]
        lines += ["", *table(("WEIGHTS", "PRECISION", "SIZE", "SOURCE"), cells5, None)]
    if card.hardware:
        cells6 = [
            (f"{h.count} x {h.gpu}", f"{h.memory_gb} GB", h.precision, h.source)
            for h in card.hardware
        ]
        lines += ["", *table(("RUNS ON", "MEMORY EACH", "PRECISION", "SOURCE"), cells6, None)]
    return lines + [f"note: {n}" for n in card.notes]


def _when(offer: OfferFacts) -> str:
    price = offer["price"]
    if offer["end_of_life"]:
        return f"ends {offer['end_of_life']}"
    return f"{price['valid_from']}, {price['source']}" if price is not None else "-"


def tokens(value: int | None) -> str:
    """`262k`, `1M`: for reading, not for sums."""
    if value is None:
        return "-"
    for unit, size in (("M", 10**6), ("k", 10**3)):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return str(value)


def gigabytes(size: int | None) -> str:
    """Decimal gigabytes, as disks are sold."""
    return "-" if size is None else f"{size / 1e9:,.1f} GB"


def join(value: Sequence[str]) -> str:
    """A list in one cell."""
    return ", ".join(value)
