"""`nemocli cost explain`: one call, or every attempt of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemocli.cli.context import Setup
from nemocli.cli.terminal.tables import table
from nemocli.core.faults import NemoError, usage_error
from nemocli.core.money import usd_short
from nemocli.core.quantities import count_of
from nemocli.cost.prices import holding

if TYPE_CHECKING:
    from datetime import date

    from nemocli.core.money import Price
    from nemocli.core.ports import Entry
    from nemocli.cost.calls import CallRow


MOST_SHOWN = 5
"""Calls of one run that are explained one by one unasked."""


def explain(setup: Setup, call: str, *, every: bool, json: bool) -> None:
    """Show it. Raises a usage fault for an id that is nobody's, or several calls'."""
    from nemocli.cost.explain import explain as told
    from nemocli.cost.explain import explanation_json, explanation_lines

    rows_meant = _meant(setup, call)
    if len(rows_meant) > MOST_SHOWN and not every and not json:
        setup.out.lines(run_lines([row.entry for row in rows_meant], call))
        return
    found = []
    for row in rows_meant:
        rows = prices_of(setup, row.entry.model, row.entry.provider)
        found.append(told(row, rows, prices_on(rows, row.entry.at.date())))
    if json:
        calls = [explanation_json(f) for f in found]
        setup.out.json({"schema": "nemocli.explain/1", "calls": calls})
        return
    for number, one in enumerate(found):
        if number:
            setup.out.line()
        setup.out.lines(explanation_lines(one))


def prices_of(setup: Setup, model: str, provider: str) -> list[Price]:
    """Every row that is about a model: the card's, and the provider's own."""
    try:
        card = setup.catalogue.card(model)
        own = setup.catalogue.providers.get(provider)
    except NemoError:
        return []
    rows = [] if card is None else list(card.prices)
    return rows + ([] if own is None else [p for p in own.prices if p.model == model])


def prices_on(rows: list[Price], day: date) -> list[Price]:
    """The row of each seller and variant that holds on a day, free ones left out."""
    return [p for p in holding(rows, day) if not p.free]


def _meant(setup: Setup, call: str) -> list[CallRow]:
    if not setup.paths.ledger.exists():
        raise usage_error("the ledger is empty", '`nemocli ask "a question"` makes a first call')
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


def run_lines(entries: list[Entry], call: str) -> list[str]:
    """A run of many calls, a line for each provider, model, end and price."""
    groups: dict[tuple[str, ...], list[Entry]] = {}
    for entry in entries:
        cost = entry.cost
        key = (entry.provider, entry.model, entry.status, cost.price_id or cost.source)
        groups.setdefault(key, []).append(entry)
    rows = [
        (
            *key[:3],
            f"{len(held):,}",
            _tokens(held, "input_tokens"),
            _tokens(held, "output_tokens"),
            _sum(held),
            key[3],
        )
        for key, held in sorted(groups.items(), key=lambda item: -len(item[1]))
    ]
    head = f"run {entries[0].run_id}: {count_of(len(entries), 'call')}, {_sum(entries)}"
    names = ("PROVIDER", "MODEL", "STATUS", "CALLS", "IN", "OUT", "COST", "PRICE")
    last = f"`nemocli cost explain {call} --all` explains each of them"
    return [head, "", *table(names, rows, None), "", last]


def _tokens(entries: list[Entry], name: str) -> str:
    counts = [getattr(entry.usage, name) for entry in entries]
    known = [n for n in counts if n is not None]
    return "unknown" if not known else f"{sum(known):,}{'+' if len(known) < len(counts) else ''}"


def _sum(entries: list[Entry]) -> str:
    """What is known to have been spent, and how much of it is not known."""
    known = [e.cost.pico for e in entries if e.cost.pico is not None]
    unknown = len(entries) - len(known)
    said = usd_short(sum(known)) if known else "cost unknown"
    return f"{said} and {count_of(unknown, 'call')} of unknown cost" if known and unknown else said
