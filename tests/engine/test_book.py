"""What an attempt becomes in the ledger: its tokens and its cost, and how both are known."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from nemocli.core.faults import FaultKind
from nemocli.core.plan import Target
from nemocli.core.ports import Entry
from nemocli.core.request import Message, Request
from tests.engine.scripted import (
    AT_OTHER,
    AT_SHOP,
    BROKEN,
    ONCE,
    PRICE,
    STALLED,
    USED,
    Script,
    ask,
    cut,
    fault,
    frame,
    good,
    refused,
    scene,
    sse,
)

TABLE = 10 * 600_000 + 5 * 2_400_000


def booked(script: Script, target: Target = AT_SHOP, **more) -> Entry:
    at = scene(script)
    ask(at, target, policy=ONCE, **more)
    return at.entry


def at_shop(**more) -> Target:
    return replace(AT_SHOP, provider=replace(AT_SHOP.provider, **more))


def test_what_the_seller_reports_beats_the_table() -> None:
    cost = booked(Script(sse("x", usage={**USED, "cost": 0.000123}))).cost
    assert (cost.pico, cost.source) == (123_000_000, "reported")
    assert (cost.list_pico, cost.price_id) == (TABLE, PRICE.id)


def test_without_a_report_the_table_counts() -> None:
    cost = booked(good()).cost
    assert (cost.pico, cost.source, cost.price_id) == (TABLE, "table", PRICE.id)


def test_a_users_own_price_says_so() -> None:
    mine = replace(PRICE, origin="override", input=Decimal(1), output=Decimal(1))
    cost = booked(good(), at_shop(prices=(PRICE, mine))).cost
    assert (cost.pico, cost.source) == (15 * 10**6, "override")


def test_the_price_is_that_of_the_day() -> None:
    old = replace(PRICE, valid_from=date(2025, 1, 1), input=Decimal(9), output=Decimal(9))
    new = replace(PRICE, valid_from=date(2026, 12, 1), input=Decimal(7), output=Decimal(7))
    assert booked(good(), at_shop(prices=(old, new, PRICE))).cost.pico == TABLE


def test_what_nobody_knows_is_unknown_and_not_nothing() -> None:
    cost = booked(good(), AT_OTHER).cost
    assert (cost.pico, cost.source) == (None, "unknown")


LISTED = replace(PRICE, seller="listed")
LIST_CARD = replace(AT_SHOP.card, prices=(LISTED,), list_seller="listed")


def test_a_free_provider_costs_nothing_and_says_what_it_would_have_cost() -> None:
    home = replace(AT_OTHER.provider, free=True, base_url="http://127.0.0.1:8000/v1")
    cost = booked(good(), replace(AT_OTHER, provider=home, card=LIST_CARD)).cost
    assert (cost.pico, cost.source) == (0, "free")
    assert (cost.list_pico, cost.list_price_id) == (TABLE, LISTED.id)


@pytest.mark.parametrize("usage", [USED, {**USED, "cost": 0}], ids=["table", "reported"])
def test_a_free_variant_costs_nothing_and_says_what_it_would_have_cost(usage) -> None:
    free = replace(PRICE, input=Decimal(0), output=Decimal(0), variant="free")
    target = replace(
        at_shop(prices=(PRICE, free)), card=LIST_CARD, offer=replace(AT_SHOP.offer, variant="free")
    )
    cost = booked(Script(sse("x", usage=usage)), target).cost
    assert cost.pico == 0
    assert (cost.list_pico, cost.list_price_id) == (TABLE, LISTED.id)


def test_a_model_that_leaves_the_machine_is_not_free_because_the_address_is_near() -> None:
    near = replace(AT_OTHER.provider, free=True, leaves_machine=":cloud")
    here, away = (replace(AT_OTHER, provider=near, model=m) for m in ("big", "big:cloud"))
    assert booked(good(), here).cost.source == "free"
    assert booked(good(), away).cost.source == "unknown"


@pytest.mark.parametrize("status", [301, 400, 401, 402, 404, 429, 500, 503])
def test_who_is_turned_away_pays_nothing(status: int) -> None:
    entry = booked(refused(status))
    assert (entry.cost.pico, entry.status, entry.http_status) == (0, "error", status)
    assert (entry.usage.input_tokens, entry.usage.output_tokens) == (None, None)


def test_what_never_reached_a_server_costs_nothing() -> None:
    assert booked(Script(before=[fault(FaultKind.REFUSED, sent=False)])).cost.pico == 0


@pytest.mark.parametrize("late", [STALLED, BROKEN])
@pytest.mark.parametrize("where", ["before the headers", "after them"])
def test_what_was_sent_and_not_answered_may_have_been_billed(late, where: str) -> None:
    script = Script(before=[late]) if where == "before the headers" else Script([late])
    entry = booked(script)
    assert (entry.cost.pico, entry.cost.source) == (None, "unknown")
    assert (entry.usage.input_tokens, entry.usage.output_tokens) == (None, None)
    assert entry.http_status == (None if where == "before the headers" else 200)


def test_an_answer_without_counts_is_estimated_and_says_so() -> None:
    request = Request("big", (Message("user", "x" * 400),))
    script = Script([*sse("y" * 40, end=None), BROKEN])
    entry = booked(script, request=request)
    assert (entry.usage.input_tokens, entry.usage.output_tokens) == (100, 10)
    assert entry.usage.source == "estimated"
    assert (entry.cost.pico, entry.cost.source) == (100 * 600_000 + 10 * 2_400_000, "table")


def test_counts_that_came_before_the_cut_are_not_estimated() -> None:
    met = frame({"id": "gen-1", "choices": [], "usage": {**USED, "cost": 0.5}})
    entry = booked(Script([*sse("x", end=None), met, BROKEN]))
    assert (entry.status, entry.usage.source, entry.usage.output_tokens) == ("cut", "reported", 5)
    assert entry.cost.source == "reported"


def test_a_failure_inside_a_good_status_with_its_bill_is_paid() -> None:
    error = {"error": {"code": 503, "message": "over"}, "usage": {**USED, "cost": 0.25}}
    entry = booked(Script([frame(error)]))
    assert (entry.cost.pico, entry.http_status, entry.status) == (25 * 10**10, 200, "error")


def test_the_text_is_nowhere_in_the_row() -> None:
    at = scene(cut())
    ask(at, request=Request("big", (Message("user", "my secret wish"),)))
    assert "Hello" not in repr(at.entry)
    assert "secret wish" not in repr(at.entry)
