"""A cap is a cap: what is promised always fits, and what fits is promised."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.budget import LEAST_OUTPUT, Bound, RunBudget, output_bound
from nemocli.core.faults import ExitCode, Fault, FaultKind
from nemocli.core.money import Pico, Price, Tier, table_cost
from nemocli.core.usage import Usage

rates = st.decimals("0", "100", places=6)
tiny = st.decimals("0", "0.00001", places=12)
some_rates = rates | tiny
maybe_rates = st.none() | some_rates
prices = st.builds(
    Price,
    seller=st.just("seller"),
    model=st.just("ultra"),
    valid_from=st.just(date(2026, 1, 1)),
    input=some_rates,
    output=some_rates,
    cached_input=maybe_rates,
    cache_write=maybe_rates,
    reasoning=maybe_rates,
    per_request=st.none() | st.decimals("0", "0.01", places=6),
)
tiers = st.lists(
    st.builds(Tier, st.integers(1, 10**6), some_rates, some_rates, maybe_rates), max_size=3
).map(tuple)
PRICE = Price("seller", "ultra", date(2026, 1, 1), Decimal("0.60"), Decimal("2.40"))
ONE_CENT = 10**10


def dearest(price: Price, given_tokens: int, made: int) -> int:
    """The most any split of the tokens into classes can cost."""
    return max(
        table_cost(Usage(given_tokens, cached, written, made, reasoning), price) or 0
        for cached, written in ((0, 0), (given_tokens, 0), (0, given_tokens))
        for reasoning in (0, made)
    )


@given(
    st.integers(-10, 10**14),
    prices,
    st.integers(0, 10**6),
    st.none() | st.integers(1, 10**6),
    st.none() | st.integers(1, 10**6),
)
def test_the_worst_case_fits_what_is_left_and_the_output_allowed_is_the_most_that_does(
    left: int, price: Price, given_tokens: int, max_tokens: int | None, limit: int | None
) -> None:
    wanted = max_tokens or limit or 65_536
    fits = output_bound(left, price, given_tokens, max_tokens, limit)
    if isinstance(fits, Bound):
        assert dearest(price, given_tokens, fits.max_tokens) == fits.worst <= left
        assert fits.lowered == (fits.max_tokens < wanted)
        assert fits.max_tokens <= wanted
        if fits.lowered:
            assert max_tokens is None
            assert fits.max_tokens >= LEAST_OUTPUT
            assert dearest(price, given_tokens, fits.max_tokens + 1) > left
    else:
        assert dearest(price, given_tokens, wanted) > left
        if max_tokens is None:
            assert dearest(price, given_tokens, min(LEAST_OUTPUT, wanted)) > left or wanted < 16


@given(
    prices,
    st.integers(0, 10**5),
    st.integers(0, 10**5),
    st.tuples(*[st.integers(0, 100)] * 3),
)
def test_no_reply_within_the_bound_costs_more_than_its_worst_case(
    price: Price, given_tokens: int, made: int, shares: tuple[int, int, int]
) -> None:
    fits = output_bound(10**18, price, given_tokens, max(1, made), None)
    assert isinstance(fits, Bound)
    cached = given_tokens * shares[0] // 200
    written = given_tokens * shares[1] // 200
    usage = Usage(given_tokens, cached, written, made, made * shares[2] // 100)
    assert (table_cost(usage, price) or 0) <= fits.worst


def test_writing_a_cache_dearer_than_input_is_in_the_worst_case() -> None:
    price = Price(
        "seller", "x", date(2026, 1, 1), Decimal(1), Decimal(1), cache_write=Decimal("1.25")
    )
    fits = output_bound(10**15, price, 1000, 10, None)
    assert isinstance(fits, Bound)
    assert fits.worst == 1000 * 1_250_000 + 10 * 1_000_000


def test_output_is_lowered_only_where_the_user_left_it_open() -> None:
    assert output_bound(ONE_CENT, PRICE, 100, None, None) == Bound(
        Pico(9_998_400_000), 4141, lowered=True
    )
    refused = output_bound(ONE_CENT, PRICE, 100, 10_000, None)
    assert isinstance(refused, Fault)
    assert refused.kind.value == "budget"
    assert refused.hint == "`--max-tokens 4141` fits"


def test_what_cannot_pay_a_short_answer_is_refused_before_it_is_sent() -> None:
    refused = output_bound(100, PRICE, 100, None, None)
    assert isinstance(refused, Fault)
    assert (refused.exit_code, refused.sent) == (ExitCode.BUDGET, False)
    assert "0.0000000001 USD is left" in refused.message


@pytest.mark.parametrize("left", [0, ONE_CENT, 10**18])
def test_a_price_nobody_knows_cannot_be_capped(left: int) -> None:
    refused = output_bound(left, None, 10, 10, None)
    assert isinstance(refused, Fault)
    assert refused.kind is FaultKind.BUDGET
    assert "no price is known" in refused.message


def test_a_request_for_more_than_can_be_counted_is_not_free() -> None:
    assert isinstance(output_bound(ONE_CENT, PRICE, 10, 10**15, None), Fault)


moves = st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(["within", "unknown", "open"])))


@given(st.integers(0, 3 * 10**6), moves)
def test_promises_and_what_they_came_to_never_pass_the_cap(
    cap: int, made: list[tuple[int, str]]
) -> None:
    budget = RunBudget(Pico(cap))
    spent = held = 0
    for worst, outcome in made:
        fitted = worst <= cap - spent - held
        assert budget.reserve(worst) == fitted
        if not fitted:
            continue
        if outcome == "open":
            held += worst
        else:
            actual = worst // 2 if outcome == "within" else None
            budget.settle(worst, actual)
            spent += worst if actual is None else actual
        assert (budget.spent, budget.reserved) == (spent, held)
        assert budget.left == cap - spent - held >= 0


def test_a_call_that_cost_more_than_it_promised_stops_the_next() -> None:
    budget = RunBudget(Pico(100))
    assert budget.reserve(60)
    budget.settle(60, 150)
    assert budget.left == -50
    assert not budget.reserve(1)


@given(
    prices,
    tiers,
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**5),
)
def test_no_length_up_to_the_feared_one_costs_more_than_was_held(
    price: Price, some: tuple[Tier, ...], feared: int, shorter: int, made: int
) -> None:
    tiered = replace(price, tiers=some)
    fits = output_bound(10**18, tiered, feared, max(1, made), None)
    assert isinstance(fits, Bound)
    assert dearest(tiered, min(feared, shorter), made) <= fits.worst
