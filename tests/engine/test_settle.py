"""What an abandoned reply really cost, asked of its seller afterwards."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nemocli.core.faults import FaultKind, NemoError
from nemocli.core.ports import Entry
from nemocli.core.provider import Settlement
from nemocli.engine.settle import is_unsettled, settle, settle_quietly
from tests.engine.scripted import (
    AT_OTHER,
    AT_SHOP,
    BROKEN,
    FOREVER,
    NOW,
    PRICE,
    SECRET,
    SHOP,
    USED,
    Scene,
    Script,
    ask,
    cancelled,
    cut,
    document,
    good,
    refused,
    scene,
    sse,
    virtually,
)

FOUND = document({"data": {"total_cost": 0.0021}})
NOT_YET = document({"error": {"message": "Generation not found"}}, 404)


def abandoned(how: str, *then: Script) -> tuple[Scene, Entry]:
    """A scene in which an answer stopped in the middle; what follows answers the question."""
    first = cut() if how == "cut" else Script([*sse("Hello", end=None), FOREVER])
    at = scene(first, *then)
    if how == "cut":
        ask(at)
    else:
        cancelled(at, 5)
    at.clock.slept.clear()
    return at, at.entry


@pytest.mark.parametrize("how", ["cut", "aborted"])
def test_a_seller_is_asked_until_it_knows(how: str) -> None:
    at, entry = abandoned(how, NOT_YET, FOUND)
    assert entry.status == how
    assert is_unsettled(entry, SHOP)
    settled = virtually(settle(entry, SHOP, at.world))
    assert settled is not None
    assert (settled.cost.pico, settled.cost.source) == (2_100_000_000, "reconciled")
    assert (settled.cost.price_id, settled.cost.list_pico) == (PRICE.id, entry.cost.list_pico)
    (row,) = at.book.settled
    assert (row.attempt_id, row.at, row.cost_pico) == (entry.attempt_id, NOW, settled.cost.pico)
    assert at.clock.slept == [0.5, 0.5]
    assert len(at.calls) == 3
    assert not is_unsettled(settled, SHOP)


def test_it_is_asked_with_the_key_and_not_waited_for_long() -> None:
    at, entry = abandoned("cut", FOUND)
    virtually(settle(entry, SHOP, at.world))
    call = at.calls[-1]
    assert (call.method, call.url) == ("GET", "https://shop.example/v1/generation?id=gen-1")
    assert call.headers["authorization"] == f"Bearer {SECRET}"
    assert call.secrets == (SECRET,)
    assert call.timeouts.total_s <= 10


def test_what_the_seller_says_beside_the_cost_is_taken_too() -> None:
    told = {"total_cost": "0.002", "host": "upstream-1", "in": 11, "out": 7}
    fields = {
        "cost": "data.total_cost",
        "upstream": "data.host",
        "input_tokens": "data.in",
        "output_tokens": "data.out",
    }
    shop = replace(SHOP, settlement=Settlement("/generation?id={id}", fields))
    at, entry = abandoned("cut", document({"data": told}))
    settled = virtually(settle(entry, shop, at.world))
    assert settled is not None
    assert settled.upstream == "upstream-1"
    assert (settled.usage.input_tokens, settled.usage.output_tokens) == (11, 7)
    assert settled.usage.source == "reported"


def test_one_that_never_knows_is_asked_so_often_and_no_more() -> None:
    at, entry = abandoned("cut", NOT_YET)
    assert virtually(settle(entry, SHOP, at.world)) is None
    assert len(at.calls) == 1 + 3
    assert virtually(settle(entry, SHOP, at.world, tries=2)) is None
    assert len(at.calls) == 4 + 2
    assert at.book.settled == []


def test_a_record_without_its_cost_is_not_finished() -> None:
    at, entry = abandoned("cut", document({"data": {"total_cost": None}}), FOUND)
    assert virtually(settle(entry, SHOP, at.world)) is not None


FAULTS = {
    "key": (refused(401), FaultKind.AUTH),
    "server": (refused(500), FaultKind.SERVER),
    "reset": (Script(before=[BROKEN]), FaultKind.NETWORK),
    "reset in the body": (Script([b'{"data"', BROKEN]), FaultKind.NETWORK),
    "no JSON": (Script([b"<html>"]), FaultKind.PROTOCOL),
}


@pytest.mark.parametrize(("script", "kind"), FAULTS.values(), ids=FAULTS)
def test_anything_else_is_a_fault_or_where_wanted_no_matter(script: Script, kind) -> None:
    at, entry = abandoned("cut", script)
    with pytest.raises(NemoError) as told:
        virtually(settle(entry, SHOP, at.world))
    assert told.value.fault.kind is kind
    assert len(at.calls) == 2
    assert virtually(settle_quietly(entry, SHOP, at.world)) is None
    assert at.book.settled == []


def test_a_key_is_not_shown_to_an_address_that_has_become_plain() -> None:
    at, entry = abandoned("cut", FOUND)
    plain = replace(SHOP, base_url="http://shop.example/v1")
    assert virtually(settle_quietly(entry, plain, at.world)) is None
    assert len(at.calls) == 1


def test_a_ledger_that_fails_leaves_the_estimate() -> None:
    at, entry = abandoned("cut", FOUND)
    at.book.broken = ("settle",)
    assert virtually(settle_quietly(entry, SHOP, at.world)) is None


def test_where_there_is_nothing_to_ask_nobody_is_asked() -> None:
    reported = scene(Script(sse("Hello", usage={**USED, "cost": 0.1})))
    ask(reported)
    assert not is_unsettled(reported.entry, SHOP)
    turned_away = scene(refused(401))
    ask(turned_away)
    assert not is_unsettled(turned_away.entry, SHOP)
    at = scene(good())
    ask(at, AT_OTHER)
    assert not is_unsettled(at.entry, AT_OTHER.provider)
    assert virtually(settle(at.entry, AT_OTHER.provider, at.world)) is None
    nameless = replace(at.entry, reply_id=None)
    assert not is_unsettled(nameless, SHOP)
    assert virtually(settle(nameless, SHOP, at.world)) is None
    assert len(at.calls) == 1


def test_an_answer_at_an_unknown_or_a_table_price_may_be_settled() -> None:
    at = scene(good())
    ask(at)
    assert at.entry.cost.source == "table"
    assert is_unsettled(at.entry, AT_SHOP.provider)
