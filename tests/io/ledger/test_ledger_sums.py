"""Sums from rollups are those of the single calls, in any period, by anything, in any zone."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemocli.core.faults import NemoError
from nemocli.core.money import MOST_PICO, UNKNOWN, Cost, Pico
from nemocli.core.ports import Entry, Settled
from nemocli.core.usage import Usage
from nemocli.cost.calls import BUCKETS, CallRow, Dimension, Where
from nemocli.cost.summary import total_of
from nemocli.io.ledger.ledger import SqliteLedger
from nemocli.io.ledger.sums import check_dimensions

AT = datetime(2026, 10, 24, 21, 0, tzinfo=UTC)  # the clocks of Europe change the night after
ZONES = ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"]
moments = st.integers(-40 * 3600, 40 * 3600).map(lambda s: AT + timedelta(seconds=s))
picos = st.none() | st.sampled_from([0, 1, 999_999, 10**6, MOST_PICO]) | st.integers(0, 10**13)


@st.composite
def costs(draw: st.DrawFn) -> Cost:
    pico = draw(picos)
    if pico is None:
        return UNKNOWN
    listed = Pico(draw(st.integers(0, 10**13)))
    seller = draw(st.sampled_from(["alpha/x@1", "beta/x@1"]))
    flags = draw(st.sampled_from([(), ("differs_from_table",)]))
    return Cost(Pico(pico), "table", seller, listed, seller, flags)


USAGES = [Usage(), Usage(10, 3, 2, 7, 1), Usage(5, None, None, 2, None, "estimated")]
calls = st.builds(
    Entry,
    attempt_id=st.just(""),
    run_id=st.sampled_from(["r1", "r2"]),
    attempt=st.just(1),
    at=moments,
    command=st.sampled_from(["ask", "batch"]),
    provider=st.sampled_from(["alpha", "beta"]),
    model=st.sampled_from(["ultra", "nano"]),
    requested_model=st.just("ultra"),
    status=st.sampled_from(["ok", "error", "cut"]),
    usage=st.sampled_from(USAGES),
    cost=costs(),
    upstream=st.sampled_from([None, "host"]),
    tags=st.sampled_from([(), ("x",), ("x", "y")]),
    project=st.sampled_from([None, "/p"]),
    session=st.sampled_from([None, "s"]),
)
entries = st.lists(calls, max_size=25).map(
    lambda made: [replace(call, attempt_id=f"a{n}") for n, call in enumerate(made)]
)


def keys_of(row: CallRow, by: Sequence[Dimension], zone: ZoneInfo) -> list[tuple[str, ...]]:
    entry = row.entry
    day = entry.at.astimezone(zone).date()
    plain = {
        "day": day.isoformat(),
        "week": (day - timedelta(days=day.weekday())).isoformat(),
        "month": day.isoformat()[:7],
        "provider": entry.provider,
        "upstream": entry.upstream or "",
        "model": entry.model,
        "project": entry.project or "",
        "session": entry.session or "",
        "run": entry.run_id,
        "command": entry.command,
        "status": entry.status,
    }
    if "tag" not in by:
        return [tuple(plain[name] for name in by)]
    return [tuple((plain | {"tag": tag})[name] for name in by) for tag in entry.tags or ("",)]


def numbers(total: object) -> list[int]:
    names = ("calls", "ok", "input_tokens", "cached_input_tokens", "cache_write_tokens",
             "output_tokens", "reasoning_tokens", "estimated", "uncounted", "unpriced", "settled",
             "pico", "list_pico", "flagged")  # fmt: skip
    return [getattr(total, name) for name in names]


@given(
    entries,
    st.lists(st.tuples(st.integers(0, 24), st.integers(0, 10**13)), max_size=6),
    st.none() | moments,
    st.none() | moments,
    st.lists(st.sampled_from(BUCKETS), max_size=3, unique=True),
    st.sampled_from(ZONES),
    st.sampled_from([Where(), Where(provider="alpha"), Where(project="/p", model="ultra"),
                     Where(tag="y"), Where(run_id="r1", command="ask")]),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_sums_are_those_of_the_calls(
    made: list[Entry],
    settled: list[tuple[int, int]],
    since: datetime | None,
    until: datetime | None,
    by: list[Dimension],
    zone: str,
    where: Where,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        book = SqliteLedger(Path(folder) / "ledger.db")
        book.enter_all(made)
        for n, (index, pico) in enumerate(settled):
            if index < len(made):
                at = AT + timedelta(days=3, seconds=n)
                book.settle(Settled(made[index].attempt_id, at, Pico(pico), upstream="other"))
        expected: dict[tuple[object, ...], list[int]] = defaultdict(lambda: [0] * 14)
        where_zone = ZoneInfo(zone)
        for row in book.rows(since, until, where):
            one = replace(total_of(row), flagged=int(bool(row.entry.cost.flags)))
            for key in keys_of(row, by, where_zone):
                have = expected[key, one.list_seller]
                expected[key, one.list_seller] = [
                    a + b for a, b in zip(have, numbers(one), strict=True)
                ]
        found = book.totals(since, until, where, by, UTC if zone == "UTC" else where_zone)
        book.close()
    assert {(t.key, t.list_seller): numbers(t) for t in found} == dict(expected)


def test_what_calls_do_not_have_is_named() -> None:
    assert check_dimensions(["day", "provider", "day"]) == ("day", "provider")
    with pytest.raises(NemoError, match="unknown value for --by: 'colour'"):
        check_dimensions(["colour"])
