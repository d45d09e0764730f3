"""Prices with dates, costs in whole pico-dollars: sums are exact in any order.

1 USD per million tokens is 1,000,000 pico-USD per token, so every price ever listed for a token is
a whole number here, and a 64-bit integer holds nine million dollars.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal, NewType

from nemocli.core.usage import Usage, superset
from nemocli.core.value_class import value_class

Pico = NewType("Pico", int)
"""10^-12 US dollars."""

PICO_PER_USD = 10**12
PICO_PER_TOKEN_AT_1_PER_MILLION = 10**6
MOST_PICO = 2**63 - 1
"""What a 64-bit integer holds: a call said to cost more is a mistake in somebody's units."""

CostSource = Literal["reported", "reconciled", "table", "override", "gpu_hours", "free", "unknown"]
CostFlag = Literal["cached_rate_missing", "differs_from_table"]
PriceOrigin = Literal["bundled", "override", "catalogue"]


@value_class(frozen=True, slots=True)
class Tier:
    """Other rates for a whole call whose input has more than `above` tokens."""

    above: int
    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None


@value_class(frozen=True, slots=True)
class Price:
    """One dated price row: US dollars per million tokens, `per_request` in US dollars.

    A row holds from `valid_from` until `valid_to` (exclusive), or until the next row of the same
    seller, model and variant. A None rate falls back: cached and cache write to input, reasoning to
    output, which is how sellers bill what they do not list. `tiers` are the rates of long calls.
    """

    seller: str
    model: str
    valid_from: date
    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    reasoning: Decimal | None = None
    per_request: Decimal | None = None
    variant: str | None = None
    valid_to: date | None = None
    source: str = ""
    origin: PriceOrigin = "bundled"
    tiers: tuple[Tier, ...] = ()

    def at(self, input_tokens: int) -> Price:
        """The rates that hold for a call with so much input; in a tier, what it does not list is
        billed as its input and output are."""
        reached = [t for t in self.tiers if input_tokens > t.above]
        if not reached:
            return self
        tier = max(reached, key=lambda t: t.above)
        return replace(
            self,
            input=tier.input,
            output=tier.output,
            cached_input=tier.cached_input,
            cache_write=None,
            reasoning=None,
            tiers=(),
        )

    @property
    def id(self) -> str:
        """Stable name of the row, stored with every call booked at it."""
        model = f"{self.model}:{self.variant}" if self.variant else self.model
        return f"{self.seller}/{model}@{self.valid_from.isoformat()}"

    @property
    def listing(self) -> str:
        """The seller, and which of its variants: `openrouter:free`."""
        return f"{self.seller}:{self.variant}" if self.variant else self.seller

    @property
    def free(self) -> bool:
        """Whether nothing on this row costs anything."""
        rates = (
            self.input,
            self.output,
            self.cached_input,
            self.cache_write,
            self.reasoning,
            self.per_request,
            *(rate for tier in self.tiers for rate in (tier.input, tier.output)),
        )
        return not any(rates)


@value_class(frozen=True, slots=True)
class Cost:
    """What an attempt cost, and how that is known. `pico` None is unknown, never zero.

    `list_pico` is what the same tokens cost at the seller of `list_price_id`; it differs from
    `pico` for free and self-hosted calls. `flags` say what somebody should look at: cached tokens
    billed at the full rate because no cached rate is listed, or a reported cost that is more than
    2 % away from the table.
    """

    pico: Pico | None
    source: CostSource
    price_id: str | None = None
    list_pico: Pico | None = None
    list_price_id: str | None = None
    flags: tuple[CostFlag, ...] = ()


UNKNOWN = Cost(None, "unknown")
NOTHING = Cost(Pico(0), "free")
"""Of a request that was turned away before anyone could bill it."""


def pico_from_usd(usd: Decimal) -> Pico:
    """Whole pico-dollars of a dollar amount, half to even below that."""
    return Pico(int((usd * PICO_PER_USD).to_integral_value(ROUND_HALF_EVEN)))


def usd_from_pico(pico: int) -> Decimal:
    """The exact dollar amount."""
    return Decimal(pico).scaleb(-12)


def usd_text(pico: int | None) -> str | None:
    """An exact decimal string without exponent or trailing zeros (`0.0000123`), or None."""
    if pico is None:
        return None
    whole, part = divmod(abs(pico), PICO_PER_USD)
    sign = "-" if pico < 0 else ""
    return f"{sign}{whole}.{part:012d}".rstrip("0").rstrip(".") if part else f"{sign}{whole}"


def usd_short(pico: int) -> str:
    """For people: `$12.34`, `$0.0312`, `$0.0000012`; small sums keep two digits, never 0."""
    usd = abs(usd_from_pico(pico))
    if usd == 0:
        return "$0"
    shown = usd.quantize(Decimal("0.0001"))
    places = 2 if shown >= 1 else 4 if shown >= Decimal("0.01") else 1 - usd.adjusted()
    return f"{'-' if pico < 0 else ''}${usd.quantize(Decimal(1).scaleb(-places)):,f}"


def total_of(costs: Iterable[int | None]) -> int | None:
    """A sum in pico-USD; None where one part is unknown."""
    total = 0
    for cost in costs:
        if cost is None:
            return None
        total += cost
    return total


def price_on(prices: Iterable[Price], day: date) -> Price | None:
    """The row that holds on a day: the youngest begun one that has not ended.

    A user's override beats a refreshed catalogue, which beats the bundled table. An open row ends
    for good where the next one begins: when that one is over, the price is not known any more.
    """
    rank = {"override": 2, "catalogue": 1, "bundled": 0}
    begun = [p for p in prices if p.valid_from <= day]
    last: dict[tuple[object, ...], date] = {}
    for p in begun:
        last[_line(p)] = max(p.valid_from, last.get(_line(p), p.valid_from))
    holding = [
        p
        for p in begun
        if (p.valid_from == last[_line(p)] if p.valid_to is None else day < p.valid_to)
    ]
    return max(holding, key=lambda p: (rank[p.origin], p.valid_from), default=None)


def _line(price: Price) -> tuple[object, ...]:
    """What one dated row follows another in."""
    return price.origin, price.seller, price.model, price.variant


def table_cost(usage: Usage, price: Price) -> Pico | None:
    """Tokens times rates, each class once; None while a total is unknown.

    Cached tokens without a listed cached rate are billed at the full input rate. A part that does
    not fit in its whole is not billed at all, so that no bill is ever negative.
    """
    usage = superset(usage)
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    price = price.at(usage.input_tokens)
    cached, written = usage.cached_input_tokens or 0, usage.cache_write_tokens or 0
    reasoning = usage.reasoning_tokens or 0
    per_million = (
        (usage.input_tokens - cached - written) * price.input
        + cached * _or(price.cached_input, price.input)
        + written * _or(price.cache_write, price.input)
        + (usage.output_tokens - reasoning) * price.output
        + reasoning * _or(price.reasoning, price.output)
    )
    return pico_from_usd(per_million / 10**6 + (price.per_request or 0))


def cost_of(
    usage: Usage,
    price: Price | None,
    reported_usd: Decimal | None = None,
    list_price: Price | None = None,
) -> Cost:
    """What the seller says beats what the table says; what neither says is unknown.

    `list_price` is the reference seller's row for calls that are free or self-hosted; a free row is
    nobody's list price. A sum no 64-bit integer holds is not believed, whoever says it.
    """
    list_row = list_price
    if list_row is None and price is not None and not price.free:
        list_row = price
    list_pico = _table(usage, list_row)
    list_id = list_row.id if list_row is not None and list_pico is not None else None
    price_id = price.id if price is not None else None
    if reported_usd is not None and 0 <= reported_usd <= usd_from_pico(MOST_PICO):
        pico = pico_from_usd(reported_usd)
        own = price is not None and list_row is price
        odd = own and differs(pico, list_pico)
        flags: tuple[CostFlag, ...] = ("differs_from_table",) if odd else ()
        return Cost(pico, "reported", price_id, list_pico, list_id, flags)
    if price is None:
        return Cost(None, "unknown", None, list_pico, list_id)
    if price.free:
        return Cost(Pico(0), "free", price_id, list_pico, list_id)
    known = _table(usage, price)
    if known is None:
        return Cost(None, "unknown", price_id, list_pico, list_id)
    source: CostSource = "override" if price.origin == "override" else "table"
    counted = superset(usage)
    rate = price.at(counted.input_tokens or 0).cached_input
    full = bool(counted.cached_input_tokens) and rate is None
    return Cost(
        known, source, price_id, list_pico, list_id, ("cached_rate_missing",) if full else ()
    )


def differs(pico: int, table: int | None) -> bool:
    """Whether a seller's figure is more than 2 % away from what its listed prices come to."""
    return table is not None and abs(pico - table) * 50 > table


def _table(usage: Usage, price: Price | None) -> Pico | None:
    pico = None if price is None else table_cost(usage, price)
    return pico if pico is None or pico <= MOST_PICO else None


def _or(rate: Decimal | None, fallback: Decimal) -> Decimal:
    return fallback if rate is None else rate
