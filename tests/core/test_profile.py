"""From checked mappings to providers and cards, and how one layer covers another."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.card import ModelCard
from nemocli.core.faults import FaultKind
from nemocli.core.money import Tier
from nemocli.core.profile import card_from, extend, merge, overlaid, provider_from, stamp_prices
from nemocli.core.provider import Auth, Provider
from nemocli.core.values import JsonObject

BASE: JsonObject = {
    "schema": "nemocli.provider/1",
    "name": "base",
    "title": "Base",
    "dialect": "chat",
    "base_url": "https://a.example/v1",
    "auth": {
        "env": ["A_KEY"],
        "key_prefix": "a-",
        "setup_url": "https://a.example/keys",
        "allow_http": True,
        "header": "X-Key",
        "scheme": "",
    },
    "headers": {"X-App": "nemocli"},
    "reasoning": {"request": {"off": {"think": False}}, "fields": ["thought"]},
    "prices": [{"model": "m", "valid_from": "2026-10-01", "input": 1, "output": 2}],
}


def provider(data: JsonObject) -> Provider:
    return provider_from(data, layer="user", file="x.yaml")


def test_a_minimal_mapping_is_a_provider_with_the_usual_defaults() -> None:
    found = provider({"name": "x", "dialect": "chat", "base_url": "http://h:1/v1/"})
    assert found == Provider("x", "chat", "http://h:1/v1", layer="user", file="x.yaml")


def test_every_part_is_built_as_its_own_value() -> None:
    found = provider(
        {
            **BASE,
            "drop": ["seed"],
            "timeouts": {"connect_s": 5, "idle_s": Decimal("2.5")},
            "settlement": {"path": "/g?id={id}", "fields": {"cost": "c"}, "delay_s": 2},
            "errors": [{"status": 429, "kind": "rate_limited", "retry_after_s": 60}],
            "runtime": {"kind": "command", "settings": {"start": ["x"]}},
            "limits": {"concurrency": 4},
            "usage": {"cost": "usage.cost", "disjoint": True},
        }
    )
    assert found.auth == Auth(
        ("A_KEY",), True, "X-Key", "", "a-", "https://a.example/keys", allow_http=True
    )
    assert found.drop == frozenset({"seed"})
    assert (found.timeouts.connect_s, found.timeouts.idle_s) == (5.0, 2.5)
    assert found.timeouts.total_s == 3600.0
    assert found.settlement is not None
    assert found.settlement.delay_s == 2.0
    assert found.errors[0].kind is FaultKind.RATE
    assert found.errors[0].retry_after_s == 60.0
    assert found.runtime is not None
    assert found.runtime.settings == {"start": ["x"]}
    assert found.limits.concurrency == 4
    assert (found.usage.cost, found.usage.disjoint) == ("usage.cost", True)
    assert found.reasoning.fields == ("thought",)


def test_null_takes_an_inherited_value_back() -> None:
    over: JsonObject = {
        "name": "base",
        "headers": {"X-App": None},
        "auth": {"header": None},
        "title": None,
    }
    found = provider(overlaid(BASE, over))
    assert found.headers == {}
    assert found.auth.header == "Authorization"
    assert found.title == ""


def test_null_in_a_body_patch_is_kept_since_it_removes_a_field_later() -> None:
    found = provider({**BASE, "body": {"stream_options": None}})
    assert found.body == {"stream_options": None}


@given(st.decimals(0, 1000, places=6) | st.integers(0, 1000))
def test_prices_are_exact(rate: Decimal | int) -> None:
    row = {"model": "m", "valid_from": "2026-10-19", "input": rate, "output": rate}
    (price,) = provider({**BASE, "prices": [row]}).prices
    assert isinstance(price.input, Decimal)
    assert (price.input, price.output) == (Decimal(rate), Decimal(rate))
    assert (price.seller, price.valid_from) == ("base", date(2026, 10, 19))
    assert price.cached_input is None


def test_a_users_rows_are_overrides_and_the_shipped_ones_stay_what_they_are() -> None:
    over: JsonObject = {
        **BASE,
        "prices": [{"model": "m", "valid_from": "2026-11-01", "input": 3, "output": 4}],
    }
    both = overlaid(stamp_prices(BASE, "bundled"), stamp_prices(over, "user"))
    assert [(p.origin, p.input) for p in provider(both).prices] == [
        ("bundled", Decimal(1)),
        ("override", Decimal(3)),
    ]


def test_mappings_merge_and_lists_replace() -> None:
    over: JsonObject = {"reasoning": {"request": {"high": {"think": True}}, "fields": ["t"]}}
    found = merge(BASE, over)["reasoning"]
    assert found == {
        "request": {"off": {"think": False}, "high": {"think": True}},
        "fields": ["t"],
    }


def test_an_extension_gets_the_quirks_but_no_key_no_title_no_price() -> None:
    found = provider(extend({**BASE, "free": True}, {"name": "stub", "base_url": "http://h"}))
    assert found.auth == Auth(header="X-Key", scheme="")
    assert found.headers == {"X-App": "nemocli"}
    assert found.reasoning.fields == ("thought",)
    assert (found.title, found.prices, found.free) == ("", (), False)


def test_a_server_of_ones_own_stays_free_when_extended() -> None:
    base = {**BASE, "free": True, "local": True}
    assert provider(extend(base, {"name": "gpu-box"})).free
    assert not provider(extend(base, {"name": "hosted", "local": False})).free


def test_a_moved_origin_loses_the_key_it_was_not_meant_for() -> None:
    moved = provider(overlaid(BASE, {"name": "base", "base_url": "https://b.example/v1"}))
    assert moved.auth == Auth(header="X-Key", scheme="")


def test_a_moved_origin_with_partial_auth_still_loses_the_key() -> None:
    over: JsonObject = {"base_url": "https://b.example", "auth": {"required": False}}
    assert provider(overlaid(BASE, over)).auth.env == ()


def test_a_moved_origin_with_variables_of_its_own_keeps_those() -> None:
    over: JsonObject = {"base_url": "https://b.example", "auth": {"env": ["B_KEY"]}}
    assert provider(overlaid(BASE, over)).auth.env == ("B_KEY",)


def test_another_path_at_the_same_origin_keeps_the_key() -> None:
    over: JsonObject = {"base_url": "https://A.example:443/v2"}
    assert provider(overlaid(BASE, over)).auth.env == ("A_KEY",)


CARD: JsonObject = {
    "schema": "nemocli.model/1",
    "name": "m",
    "aliases": ["em"],
    "misnomers": {"org/M": "no such thing"},
    "efforts": ["off", "high"],
    "sampling": {"temperature": Decimal("1.0")},
    "context": 100,
    "offers": [
        {"provider": "a", "id": "a/m", "context": 50},
        {"provider": "a", "variant": "free", "id": "a/m:free"},
    ],
    "prices": [{"seller": "a", "valid_from": "2026-10-01", "input": 1, "output": 2}],
    "weights": [{"repo": "o/m", "precision": "BF16"}],
    "hardware": [
        {"gpu": "H200", "memory_gb": 141, "precision": "BF16", "count": 8, "tensor_parallel": 8}
    ],
}


def test_a_card_has_all_its_rows() -> None:
    card = card_from(CARD, file="m.yaml")
    assert isinstance(card, ModelCard)
    assert card.efforts == ("off", "high")
    assert [o.variant for o in card.offers] == [None, "free"]
    assert card.offers[0].output_limit is None
    assert card.prices[0].id == "a/m@2026-10-01"
    assert card.prices[0].origin == "bundled"
    assert card.weights[0].size_bytes is None
    assert card.hardware[0].pipeline_parallel == 1
    assert card.sampling == {"temperature": Decimal("1.0")}
    assert card.has_name("EM")
    assert card.has_name("org/m")


def test_offers_merge_by_provider_and_variant_and_keep_their_order() -> None:
    over: JsonObject = {
        "offers": [
            {"provider": "b", "id": "b/m"},
            {"provider": "a", "id": "a/m2"},
        ]
    }
    card = card_from(overlaid(CARD, over), file="m.yaml")
    assert [(o.provider, o.variant, o.id, o.context) for o in card.offers] == [
        ("a", None, "a/m2", 50),
        ("a", "free", "a/m:free", None),
        ("b", None, "b/m", None),
    ]


def test_a_card_that_extends_another_is_not_found_under_its_names_or_prices() -> None:
    card = card_from(extend(CARD, {"name": "tuned", "aliases": ["t"]}), file="tuned.yaml")
    assert card.has_name("t")
    assert not card.has_name("em")
    assert not card.has_name("org/m")
    assert card.prices == ()
    assert card.offers[0].id == "a/m"
    assert card.context == 100


def test_a_price_row_may_have_other_rates_for_long_calls() -> None:
    row = {
        "seller": "shop", "valid_from": "2026-01-01", "input": 1, "output": 2,
        "tiers": [{"above": 1000, "input": Decimal("1.5"), "output": 3, "cached_input": None}],
    }  # fmt: skip
    card = card_from({"name": "m", "prices": [row]}, file="m.yaml")
    assert card.prices[0].tiers == (Tier(1000, Decimal("1.5"), Decimal(3)),)
