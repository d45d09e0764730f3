"""What an attempt would be booked at with the prices of another day."""

from __future__ import annotations

from datetime import date

from nemocli.core.money import table_cost
from nemocli.core.plan import Target
from nemocli.cost.calls import CallRow


def revalue(row: CallRow, target: Target | None, day: date) -> tuple[int | None, str | None]:
    """Pico-USD, None where nobody knows, and the price row. What was turned away costs nothing then
    too, and a part of a lease is what it is. `target` None: nobody knows its seller any more."""
    entry = row.entry
    if entry.cost.source == "gpu_hours":
        return entry.cost.pico, None
    turned_away = row.booked.source == "free" and row.booked.list_pico is None
    if turned_away and not entry.usage.known:
        return 0, None
    if target is None:
        return None, None
    if target.free:
        return 0, None
    price = target.price(day)
    return (None, None) if price is None else (table_cost(entry.usage, price), price.id)
