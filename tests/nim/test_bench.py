"""What a bench's figures mean, on values."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.cli.nim.workload import conversations_of
from nemocli.core.faults import NemoError
from nemocli.core.request import Message, ToolCall
from nemocli.nim.bench import (
    Point,
    Shot,
    invent_prompt,
    knee,
    limits_of,
    most_within,
    over_all,
    point_json,
    point_of,
    quantiles,
    sweep_of,
)
from nemocli.nim.bench_plot import bars, svg


def shot(sent: float = 0.0, first: float = 0.1, last: float = 1.1, tokens: int = 11) -> Shot:
    return Shot(sent, first, first, last, tokens, 5, reported=True)


FAILED = Shot(0.5, None, None, None, 0, 0, reported=False, fault="server_error")


def test_the_definitions() -> None:
    """Ten gaps in a second are 100 ms each; one token has no gap."""
    point = point_of([shot(), shot(1.0), FAILED], 2, {"ttft": 100, "e2e": 2000})
    assert point.times_ms["itl"][50] == pytest.approx(100)
    assert point.times_ms["ttft"] == pytest.approx({50: 100, 90: 100, 99: 100})
    assert point.per_user == pytest.approx(10)
    assert point.seconds == pytest.approx(2.1)
    assert point.tokens_per_s == pytest.approx(22 / 2.1)
    assert (point.requests, point.errors, point.faults) == (3, 1, {"server_error": 1})
    assert point.good_share == pytest.approx(2 / 3)
    assert point.goodput == pytest.approx(2 / 2.1)
    assert point.adjusted_ttft_ms == {50: pytest.approx(100), 90: None, 99: None}
    assert shot(tokens=1).itl_s is None
    row = point_json(point, 4)
    assert row["per_gpu"] == pytest.approx(22 / 2.1 / 4, abs=0.01)
    assert (row["concurrency"], row["tokens"]) == (2, "reported")


def test_a_limit_that_is_missed_is_no_good_answer() -> None:
    assert shot().good({"ttft": 100})
    assert not shot().good({"ttft": 99})
    assert not FAILED.good({})
    assert shot(tokens=1).good({"itl": 1})


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300), st.integers(0, 50))
def test_quantiles_are_measured_values_in_order(values: list[float], failed: int) -> None:
    found = quantiles(values)
    assert set(found.values()) <= set(values)
    assert found[50] <= found[90] <= found[99]
    honest = over_all(values, len(values) + failed)
    for q in found:
        assert honest[q] is None or honest[q] >= found[q]


def test_nothing_measured_is_no_quantile() -> None:
    assert quantiles([]) == {}
    assert over_all([], 0) == {}
    point = point_of([FAILED], 1, {})
    assert (point.tokens_per_s, point.per_user, point.goodput) == (0, None, 0)


def rising(*speeds: tuple[int, float, float]) -> list[Point]:
    """Points of a load, tokens a second, seconds a request."""
    return [
        point_of([Shot(0, e2e / 2, e2e / 2, e2e, round(speed * e2e), 1, True)], load, {"e2e": 2500})
        for load, speed, e2e in speeds
    ]


def test_the_knee_is_where_waiting_begins_to_cost_more_than_it_brings() -> None:
    points = rising((1, 50, 1.0), (2, 98, 1.05), (4, 190, 1.1), (8, 210, 2.0), (16, 212, 4.0))
    assert knee(points) == 4
    assert knee(points[:2]) is None
    assert most_within(points) == 8
    assert most_within([]) is None


@pytest.mark.parametrize("text", ["", "0", "1,,2", "a", "-1", "5000", "1.5"])
def test_a_sweep_that_is_none(text: str) -> None:
    with pytest.raises(NemoError, match="--sweep"):
        sweep_of(text)
    assert sweep_of("1, 2,2,8") == (1, 2, 8)


@pytest.mark.parametrize("text", ["ttft", "ttft=", "x=1", "ttft=0", "ttft=inf", "ttft=nan"])
def test_a_limit_that_is_none(text: str) -> None:
    with pytest.raises(NemoError, match="--slo"):
        limits_of([text])
    assert limits_of(["ttft=500", "e2e=1e4"]) == {"ttft": 500, "e2e": 10_000}


def test_invented_prompts_are_repeatable_and_begin_apart() -> None:
    assert invent_prompt(100, 1) == invent_prompt(100, 1)
    heads = {invent_prompt(100, seed)[:18] for seed in range(500)}
    assert len(heads) == 500
    assert 80 <= len(invent_prompt(100, 1).split()) <= 120


def test_the_picture_is_whole_and_the_bars_are_in_proportion() -> None:
    points = rising((1, 50, 1.0), (2, 100, 1.0))
    drawn = ET.fromstring(svg(points, 'a "model" <x> & y'))
    assert drawn.tag.endswith("svg")
    assert "50 tokens/s" in next(iter(bars(points)))
    sizes = [line.count("█") for line in bars(points)]
    assert [b / a for a, b in pairwise(sizes)] == [2]
    assert ET.fromstring(svg([point_of([FAILED], 1, {})], "failed")) is not None


def test_a_record_becomes_the_requests_it_came_from() -> None:
    events = [
        {"type": "begin"},
        {"type": "user", "text": "hi"},
        {"type": "model", "text": "", "calls": [["c1", "look", "{}"]]},
        {"type": "tool", "id": "c1", "result": "42"},
        {"type": "model", "text": "It is 42.", "calls": []},
        {"type": "user", "text": "sure?"},
        {"type": "model", "text": "Yes.", "calls": []},
    ]
    turns: Sequence[list[Message]] = list(conversations_of(events, [Message("system", "s")]))
    assert [len(t) for t in turns] == [2, 4, 6]
    assert turns[1][2].tool_calls == (ToolCall("c1", "look", "{}"),)
    assert turns[2][-1] == Message("user", "sure?")
