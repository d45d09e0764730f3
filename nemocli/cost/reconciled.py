"""Differences between the ledger and what sellers, or other prices, say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from nemocli.core.faults import Fault
from nemocli.core.money import usd_short, usd_text
from nemocli.core.ports import Entry
from nemocli.core.value_class import value_class
from nemocli.core.values import Json
from nemocli.cost.calls import CallRow


@dataclass(slots=True)
class Reconciliation:
    """Entries before and after their sellers were asked, those that nobody could say more of, and
    how many needed no question (`final`) or have nobody to ask (`unknowable`). `odd` are calls
    whose reported cost is more than 2 % away from the listed price."""

    settled: list[tuple[Entry, Entry]] = field(default_factory=list)
    failed: list[tuple[Entry, Fault]] = field(default_factory=list)
    odd: list[CallRow] = field(default_factory=list)
    final: int = 0
    unknowable: int = 0


def _change(before: Entry, after: Entry) -> str:
    was = "unknown" if before.cost.pico is None else f"${usd_text(before.cost.pico)}"
    return f"{was} -> ${usd_text(after.cost.pico)}"


def reconciliation_lines(found: Reconciliation) -> list[str]:
    """For people: each difference, then the counts."""
    lines = [
        f"{before.attempt_id}  {before.provider}  {_change(before, after)}"
        for before, after in found.settled
        if before.cost.pico != after.cost.pico
    ]
    lines += [
        f"{entry.attempt_id}  {entry.provider}  still {entry.cost.source}: {fault.message}"
        for entry, fault in found.failed
    ]
    for row in found.odd:
        cost = row.entry.cost
        lines.append(
            f"{row.entry.attempt_id}  {row.entry.provider}  reported ${usd_text(cost.pico)},"
            f" listed ${usd_text(cost.list_pico)}"
        )
    same = sum(b.cost.pico == a.cost.pico for b, a in found.settled)
    counts = (
        (len(found.settled) - same, "changed"),
        (same, "confirmed"),
        (len(found.failed), "not settled"),
        (len(found.odd), "away from the listed price"),
        (found.final, "final already"),
        (found.unknowable, "unknown, with nobody to ask"),
    )
    said = ", ".join(f"{n} {what}" for n, what in counts if n)
    return [*lines, said or "no calls in this period"]


def reconciliation_json(found: Reconciliation) -> dict[str, Json]:
    """Schema `nemocli.reconciled/1`; money as decimal strings in USD."""
    return {
        "schema": "nemocli.reconciled/1",
        "settled": [
            {
                "id": before.attempt_id,
                "provider": before.provider,
                "before_usd": usd_text(before.cost.pico),
                "before_source": before.cost.source,
                "usd": usd_text(after.cost.pico),
            }
            for before, after in found.settled
        ],
        "not_settled": [
            {"id": e.attempt_id, "provider": e.provider, "message": f.message}
            for e, f in found.failed
        ],
        "away_from_list": [
            {
                "id": row.entry.attempt_id,
                "provider": row.entry.provider,
                "usd": usd_text(row.entry.cost.pico),
                "list_usd": usd_text(row.entry.cost.list_pico),
            }
            for row in found.odd
        ],
        "final": found.final,
        "unknowable": found.unknowable,
    }


DaySums = Sequence[tuple[str, int, int, int, int]]
"""Day of UTC; pico-USD and calls of the seller; pico-USD and calls of the ledger."""


def days_lines(days: DaySums) -> list[str]:
    """A line a day, with what is in only one of both books."""
    if not days:
        return ["no days in this period"]
    lines = []
    for day, their, their_calls, our, our_calls in days:
        gap = their - our
        note = "" if not gap else f"  {'+' if gap > 0 else ''}{usd_short(gap)} not in this book"
        lines.append(
            f"{day}  seller {usd_short(their)} ({their_calls} calls)"
            f"  book {usd_short(our)} ({our_calls} calls){note}"
        )
    gap = sum(d[1] for d in days) - sum(d[3] for d in days)
    return [*lines, f"difference: {usd_short(gap)}"]


def days_json(days: DaySums) -> dict[str, Json]:
    """Schema `nemocli.activity/1`; money as decimal strings in USD."""
    rows: list[Json] = [
        {
            "day": day,
            "seller_usd": usd_text(their),
            "seller_calls": their_calls,
            "book_usd": usd_text(our),
            "book_calls": our_calls,
            "difference_usd": usd_text(their - our),
        }
        for day, their, their_calls, our, our_calls in days
    ]
    return {"schema": "nemocli.activity/1", "days": rows}


@value_class(frozen=True, slots=True)
class Valued:
    """Sums per provider and model: calls, booked and revalued pico-USD, calls left out of each."""

    as_of: date
    number: int = 0
    rows: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def add(self, entry: Entry, pico: int | None) -> None:
        """Count a call."""
        row = self.rows.setdefault((entry.provider, entry.model), [0, 0, 0, 0, 0])
        row[0] += 1
        row[1] += entry.cost.pico or 0
        row[2] += entry.cost.pico is None
        row[3] += pico or 0
        row[4] += pico is None


def valuation_lines(found: Valued) -> list[str]:
    """For people."""
    if not found.rows:
        return ["no calls in this period"]
    lines = []
    for (provider, model), (calls, booked, unbooked, new, unknown) in sorted(found.rows.items()):
        lines.append(
            f"{provider}  {model}  {calls} calls  booked {usd_short(booked)}"
            + (f" + {unbooked} unpriced" if unbooked else "")
            + f"  as of {found.as_of.isoformat()} {usd_short(new)}"
            + (f" + {unknown} without a price" if unknown else "")
        )
    return [*lines, f"valuation {found.number}: written beside the ledger, which stays as it was"]


def valuation_json(found: Valued) -> dict[str, Json]:
    """Schema `nemocli.valuation/1`; money as decimal strings in USD."""
    rows: list[Json] = [
        {
            "provider": provider,
            "model": model,
            "calls": calls,
            "booked_usd": usd_text(booked),
            "unpriced_calls": unbooked,
            "usd": usd_text(new),
            "calls_without_price": unknown,
        }
        for (provider, model), (calls, booked, unbooked, new, unknown) in sorted(found.rows.items())
    ]
    return {
        "schema": "nemocli.valuation/1",
        "valuation": found.number,
        "as_of": found.as_of.isoformat(),
        "rows": rows,
    }
