"""One call's cost: tokens times price, where every number comes from, and the other paths."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from nemocli.core.moments import utc_text
from nemocli.core.money import Price, differs, table_cost, usd_text
from nemocli.core.records import cost_json, usage_json
from nemocli.core.text import one_line
from nemocli.core.usage import Usage, superset
from nemocli.core.value_class import value_class
from nemocli.core.values import Json
from nemocli.cost.calls import CallRow


@value_class(frozen=True, slots=True)
class Term:
    """Tokens of a class at a rate (USD per million), in pico-USD; `note`: what was assumed."""

    what: str
    tokens: int
    rate: Decimal
    pico: Decimal
    note: str = ""


@value_class(frozen=True, slots=True)
class Other:
    """The same tokens at another seller."""

    seller: str
    price: Price
    pico: int


@value_class(frozen=True, slots=True)
class Explained:
    """A call, the row it was or would be priced by, its sum, and what others would have taken."""

    row: CallRow
    price: Price | None
    terms: tuple[Term, ...]
    table_pico: int | None
    others: tuple[Other, ...]


def explain(row: CallRow, prices: Iterable[Price], held: Sequence[Price]) -> Explained:
    """`prices` are all rows of the model, `held` those that held on the call's day, one for each
    seller and variant."""
    cost, usage = row.entry.cost, row.entry.usage
    wanted = cost.price_id or (cost.list_price_id if cost.pico is None else None)
    price = next((p for p in prices if p.id == wanted), None)
    others = []
    for one in held:
        pico = table_cost(usage, one)
        if pico is not None and one.id != (price.id if price is not None else None):
            others.append(Other(one.listing, one, pico))
    others.sort(key=lambda o: (o.pico, o.seller))
    terms = () if price is None else tuple(terms_of(usage, price))
    table = None if price is None else table_cost(usage, price)
    return Explained(row, price, terms, table, tuple(others))


def terms_of(usage: Usage, price: Price) -> Iterable[Term]:
    """The classes of tokens that are billed apart. Nothing while a total is unknown."""
    usage = superset(usage)
    if usage.input_tokens is None or usage.output_tokens is None:
        return
    price = price.at(usage.input_tokens)
    cached, written = usage.cached_input_tokens or 0, usage.cache_write_tokens or 0
    reasoning = (usage.reasoning_tokens or 0) if price.reasoning is not None else 0
    yield _term("input", usage.input_tokens - cached - written, price.input)
    if cached:
        note = "" if price.cached_input is not None else "no cached rate is listed: the full one"
        yield _term("cached input", cached, price.cached_input, price.input, note)
    if written:
        note = "" if price.cache_write is not None else "no rate is listed: the input one"
        yield _term("cache write", written, price.cache_write, price.input, note)
    yield _term("output", usage.output_tokens - reasoning, price.output)
    if reasoning:
        yield _term("reasoning", reasoning, price.reasoning)
    if price.per_request:
        yield Term("request", 1, price.per_request, price.per_request * 10**12)


def _term(
    what: str,
    tokens: int,
    rate: Decimal | None,
    fallback: Decimal | None = None,
    note: str = "",
) -> Term:
    used = rate if rate is not None else fallback or Decimal(0)
    return Term(what, tokens, used, tokens * used * 10**6, note)


_SOURCES = {
    "reported": "said by {who} in its reply",
    "reconciled": "said by {who} afterwards",
    "table": "tokens times the listed price",
    "override": "tokens times your own price",
    "gpu_hours": "its part of a GPU lease, by tokens",
    "free": "nothing is charged",
    "unknown": "nobody has said, and no price is known",
}


def explanation_lines(found: Explained) -> list[str]:
    """For people."""
    entry = found.row.entry
    who = entry.provider + (f" via {one_line(entry.upstream, 60)}" if entry.upstream else "")
    served = one_line(entry.served_model or entry.requested_model, 80)
    at = entry.at.astimezone()
    lines = [
        f"call    {entry.attempt_id}: {entry.command}, {at:%Y-%m-%d %H:%M:%S}, {entry.status}",
        f"run     {entry.run_id}, attempt {entry.attempt}",
        f"path    {who}, {served}",
        f"tokens  {_tokens(entry.usage)}",
    ]
    if found.price is not None:
        lines += _priced(found.price, found.terms, found.table_pico)
    lines.append(f"cost    {_cost(found)}")
    booked = found.row.booked
    if found.row.settled_at is not None and booked.pico != entry.cost.pico:
        was = "unknown" if booked.pico is None else f"${usd_text(booked.pico)}"
        lines.append(f"        booked at {was} ({booked.source}) before")
    flags = {
        "cached_rate_missing": "cached tokens are billed in full: no cached rate is listed",
        "differs_from_table": "more than 2 % away from the listed price",
    }
    lines += [f"        note: {flags[flag]}" for flag in entry.cost.flags]
    if found.others:
        lines.append("")
        lines.append("the same tokens elsewhere, at that day's listed prices")
        width = max(len(o.seller) for o in found.others)
        own = entry.cost.pico
        for other in found.others:
            ratio = f"  {other.pico / own:.2f}x" if own else ""
            lines.append(f"  {other.seller:<{width}}  ${usd_text(other.pico)}{ratio}")
    return lines


def _priced(price: Price, terms: Sequence[Term], table: int | None) -> list[str]:
    lines = [f"price   {price.id} ({price.origin}; {price.source or 'no source'})"]
    for term in terms:
        unit = "a request" if term.what == "request" else "per million"
        amount = f"${usd_text(int(term.pico))}"
        note = f"  ({term.note})" if term.note else ""
        lines.append(
            f"        {term.tokens:>12,} {term.what:<12} x {term.rate:f} {unit} = {amount}{note}"
        )
    if table is not None:
        lines.append(f"        {'':>12} {'sum':<12}   = ${usd_text(table)}")
    return lines


def _tokens(usage: Usage) -> str:
    def of(count: int | None) -> str:
        return "unknown" if count is None else f"{count:,}"

    parts = [f"{of(usage.input_tokens)} in"]
    if usage.cached_input_tokens:
        parts.append(f"{usage.cached_input_tokens:,} of them cached")
    parts.append(f"{of(usage.output_tokens)} out")
    if usage.reasoning_tokens:
        parts.append(f"{usage.reasoning_tokens:,} of them reasoning")
    said = "estimated from lengths" if usage.source == "estimated" else "counted by the server"
    return f"{', '.join(parts)} ({said})"


def _cost(found: Explained) -> str:
    entry = found.row.entry
    how = _SOURCES[entry.cost.source].format(who=entry.provider)
    pico = entry.cost.pico
    if pico is None:
        return f"unknown: {how}"
    text = f"${usd_text(pico)}: {how}"
    table = found.table_pico
    if entry.cost.source in ("reported", "reconciled") and table and differs(pico, table):
        text += f"; the table says {(table - pico) * 100 / pico if pico else 0:+.1f} %"
    if pico == 0 and entry.cost.list_pico:
        text += f"; listed at ${usd_text(entry.cost.list_pico)} ({entry.cost.list_price_id})"
    return text


def explanation_json(found: Explained) -> dict[str, Json]:
    """One item of `nemocli.explain/1`; money as decimal strings in USD."""
    entry, cost = found.row.entry, found.row.entry.cost
    return {
        "id": entry.attempt_id,
        "run": entry.run_id,
        "attempt": entry.attempt,
        "at": utc_text(entry.at),
        "command": entry.command,
        "status": entry.status,
        "provider": entry.provider,
        "upstream": entry.upstream,
        "model": entry.model,
        "served_model": entry.served_model,
        "usage": usage_json(entry.usage),
        "cost": cost_json(cost),
        "booked": {"usd": usd_text(found.row.booked.pico), "source": found.row.booked.source},
        "table_usd": usd_text(found.table_pico),
        "terms": [
            {
                "what": t.what,
                "tokens": t.tokens,
                "usd_per_million": f"{t.rate:f}",
                "usd": usd_text(int(t.pico)),
                "note": t.note or None,
            }
            for t in found.terms
        ],
        "elsewhere": [
            {"seller": o.seller, "price_id": o.price.id, "usd": usd_text(o.pico)}
            for o in found.others
        ],
    }
