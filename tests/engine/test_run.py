"""The one door: attempts in order, each reserved before and booked after, whatever happens."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.events import Fold, Retrying, Text
from nemocli.core.faults import ExitCode, Fault, FaultKind, NemoError
from nemocli.core.money import Pico
from nemocli.core.policy import Policy
from nemocli.core.request import Message, Request
from nemocli.engine.run import Answer, run
from tests.engine.scripted import (
    ASKED,
    AT_OTHER,
    AT_SHOP,
    BROKEN,
    FOREVER,
    PRICE,
    SLOW,
    Scene,
    Script,
    plan,
    scene,
    sse,
)

GOOD = Script(sse("Hello", " you"))
CUT = Script(sse("Hello", end=None))
DOWN = Script([b"no"], 500)
BUSY = Script([b"no"], 429)


def ask(at: Scene, *targets, request: Request = ASKED, **more) -> Answer:
    return asyncio.run(run(plan(*targets, **more), request, at.world, at.seen.append))


def said(at: Scene) -> str:
    return "".join(e.text for e in at.seen if isinstance(e, Text))


def test_an_answer_is_seen_folded_and_booked_once() -> None:
    at = scene(GOOD)
    answer = ask(at)
    assert (said(at), answer.fold.text, answer.fault) == ("Hello you", "Hello you", None)
    (entry,) = at.book.entries
    assert (entry.status, entry.http_status, entry.run_id) == ("ok", 200, "run-1")
    assert (entry.model, entry.requested_model, entry.attempt) == ("big", "big", 1)
    assert (entry.cost.source, entry.cost.pico) == ("reported", 10**9)
    assert entry.ttft_s is not None
    assert entry.total_s is not None
    assert 0 < entry.ttft_s < entry.total_s
    assert at.book.open == {}


def test_what_may_pass_is_tried_again_and_what_may_not_is_not() -> None:
    at = scene(DOWN, GOOD)
    assert ask(at).fault is None
    assert [e.status for e in at.book.entries] == ["error", "ok"]
    assert [e.cost.pico for e in at.book.entries] == [0, 10**9]
    assert isinstance(at.seen[0], Retrying)
    refused = scene(Script([b"no"], 401))
    assert ask(refused).fault.exit_code is ExitCode.AUTH
    assert len(refused.transport.calls) == 1


def test_with_another_path_a_rate_limit_is_not_waited_for() -> None:
    at = scene(BUSY, GOOD)
    answer = ask(at, AT_SHOP, AT_OTHER)
    assert answer.target.provider.name == "other"
    assert at.clock.slept == []
    assert [e.provider for e in at.book.entries] == ["shop", "other"]


def test_nothing_follows_a_word_that_was_seen() -> None:
    at = scene(CUT, GOOD)
    answer = ask(at, AT_SHOP, AT_OTHER)
    assert (said(at), answer.fault.kind, answer.fault.exit_code) == ("Hello", FaultKind.CUT, 8)
    assert len(at.transport.calls) == 1
    assert at.book.entries[0].status == "cut"


@pytest.mark.parametrize(
    ("late", "kind"), [(BROKEN, FaultKind.CUT), (SLOW, FaultKind.TIMEOUT)], ids=["reset", "stall"]
)
def test_a_fault_after_words_says_that_the_answer_broke_off(late, kind) -> None:
    at = scene(Script([*sse("Hello", end=None), late]))
    answer = ask(at)
    assert answer.fault.kind is kind
    assert answer.fold.text == "Hello"
    assert at.book.entries[0].status == "cut"
    assert at.book.entries[0].usage.source == "estimated"


@pytest.mark.parametrize("after", [BROKEN, FOREVER], ids=["reset", "silence"])
def test_an_announced_end_stands_whatever_the_connection_does_then(after) -> None:
    at = scene(Script([*sse("Hello"), after]))
    assert ask(at).fault is None
    assert at.book.entries[0].status == "ok"


@pytest.mark.parametrize(
    ("script", "block"),
    [
        (Script(before=FOREVER), False),
        (Script([FOREVER]), False),
        (Script([*sse("Hel", end=None), FOREVER]), False),
        (DOWN, True),
    ],
    ids=["before the headers", "before the text", "in the text", "in the wait to try again"],
)
def test_a_cancelled_run_books_what_it_had_once(script: Script, block: bool) -> None:
    at = scene(script)
    at.clock.block = block
    answer = Answer(Fold(), AT_SHOP)

    async def begun() -> None:
        task = asyncio.create_task(run(plan(), ASKED, at.world, at.seen.append, answer=answer))
        for _ in range(20):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(begun())
    assert [e.status for e in at.book.entries] == ["error" if block else "aborted"]
    assert at.book.open == {}
    assert len(answer.entries) == 1


def test_a_ledger_that_cannot_be_written_loses_no_answer_and_says_so_once() -> None:
    at = scene(GOOD)
    at.book.broken = True
    answer = ask(at)
    assert answer.fault is None
    assert answer.warnings == ["the disk is full; the answer was not booked"]


def test_a_reservation_stands_under_the_attempts_own_id_while_it_runs() -> None:
    at = scene(Script(before=FOREVER))

    async def begun() -> None:
        task = asyncio.create_task(run(plan(), ASKED, at.world, at.seen.append))
        for _ in range(20):
            await asyncio.sleep(0)
        held = list(at.book.open)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert held == [at.book.entries[0].attempt_id]

    asyncio.run(begun())


# Money


def test_a_hard_cap_lowers_the_limit_until_it_fits() -> None:
    at = scene(GOOD)
    answer = ask(at, max_cost_pico=Pico(2 * 10**9))
    assert answer.fault is None
    assert answer.lowered is not None
    assert f'"max_tokens":{answer.lowered}'.encode() in at.transport.calls[0].body
    cut = scene(Script(sse("Hello", end="length")))
    assert ask(cut, max_cost_pico=Pico(2 * 10**9)).fault.exit_code is ExitCode.BUDGET


@pytest.mark.parametrize("target", [AT_OTHER, replace(AT_SHOP, card=None, model="x/unknown")])
def test_a_price_nobody_knows_cannot_be_capped(target) -> None:
    at = scene(GOOD)
    answer = ask(at, target, max_cost_pico=Pico(10**12))
    assert answer.fault.exit_code is ExitCode.BUDGET
    assert at.transport.calls == []
    assert at.book.entries[0].cost.pico == 0


def test_a_free_variant_costs_nothing_and_says_what_it_would_have_cost() -> None:
    free = replace(PRICE, input=Decimal(0), output=Decimal(0), variant="free")
    listed = replace(PRICE, seller="listed")
    card = replace(AT_SHOP.card, prices=(listed,), list_seller="listed")
    shop = replace(AT_SHOP.provider, prices=(PRICE, free), usage=type(AT_SHOP.provider.usage)())
    offer = replace(AT_SHOP.offer, variant="free")
    at = scene(GOOD)
    ask(at, replace(AT_SHOP, provider=shop, card=card, offer=offer))
    cost = at.book.entries[0].cost
    assert (cost.pico, cost.source) == (0, "free")
    assert cost.list_pico == 10 * 600_000 + 5 * 2_400_000
    assert cost.list_price_id == listed.id


def test_a_model_that_leaves_the_machine_is_not_free_because_the_address_is_near() -> None:
    near = replace(AT_OTHER.provider, free=True, leaves_machine=":cloud", name="near")
    here = scene(Script(sse("x", usage={"prompt_tokens": 1, "completion_tokens": 1})))
    away = scene(Script(sse("x", usage={"prompt_tokens": 1, "completion_tokens": 1})))
    ask(here, replace(AT_OTHER, provider=near, model="big"))
    ask(away, replace(AT_OTHER, provider=near, model="big:cloud"))
    assert here.book.entries[0].cost.source == "free"
    assert away.book.entries[0].cost.source == "unknown"


def test_a_timeout_after_sending_may_have_been_billed() -> None:
    at = scene(Script(before=SLOW))
    ask(at, policy=Policy(tries=1))
    assert at.book.entries[0].cost.pico is None
    never = scene(Script(before=NemoError(Fault(FaultKind.REFUSED, "no", sent=False))))
    ask(never)
    assert never.book.entries[0].cost.pico == 0


# Keys


def test_a_missing_key_is_a_fault_before_anything_is_sent() -> None:
    at = scene(GOOD)
    at.keys.key = None
    answer = ask(at)
    assert answer.fault.exit_code is ExitCode.AUTH
    assert "SHOP_KEY" in answer.fault.hint
    assert at.transport.calls == []


def test_a_key_is_not_sent_where_it_can_be_overheard() -> None:
    plain = replace(AT_SHOP.provider, base_url="http://shop.example/v1")
    at = scene(GOOD)
    assert ask(at, replace(AT_SHOP, provider=plain)).fault.kind is FaultKind.CONFIG
    assert at.transport.calls == []


def test_a_key_that_a_server_repeats_goes_no_further() -> None:
    body = b'{"error": {"code": 401, "message": "bad key secret-key-0123456789"}}'
    at = scene(Script([body], 401))
    answer = ask(at)
    assert "secret-key" not in answer.fault.message
    assert "secret-key" not in repr(at.book.entries)


def test_an_endless_refusal_is_not_read_to_its_end() -> None:
    at = scene(Script([b"x" * 65536] * 100, 500))
    answer = ask(at, policy=Policy(tries=1))
    assert answer.fault.status == 500


# Anything at all

SCRIPTS = st.sampled_from(
    [GOOD, CUT, DOWN, BUSY, Script(before=BROKEN), Script(before=SLOW), Script([b"<html>"])]
)


@given(st.lists(SCRIPTS, min_size=1, max_size=6), st.booleans(), st.integers(0, 10**10))
def test_every_call_is_booked_once_and_no_cap_is_broken(
    scripts: list[Script], two: bool, cap: int
) -> None:
    at = scene(*scripts)
    targets = (AT_SHOP, AT_OTHER) if two else (AT_SHOP,)
    answer = ask(at, *targets, max_cost_pico=Pico(cap))
    assert len(answer.entries) == len(at.book.entries) >= len(at.transport.calls)
    assert at.book.open == {}
    assert sum(e.cost.pico or 0 for e in at.book.entries) <= max(cap, 10**9)
    assert answer.fault is None or answer.fold.end is not None


def test_the_question_may_hold_half_a_character() -> None:
    at = scene(GOOD)
    broken = Request("big", (Message("user", "\ud800"),))
    assert ask(at, request=broken, max_cost_pico=Pico(10**12)).fault is None
