"""Ledger values to SQL and back: each statement with its values, each record with its meaning."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from nemocli.core.faults import Fault, FaultKind
from nemocli.core.moments import microseconds, moment_of, utc_text
from nemocli.core.money import Cost
from nemocli.core.usage import Usage, superset
from nemocli.cost.calls import CallRow, Where
from nemocli.io.ledger.sums import Scalar, Statement, tests_of
from nemocli.io.sqlite import Record

if TYPE_CHECKING:  # sums need no single calls, nor all that a call is made of
    from nemocli.core.ports import Entry, Reservation, Settled


def insert_attempt(entry: Entry) -> Statement:
    """Book it as it was when it ended."""
    fault = entry.fault
    values: dict[str, Scalar] = {
        "attempt_id": entry.attempt_id,
        "run_id": entry.run_id,
        "attempt": entry.attempt,
        "at": utc_text(entry.at),
        "at_us": microseconds(entry.at),
        "command": entry.command,
        "provider": entry.provider,
        "upstream": entry.upstream,
        "model": entry.model,
        "requested_model": entry.requested_model,
        "served_model": entry.served_model,
        "reply_id": entry.reply_id,
        "request_id": entry.request_id or (fault.request_id if fault is not None else None),
        "status": entry.status,
        "finish_reason": entry.finish_reason,
        "http_status": entry.http_status,
        "fault_kind": fault.kind.value if fault is not None else None,
        "fault_message": fault.message if fault is not None else None,
        **_usage_values(entry.usage),
        "cost_pico": entry.cost.pico,
        "cost_source": entry.cost.source,
        "price_id": entry.cost.price_id,
        "list_pico": entry.cost.list_pico,
        "list_price_id": entry.cost.list_price_id,
        "cost_flags": " ".join(entry.cost.flags),
        "ttft_s": entry.ttft_s,
        "total_s": entry.total_s,
        "tags": _tags_text(entry.tags),
        "project": entry.project,
        "session": entry.session,
    }
    return _insert("attempts", values)


def insert_settlement(settled: Settled) -> Statement:
    """Put it beside the attempt it is about."""
    values: dict[str, Scalar] = {
        "attempt_id": settled.attempt_id,
        "at": utc_text(settled.at),
        "at_us": microseconds(settled.at),
        "cost_pico": settled.cost_pico,
        "upstream": settled.upstream,
        "source": settled.source,
    }
    if settled.usage is not None:
        values |= _usage_values(settled.usage)
    return _insert("settlements", values)


def insert_reservation(
    reservation: Reservation, pid: int, birth: str | None, only: str = ""
) -> Statement:
    """Note it under the process that made it; with `only`, where that holds."""
    values: dict[str, Scalar] = {
        "attempt_id": reservation.attempt_id,
        "at_us": microseconds(reservation.at),
        "pid": pid,
        "birth": birth,
        "provider": reservation.provider,
        "model": reservation.model,
        "pico": reservation.pico,
        "run_id": reservation.run_id,
        "command": reservation.command,
        "project": reservation.project,
        "tags": _tags_text(reservation.tags),
    }
    return _insert("reservations", values, only)


def select_rows(since: datetime | None, until: datetime | None, where: Where) -> Statement:
    """The records of `row_from`, oldest first."""
    condition, values = _condition(since, until, where)
    return f"SELECT * FROM calls{condition} ORDER BY at_us, attempt_id", values  # noqa: S608


def select_found(begin: str, most: int) -> Statement:
    """The records of `row_from` by the beginning of an id."""
    if begin == "last":
        test = "run_id = (SELECT run_id FROM attempts ORDER BY at_us DESC, attempt_id DESC LIMIT 1)"
    else:
        spans = (f"({n} >= :begin AND {n} < :end)" for n in ("attempt_id", "run_id"))
        test = " OR ".join(spans)
    values: dict[str, Scalar] = {"begin": begin, "end": begin + "\U0010ffff", "most": most}
    return f"SELECT * FROM calls WHERE {test} ORDER BY at_us, attempt_id LIMIT :most", values  # noqa: S608


def row_from(record: Record) -> CallRow:
    """A call with its settlement applied. A fault comes back without the hint it once had."""
    from nemocli.core.ports import Entry

    cost = Cost(
        record["cost_pico"],
        record["cost_source"],
        record["price_id"],
        record["list_pico"],
        record["list_price_id"],
        tuple(record["cost_flags"].split()),
    )
    booked = Cost(
        record["booked_cost_pico"],
        record["booked_cost_source"],
        cost.price_id,
        cost.list_pico,
        cost.list_price_id,
        cost.flags,
    )
    entry = Entry(
        attempt_id=record["attempt_id"],
        run_id=record["run_id"],
        attempt=record["attempt"],
        at=moment_of(record["at_us"]),
        command=record["command"],
        provider=record["provider"],
        model=record["model"],
        requested_model=record["requested_model"],
        status=record["status"],
        usage=Usage(
            record["input_tokens"],
            record["cached_input_tokens"],
            record["cache_write_tokens"],
            record["output_tokens"],
            record["reasoning_tokens"],
            record["usage_source"],
        ),
        cost=cost,
        served_model=record["served_model"],
        upstream=record["upstream"],
        reply_id=record["reply_id"],
        finish_reason=record["finish_reason"],
        fault=_fault_from(record),
        http_status=record["http_status"],
        ttft_s=record["ttft_s"],
        total_s=record["total_s"],
        tags=tuple(json.loads(record["tags"])),
        project=record["project"],
        session=record["session"],
        request_id=record["request_id"],
    )
    settled_us = record["settled_at_us"]
    return CallRow(entry, booked, None if settled_us is None else moment_of(settled_us))


def reservation_from(record: Record) -> Reservation:
    """A reservation, less the process it names."""
    from nemocli.core.ports import Reservation

    return Reservation(
        record["attempt_id"],
        moment_of(record["at_us"]),
        record["provider"],
        record["model"],
        record["pico"],
        record["run_id"],
        record["command"],
        record["project"],
        tuple(json.loads(record["tags"])),
    )


def _insert(table: str, values: Mapping[str, Scalar], only: str = "") -> Statement:
    """Of what is known: a column that is left out is NULL, and the fewer there are the sooner."""
    known = {name: value for name, value in values.items() if value is not None}
    return _insertion(table, tuple(known), only), tuple(known.values())


@lru_cache(maxsize=64)
def _insertion(table: str, columns: tuple[str, ...], only: str) -> str:
    marks = ", ".join("?" * len(columns))
    row = f"SELECT {marks} WHERE {only}" if only else f"VALUES ({marks})"
    return f"INSERT INTO {table} ({', '.join(columns)}) {row}"


@lru_cache(maxsize=64)
def _tags_text(tags: tuple[str, ...]) -> str:
    return json.dumps(tags, ensure_ascii=False)


def _condition(
    since: datetime | None, until: datetime | None, where: Where
) -> tuple[str, Mapping[str, Scalar]]:
    tests, values = tests_of(where)
    for name, test, at in (("since", ">=", since), ("until", "<", until)):
        if at is not None:
            tests.append(f"at_us {test} :{name}")
            values[name] = microseconds(at)
    return (" WHERE " + " AND ".join(tests) if tests else ""), values


def _fault_from(record: Record) -> Fault | None:
    if record["fault_kind"] is None:
        return None
    return Fault(
        FaultKind(record["fault_kind"]),
        record["fault_message"],
        provider=record["provider"],
        status=record["http_status"],
        request_id=record["request_id"],
    )


def _usage_values(usage: Usage) -> dict[str, Scalar]:
    """Counts that cannot be are unknown in the ledger too, so that every sum of it is sound."""
    sound = superset(usage)
    return {
        "input_tokens": sound.input_tokens,
        "cached_input_tokens": sound.cached_input_tokens,
        "cache_write_tokens": sound.cache_write_tokens,
        "output_tokens": sound.output_tokens,
        "reasoning_tokens": sound.reasoning_tokens,
        "usage_source": sound.source,
    }
