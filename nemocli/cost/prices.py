"""Price rows as lines of a file, and doubts about new ones: what is absurd is not believed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Literal

from nemocli.core.money import Price, Tier, price_on
from nemocli.core.value_class import value_class
from nemocli.core.values import Json, JsonObject, mappings

RATES = ("input", "cached_input", "cache_write", "output", "reasoning", "per_request")
JUMP = 100
"""A price that became so many times larger or smaller is a mistake until somebody says not."""
DEAREST = Decimal(1000)
"""USD per million tokens; what anybody has charged for a token is far below."""

Verdict = Literal["new", "unchanged", "refused"]


@value_class(frozen=True, slots=True)
class JudgedPrice:
    """A row that was found, what becomes of it, and why."""

    price: Price
    verdict: Verdict
    why: str = ""
    before: Price | None = None


def judge_price(found: Price, rows: Iterable[Price], *, may_be_free: bool = False) -> JudgedPrice:
    """Whether a row is news, and to be believed. `rows` are those of the same model at all sellers;
    without one of the same line, the others say what is usual."""
    known = list(rows)
    line = [r for r in known if (r.seller, r.variant) == (found.seller, found.variant)]
    held = price_on(line, found.valid_from)
    why = _absurd(found, may_be_free=may_be_free)
    if why is None and held is not None and not held.free:
        why = _jumped(found, held, "before")
    elif why is None:
        others = [p for p in (price_on([r], found.valid_from) for r in known) if p and not p.free]
        if others and not found.free:
            others.sort(key=lambda p: p.input + p.output)
            why = _jumped(found, others[len(others) // 2], "usual elsewhere")
    if why is not None:
        return JudgedPrice(found, "refused", why, held)
    if held is not None and same_rates(held, found):
        return JudgedPrice(found, "unchanged", "", held)
    return JudgedPrice(found, "new", "", held)


def holding(rows: Iterable[Price], day: date) -> list[Price]:
    """Of the rows of one model those that hold on a day: one for each seller and variant."""
    lines: dict[tuple[str, str | None], list[Price]] = {}
    for row in rows:
        lines.setdefault((row.seller, row.variant), []).append(row)
    return [p for line in lines.values() if (p := price_on(line, day)) is not None]


def same_rates(a: Price, b: Price) -> bool:
    """Whether two rows say the same of every class of tokens, however long the call."""
    return a.tiers == b.tiers and all(_rate(a, name) == _rate(b, name) for name in RATES)


def _rate(price: Price, name: str) -> Decimal | None:
    value: Decimal | None = getattr(price, name)
    if value is not None or name == "per_request":
        return value or None
    fallback = price.output if name == "reasoning" else price.input
    return fallback if name != "cached_input" else None


def _absurd(found: Price, *, may_be_free: bool) -> str | None:
    for name in RATES:
        value: Decimal | None = getattr(found, name)
        if value is None:
            continue
        if not value.is_finite() or value < 0:
            return f"{name} is {value}"
        if value > DEAREST and name != "per_request":
            return f"{name} is {value:f} USD per million tokens; {_UNITS}"
    for tier in found.tiers:
        for rate in (tier.input, tier.output, tier.cached_input):
            if rate is not None and not (rate.is_finite() and 0 <= rate <= DEAREST):
                return f"above {tier.above} tokens a rate is {rate}"
    if found.free and not may_be_free:
        return "it would cost nothing"
    if found.per_request is not None and found.per_request > 10:
        return f"per_request is {found.per_request:f} USD"
    return None


_UNITS = "is it per token where per million is meant?"


def _jumped(found: Price, before: Price, when: str) -> str | None:
    for name in ("input", "cached_input", "output"):
        new: Decimal | None = getattr(found, name)
        old: Decimal | None = getattr(before, name)
        if not new or not old:
            if name != "cached_input" and (new == 0) != (old == 0):
                return f"{name} is {new} and was {old} {when}"
            continue
        ratio = max(new / old, old / new)
        if ratio >= JUMP:
            unit = f"; {_UNITS}" if ratio > 10_000 else ""
            return f"{name} is {new:f} and {old:f} {when}, a jump of {ratio:.0f} times{unit}"
    return None


def price_json(price: Price, fetched_at: str | None = None) -> dict[str, Json]:
    """One row; rates as decimal strings, USD per million tokens."""
    row: dict[str, Json] = {
        "id": price.id,
        "seller": price.seller,
        "model": price.model,
        "variant": price.variant,
        "valid_from": price.valid_from.isoformat(),
        "valid_to": None if price.valid_to is None else price.valid_to.isoformat(),
    }
    for name in RATES:
        value: Decimal | None = getattr(price, name)
        row[name] = None if value is None else f"{value:f}"
    if price.tiers:
        row["tiers"] = [
            {
                "above": t.above,
                "input": f"{t.input:f}",
                "cached_input": None if t.cached_input is None else f"{t.cached_input:f}",
                "output": f"{t.output:f}",
            }
            for t in price.tiers
        ]
    row |= {"source": price.source, "origin": price.origin}
    return row if fetched_at is None else row | {"fetched_at": fetched_at}


def price_from(row: JsonObject) -> Price:
    """The reverse. Raises ValueError saying what is wrong with it."""
    try:
        rates = {n: Decimal(str(row[n])) for n in RATES if row.get(n) is not None}
        days = {
            n: date.fromisoformat(str(row[n])) for n in ("valid_from", "valid_to") if row.get(n)
        }
        origin = str(row["origin"])
        price = Price(
            seller=_text(row, "seller"),
            model=_text(row, "model"),
            valid_from=days["valid_from"],
            input=rates["input"],
            output=rates["output"],
            cached_input=rates.get("cached_input"),
            cache_write=rates.get("cache_write"),
            reasoning=rates.get("reasoning"),
            per_request=rates.get("per_request"),
            variant=None if row.get("variant") is None else _text(row, "variant"),
            source=str(row.get("source") or ""),
            valid_to=days.get("valid_to"),
            origin="override" if origin == "override" else "catalogue",
            tiers=tuple(_tier(tier) for tier in mappings(row.get("tiers"))),
        )
    except KeyError as error:
        raise ValueError(f"{error.args[0]} is missing") from None
    except InvalidOperation:
        raise ValueError("a rate is no number") from None
    if why := _absurd(price, may_be_free=True):
        raise ValueError(why)
    return price


def _tier(row: JsonObject) -> Tier:
    above, cached = row["above"], row.get("cached_input")
    if not isinstance(above, int) or above < 1:
        raise ValueError("above is no number of tokens")
    return Tier(
        above,
        Decimal(str(row["input"])),
        Decimal(str(row["output"])),
        None if cached is None else Decimal(str(cached)),
    )


def _text(row: JsonObject, name: str) -> str:
    value = row[name]
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is no text")
    return value
