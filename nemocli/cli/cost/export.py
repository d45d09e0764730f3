"""The ledger for other programs, and less of it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice

from nemocli.cli.context import Setup
from nemocli.core.faults import usage_error
from nemocli.core.text import spreadsheet_safe
from nemocli.cost.calls import Where

AT_A_TIME = 500
"""Calls written at once."""

FORMS = ("jsonl", "csv", "focus", "otel")


def export(
    setup: Setup,
    form: str,
    since: str | None,
    until: str | None,
    provider: str | None,
    tag: str | None,
    *,
    raw: bool = False,
) -> None:
    """One call at a time, so that memory stays flat."""
    from nemocli.cli.cost.summary import moment

    if form not in FORMS:
        raise usage_error(f"--to {form!r} is none", f"one of: {', '.join(FORMS)}")
    now = datetime.now(UTC)
    begin, end = moment(since, now, "--since"), moment(until, now, "--until")
    where = Where(provider=provider, tag=tag)
    if form == "otel":
        _otel(setup, begin, end, where)
    elif form == "focus":
        _focus(setup, begin, end, where, raw=raw)
    else:
        _calls(setup, begin, end, where, comma=form == "csv", raw=raw)
    setup.ledger.close()


def _calls(
    setup: Setup,
    begin: datetime | None,
    end: datetime | None,
    where: Where,
    *,
    comma: bool,
    raw: bool,
) -> None:
    from nemocli.cost.export import COLUMNS, call_record, flat

    if comma:
        setup.out.text(_row(COLUMNS))
    if not setup.paths.ledger.exists():
        return
    rows = setup.ledger.rows(begin, end, where)
    while some := [call_record(row) for row in islice(rows, AT_A_TIME)]:
        if comma:
            setup.out.text("".join(_row(flat(record), raw=raw) for record in some))
        else:
            setup.out.text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in some))


def _focus(
    setup: Setup, begin: datetime | None, end: datetime | None, where: Where, *, raw: bool
) -> None:
    from nemocli.cost.export import FOCUS, focus_idle, focus_record

    setup.out.text(_row(FOCUS))
    if not setup.paths.ledger.exists():
        return
    unpriced = 0
    rows = setup.ledger.rows(begin, end, where)
    while some := [focus_record(row) for row in islice(rows, AT_A_TIME)]:
        unpriced += some.count(None)
        setup.out.text("".join(_row(r.values(), raw=raw) for r in some if r is not None))
    for lease in setup.ledger.leases(datetime.now(UTC), begin, end):
        if lease.stop is not None and lease.idle and where.provider in {None, lease.provider}:
            setup.out.text(_row(focus_idle(lease).values(), raw=raw))
    if unpriced:
        setup.err.warn(f"{unpriced} unpriced calls are left out: FOCUS has no unknown cost")


def _otel(setup: Setup, begin: datetime | None, end: datetime | None, where: Where) -> None:
    from nemocli.cost.export import otel_metrics
    from nemocli.version import __version__

    totals, first = [], begin or datetime(2026, 1, 1, tzinfo=UTC)
    if setup.paths.ledger.exists():
        totals = setup.ledger.totals(begin, end, where, ("provider", "model", "status"))
    setup.out.jsonl(otel_metrics(totals, first, end or datetime.now(UTC), __version__))


def _row(cells: Iterable[str], *, raw: bool = False) -> str:
    """A line of CSV; what came from outside stays text in a spreadsheet, unless `raw`."""
    cells = cells if raw else [spreadsheet_safe(c) if isinstance(c, str) else c for c in cells]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()


def prune(setup: Setup, before: str, *, yes: bool) -> None:
    """Ask first: what goes does not come back."""
    try:
        edge = datetime.fromisoformat(before)
    except ValueError:
        edge = None
    if edge is None or edge.time() != datetime.min.time():
        raise usage_error(f"--before {before!r} is no day", "write 2026-01-01")
    edge = edge.replace(tzinfo=UTC)
    if not setup.paths.ledger.exists():
        setup.err.dim("the ledger is empty")
        return
    calls = sum(t.calls for t in setup.ledger.totals(None, edge, by=()))
    calls -= setup.ledger.prune_state()[1]
    if calls > 0 and not yes:
        if not setup.may_ask:
            raise usage_error(f"{calls} calls would go", "add --yes to let them go")
        setup.err.ask(f"Take {calls} calls before {before} out of the ledger? [y/N]")
        if input().strip().lower() not in {"y", "yes"}:
            return
    gone = setup.ledger.prune(datetime.now(UTC), edge)
    setup.ledger.close()
    setup.err.dim(f"{gone} calls pruned; sums by day, provider, model, project and status stay")
