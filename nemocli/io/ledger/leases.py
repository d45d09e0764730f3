"""Leases of GPUs in the ledger: begun, ended, and then shared among the calls they served."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.moments import microseconds, moment_of, utc_text
from nemocli.core.usage import Usage
from nemocli.cost.leases import Lease, LeasedCall, shares
from nemocli.io.sqlite import Connection, Record

_UNPAID = "cost_source IN ('free', 'unknown', 'gpu_hours')"
"""Calls that nobody else has a bill for."""


def start_lease(book: Connection, lease: Lease) -> None:
    """Note that it runs. Raises NemoError where there is one of that name."""
    if book.execute("SELECT 1 FROM leases WHERE name = ?", (lease.name,)).fetchone():
        raise _wrong(f"there is a lease {lease.name!r} already", "give this one another name")
    book.execute(
        "INSERT INTO leases (name, provider, gpus, gpu, pico_per_hour, price_source, start_us,"
        " input_weight, output_weight) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            lease.name,
            lease.provider,
            lease.gpus,
            lease.gpu,
            lease.pico_per_hour,
            lease.price_source,
            microseconds(lease.start),
            lease.input_weight,
            lease.output_weight,
        ),
    )


def stop_lease(book: Connection, name: str, stop: datetime) -> Lease:
    """End it and give every call its part, as a settlement from GPU-hours. Raises NemoError where
    it is not running."""
    record = book.execute("SELECT * FROM leases WHERE name = ?", (name,)).fetchone()
    if record is None:
        raise _wrong(f"there is no lease {name!r}", "`nemocli cost gpu ls` lists them")
    if record["stop_us"] is not None:
        raise _wrong(f"the lease {name!r} has ended already", "`nemocli cost gpu ls` lists them")
    lease = _lease(record, stop)
    if stop <= lease.start:
        raise _wrong(f"the lease {name!r} would end before it began", "give a later --to")
    parts = shares(lease, stop, list(_served(book, lease, stop)))
    stop_us = microseconds(stop)
    book.execute(
        "UPDATE leases SET stop_us = ?, pico = ?, idle_pico = ? WHERE id = ?",
        (stop_us, parts.pico, parts.idle, record["id"]),
    )
    book.executemany(
        "INSERT INTO lease_shares (lease_id, attempt_id, pico, full_pico) VALUES (?, ?, ?, ?)",
        [(record["id"], call, pico, parts.full[call]) for call, pico in parts.busy.items()],
    )
    # Two leases at once share the calls of their provider: a call costs its parts of both.
    book.execute(
        "INSERT INTO settlements (attempt_id, at, at_us, cost_pico, source) "
        "SELECT attempt_id, ?, ?, SUM(pico), 'gpu_hours' FROM lease_shares WHERE attempt_id IN "
        "(SELECT attempt_id FROM lease_shares WHERE lease_id = ?) GROUP BY attempt_id",
        (utc_text(stop), stop_us, record["id"]),
    )
    return _lease(book.execute("SELECT * FROM leases WHERE name = ?", (name,)).fetchone(), stop)


def all_leases(
    book: Connection, now: datetime, since: datetime | None, until: datetime | None
) -> list[Lease]:
    """Those that ran in the period, oldest first; a running one costs what it does up to now."""
    found = []
    for record in book.execute("SELECT * FROM leases ORDER BY start_us, name"):
        lease = _lease(record, now)
        ended = lease.stop or now
        if (since is None or ended > since) and (until is None or lease.start < until):
            found.append(lease)
    return found


def lease_parts(book: Connection, name: str) -> list[Record]:
    """Per model and status: calls, tokens, and both parts in pico-USD."""
    return book.execute(
        "SELECT c.model AS model, c.status AS status, COUNT(*) AS calls,"
        " SUM(COALESCE(c.input_tokens, 0)) AS input_tokens,"
        " SUM(COALESCE(c.output_tokens, 0)) AS output_tokens,"
        " SUM(s.pico) AS pico, SUM(s.full_pico) AS full_pico"
        " FROM lease_shares AS s JOIN calls AS c USING (attempt_id)"
        " WHERE s.lease_id = (SELECT id FROM leases WHERE name = ?) GROUP BY 1, 2 ORDER BY 1, 2",
        (name,),
    ).fetchall()


def _served(book: Connection, lease: Lease, stop: datetime) -> Iterator[LeasedCall]:
    for record in book.execute(
        f"SELECT attempt_id, at_us, total_s, input_tokens, output_tokens FROM calls "  # noqa: S608
        f"WHERE provider = ? AND at_us >= ? AND at_us < ? AND {_UNPAID} ORDER BY at_us",
        (lease.provider, microseconds(lease.start), microseconds(stop)),
    ):
        yield LeasedCall(
            record["attempt_id"],
            moment_of(record["at_us"]),
            record["total_s"] or 0.0,
            Usage(record["input_tokens"], output_tokens=record["output_tokens"]),
        )


def _lease(record: Record, now: datetime) -> Lease:
    stop_us = record["stop_us"]
    running = Lease(
        record["name"],
        record["provider"],
        record["gpus"],
        record["gpu"],
        record["pico_per_hour"],
        record["price_source"],
        moment_of(record["start_us"]),
        None if stop_us is None else moment_of(stop_us),
        record["input_weight"],
        record["output_weight"],
    )
    pico = record["pico"] if stop_us is not None else running.cost(now)
    return replace(running, pico=pico, idle=record["idle_pico"] or 0)


def _wrong(message: str, hint: str) -> NemoError:
    return NemoError(Fault(FaultKind.USAGE, message, hint, sent=False))
