"""A hard cap on a run: reserved before each call, settled after it, never broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.budget import RunBudget
from nemocli.core.faults import ExitCode, FaultKind
from nemocli.core.money import Pico, Price, table_cost
from nemocli.core.ports import Call, Room
from nemocli.core.request import Message, Request
from nemocli.core.usage import Usage
from nemocli.engine.run import run
from tests.engine.scripted import (
    ASKED,
    AT_OTHER,
    AT_SHOP,
    BROKEN,
    FOREVER,
    ONCE,
    PRICE,
    STALLED,
    Script,
    ask,
    cancelled,
    good,
    plan,
    refused,
    scene,
    sse,
    virtually,
)

PLENTY = Pico(10**12)
TIGHT = Pico(2 * 10**9)
PRICED = replace(
    AT_OTHER,
    provider=replace(AT_OTHER.provider, prices=(replace(PRICE, seller="other"),)),
)


def test_a_cap_lowers_the_limit_until_the_worst_case_fits() -> None:
    at = scene(good())
    answer = ask(at, max_cost_pico=TIGHT)
    assert answer.fault is None
    assert answer.lowered is not None
    assert at.sent()["max_tokens"] == answer.lowered < 4096
    (reservation,) = at.book.reserved
    assert reservation.pico is not None
    assert answer.lowered * 2_400_000 < reservation.pico <= TIGHT


def test_each_of_several_answers_is_in_the_worst_case() -> None:
    three = replace(ASKED, options={"n": 3})
    at, one = scene(good()), scene(good())
    answer = ask(at, max_cost_pico=TIGHT, request=three)
    alone = ask(one, max_cost_pico=TIGHT)
    assert answer.lowered is not None
    assert alone.lowered is not None
    assert 0.9 < 3 * answer.lowered / alone.lowered <= 1
    (reservation,) = at.book.reserved
    assert reservation.pico is not None
    assert 3 * answer.lowered * 2_400_000 < reservation.pico <= TIGHT


def test_what_fits_as_it_is_is_not_lowered() -> None:
    at = scene(good())
    answer = ask(at, max_cost_pico=PLENTY, request=replace(ASKED, max_tokens=50))
    assert (answer.fault, answer.lowered, at.sent()["max_tokens"]) == (None, None, 50)


def test_a_limit_the_user_set_is_kept_or_refused_but_not_lowered() -> None:
    at = scene(good())
    answer = ask(at, max_cost_pico=TIGHT, request=replace(ASKED, max_tokens=4000))
    assert answer.fault is not None
    assert answer.fault.exit_code is ExitCode.BUDGET
    assert at.calls == []


def test_an_option_does_not_get_round_the_cap() -> None:
    at = scene(good())
    answer = ask(at, max_cost_pico=TIGHT, request=replace(ASKED, options={"max_tokens": 4000}))
    assert answer.fault is not None
    assert (answer.fault.kind, at.calls) == (FaultKind.BUDGET, []), "as with --max-tokens 4000"
    at = scene(good())
    answer = ask(at, max_cost_pico=TIGHT, request=replace(ASKED, options={"max_tokens": 5}))
    assert (at.sent()["max_tokens"], answer.lowered) == (5, None)


def test_an_answer_cut_where_the_money_ends_is_the_budgets_end() -> None:
    at = scene(Script(sse("Hello", end="length")))
    answer = ask(at, max_cost_pico=TIGHT)
    assert answer.fault is not None
    assert answer.fault.exit_code is ExitCode.BUDGET
    assert at.entry.status == "truncated"


def test_an_answer_cut_elsewhere_is_not_blamed_on_the_budget() -> None:
    free = replace(AT_OTHER, provider=replace(AT_OTHER.provider, free=True))
    at = scene(refused(401), Script(sse("Hello", end="length")))
    answer = ask(at, AT_SHOP, free, max_cost_pico=TIGHT)
    assert answer.fault is not None
    assert answer.fault.kind is FaultKind.TRUNCATED
    assert answer.lowered is None


@pytest.mark.parametrize("target", [AT_OTHER, replace(AT_SHOP, card=None, model="x/unknown")])
def test_a_price_nobody_knows_cannot_be_capped(target) -> None:
    at = scene(good())
    answer = ask(at, target, max_cost_pico=PLENTY)
    assert answer.fault is not None
    assert (answer.fault.kind, answer.fault.exit_code) == (FaultKind.BUDGET, 9)
    assert at.calls == at.book.reserved == []
    assert at.entry.cost.pico == 0


def test_what_is_free_needs_no_price_and_no_money() -> None:
    free = replace(AT_OTHER, provider=replace(AT_OTHER.provider, free=True))
    at = scene(good())
    assert ask(at, free, max_cost_pico=Pico(0)).fault is None
    assert "max_tokens" not in at.sent()


def test_what_failed_attempts_may_have_cost_is_gone() -> None:
    at = scene(Script(before=[STALLED]), good())
    request = replace(ASKED, max_tokens=400)
    worst = Pico(1_100_000_000)
    answer = ask(at, max_cost_pico=worst, request=request)
    assert answer.fault is not None
    assert answer.fault.kind is FaultKind.BUDGET
    assert len(at.calls) == 1
    again = scene(Script(before=[STALLED]), good())
    assert ask(again, max_cost_pico=Pico(2 * worst), request=request).fault is None


def test_what_was_turned_away_costs_no_budget() -> None:
    at = scene(refused(503), refused(503), good())
    request = replace(ASKED, max_tokens=400)
    assert ask(at, max_cost_pico=Pico(1_100_000_000), request=request).fault is None


def test_the_promise_of_a_cancelled_call_is_settled() -> None:
    at = scene(Script([*sse("Hel", end=None), FOREVER]))
    cancelled(at, 5, max_cost_pico=TIGHT)
    assert at.book.open == {}
    assert at.entry.cost.pico is not None


@pytest.mark.parametrize(
    "text", ["3.14159" * 500, '{"a":[[1,2],[3]]}' * 200, "\n\t" * 900], ids=["numbers", "json", "-"]
)
def test_an_input_whose_every_mark_is_a_token_fits_its_promise(text: str) -> None:
    """Vocabularies that have a token for each digit are common."""
    request = Request("big", (Message("user", text),), max_tokens=16)
    spent = Usage(sum(not c.isalpha() for c in text) + 8, output_tokens=16)
    at = scene(good())
    ask(at, request=request, max_cost_pico=PLENTY)
    (reservation,) = at.book.reserved
    assert reservation.pico is not None
    assert reservation.pico >= (table_cost(spent, PRICE) or 0)


def test_the_question_may_hold_half_a_character() -> None:
    at = scene(good())
    broken = Request("big", (Message("user", "\ud800"),))
    assert ask(at, request=broken, max_cost_pico=PLENTY).fault is None


# Anything at all


def honest(wanted: int, price: Price, end: str) -> Callable[[Call], Script]:
    """A server that makes as many tokens as it may, and bills what it made."""

    def reply(call: Call) -> Script:
        body = json.loads(call.body)
        asked = sum(len(m["content"]) for m in body["messages"]) // 4
        made = min(wanted, body["max_tokens"])
        if end in ("refused", "broken"):
            return refused(503) if end == "refused" else Script(before=[BROKEN])
        usage = {"prompt_tokens": asked, "completion_tokens": made}
        if end == "reported":
            pico = table_cost(Usage(asked, output_tokens=made), price)
            usage = {**usage, "cost": str(Decimal(pico or 0).scaleb(-12))}
        if end == "cut":
            return Script([*sse("word" * made, end=None)] if made else [BROKEN])
        length = made < wanted
        return Script(sse("word" * made, end="length" if length else "stop", usage=usage))

    return reply


ENDS = st.sampled_from(["reported", "counted", "cut", "refused", "broken"])


@given(
    st.lists(st.tuples(st.integers(0, 3000), ENDS), min_size=1, max_size=6),
    st.integers(0, 12 * 10**9),
    st.none() | st.integers(1, 3000),
    st.text(max_size=200),
)
def test_no_cap_is_ever_broken_where_prices_are_known(
    replies: list[tuple[int, str]], cap: int, most: int | None, text: str
) -> None:
    at = scene(*(honest(wanted, PRICE, end) for wanted, end in replies))
    budget = RunBudget(Pico(cap))
    request = Request("big", (Message("user", text),), max_tokens=most)
    work = run(plan(AT_SHOP, PRICED), request, at.world, at.seen.append, budget=budget)
    answer = virtually(work)
    assert budget.reserved == 0
    assert sum(e.cost.pico or 0 for e in at.book.entries) <= budget.spent <= cap
    unsent = [e for e in at.book.entries if e.fault and e.fault.kind is FaultKind.BUDGET]
    assert len(answer.entries) == len(at.book.entries) == len(at.calls) + len(unsent)
    assert len(unsent) <= 1
    assert at.book.open == {}
    assert all(r.pico is not None and r.pico <= cap for r in at.book.reserved)


def test_one_budget_may_serve_several_runs() -> None:
    at = scene(Script(before=[STALLED]))
    budget = RunBudget(Pico(2_000_000_000))
    request = replace(ASKED, max_tokens=400)
    for _ in range(4):
        work = run(plan(policy=ONCE), request, at.world, at.seen.append, budget=budget)
        answer = virtually(work)
    assert answer.fault is not None
    assert answer.fault.kind is FaultKind.BUDGET
    assert len(at.calls) == 2


def test_a_budget_of_the_book_lowers_the_limit_like_a_cap() -> None:
    at = scene(Script(sse("Hello", end="length")))
    at.book.rooms = lambda _: Room(TIGHT, "day")
    answer = ask(at)
    assert at.sent()["max_tokens"] == answer.lowered
    assert answer.fault is not None
    assert answer.fault.exit_code is ExitCode.BUDGET
    assert "where the budget 'day' ends" in answer.fault.message


def test_the_tighter_of_two_caps_counts() -> None:
    for cap, room in ((TIGHT, PLENTY), (PLENTY, TIGHT)):
        at = scene(good())
        at.book.rooms = lambda _, room=room: Room(room, "day")  # type: ignore[misc]
        answer = ask(at, max_cost_pico=cap)
        assert answer.lowered is not None
        (reservation,) = at.book.reserved
        assert reservation.pico is not None
        assert reservation.pico <= TIGHT


def test_a_race_that_is_lost_is_a_refusal_and_nothing_is_sent() -> None:
    at = scene(good())
    at.book.rooms = lambda _: Room(PLENTY, "day")
    at.book.refuses = FaultKind.BUDGET
    answer = ask(at, max_cost_pico=PLENTY)
    assert answer.fault is not None
    assert answer.fault.kind is FaultKind.BUDGET
    assert at.calls == []
    assert at.entry.cost.pico == 0


def test_the_book_is_told_what_a_budget_goes_by() -> None:
    at = scene(good())
    plan = {"project": "/p", "tags": ("x",)}
    ask(at, **plan)
    (reservation,) = at.book.reserved
    assert (reservation.project, reservation.tags, reservation.run_id) == ("/p", ("x",), "run-1")
    assert reservation.pico is None, "nothing capped it"


def test_warnings_of_the_book_reach_the_user_and_a_broken_one_does_not_stop_the_call() -> None:
    at = scene(good())
    at.book.warnings = ("budget 'day': 80 % is used",)
    assert ask(at).warnings == ["budget 'day': 80 % is used"]
    broken = scene(good())
    broken.book.broken = ("room",)
    answer = ask(broken)
    assert answer.fault is None
    assert answer.warnings == ["budgets were not checked: could not room: the disk is full"]
