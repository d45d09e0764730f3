"""A seller's sums by day."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from nemocli.core.faults import NemoError
from nemocli.core.provider import Activity, Provider
from nemocli.wire.activity import DaySum, day_sums

FIELDS = {"day": "date", "usd": "usage", "upstream_usd": "byok", "calls": "requests"}
SHOP = Provider("shop", "chat", "https://x", activity=Activity("/a", ("KEY",), "data", FIELDS))


def test_a_days_models_add_up_with_the_part_at_an_upstream_of_ones_own() -> None:
    rows = [
        {"date": "2026-11-02 00:00:00", "usage": 0.5, "byok": 0.25, "requests": 3},
        {"date": "2026-11-01", "usage": 0.1, "requests": 1},
        {"date": "2026-11-02", "usage": 1, "byok": None, "requests": 2},
        {"usage": 9},
        "nonsense",
    ]
    assert day_sums(SHOP, json.dumps({"data": rows}).encode()) == [
        DaySum("2026-11-01", Decimal("0.1"), 1),
        DaySum("2026-11-02", Decimal("1.75"), 5),
    ]


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"data": 3}', b"[]"])
def test_another_answer_is_said_to_be_one(body: bytes) -> None:
    with pytest.raises(NemoError, match="shop was asked for its sums by day"):
        day_sums(SHOP, body)
    with pytest.raises(NemoError):
        day_sums(replace(SHOP, activity=None), b'{"data": []}')
