"""Sums of the ledger by SQL: rollups where they are exact, single calls at the edges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from nemocli.core.faults import usage_error
from nemocli.core.moments import microseconds
from nemocli.cost.calls import BUCKETS, Dimension, Total, Where

if TYPE_CHECKING:
    from nemocli.io.sqlite import Record

Scalar = str | int | float | None
Values = Mapping[str, Scalar] | Sequence[Scalar]
Statement = tuple[str, Values]

QUARTER, DAY = 900, 86_400
"""Seconds of a rollup. Every time zone in use is a whole number of quarter hours from UTC."""

HALF = 10**6
"""Sums of money are taken in two halves, above and below this: neither leaves 64 bits."""

_COST_NOTHING = "cost_pico = 0 AND list_pico > 0"

NAMES = {
    "provider": "provider",
    "upstream": "COALESCE(upstream, '')",
    "model": "model",
    "project": "COALESCE(project, '')",
    "status": "status",
    "list_seller": (
        f"CASE WHEN {_COST_NOTHING} THEN"
        " substr(list_price_id, 1, instr(list_price_id || '/', '/') - 1) ELSE '' END"
    ),
}
"""What rollups are kept apart by, as expressions over `calls`."""

SUMS = {
    "calls": "1",
    "input_tokens": "COALESCE(input_tokens, 0)",
    "cached_input_tokens": "COALESCE(cached_input_tokens, 0)",
    "cache_write_tokens": "COALESCE(cache_write_tokens, 0)",
    "output_tokens": "COALESCE(output_tokens, 0)",
    "reasoning_tokens": "COALESCE(reasoning_tokens, 0)",
    "estimated": "(usage_source = 'estimated')",
    "uncounted": "(input_tokens IS NULL OR output_tokens IS NULL)",
    "unpriced": "(cost_pico IS NULL)",
    "settled": "(settled_at_us IS NOT NULL)",
    "flagged": "(cost_flags <> '')",
    "high": f"COALESCE(cost_pico / {HALF}, 0)",
    "low": f"COALESCE(cost_pico % {HALF}, 0)",
    "list_high": f"CASE WHEN {_COST_NOTHING} THEN list_pico / {HALF} ELSE 0 END",
    "list_low": f"CASE WHEN {_COST_NOTHING} THEN list_pico % {HALF} ELSE 0 END",
}
"""What a call adds to its rollups, as expressions over `calls`."""

SINGLE: Mapping[Dimension, str] = {
    "session": "COALESCE(session, '')",
    "run": "run_id",
    "command": "command",
    "tag": "tagged.value",
}
"""What only single calls know."""


def select_totals(
    since: datetime | None,
    until: datetime | None,
    where: Where,
    by: Sequence[Dimension] = ("provider", "model"),
    zone: tzinfo = UTC,
) -> Statement:
    """The records of `total_from`, one for each combination of `by` and list seller."""
    tests, values = tests_of(where)
    first = None if since is None else microseconds(since)
    last = None if until is None else microseconds(until)
    alone = (where.session, where.run_id, where.command, where.tag)
    if any(name in SINGLE for name in by) or any(alone):
        spans: tuple[int, ...] = ()
    elif any(name in ("day", "week", "month") for name in by) and zone is not UTC:
        spans = (QUARTER,)
    else:
        spans = (DAY, QUARTER)
    parts = []
    for n, (span, begin, end) in enumerate(_cover(first, last, spans)):
        column = "start" if span else "at_us"
        bounds = []
        for name, test, at in ((f"from{n}", ">=", begin), (f"to{n}", "<", end)):
            if at is not None:
                bounds.append(f"{column} {test} :{name}")
                values[name] = at // 10**6 if span else at
        parts.append(_rollups(span, tests + bounds) if span else _calls(by, tests + bounds))
    keys = [f"{_key(name, zone)} AS k{n}" for n, name in enumerate(by)]
    sums = [f"SUM({name}) AS {name}" for name in SUMS]
    ok = "SUM(CASE WHEN status = 'ok' THEN calls ELSE 0 END) AS ok"
    groups = ", ".join([*(f"k{n}" for n in range(len(by))), "list_seller"])
    statement = (
        f"SELECT {', '.join((*keys, 'list_seller', *sums, ok))} "  # noqa: S608
        f"FROM ({' UNION ALL '.join(parts)}) "
        f"GROUP BY {groups} HAVING SUM(calls) > 0 ORDER BY {groups}"
    )
    return statement, values


def tests_of(where: Where) -> tuple[list[str], dict[str, Scalar]]:
    """Tests for every field of `where`, on `calls` and as far as they have it on `rollups`."""
    tests, values = [], dict[str, Scalar]()
    for field in fields(where):
        value = getattr(where, field.name)
        if value is not None:
            tagged = "EXISTS (SELECT 1 FROM json_each(tags) WHERE value = :tag)"
            tests.append(tagged if field.name == "tag" else f"{field.name} = :{field.name}")
            values[field.name] = value
    return tests, values


def total_from(record: Record, by: Sequence[Dimension] | None = None) -> Total:
    """The sums of one group, the halves of its money joined; `by` as asked, None as usual."""
    keys = tuple(str(record[f"k{n}"]) for n in range(2 if by is None else len(by)))
    provider, model = keys if by is None else ("", "")
    return Total(
        provider=provider,
        model=model,
        key=() if by is None else keys,
        list_seller=record["list_seller"] or None,
        ok=record["ok"],
        pico=record["high"] * HALF + record["low"],
        list_pico=record["list_high"] * HALF + record["list_low"],
        **{name: record[name] for name in SUMS if not name.endswith(("high", "low"))},
    )


def check_dimensions(names: Sequence[str]) -> tuple[Dimension, ...]:
    """Names a person typed; raises a usage fault for one that is no dimension."""
    known: dict[str, Dimension] = {b: b for b in BUCKETS}
    for name in names:
        if name not in known:
            raise usage_error(f"unknown value for --by: {name!r}", f"one of: {', '.join(known)}")
    return tuple(dict.fromkeys(known[n] for n in names))


def move_statement(source: str, sign: int) -> str:
    """A statement that adds what `source` selects of `calls` to the rollups, or takes it away."""
    names = ", ".join((*NAMES, *SUMS))
    picked = ", ".join((*NAMES.values(), *(f"{sign} * {e}" for e in SUMS.values())))
    grown = ", ".join(f"{name} = {name} + excluded.{name}" for name in SUMS)
    return (
        f"INSERT INTO rollups (span, start, {names}) "  # noqa: S608 - the names are the ones above
        f"SELECT span, at_us / 1000000 / span * span, {picked} FROM {source} "
        f"ON CONFLICT (span, start, {', '.join(NAMES)}) DO UPDATE SET {grown}"
    )


def _cover(
    begin: int | None, end: int | None, spans: Sequence[int]
) -> Iterator[tuple[int, int | None, int | None]]:
    """A period in microseconds as whole spans, the longest possible; 0 is call by call."""
    if not spans:
        yield 0, begin, end
        return
    size = spans[0] * 10**6
    first = None if begin is None else -(-begin // size) * size
    last = None if end is None else end // size * size
    if first is not None and last is not None and first >= last:
        yield from _cover(begin, end, spans[1:])
        return
    yield spans[0], first, last
    if begin is not None and begin != first:
        yield from _cover(begin, first, spans[1:])
    if end is not None and end != last:
        yield from _cover(last, end, spans[1:])


def _rollups(span: int, tests: Sequence[str]) -> str:
    names = ", ".join(("start", *NAMES, *SUMS))
    return f"SELECT {names} FROM rollups WHERE {' AND '.join((f'span = {span}', *tests))}"  # noqa: S608


def _calls(by: Sequence[Dimension], tests: Sequence[str]) -> str:
    """Call by call. A call with two tags counts under both."""
    named: dict[str, str] = {**NAMES, **SUMS}
    named |= {name: SINGLE[name] for name in by if name in SINGLE}
    columns = ", ".join(("at_us / 1000000 AS start", *(f"{e} AS {n}" for n, e in named.items())))
    tags = """ LEFT JOIN json_each(CASE tags WHEN '[]' THEN '[""]' ELSE tags END) AS tagged"""
    source = "calls" + (tags if "tag" in by else "")
    return f"SELECT {columns} FROM {source} WHERE {' AND '.join(('TRUE', *tests))}"  # noqa: S608


def _key(name: Dimension, zone: tzinfo) -> str:
    if name in ("day", "week", "month"):
        day = f"((start + {_offset(zone)}) / {DAY})"
        if name == "day":
            return f"date({day} * {DAY}, 'unixepoch')"
        if name == "week":
            return f"date((({day} + 3) / 7 * 7 - 3) * {DAY}, 'unixepoch')"
        return f"strftime('%Y-%m', {day} * {DAY}, 'unixepoch')"
    return name


def _changes(at: datetime, zone: tzinfo) -> Iterator[tuple[int, int]]:
    """The changes of a clock, from a moment to a year from now: when, and seconds east after it."""
    end, offset = datetime.now(UTC) + timedelta(days=400), _east(at, zone)
    while at < end:
        step = at + timedelta(days=7)
        after = _east(step, zone)
        if after != offset:
            low, high = int(at.timestamp()), int(step.timestamp())
            while high - low > 1:
                middle = (low + high) // 2
                same = _east(datetime.fromtimestamp(middle, UTC), zone) == offset
                low, high = (middle, high) if same else (low, middle)
            yield high, after
            offset = after
        at = step


def _offset(zone: tzinfo) -> str:
    """Seconds east of UTC as an expression over `start`, exact across changes of the clock."""
    if zone is UTC:
        return "0"
    at = datetime(2020, 1, 1, tzinfo=UTC)
    first, changes = _east(at, zone), list(_changes(at, zone))
    if not changes:
        return str(first)
    cases = " ".join(f"WHEN start >= {edge} THEN {east}" for edge, east in reversed(changes))
    return f"CASE {cases} ELSE {first} END"


def _east(at: datetime, zone: tzinfo) -> int:
    found = at.astimezone(zone).utcoffset()
    return 0 if found is None else int(found.total_seconds())
