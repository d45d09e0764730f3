"""What sellers say afterwards, and what other prices would have come to."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from nemocli.cli.context import Setup
from nemocli.core.faults import Fault, FaultKind, NemoError, config_error, usage_error
from nemocli.cost.calls import Where

if TYPE_CHECKING:
    from nemocli.core.plan import Target
    from nemocli.core.ports import Entry, World
    from nemocli.core.provider import Provider
    from nemocli.cost.calls import CallRow
    from nemocli.cost.reconciled import Reconciliation

AT_ONCE = 8
"""Questions under way to one seller."""

AT_A_TIME = 1000
"""Calls valued in one transaction: others want to write in between."""


def reconcile(
    setup: Setup,
    since: str | None,
    until: str | None,
    provider: str | None,
    *,
    everything: bool,
    activity: bool,
    json: bool,
) -> None:
    """Ask, write down, show the differences."""
    from nemocli.cli.cost.summary import moment
    from nemocli.cli.event_loop import run_async
    from nemocli.cost.reconciled import (
        days_json,
        days_lines,
        reconciliation_json,
        reconciliation_lines,
    )

    if setup.offline:
        raise config_error("sellers cannot be asked offline", "leave `--offline` out")
    now = datetime.now(UTC)
    end = moment(until, now, "--until") or now
    begin = moment(since, now, "--since") or end - timedelta(days=30)
    if activity:
        days = run_async(lambda: _days(setup, _with_activity(setup, provider), begin, end))
        if json:
            setup.out.json(days_json(days))
        else:
            setup.out.lines(days_lines(days))
        return
    found = run_async(lambda: _settled(setup, begin, end, provider, everything=everything))
    if json:
        setup.out.json(reconciliation_json(found))
        return
    setup.out.lines(reconciliation_lines(found))


async def _settled(
    setup: Setup, begin: datetime, end: datetime, name: str | None, *, everything: bool
) -> Reconciliation:
    from nemocli.cli.world import world_of
    from nemocli.cost.reconciled import Reconciliation

    result = Reconciliation()
    if not setup.paths.ledger.exists():
        return result
    setup.ledger.adopt_orphans(datetime.now(UTC))
    asked: list[tuple[CallRow, Provider]] = []
    for row in setup.ledger.rows(begin, end, Where(provider=name)):
        if "differs_from_table" in row.entry.cost.flags:
            result.odd.append(row)
        seller = _seller(setup, row.entry.provider)
        if seller is None or seller.settlement is None or row.entry.reply_id is None:
            result.final += row.entry.cost.pico is not None
            result.unknowable += row.entry.cost.pico is None
        elif everything or row.entry.cost.source not in {"reported", "reconciled", "free"}:
            asked.append((row, seller))
        else:
            result.final += 1
    gate = asyncio.Semaphore(AT_ONCE)
    async with world_of(setup) as world:
        await asyncio.gather(*(_one(row, seller, world, gate, result) for row, seller in asked))
    return result


async def _one(
    row: CallRow, seller: Provider, world: World, gate: asyncio.Semaphore, result: Reconciliation
) -> None:
    from nemocli.engine.settle import settle

    async with gate:
        try:
            settled = await settle(row.entry, seller, world, tries=2, at_once=True)
        except NemoError as error:
            result.failed.append((row.entry, error.fault.at(seller.name)))
            return
    if settled is None:
        fault = Fault(FaultKind.UNAVAILABLE, "its seller has no record of it", provider=seller.name)
        result.failed.append((row.entry, fault))
    else:
        result.settled.append((row.entry, settled))


def _seller(setup: Setup, name: str) -> Provider | None:
    try:
        return setup.catalogue.providers.get(name)
    except NemoError:
        return None


def _with_activity(setup: Setup, name: str | None) -> Provider:
    known = [p for p in setup.catalogue.providers.values() if p.activity is not None]
    found = next((p for p in known if name in (None, p.name)), None)
    if found is None:
        names = ", ".join(p.name for p in known)
        raise usage_error("no seller here has sums by day", f"one of: {names}")
    return found


async def _days(
    setup: Setup, provider: Provider, begin: datetime, end: datetime
) -> list[tuple[str, int, int, int, int]]:
    """Day, their pico-USD and calls, ours."""
    from nemocli.cli.world import world_of
    from nemocli.core.money import pico_from_usd
    from nemocli.core.ports import Key
    from nemocli.cost.summary import summarise
    from nemocli.engine.discover import get
    from nemocli.wire.activity import day_sums

    activity = provider.activity
    assert activity is not None
    value = next((v for n in activity.env if (v := setup.env.get(n))), None)
    if value is None:
        raise NemoError(
            Fault(
                FaultKind.AUTH,
                f"sums by day need a management key of {provider.name}",
                f"set {' or '.join(activity.env)}",
                provider.name,
                sent=False,
            )
        )
    async with world_of(setup) as world:
        body = await get(
            provider, provider.base_url + activity.path, Key(value, "environment"), world
        )
    theirs = {s.day: s for s in day_sums(provider, body)}
    where = Where(provider=provider.name)
    summed = summarise(setup.ledger.totals(begin, end, where, ("day",), UTC))
    ours = {line.key[0]: (line.pico or 0, line.calls) for line in summed.lines}
    setup.ledger.close()
    first, last = begin.astimezone(UTC).date().isoformat(), end.astimezone(UTC).date().isoformat()
    rows = []
    for day in sorted({*theirs, *ours}):
        if first <= day <= last:
            their = theirs.get(day)
            said = (0, 0) if their is None else (pico_from_usd(their.usd), their.calls)
            rows.append((day, *said, *ours.get(day, (0, 0))))
    return rows


def reprice(
    setup: Setup,
    as_of: str,
    since: str | None,
    until: str | None,
    provider: str | None,
    *,
    json: bool,
) -> None:
    """Value every call of a period at the prices of a day, and keep that beside the ledger."""
    from nemocli.cli.cost.summary import day_named, moment
    from nemocli.cost.reconciled import Valued, valuation_json, valuation_lines
    from nemocli.cost.reprice import revalue

    now = datetime.now(UTC)
    day = day_named(as_of, "--as-of")
    begin, end = moment(since, now, "--since"), moment(until, now, "--until")
    result = Valued(day)
    if setup.paths.ledger.exists():
        ledger = setup.ledger
        note = f"since {since}" if since else "all calls"
        result = Valued(day, ledger.add_valuation(now, day.isoformat(), note))
        rows = ledger.rows(begin, end, Where(provider=provider))
        while some := list(islice(rows, AT_A_TIME)):
            values = []
            for row in some:
                pico, price_id = revalue(row, _target(setup, row.entry), day)
                result.add(row.entry, pico)
                values.append((row.entry.attempt_id, pico, price_id))
            ledger.value(result.number, values)
        ledger.close()
    if json:
        setup.out.json(valuation_json(result))
        return
    setup.out.lines(valuation_lines(result))


def _target(setup: Setup, entry: Entry) -> Target | None:
    try:
        seller = setup.catalogue.provider(entry.provider)
        return setup.catalogue.target(seller, entry.requested_model)
    except NemoError:
        return None
