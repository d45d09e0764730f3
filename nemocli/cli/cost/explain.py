"""`nemocli cost explain`: one call, or every attempt of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemocli.cli.context import Setup
from nemocli.core.faults import NemoError, usage_error
from nemocli.cost.prices import holding

if TYPE_CHECKING:
    from datetime import date

    from nemocli.core.money import Price
    from nemocli.cost.calls import Row


def explain(setup: Setup, call: str, *, json: bool) -> None:
    """Show it. Raises a usage fault for an id that is nobody's, or several calls'."""
    from nemocli.cost.explain import explained as told
    from nemocli.cost.explain import explained_json, explained_lines

    found = []
    for row in _meant(setup, call):
        rows = prices_of(setup, row.entry.model, row.entry.provider)
        found.append(told(row, rows, held_on(rows, row.entry.at.date())))
    if json:
        setup.out.json({"schema": "nemocli.explain/1", "calls": [explained_json(f) for f in found]})
        return
    for number, one in enumerate(found):
        if number:
            setup.out.line()
        for line in explained_lines(one):
            setup.out.line(line)


def prices_of(setup: Setup, model: str, provider: str) -> list[Price]:
    """Every row that is about a model: the card's, and the provider's own."""
    try:
        card = setup.catalogue.card(model)
        own = setup.catalogue.providers.get(provider)
    except NemoError:
        return []
    rows = [] if card is None else list(card.prices)
    return rows + ([] if own is None else [p for p in own.prices if p.model == model])


def held_on(rows: list[Price], day: date) -> list[Price]:
    """The row of each seller and variant that holds on a day, free ones left out."""
    return [p for p in holding(rows, day) if not p.free]


def _meant(setup: Setup, call: str) -> list[Row]:
    if not setup.paths.ledger.exists():
        raise usage_error("the book is empty", '`nemocli ask "a question"` makes a first call')
    found = setup.ledger.find(call)
    setup.ledger.close()
    if not found:
        raise usage_error(
            f"no call or run begins with {call!r}", "`nemocli cost --by run` lists runs"
        )
    runs = {row.entry.run_id for row in found}
    if len(runs) > 1:
        some = ", ".join(sorted(runs)[:4])
        raise usage_error(f"{call!r} begins several ids: {some}", "write more of it")
    return found
