"""What every shipped profile promises; a new file is tested the moment it exists."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields
from datetime import date
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft202012Validator

from nemocli.core.card import GpuRow, ModelCard, Offer, Weights
from nemocli.core.money import Price
from nemocli.core.plan import Catalogue
from nemocli.core.provider import (
    Auth,
    Batches,
    ErrorRule,
    Provider,
    ProviderLimits,
    ReasoningWire,
    Runtime,
    Settlement,
    Timeouts,
    UsageWire,
    loopback,
)
from nemocli.core.request import EFFORTS
from nemocli.core.values import JsonObject
from nemocli.io.profiles.catalogue import ProfileFolders, catalogue, profiles_folder
from nemocli.io.profiles.check import Checker
from nemocli.io.yaml import read

SHIPPED = profiles_folder()
PROVIDER_FILES = sorted((SHIPPED / "providers").iterdir())
MODEL_FILES = sorted((SHIPPED / "models").iterdir())
LOADED = catalogue(ProfileFolders(SHIPPED))
CATALOGUE: Catalogue = LOADED.catalogue
PROVIDERS = list(CATALOGUE.providers.values())
CARDS = list(CATALOGUE.cards.values())
OFFERS = [(card, offer) for card in CARDS for offer in card.offers]
PRICES = [p for card in CARDS for p in card.prices] + [p for q in PROVIDERS for p in q.prices]
TODAY = date(2026, 11, 23)

each_provider = pytest.mark.parametrize("provider", PROVIDERS, ids=[p.name for p in PROVIDERS])
each_card = pytest.mark.parametrize("card", CARDS, ids=[c.name for c in CARDS])
each_offer = pytest.mark.parametrize(
    ("card", "offer"), OFFERS, ids=[f"{o.provider}:{o.id}" for _, o in OFFERS]
)
each_price = pytest.mark.parametrize("price", PRICES, ids=[p.id for p in PRICES])


def schema(name: str) -> JsonObject:
    loaded: JsonObject = json.loads((SHIPPED / "schemas" / name).read_text("utf-8"))
    return loaded


def described(node: object, where: str = "") -> list[str]:
    """Objects of a schema that would let a typo pass."""
    if not isinstance(node, Mapping):
        return [w for n in node for w in described(n, where)] if isinstance(node, list) else []
    open_ = [where] if "properties" in node and "additionalProperties" not in node else []
    return open_ + [w for key, n in node.items() for w in described(n, f"{where}/{key}")]


@pytest.mark.parametrize("name", ["provider.schema.json", "model.schema.json"])
def test_a_schema_is_valid_and_lets_no_unknown_key_pass(name: str) -> None:
    Draft202012Validator.check_schema(schema(name))
    assert described(schema(name)) == []


def keys(name: str, *path: str) -> set[str]:
    node: object = schema(name)
    for step in path:
        assert isinstance(node, Mapping)
        node = node[step]
    assert isinstance(node, Mapping)
    return set(node)


@pytest.mark.parametrize(
    ("kind", "path", "ours", "also"),
    [
        (Provider, (), {"lineage", "layer", "file"}, {"schema", "extends"}),
        (Auth, ("auth",), set(), set()),
        (ReasoningWire, ("reasoning",), set(), set()),
        (UsageWire, ("usage",), set(), set()),
        (Settlement, ("settlement",), set(), set()),
        (Batches, ("batches",), set(), set()),
        (ErrorRule, ("errors", "items"), set(), set()),
        (ProviderLimits, ("limits",), set(), set()),
        (Timeouts, ("timeouts",), set(), set()),
        (Runtime, ("runtime",), set(), set()),
        (Price, ("prices", "items"), {"seller", "origin"}, set()),
    ],
)
def test_the_provider_schema_has_the_fields_of_the_values(
    kind: type, path: tuple[str, ...], ours: set[str], also: set[str]
) -> None:
    steps = ("properties", *path, "properties") if path else ("properties",)
    assert keys("provider.schema.json", *steps) == ({f.name for f in fields(kind)} - ours) | also


@pytest.mark.parametrize(
    ("kind", "path", "ours", "also"),
    [
        (ModelCard, (), {"file"}, {"schema", "extends"}),
        (Offer, ("offers", "items"), set(), set()),
        (Weights, ("weights", "items"), set(), set()),
        (GpuRow, ("hardware", "items"), set(), set()),
        (Price, ("prices", "items"), {"model", "origin"}, set()),
    ],
)
def test_the_model_schema_has_the_fields_of_the_values(
    kind: type, path: tuple[str, ...], ours: set[str], also: set[str]
) -> None:
    steps = ("properties", *path, "properties") if path else ("properties",)
    assert keys("model.schema.json", *steps) == ({f.name for f in fields(kind)} - ours) | also


@pytest.mark.parametrize("file", [*PROVIDER_FILES, *MODEL_FILES], ids=lambda f: f.name)
def test_every_file_satisfies_its_schema_and_says_so_first(file: Path) -> None:
    kind = "provider" if file.parent.name == "providers" else "model"
    text = file.read_text("utf-8")
    assert text.startswith(f"schema: nemocli.{kind}/1\nname: {file.stem}\n")
    fault = Checker(schema(f"{kind}.schema.json")).fault(read(text, file.name), file.name)
    assert fault is None


def test_every_file_is_in_the_catalogue() -> None:
    assert dict(LOADED.broken) == {}
    assert [p.name for p in PROVIDERS] == [f.stem for f in PROVIDER_FILES]
    assert sorted(c.name for c in CARDS) == sorted(f.stem for f in MODEL_FILES)


# Providers.


@each_provider
def test_a_provider_says_who_it_is(provider: Provider) -> None:
    assert provider.title
    assert provider.docs.startswith("https://")


@each_provider
def test_a_key_travels_encrypted_or_not_at_all(provider: Provider) -> None:
    if provider.base_url.startswith("http://"):
        assert loopback(provider.base_url)
    assert not provider.auth.allow_http
    if provider.local:
        assert not provider.auth.required
    else:
        assert provider.auth.env
        assert (provider.auth.setup_url or "").startswith("https://")


def test_no_two_providers_ask_for_the_same_variable() -> None:
    asked = Counter(name for p in PROVIDERS for name in p.auth.env)
    assert [name for name, times in asked.items() if times > 1] == []


@each_provider
def test_a_provider_has_an_address_or_a_way_to_start(provider: Provider) -> None:
    assert bool(provider.base_url) != (provider.runtime is not None)
    if provider.base_url:
        assert urlsplit(provider.url("chat")).path.endswith("/chat/completions")
    if provider.local:
        assert provider.start_hint


@each_provider
def test_only_ones_own_servers_and_the_trial_are_free(provider: Provider) -> None:
    trial = "trial" in provider.title
    assert provider.free == (provider.local or trial)


@each_provider
def test_reasoning_patches_are_mappings_for_known_efforts(provider: Provider) -> None:
    patches = provider.reasoning.request
    assert set(patches) <= set(EFFORTS)
    assert all(isinstance(p, Mapping) for p in patches.values())
    if "medium" in patches:
        # What a model without a lower mode is given for `low` is said, not left to chance.
        assert "low" in patches


@each_provider
def test_a_path_names_a_field_once(provider: Provider) -> None:
    paths = [
        getattr(provider.usage, f.name)
        for f in fields(provider.usage)
        if isinstance(getattr(provider.usage, f.name), str)
    ]
    assert len(paths) == len(set(paths))


@each_provider
def test_error_rows_compile_and_none_hides_a_later_one(provider: Provider) -> None:
    seen: set[int | None] = set()
    for rule in provider.errors:
        re.compile(rule.match or "")
        assert rule.message is None or "{" not in rule.message
        assert rule.hint is None or not re.search(r"\{(?!model\})", rule.hint)
        assert rule.status not in seen, "a row without `match` for this status stands above"
        if rule.match is None:
            seen.add(rule.status)


@each_provider
def test_the_default_model_has_a_card_and_an_offer_here(provider: Provider) -> None:
    target = CATALOGUE.target(provider, None)
    assert target.card is not None
    assert target.offer is not None or provider.discover


# Model cards.


@each_card
def test_a_card_says_what_it_is(card: ModelCard) -> None:
    assert card.title
    assert card.vendor
    assert card.parameters
    assert (card.default_effort is None) == (card.efforts == ())
    assert card.default_effort is None or card.default_effort in card.efforts


def test_no_name_means_two_models() -> None:
    names = Counter(n.lower() for c in CARDS for n in {c.name, *c.aliases, *c.misnomers})
    assert [name for name, times in names.items() if times > 1] == []


def test_no_id_of_a_provider_means_two_models() -> None:
    ids = Counter((o.provider, o.id) for _, o in OFFERS)
    assert [row for row, times in ids.items() if times > 1] == []


def test_a_variant_of_a_provider_is_offered_once() -> None:
    rows = Counter((c.name, o.provider, o.variant) for c, o in OFFERS)
    assert [row for row, times in rows.items() if times > 1] == []


@each_offer
def test_an_offer_is_made_by_a_provider_and_has_a_source(card: ModelCard, offer: Offer) -> None:
    assert offer.provider in CATALOGUE.providers
    assert offer.source
    assert CATALOGUE.target(CATALOGUE.provider(offer.provider), offer.id).card == card
    asked = f"{card.name}:{offer.variant}" if offer.variant else card.name
    assert CATALOGUE.target(CATALOGUE.provider(offer.provider), asked).model == offer.id


@each_offer
def test_an_offer_is_within_what_the_model_can_do(card: ModelCard, offer: Offer) -> None:
    if card.context is not None and offer.context is not None:
        assert offer.context <= card.context
    if offer.output_limit is not None and offer.context is not None:
        assert offer.output_limit <= offer.context
    if ":free" in offer.id:
        assert offer.variant == "free"


@each_price
def test_a_price_has_a_source_with_a_date(price: Price) -> None:
    assert re.search(r"20\d\d-\d\d", price.source)
    assert price.origin == "bundled"
    assert isinstance(price.input, Decimal)
    assert date(2026, 6, 1) <= price.valid_from <= TODAY
    assert price.valid_to is None or price.valid_from < price.valid_to
    if price.cached_input is not None:
        assert price.cached_input <= price.input


@each_price
def test_a_seller_is_a_provider_or_is_explained(price: Price) -> None:
    notes = " ".join(CATALOGUE.cards[price.model].notes)
    if price.seller in CATALOGUE.providers:
        offers = {
            o.variant for c, o in OFFERS if (c.name, o.provider) == (price.model, price.seller)
        }
        assert price.variant in offers
    else:
        assert re.search(rf"no profile of their own: .*\b{price.seller}\b", notes)


def test_price_ids_are_unique() -> None:
    assert len({p.id for p in PRICES}) == len(PRICES)


@each_card
def test_weights_and_hardware_have_sources_and_counts_that_agree(card: ModelCard) -> None:
    assert all(w.source for w in card.weights)
    for row in card.hardware:
        assert row.source
        assert row.count == row.tensor_parallel * row.pipeline_parallel
        assert row.count % row.nodes == 0


@each_card
def test_the_list_seller_offers_the_model(card: ModelCard) -> None:
    if card.list_seller is not None:
        assert card.list_seller in {o.provider for o in card.offers}
