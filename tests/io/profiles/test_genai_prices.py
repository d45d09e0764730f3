"""The table that others keep, as the installed package has it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from nemocli.cost.prices import judge_price
from nemocli.io.profiles.catalogue import ProfileFolders, catalogue, profiles_folder
from nemocli.io.profiles.genai_prices import is_installed, package_prices

CARDS = list(catalogue(ProfileFolders(profiles_folder())).catalogue.cards.values())
TODAY = date(2026, 11, 24)
ULTRA = next(card for card in CARDS if card.name == "nemotron-3-ultra")


def test_its_rows_are_dated_and_sellers_are_those_of_the_cards() -> None:
    assert is_installed()
    found = list(package_prices(CARDS, TODAY))
    rows = [p for p in found if p.model == "nemotron-3-ultra"]
    known = {(o.provider, o.variant) for o in ULTRA.offers}
    assert {(p.seller, p.variant) for p in rows} <= known
    paid = {p.valid_from: p for p in rows if p.seller == "openrouter" and p.variant is None}
    change = paid[date(2026, 10, 19)]
    assert (change.input, change.cached_input, change.output) == (
        Decimal("0.6"),
        Decimal("0.12"),
        Decimal("2.4"),
    )
    assert judge_price(change, ULTRA.prices).verdict == "unchanged"
    assert min(paid) == date(2026, 10, 19), "what came before has no first day there"
    undated = [p for p in rows if p.seller == "fireworks"]
    assert [p.valid_from for p in undated] == [TODAY]
    assert all(p.source.startswith("genai-prices ") for p in rows)
