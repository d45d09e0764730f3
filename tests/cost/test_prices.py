"""News of prices is believed unless it is absurd, and a row survives its file."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.faults import NemoError
from nemocli.core.money import Price, Tier
from nemocli.cost.prices import judge_price, price_from, price_json, same_rates
from nemocli.io.profiles.price_file import add_prices, read_prices


def price(given_: str, made: str, cached: str | None = None, day: int = 1) -> Price:
    return Price(
        "shop",
        "ultra",
        date(2026, 11, day),
        Decimal(given_),
        Decimal(made),
        None if cached is None else Decimal(cached),
        origin="catalogue",
    )


OLD = price("0.50", "2.50", "0.15")
ELSEWHERE = [replace(price("0.60", "2.40"), seller=name) for name in ("alpha", "beta", "gamma")]


@pytest.mark.parametrize(
    ("found", "verdict", "why"),
    [
        (price("0.60", "2.40", "0.12", 2), "new", ""),
        (price("0.50", "2.50", "0.15", 2), "unchanged", ""),
        (price("0.00000060", "0.0000024", None, 2), "refused", "per token where per million"),
        (price("600000", "2400000", None, 2), "refused", "per token where per million"),
        (price("50", "2.50", None, 2), "refused", "a jump of 100 times"),
        (price("49.9", "249", None, 2), "new", ""),
        (price("0.50", "2.50", "0.0001", 2), "refused", "cached_input is 0.0001"),
        (price("-0.5", "2.50", None, 2), "refused", "input is -0.5"),
        (price("NaN", "2.50", None, 2), "refused", "input is NaN"),
        (price("0", "0", None, 2), "refused", "it would cost nothing"),
        (price("0", "2.50", None, 2), "refused", "input is 0 and was 0.50"),
        (replace(price("0.5", "2.5"), per_request=Decimal(11)), "refused", "per_request is 11"),
    ],
)  # fmt: skip
def test_a_row_is_news_old_or_absurd(found: Price, verdict: str, why: str) -> None:
    judgement = judge_price(found, [OLD])
    assert judgement.verdict == verdict
    assert why in judgement.why


def test_a_first_row_is_measured_by_what_others_take() -> None:
    assert judge_price(price("0.60", "2.40"), ELSEWHERE).verdict == "new"
    refused = judge_price(price("0.0000006", "0.0000024"), ELSEWHERE)
    assert refused.verdict == "refused"
    assert "usual elsewhere" in refused.why
    assert judge_price(price("600", "900"), []).verdict == "new", "nobody to compare with"
    assert judge_price(price("0", "0"), ELSEWHERE, may_be_free=True).verdict == "new"


def test_a_rate_that_is_listed_and_one_that_is_implied_are_the_same() -> None:
    assert same_rates(OLD, replace(OLD, reasoning=Decimal("2.5"), per_request=Decimal(0)))
    assert same_rates(OLD, replace(OLD, cache_write=Decimal("0.5")))
    assert not same_rates(OLD, replace(OLD, cached_input=None))


rates = st.decimals(0, 1000, places=6)
rows = st.builds(
    Price,
    seller=st.sampled_from(["shop", "ünï"]),
    model=st.just("ultra"),
    valid_from=st.dates(date(2026, 1, 1), date(2030, 1, 1)),
    input=rates,
    output=rates,
    cached_input=st.none() | rates,
    cache_write=st.none() | rates,
    reasoning=st.none() | rates,
    per_request=st.none() | st.decimals(0, 10, places=6),
    variant=st.none() | st.just("free"),
    valid_to=st.none() | st.dates(date(2030, 1, 1)),
    source=st.text(),
    origin=st.sampled_from(["catalogue", "override"]),
    tiers=st.lists(st.builds(Tier, st.integers(1), rates, rates, st.none() | rates)).map(tuple),
)


@given(rows)
def test_a_row_comes_back_from_its_line(row: Price) -> None:
    assert price_from(price_json(row, "2026-11-01T00:00:00Z")) == row


def test_a_file_only_grows_and_a_line_half_written_is_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "data" / "prices.jsonl"
    assert read_prices(path) == ()
    add_prices(path, [OLD], "2026-11-01T00:00:00Z")
    with path.open("a") as opened:
        opened.write('{"seller": "sh')
    assert read_prices(path) == (OLD,)
    new = price("0.6", "2.4", None, 2)
    add_prices(path, [new], "2026-11-02T00:00:00Z")
    assert read_prices(path) == (OLD, new)
    assert path.stat().st_mode & 0o777 == 0o600


GOOD = {
    "origin": "catalogue", "seller": "s", "model": "m", "valid_from": "2026-11-01",
    "input": "1", "output": "1",
}  # fmt: skip


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "not a price row"),
        ("[]", "it is no object"),
        ("{}", "origin is missing"),
        (json.dumps(GOOD | {"input": "x"}), "a rate is no number"),
        (json.dumps(GOOD | {"valid_from": "soon"}), "Invalid isoformat"),
        (json.dumps(GOOD | {"seller": 3}), "seller is no text"),
        (json.dumps(GOOD | {"input": "-1"}), "input is -1"),
        (json.dumps(GOOD | {"tiers": [{"above": 0}]}), "above is no number of tokens"),
        (json.dumps(GOOD | {"tiers": [{"above": 1, "input": "1"}]}), "output is missing"),
        (
            json.dumps(GOOD | {"tiers": [{"above": 1, "input": "1", "output": "inf"}]}),
            "above 1 tokens a rate is Infinity",
        ),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, why: str) -> None:
    path = tmp_path / "prices.jsonl"
    add_prices(path, [OLD], "2026-11-01T00:00:00Z")
    with path.open("a") as opened:
        opened.write(line + "\n")
    with pytest.raises(NemoError) as caught:
        read_prices(path)
    assert f"{path}:2: not a price row" in caught.value.fault.message
    assert why in caught.value.fault.message
