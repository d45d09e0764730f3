"""A summary adds up exactly, and never hides what it leaves out."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemocli.core.money import UNKNOWN, Cost, Pico
from nemocli.core.ports import Entry
from nemocli.core.usage import Usage
from nemocli.cost.calls import CallRow, Total
from nemocli.cost.summary import (
    Summary,
    SummaryLine,
    summarise,
    total_of,
)
from nemocli.cost.summary_data import summary_json
from nemocli.cost.summary_lines import summary_lines, tokens_text
from nemocli.io.ledger.ledger import SqliteLedger

AT = datetime(2026, 11, 1, tzinfo=UTC)
PAID = Total("alpha", "ultra", None, 12, 11, 12_345, 2_000, 0, 6_789, 400, 0, 0, 0, 3, 31 * 10**9)
FREE = Total("beta", "ultra", "alpha", 3, 3, 1_200_000, 0, 0, 900, 0, list_pico=72 * 10**10)
FAILED_FREE = Total("beta", "ultra", None, 2, uncounted=2)
UNPRICED = Total("local", "nano", None, 2, 2, 500, 0, 0, 100, 0, 1, 0, 2)
EVERYTHING = (UNPRICED, FREE, PAID, FAILED_FREE)


def test_lines_are_one_per_provider_and_model_dearest_first() -> None:
    summary = summarise(EVERYTHING)
    assert [(x.provider, x.model, x.calls) for x in summary.lines] == [
        ("alpha", "ultra", 12),
        ("beta", "ultra", 5),
        ("local", "nano", 2),
    ]
    assert (summary.total.calls, summary.total.ok, summary.total.failed) == (19, 16, 3)


def test_a_total_says_how_many_calls_it_leaves_out() -> None:
    lines = summary_lines(summarise(EVERYTHING))
    assert "total: 19 calls, $0.0310 + 2 unpriced calls" in lines
    one = replace(UNPRICED, calls=1, ok=1, unpriced=1)
    assert summary_lines(summarise([PAID, one]))[-1].endswith("$0.0310 + 1 unpriced call")
    assert summary_lines(summarise([PAID]))[-1] == "total: 12 calls, $0.0310"


def test_free_calls_are_listed_at_a_named_seller() -> None:
    lines = summary_lines(summarise(EVERYTHING))
    assert "list price of free calls at alpha: $0.7200" in lines
    other = replace(FREE, list_seller="gamma", list_pico=10**12)
    assert [x for x in summary_lines(summarise([FREE, other])) if x.startswith("list")] == [
        "list price of free calls at alpha: $0.7200",
        "list price of free calls at gamma: $1.00",
    ]


def test_calls_killed_in_mid_flight_are_mentioned() -> None:
    assert summary_lines(summarise([PAID], killed=1))[-1] == (
        "1 call was killed in mid-flight; its cost is not known"
    )
    assert summary_lines(summarise([], killed=2)) == [
        "no calls",
        "2 calls were killed in mid-flight; their cost is not known",
    ]


def test_where_no_cost_is_known_there_is_no_sum() -> None:
    summary = summarise([UNPRICED])
    assert summary.total.pico is None
    assert summary_lines(summary)[-1] == "total: 2 calls, cost unknown + 2 unpriced calls"
    assert as_json(summary)["total"]["usd"] is None
    assert as_json(summary)["total"]["unpriced_calls"] == 2


def test_the_table_for_people() -> None:
    assert summary_lines(summarise(EVERYTHING), 100) == [
        "provider  model  calls  input  cached  output     cost  note",
        "alpha     ultra     12  12.3k    2.0k    6.8k  $0.0310  1 failed",
        "beta      ultra      5   1.2M       0     900       $0  2 failed, 3 free",
        "local     nano       2    500       0     100  unknown  2 unpriced, 1 estimated",
        "",
        "total: 19 calls, $0.0310 + 2 unpriced calls",
        "list price of free calls at alpha: $0.7200",
    ]


def test_a_narrow_window_shortens_model_names_in_the_middle() -> None:
    long = replace(PAID, model="nemotron-3-ultra-550b-a55b-nvfp4")
    lines = summary_lines(summarise([long]), 80)
    assert max(map(len, lines)) <= 80
    assert "…" in lines[1]
    assert "nvfp4" in lines[1]
    assert "nemotron-3-ultra-550b-a55b-nvfp4" in summary_lines(summarise([long]), 200)[1]


def test_the_period_is_said_where_there_is_one() -> None:
    until = AT + timedelta(days=3, hours=4)
    assert summary_lines(summarise([PAID], AT))[-1] == ("total since 2026-11-01: 12 calls, $0.0310")
    assert summary_lines(summarise([], AT, until)) == [
        "no calls since 2026-11-01 before 2026-11-04 04:00"
    ]


def as_json(summary: Summary) -> dict[str, Any]:
    """As a script gets it: through the text."""
    loaded: dict[str, Any] = json.loads(json.dumps(summary_json(summary)))
    return loaded


def test_the_json_for_scripts() -> None:
    told = as_json(summarise([FREE, PAID], AT, killed=1))
    assert told["schema"] == "nemocli.cost/1"
    assert told["period"] == {"since": "2026-11-01T00:00:00Z", "until": None}
    assert told["killed_calls"] == 1
    assert told["total"]["usd"] == "0.031"
    assert told["rows"][1] == {
        "provider": "beta",
        "model": "ultra",
        "calls": 3,
        "ok_calls": 3,
        "failed_calls": 0,
        "usd": "0",
        "unpriced_calls": 0,
        "settled_calls": 0,
        "flagged_calls": 0,
        "tokens": {
            "input_tokens": 1_200_000,
            "cached_input_tokens": 0,
            "cache_write_tokens": 0,
            "output_tokens": 900,
            "reasoning_tokens": 0,
            "estimated_calls": 0,
            "uncounted_calls": 0,
        },
        "list": {"calls": 3, "usd": {"alpha": "0.72"}},
    }


def test_no_calls_cost_nothing_for_certain() -> None:
    told = as_json(summarise([]))
    assert (told["total"]["usd"], told["total"]["calls"], told["rows"]) == ("0", 0, [])


def test_an_empty_summary_has_an_empty_line_for_total() -> None:
    assert summarise([]).total == SummaryLine()


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.0k"),
        (12_345, "12.3k"),
        (999_949, "999.9k"),
        (999_950, "1.0M"),
        (1_200_000, "1.2M"),
        (999_950_000, "1.0G"),
        (10**13, "10000.0G"),
    ],
)
def test_tokens_for_people(n: int, text: str) -> None:
    assert tokens_text(n) == text


small = st.integers(0, 10**9)
totals = st.builds(
    Total,
    st.sampled_from(["alpha", "beta"]),
    st.sampled_from(["ultra", "nano"]),
    st.none() | st.sampled_from(["alpha", "gamma"]),
    calls=st.integers(5, 9),
    ok=st.integers(0, 5),
    input_tokens=small,
    output_tokens=small,
    unpriced=st.integers(0, 4),
    pico=st.integers(0, 10**19),
    list_pico=small,
)


@given(st.lists(totals), st.randoms(use_true_random=False))
def test_lines_add_up_to_the_total_in_any_order(parts: list[Total], order: object) -> None:
    summary = summarise(parts)
    order.shuffle(parts)  # type: ignore[attr-defined]
    assert summarise(parts) == summary
    told = as_json(summary)
    for name in ("calls", "ok_calls", "failed_calls", "unpriced_calls"):
        assert told["total"][name] == sum(row[name] for row in told["rows"])
    for name in ("input_tokens", "output_tokens"):
        assert told["total"]["tokens"][name] == sum(r["tokens"][name] for r in told["rows"])
    rows = sum((Decimal(row["usd"]) for row in told["rows"]), Decimal(0))
    assert Decimal(told["total"]["usd"]) == rows
    assert rows * 10**12 == sum(t.pico for t in parts)


entries = st.builds(
    Entry,
    attempt_id=st.uuids().map(str),
    run_id=st.just("r"),
    attempt=st.just(1),
    at=st.just(AT),
    command=st.just("ask"),
    provider=st.sampled_from(["alpha", "beta"]),
    model=st.sampled_from(["ultra", "nano"]),
    requested_model=st.just("x"),
    status=st.sampled_from(["ok", "error", "aborted"]),
    usage=st.builds(
        Usage,
        st.none() | st.just(100),
        st.none() | st.integers(0, 100),
        st.none(),
        st.none() | st.just(50),
        st.none() | st.integers(0, 50),
        st.sampled_from(["reported", "estimated"]),
    ),
    cost=st.one_of(
        st.just(UNKNOWN),
        st.just(Cost(Pico(0), "free")),
        st.builds(
            Cost,
            st.just(Pico(0)) | st.integers(0, 10**13).map(Pico),
            st.just("table"),
            st.just("p"),
            st.integers(0, 10**13).map(Pico),
            st.sampled_from(["alpha/x@2026-01-01", "gamma/v/x@2026-01-01"]),
        ),
    ),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(entries, max_size=8, unique_by=lambda e: e.attempt_id))
def test_rows_added_one_by_one_are_the_sums_of_the_ledger(
    tmp_path_factory: pytest.TempPathFactory, made: list[Entry]
) -> None:
    book = SqliteLedger(tmp_path_factory.mktemp("home") / "ledger.db")
    for entry in made:
        book.enter(entry)
    rows: list[CallRow] = list(book.rows())
    summed = book.totals()
    book.close()
    assert summarise(map(total_of, rows)) == summarise(summed)
