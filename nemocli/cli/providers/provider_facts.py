"""What is known of providers, as rows: for tables, for `--json`, for people."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, TypedDict

from nemocli.cli.choice import listens
from nemocli.cli.terminal.tables import facts, table
from nemocli.core.provider import Provider, ReasoningWire, loopback
from nemocli.core.redact import Redactor
from nemocli.core.request import EFFORTS

if TYPE_CHECKING:
    from nemocli.cli.context import Setup
    from nemocli.core.card import ModelCard, Offer
    from nemocli.core.money import Price
    from nemocli.core.values import Json


class ReadyRow(TypedDict):
    """A provider in `providers ls --json`. `order`: its place in the user's order, from 1."""

    name: str
    title: str
    ready: bool
    why: str
    hint: str | None
    order: int | None
    layer: str
    base_url: str | None
    local: bool


class PriceFacts(TypedDict):
    """USD per million tokens, as decimal strings; from when on, and who says so."""

    input: str
    cached_input: str | None
    output: str
    valid_from: str
    source: str
    id: str


class OfferFacts(TypedDict):
    """A model as one provider serves it, with the price that holds today."""

    model: str
    provider: str
    id: str
    variant: str | None
    context: int | None
    output_limit: int | None
    end_of_life: str | None
    price: PriceFacts | None
    source: str


class KeyFacts(TypedDict):
    """How a key is found and sent."""

    required: bool
    variables: list[str]
    setup_url: str | None
    header: str
    sent_as: str


class ProviderFacts(TypedDict):
    """All of `providers show --json`."""

    name: str
    title: str
    docs: str | None
    ready: bool
    why: str
    hint: str | None
    base_url: str | None
    dialect: str
    extends: list[str]
    key: KeyFacts
    free: bool
    reports_cost: bool
    batches: bool
    settles_later: bool
    structured_output: str | None
    reasoning: list[str]
    quirks: dict[str, Json]
    limits: dict[str, int | None]
    timeouts_s: dict[str, float]
    models: list[OfferFacts]
    layer: str
    file: str


def provider_rows(setup: Setup) -> list[ReadyRow]:
    """One row a provider, in the user's order first."""
    order = list(setup.settings.words("provider"))
    known = list(setup.catalogue.providers.values())
    known.sort(key=lambda p: (order.index(p.name) if p.name in order else len(order), p.name))
    rows = [_row(setup, p, order) for p in known]
    return sorted(rows, key=lambda row: row["order"] is None and not row["ready"])


def _row(setup: Setup, provider: Provider, order: list[str]) -> ReadyRow:
    ready, why = readiness(setup, provider)
    return {
        "name": provider.name,
        "title": provider.title,
        "ready": ready,
        "why": why,
        "hint": None if ready else provider.start_hint,
        "order": order.index(provider.name) + 1 if provider.name in order else None,
        "layer": provider.layer,
        "base_url": provider.base_url or None,
        "local": provider.local,
    }


def readiness(setup: Setup, provider: Provider) -> tuple[bool, str]:
    """Whether a call could go there now, and why; no keyring and no network is asked."""
    if provider.runtime is not None:
        return _startable(setup, provider)
    if provider.local and loopback(provider.base_url):
        if listens(provider.base_url):
            return True, "listening"
        return False, f"nothing at {provider.origin}"
    if not provider.auth.required:
        return True, "needs no key"
    from nemocli.io.keys.store import variable

    names = (*provider.auth.env, variable(provider.name))
    if setup.keys.likely(provider):
        given = next((name for name in names if setup.env.get(name, "").strip()), None)
        return True, f"key in {given}" if given else "key stored"
    return False, f"needs {names[0]}"


def _startable(setup: Setup, provider: Provider) -> tuple[bool, str]:
    from importlib.util import find_spec

    from nemocli.io.programs import find_program

    assert provider.runtime is not None
    if provider.runtime.kind == "llama_cpp":
        ready = find_spec("xllamacpp") is not None
    else:
        probe = provider.runtime.settings.get("probe")
        program = str(probe[0]) if isinstance(probe, list | tuple) and probe else ""
        ready = find_program(program, setup.env) is not None
    return ready, "starts when asked" if ready else "not installed"


def ready_rows(rows: list[ReadyRow], width: int | None) -> list[str]:
    """A table, ready ones marked; with a column for their place when the user set an order."""
    ordered = any(row["order"] for row in rows)
    cells = [
        (
            row["name"],
            "yes" if row["ready"] else "no",
            *([str(row["order"] or "")] * ordered),
            row["why"],
            row["title"] if row["layer"] == "bundled" else f"{row['title']} [{row['layer']}]",
        )
        for row in rows
    ]
    headers = ("PROVIDER", "READY", *(["ORDER"] * ordered), "WHY", "WHAT IT IS")
    return table(headers, cells, width)


def provider_info(setup: Setup, provider: Provider) -> ProviderFacts:
    """Everything people ask about a provider."""
    ready, why = readiness(setup, provider)
    limits, times = provider.limits, provider.timeouts
    return {
        "name": provider.name,
        "title": provider.title,
        "docs": provider.docs or None,
        "ready": ready,
        "why": why,
        "hint": None if ready else provider.start_hint,
        "base_url": provider.base_url or None,
        "dialect": provider.dialect,
        "extends": list(provider.lineage),
        "key": {
            "required": provider.auth.required,
            "variables": list(provider.auth.env),
            "setup_url": provider.auth.setup_url,
            "header": provider.auth.header,
            "sent_as": _sent_as(provider),
        },
        "free": provider.free,
        "reports_cost": provider.usage.cost is not None,
        "batches": provider.batches is not None,
        "settles_later": provider.settlement is not None,
        "structured_output": provider.structured_output,
        "reasoning": [e for e in EFFORTS if e in provider.reasoning.request],
        "quirks": _quirks(provider),
        "limits": {
            "requests_per_minute": limits.requests_per_minute,
            "tokens_per_minute": limits.tokens_per_minute,
            "concurrency": limits.concurrency,
        },
        "timeouts_s": {
            "connect": times.connect_s,
            "first_byte": times.first_byte_s,
            "idle": times.idle_s,
            "total": times.total_s,
        },
        "models": [
            offer_json(card, offer, provider)
            for card in setup.catalogue.cards.values()
            for offer in card.offers
            if offer.provider in (provider.name, *provider.lineage)
        ],
        "layer": provider.layer,
        "file": provider.file,
    }


def _sent_as(provider: Provider) -> str:
    """The header that carries the key, without the key."""
    auth = provider.auth
    return f"{auth.header}: {auth.scheme} ***" if auth.scheme else f"{auth.header}: ***"


def _quirks(provider: Provider) -> dict[str, Json]:
    """How it differs on the wire from a server without opinions; only what does."""
    ours, plain = provider.reasoning, ReasoningWire()
    said: dict[str, Json] = {
        "paths": dict(provider.paths),
        "headers": Redactor().headers(provider.headers),
        "query": Redactor().headers(provider.query),
        "ca": provider.ca,
        "rename": dict(provider.rename),
        "drop": sorted(provider.drop),
        "body": provider.body,
        "streaming": None if provider.streaming else False,
        "sampling_defaults": None if provider.sampling_defaults else False,
        "reasoning_request": {str(effort): patch for effort, patch in ours.request.items()},
        "reasoning_fields": list(ours.fields) if ours.fields != plain.fields else None,
        "reasoning_returns": ours.returns if ours.returns != plain.returns else None,
        "error_rules": len(provider.errors) or None,
        "leaves_machine": provider.leaves_machine,
    }
    return {name: value for name, value in said.items() if value not in (None, {}, [])}


def offer_json(card: ModelCard, offer: Offer, provider: Provider | None) -> OfferFacts:
    """A model as one provider serves it, with the price that holds today and its source."""
    price = _price(card, offer, provider)
    return {
        "model": card.name,
        "provider": offer.provider,
        "id": offer.id,
        "variant": offer.variant,
        "context": offer.context or card.context,
        "output_limit": offer.output_limit or card.output_limit,
        "end_of_life": offer.end_of_life,
        "price": None if price is None else price_json(price),
        "source": offer.source,
    }


def _price(card: ModelCard, offer: Offer, provider: Provider | None) -> Price | None:
    from nemocli.core.money import price_on
    from nemocli.core.plan import Target

    if provider is not None:
        return Target(provider, offer.id, card, offer).price(today())
    rows = [p for p in card.prices if p.seller == offer.provider and p.variant == offer.variant]
    return price_on(rows, today())


def price_json(price: Price) -> PriceFacts:
    """USD per million tokens, as decimal strings."""
    cached = price.cached_input
    return {
        "input": str(price.input),
        "cached_input": str(cached) if cached is not None else None,
        "output": str(price.output),
        "valid_from": price.valid_from.isoformat(),
        "source": price.source,
        "id": price.id,
    }


def price_text(price: PriceFacts | None) -> str:
    """`0.60 in, 2.40 out`; USD per million tokens."""
    if price is None:
        return "unknown"
    if price["input"] in ("0", "0.0", "0.00") and price["output"] in ("0", "0.0", "0.00"):
        return "free"
    return f"${price['input']} in, ${price['output']} out"


def today() -> date:
    """Prices hold by UTC days."""
    return datetime.now(UTC).date()


def provider_lines(said: ProviderFacts) -> list[str]:
    """For people."""
    key = said["key"]
    names = ", ".join(key["variables"])
    known = [f"{v} {_LIMITS.get(k, k)}" for k, v in said["limits"].items() if v is not None]
    times = said["timeouts_s"].items()
    rows = [
        ("name", f"{said['name']}: {said['title']}" if said["title"] else said["name"]),
        ("ready", f"{'yes' if said['ready'] else 'no'}: {said['why']}"),
        ("do", said["hint"] or ""),
        ("address", said["base_url"] or "found when it is started"),
        ("dialect", said["dialect"]),
        ("extends", ", ".join(said["extends"])),
        ("key", _key(key, names)),
        ("get a key", key["setup_url"] or ""),
        ("cost", _cost(said)),
        ("reasoning", ", ".join(said["reasoning"])),
        ("limits", ", ".join(known)),
        ("timeouts", ", ".join(f"{k.replace('_', ' ')} {v:g} s" for k, v in times)),
        *_quirk_rows(said["quirks"]),
        ("docs", said["docs"] or ""),
        ("file", f"{said['file']} ({said['layer']})"),
    ]
    lines = facts(rows)
    if said["models"]:
        cells = [_model_cells(model, free=said["free"]) for model in said["models"]]
        headers = ("MODEL", "ID HERE", "USD PER MILLION TOKENS", "SINCE, SOURCE")
        lines += ["", *table(headers, cells, None)]
    return lines


_LIMITS = {
    "requests_per_minute": "requests a minute",
    "tokens_per_minute": "tokens a minute",
    "concurrency": "at once",
}


def _model_cells(model: OfferFacts, *, free: bool) -> tuple[str, str, str, str]:
    price = model["price"]
    said = price_text(price) if price is not None or not free else "free"
    since = f"{price['valid_from']}, {price['source']}" if price is not None else "-"
    return model["model"], model["id"], said, since


def _key(key: KeyFacts, names: str) -> str:
    if not key["required"]:
        return f"not needed; {names} is sent where it is set" if names else "not needed"
    header = f", sent as {key['sent_as']}"
    return f"{names or 'stored with `nemocli auth login`'}{header}"


def _quirk_rows(quirks: dict[str, Json]) -> list[tuple[str, str]]:
    from nemocli.cli.terminal.output import json_text

    said = [f"{k.replace('_', ' ')} {json_text(v)}" for k, v in quirks.items()]
    return [("quirks" if i == 0 else " ", text) for i, text in enumerate(said)]


def _cost(said: ProviderFacts) -> str:
    if said["free"]:
        return "nothing is charged here"
    if said["reports_cost"]:
        return "reported with each reply" + (", settled after it" if said["settles_later"] else "")
    return "from dated price tables"
