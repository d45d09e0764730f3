"""Sums by day, as a seller keeps them."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.provider import Provider
from nemocli.core.values import count, dig, mappings
from nemocli.wire.jsontext import mapping, parse, string, usd


class DaySum(NamedTuple):
    """What a day of UTC (ISO date) cost in USD, its part at an upstream of one's own included."""

    day: str
    usd: Decimal
    calls: int


def day_sums(provider: Provider, body: bytes) -> list[DaySum]:
    """The days in an answer, oldest first. Raises NemoError (protocol) for another answer."""
    paths = provider.activity
    try:
        value = parse(body.decode("utf-8", "replace"))
    except ValueError:
        value = None
    rows = dig(mapping(value), paths.rows) if paths is not None else None
    if paths is None or not isinstance(rows, list):
        message = f"{provider.name} was asked for its sums by day and said something else"
        raise NemoError(Fault(FaultKind.PROTOCOL, message, provider=provider.name))
    days: dict[str, DaySum] = {}
    for row in mappings(rows):
        day = (string(dig(row, paths.fields.get("day", "date"))) or "")[:10]
        own = usd(dig(row, paths.fields.get("usd", "usage"))) or Decimal(0)
        more = (
            usd(dig(row, paths.fields["upstream_usd"])) if "upstream_usd" in paths.fields else None
        )
        calls = count(dig(row, paths.fields.get("calls", "requests"))) or 0
        if day:
            before = days.get(day, DaySum(day, Decimal(0), 0))
            days[day] = DaySum(day, before.usd + own + (more or 0), before.calls + calls)
    return [days[day] for day in sorted(days)]
