"""What the shipped profiles say of models, prices and replies that people meet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal

import pytest

from nemocli.core.faults import NemoError
from nemocli.core.money import Price
from nemocli.core.request import EFFORTS, Effort
from nemocli.io.profiles.catalogue import ProfileFolders, catalogue, profiles_folder

CATALOGUE = catalogue(ProfileFolders(profiles_folder())).catalogue
TODAY = date(2026, 11, 23)
ULTRA = CATALOGUE.cards["nemotron-3-ultra"]


def ultra_at(provider: str, model: str = "ultra") -> tuple[str, Price | None]:
    target = CATALOGUE.target(CATALOGUE.provider(provider), model)
    return target.model, target.price(TODAY)


def test_one_name_is_the_same_model_at_every_path() -> None:
    assert {p: ultra_at(p)[0] for p in ("nvidia", "openrouter", "perplexity", "ollama", "nim")} == {
        "nvidia": "nvidia/nemotron-3-ultra-550b-a55b",
        "openrouter": "nvidia/nemotron-3-ultra-550b-a55b",
        "perplexity": "perplexity/nemotron-3-ultra-550b-a55b",
        "ollama": "nemotron-3-ultra:cloud",
        "nim": "",
    }
    assert ultra_at("openrouter", "ultra:free")[0] == "nvidia/nemotron-3-ultra-550b-a55b:free"


@pytest.mark.parametrize(
    ("day", "rates"),
    [
        (date(2026, 6, 3), None),
        (date(2026, 6, 10), ("0.50", None, "2.50")),
        (date(2026, 7, 2), ("0.50", "0.10", "2.20")),
        (date(2026, 10, 18), ("0.50", "0.15", "2.50")),
        (date(2026, 10, 19), ("0.60", "0.12", "2.40")),
        (TODAY, ("0.60", "0.12", "2.40")),
    ],
)
def test_the_price_of_a_day_is_the_one_of_that_day(
    day: date, rates: tuple[str, str | None, str] | None
) -> None:
    price = CATALOGUE.target(CATALOGUE.provider("openrouter"), "ultra").price(day)
    found = price and (
        str(price.input),
        None if price.cached_input is None else str(price.cached_input),
        str(price.output),
    )
    assert found == rates


def test_free_ways_cost_nothing_and_have_a_list_price() -> None:
    for provider, model in (("nvidia", "ultra"), ("openrouter", "ultra:free")):
        target = CATALOGUE.target(CATALOGUE.provider(provider), model)
        price, listed = target.price(TODAY), target.list_price(TODAY)
        assert price is not None
        assert price.free
        assert listed is not None
        assert listed.id == "openrouter/nemotron-3-ultra@2026-10-19"


def test_what_a_router_will_charge_is_not_known_before_it_chose() -> None:
    assert ultra_at("huggingface")[1] is None
    priced = ultra_at("huggingface", "ultra:fireworks-ai")[1]
    assert priced is not None
    assert (priced.input, priced.output) == (Decimal("0.60"), Decimal("2.40"))


def test_a_wrong_repository_name_finds_the_model_and_what_to_say() -> None:
    wrong = "nvidia/Nemotron-3-Ultra-550B-A55B"
    assert CATALOGUE.card(wrong) == ULTRA
    for repo in ("-NVFP4", "-BF16"):
        assert f"nvidia/NVIDIA-Nemotron-3-Ultra-550B-A55B{repo}" in ULTRA.misnomers[wrong]


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("name", ["nvidia", "openrouter", "nim", "vllm", "sglang", "together"])
def test_every_effort_can_be_asked_for_on_the_main_paths(name: str, effort: Effort) -> None:
    target = CATALOGUE.target(CATALOGUE.provider(name), "ultra")
    assert target.effort_patch(effort)


def test_a_model_that_does_not_reason_cannot_be_asked_to() -> None:
    target = CATALOGUE.target(CATALOGUE.provider("embedded"), None)
    assert target.effort_patch("off") == {}
    with pytest.raises(NemoError, match="no reasoning effort"):
        target.effort_patch("high")


def test_the_default_without_a_key_says_that_it_is_not_nemotron() -> None:
    embedded = CATALOGUE.provider("embedded")
    target = CATALOGUE.target(embedded, None)
    assert "not Nemotron" in embedded.title
    assert target.card is not None
    assert "not Nemotron" in target.card.title


def test_embedded_weights_are_pinned_and_have_several_sources() -> None:
    runtime = CATALOGUE.provider("embedded").runtime
    assert runtime is not None
    weights = runtime.settings["weights"]
    assert isinstance(weights, Mapping)
    assert re.fullmatch(r"[0-9a-f]{64}", str(weights["sha256"]))
    assert weights["size"] == 98362432
    sources = weights["sources"]
    assert isinstance(sources, list)
    assert [s["kind"] for s in sources] == ["package", "index", "url"]


def test_sampling_off_replaces_the_temperature_alone() -> None:
    target = CATALOGUE.target(CATALOGUE.provider("nvidia"), "ultra")
    assert target.sampling(None) == {"temperature": Decimal("1.0"), "top_p": Decimal("0.95")}
    assert target.sampling("off") == {"temperature": Decimal("0.2"), "top_p": Decimal("0.95")}
    assert CATALOGUE.target(CATALOGUE.provider("perplexity"), "ultra").sampling(None) == {}


# Replies as they were seen; the row that fits first is the one that speaks.


@pytest.mark.parametrize(
    ("provider", "status", "body", "kind", "word"),
    [
        ("nvidia", 403, '{"title":"Forbidden","detail":"Authorization failed"}', "auth", "nvapi-"),
        ("nvidia", 403, "Missing resource entry in ApiKey", "auth", "Public API Endpoints"),
        (
            "nvidia",
            404,
            "Function 'u': Not found for account 'a'",
            "unavailable",
            "Public API Endpoints",
        ),
        ("nvidia", 404, "404 page not found", "unavailable", "lists the ids"),
        ("nvidia", 410, "has reached its end of life on 2026-10-03", "unavailable", "end of life"),
        ("nvidia", 429, '{"status":429,"title":"Too Many Requests"}', "rate_limited", "-j"),
        ("nvidia", 429, '{"status":429,"detail":"queue"}', "rate_limited", "not your rate"),
        (
            "nvidia",
            400,
            "Function id 'u': DEGRADED function cannot be invoked",
            "server_error",
            "another provider",
        ),
        ("nvidia", 402, "Cloud credits expired", "quota_exhausted", "NVIDIA"),
        (
            "nvidia",
            503,
            "ResourceExhausted: Worker local total request limit reached (163/32)",
            "server_error",
            "wait",
        ),
        ("nvidia", 504, "", "timeout", "ask for less"),
        (
            "openrouter",
            402,
            "You requested up to 65536 tokens, but can only afford 812",
            "quota_exhausted",
            "--max-tokens",
        ),
        ("openrouter", 402, "Insufficient credits", "quota_exhausted", "credits"),
        (
            "openrouter",
            404,
            '{"error":{"availability":{"code":"privacy_restricted"}}}',
            "unavailable",
            "privacy",
        ),
        ("openrouter", 404, "No endpoints found", "unavailable", "without tools"),
        ("openrouter", 404, "free_variant_ended", "unavailable", ":free"),
        ("openrouter", 403, "input was flagged: moderation", "content_filter", "reword"),
        ("openrouter", 429, "free-models-per-day", "quota_exhausted", "1000"),
        (
            "perplexity",
            400,
            'invalid request body: json: unknown field "seed"',
            "request_rejected",
            "-o",
        ),
        ("huggingface", 401, "Invalid username or password.", "auth", "Inference Providers"),
        ("huggingface", 403, "insufficient permissions", "auth", "Inference Providers"),
        ("huggingface", 402, "exceeded your monthly credits", "quota_exhausted", "credits"),
    ],
)
def test_a_reply_seen_in_the_field_is_explained(
    provider: str, status: int, body: str, kind: str, word: str
) -> None:
    rule = next(
        r
        for r in CATALOGUE.provider(provider).errors
        if r.status in (None, status)
        and (r.match is None or re.search(r.match, body, re.IGNORECASE))
    )
    assert rule.kind.value == kind
    assert word in (rule.hint or "")


def test_a_bare_refusal_for_rate_waits_out_the_minute_in_which_all_calls_are_checked() -> None:
    bare = [r for r in CATALOGUE.provider("nvidia").errors if r.status == 429]
    assert [r.retry_after_s for r in bare] == [None, 60.0]
