"""Money is exact, dated, billed once per token, and never guessed to be zero."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.money import (
    MOST_PICO,
    Cost,
    Pico,
    Price,
    Tier,
    cost_of,
    pico_from_usd,
    price_on,
    table_cost,
    usd_from_pico,
    usd_short,
    usd_text,
)
from nemocli.core.usage import Usage, superset

DAY = date(2026, 11, 23)
PRICE = Price(
    "seller",
    "ultra",
    date(2026, 10, 19),
    input=Decimal("0.60"),
    output=Decimal("2.40"),
    cached_input=Decimal("0.12"),
)
picos = st.integers(-MOST_PICO, MOST_PICO)
rates = st.decimals("0", "100", places=6)
maybe_rates = st.none() | rates
counts = st.none() | st.integers(0, 10**7)
usages = st.builds(Usage, counts, counts, counts, counts, counts)
prices = st.builds(
    Price,
    seller=st.just("seller"),
    model=st.just("ultra"),
    valid_from=st.just(DAY),
    input=rates,
    output=rates,
    cached_input=maybe_rates,
    cache_write=maybe_rates,
    reasoning=maybe_rates,
    per_request=maybe_rates,
)


@given(picos)
def test_dollar_texts_are_exact_and_plain(pico: int) -> None:
    text = usd_text(pico)
    assert text is not None
    assert pico_from_usd(Decimal(text)) == pico
    assert "E" not in text.upper()
    assert "." not in text or not text.endswith(("0", "."))


@pytest.mark.parametrize(
    ("pico", "exact", "short"),
    [
        (0, "0", "$0"),
        (1, "0.000000000001", "$0.0000000000010"),
        (1_230_000, "0.00000123", "$0.0000012"),
        (31_234_567_890, "0.03123456789", "$0.0312"),
        (5_000_000_000, "0.005", "$0.0050"),
        (10**12, "1", "$1.00"),
        (999_960_000_000, "0.99996", "$1.00"),
        (12_345_000_000_000, "12.345", "$12.34"),
        (100 * 10**12, "100", "$100.00"),
        (-25 * 10**10, "-0.25", "-$0.2500"),
    ],
)
def test_dollars_in_full_and_for_people(pico: int, exact: str, short: str) -> None:
    assert usd_text(pico) == exact
    assert usd_short(pico) == short


def test_an_unknown_sum_has_no_text() -> None:
    assert usd_text(None) is None


@given(st.integers(1, MOST_PICO))
def test_a_sum_that_is_not_nothing_never_looks_like_it(pico: int) -> None:
    shown = Decimal(usd_short(pico).removeprefix("$").replace(",", ""))
    assert shown > 0
    assert abs(shown - usd_from_pico(pico)) <= usd_from_pico(pico) / 20


@given(st.lists(picos), st.randoms(use_true_random=False))
def test_sums_are_the_same_in_any_order(parts: list[int], order: object) -> None:
    total = usd_from_pico(sum(parts))
    order.shuffle(parts)  # type: ignore[attr-defined]
    assert usd_from_pico(sum(parts)) == total


def test_a_dollar_per_million_is_a_million_pico_per_token() -> None:
    price = replace(PRICE, input=Decimal(1), output=Decimal(0))
    assert table_cost(Usage(1, None, None, 0), price) == 10**6


@given(usages, prices)
def test_every_token_is_billed_once_at_its_own_rate(usage: Usage, price: Price) -> None:
    cost = table_cost(usage, price)
    if usage.input_tokens is None or usage.output_tokens is None:
        assert cost is None
        return
    sound = superset(usage)
    cached, written = sound.cached_input_tokens or 0, sound.cache_write_tokens or 0
    thought = sound.reasoning_tokens or 0
    classes = [
        (usage.input_tokens - cached - written, price.input, None),
        (cached, price.cached_input, price.input),
        (written, price.cache_write, price.input),
        (usage.output_tokens - thought, price.output, None),
        (thought, price.reasoning, price.output),
    ]
    exact = Fraction(price.per_request or 0)
    for count, rate, fallback in classes:
        exact += count * Fraction(fallback or 0 if rate is None else rate) / 10**6
    assert cost is not None
    assert abs(Fraction(cost) - exact * 10**12) <= Fraction(1, 2)
    assert cost >= 0


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**7))
def test_cached_input_is_never_billed_on_top_of_input(total: int, cached: int, made: int) -> None:
    plain = table_cost(Usage(total, None, None, made), PRICE)
    discounted = table_cost(Usage(total, cached, None, made), PRICE)
    unlisted = table_cost(Usage(total, cached, None, made), replace(PRICE, cached_input=None))
    assert plain is not None
    assert discounted is not None
    assert discounted <= plain
    assert unlisted == plain
    if cached <= total:
        assert plain - discounted == cached * 480_000


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_reasoning_is_never_billed_on_top_of_output(made: int, reasoning: int) -> None:
    assert table_cost(Usage(0, None, None, made, reasoning), PRICE) == made * 2_400_000


def row(begins: int, ends: int | None = None, **changed: object) -> Price:
    """A row from day number `begins` until before day number `ends`."""
    first = DAY + timedelta(days=begins)
    last = None if ends is None else DAY + timedelta(days=ends)
    return replace(PRICE, valid_from=first, valid_to=last, **changed)  # type: ignore[arg-type]


def on(*rows: Price, day: int) -> Price | None:
    found = price_on(rows, DAY + timedelta(days=day))
    assert found == price_on(reversed(rows), DAY + timedelta(days=day))
    return found


def test_a_row_holds_from_its_first_day_until_before_its_last() -> None:
    only = row(0, 10)
    assert [on(only, day=d) is only for d in (-1, 0, 9, 10)] == [False, True, True, False]


def test_a_row_without_end_holds_until_the_next_begins() -> None:
    old, new = row(0), row(5)
    assert [on(old, new, day=d) for d in (-1, 0, 4, 5, 99)] == [None, old, old, new, new]


def test_a_row_does_not_come_back_when_the_next_is_over() -> None:
    assert on(row(0), row(5, 8), day=8) is None


def test_a_row_whose_end_is_said_outlives_a_passing_one() -> None:
    long, passing = row(0, 20), row(5, 8)
    assert [on(long, passing, day=d) for d in (4, 5, 8)] == [long, passing, long]


def test_an_override_beats_the_catalogue_which_beats_the_bundle() -> None:
    bundled, catalogue, override = row(9), row(5, origin="catalogue"), row(1, origin="override")
    everything = (bundled, catalogue, override)
    assert on(*everything, day=9) is override
    assert on(bundled, catalogue, day=9) is catalogue
    assert on(bundled, day=9) is bundled
    assert on(*everything, day=0) is None


def test_an_override_that_is_over_gives_way() -> None:
    bundled, override = row(0), row(1, 3, origin="override")
    assert [on(bundled, override, day=d) for d in (0, 1, 2, 3)] == [
        bundled,
        override,
        override,
        bundled,
    ]


begin_ends = st.tuples(st.integers(0, 20), st.none() | st.integers(1, 20))


@given(
    st.lists(st.tuples(begin_ends, st.sampled_from(["bundled", "catalogue", "override"]))),
    st.integers(-2, 25),
)
def test_the_row_found_holds_and_no_better_one_does(
    made: list[tuple[tuple[int, int | None], str]], day: int
) -> None:
    rank = {"bundled": 0, "catalogue": 1, "override": 2}
    rows = [
        row(begin, None if length is None else begin + length, origin=origin)
        for (begin, length), origin in made
    ]
    found = price_on(rows, DAY + timedelta(days=day))
    today = DAY + timedelta(days=day)
    closed = [p for p in rows if p.valid_to and p.valid_from <= today < p.valid_to]
    if found is None:
        assert closed == []
        return
    assert found.valid_from <= today
    assert found.valid_to is None or today < found.valid_to
    best = rank[found.origin], found.valid_from
    assert all((rank[p.origin], p.valid_from) <= best for p in closed)


def test_what_the_seller_says_beats_the_table() -> None:
    cost = cost_of(Usage(1000, None, None, 500), PRICE, Decimal("0.00123"))
    assert cost == Cost(
        Pico(1_230_000_000),
        "reported",
        PRICE.id,
        Pico(1_800_000_000),
        "seller/ultra@2026-10-19",
        ("differs_from_table",),
    )
    for said, flagged in (("0.001836", False), ("0.00183601", True), ("0.001764", False)):
        near = cost_of(Usage(1000, None, None, 500), PRICE, Decimal(said))
        assert bool(near.flags) == flagged, "2 % is the line"


def test_cached_tokens_billed_in_full_for_want_of_a_rate_are_flagged() -> None:
    unlisted = replace(PRICE, cached_input=None)
    assert cost_of(Usage(1000, 10, None, 500), unlisted).flags == ("cached_rate_missing",)
    assert cost_of(Usage(1000, 0, None, 500), unlisted).flags == ()
    assert cost_of(Usage(1000, 10, None, 500), replace(PRICE, cached_input=Decimal(0))).flags == ()


@pytest.mark.parametrize("said", ["1e999999", "9223373", "-1"])
def test_a_sum_nobody_can_have_charged_is_not_believed(said: str) -> None:
    cost = cost_of(Usage(1000, None, None, 500), PRICE, Decimal(said))
    assert (cost.pico, cost.source) == (1_800_000_000, "table")


def test_a_table_cost_no_integer_holds_is_unknown() -> None:
    dear = replace(PRICE, input=Decimal(10**9))
    assert cost_of(Usage(10**11, None, None, 1), dear).pico is None


def test_without_price_or_counts_the_cost_is_unknown_never_zero() -> None:
    assert cost_of(Usage(10, None, None, 5), None) == Cost(None, "unknown")
    assert cost_of(Usage(10), PRICE) == Cost(None, "unknown", PRICE.id)


def test_the_users_own_price_is_named_as_the_source() -> None:
    override = replace(PRICE, origin="override")
    assert cost_of(Usage(10, None, None, 5), override).source == "override"


FREE = replace(PRICE, variant="free", input=Decimal(0), output=Decimal(0), cached_input=None)


def test_a_free_call_is_listed_at_the_seller_who_stands_for_it() -> None:
    cost = cost_of(Usage(1000, None, None, 500), FREE, list_price=PRICE)
    assert cost == Cost(Pico(0), "free", FREE.id, Pico(1_800_000_000), PRICE.id)


def test_a_free_row_is_nobodys_list_price() -> None:
    assert cost_of(Usage(1000, None, None, 500), FREE) == Cost(Pico(0), "free", FREE.id)


def test_a_price_is_named_after_seller_model_variant_and_day() -> None:
    assert FREE.id == "seller/ultra:free@2026-10-19"


def test_a_long_call_is_billed_whole_at_the_rates_of_its_tier() -> None:
    tiered = replace(
        PRICE,
        tiers=(Tier(100, Decimal(2), Decimal(6), Decimal(1)), Tier(1000, Decimal(4), Decimal(8))),
    )
    for read, cached, made, usd in (
        (100, 0, 10, 100 * Decimal("0.60") + 10 * Decimal("2.40")),
        (101, 0, 10, 101 * 2 + 10 * 6),
        (101, 50, 10, 51 * 2 + 50 * 1 + 10 * 6),
        (1001, 1, 10, 1001 * 4 + 10 * 8),
    ):
        assert table_cost(Usage(read, cached, None, made), tiered) == pico_from_usd(
            usd / Decimal(10**6)
        )
    assert cost_of(Usage(1001, 1, None, 10), tiered).flags == ("cached_rate_missing",)
    assert cost_of(Usage(101, 1, None, 10), tiered).flags == ()
    assert tiered.id == PRICE.id
