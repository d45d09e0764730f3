"""What is known of models, as rows: for tables, for `--json`, for people."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nemocli.cli.provider_facts import offer_json, price_text
from nemocli.cli.running import run_async
from nemocli.cli.tables import facts, table
from nemocli.core.faults import NemoError, usage_error
from nemocli.core.plan import Target

if TYPE_CHECKING:
    from decimal import Decimal

    from nemocli.cli.setup import Setup
    from nemocli.core.card import ModelCard
    from nemocli.core.provider import Provider
    from nemocli.core.values import Json
    from nemocli.wire.catalog import Listed

Rows = list[dict[str, "Json"]]


def card_rows(setup: Setup) -> Rows:
    """One row a card."""
    return [
        {
            "model": card.name,
            "title": card.title,
            "context": card.context,
            "providers": list(dict.fromkeys(o.provider for o in card.offers)),
            "aliases": list(card.aliases),
        }
        for card in setup.catalogue.cards.values()
    ]


def card_table(rows: Rows, width: int | None) -> list[str]:
    """For people."""
    cells = [
        (str(r["model"]), tokens(r["context"]), str(r["title"]), _joined(r["providers"]))
        for r in rows
    ]
    return table(("MODEL", "CONTEXT", "WHAT IT IS", "SERVED BY"), cells, width)


def listed_rows(setup: Setup, name: str) -> Rows:
    """What a provider lists right now. Raises NemoError."""
    return [
        {
            "id": model.id,
            "model": card.name if card is not None else None,
            "context": model.context,
            "input_usd_per_million": _exact(model.input_usd),
            "output_usd_per_million": _exact(model.output_usd),
            "tools": model.tools,
            "structured_output": model.structured_output,
        }
        for model, card in _listing(setup, name)
    ]


def _exact(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)


def listed_table(rows: Rows, width: int | None) -> list[str]:
    """For people; models with a card first."""
    rows = sorted(rows, key=lambda r: (r["model"] is None, str(r["id"])))
    cells = [
        (
            str(r["id"]),
            str(r["model"] or "-"),
            tokens(r["context"]),
            _per_million(r),
        )
        for r in rows
    ]
    return table(("ID", "MODEL", "CONTEXT", "USD PER MILLION TOKENS"), cells, width)


def listed_targets(setup: Setup, name: str) -> list[Target]:
    """The listed ids that are of models with a card."""
    provider = setup.catalogue.provider(name)
    return [
        replace(setup.catalogue.target(provider, model.id), card=card)
        for model, card in _listing(setup, name)
        if card is not None
    ]


def _listing(setup: Setup, name: str) -> list[tuple[Listed, ModelCard | None]]:
    provider = setup.catalogue.provider(name)
    models = run_async(lambda: _listed(setup, name))
    cards = list(setup.catalogue.cards.values())
    names = (provider.name, *provider.lineage)
    ids = {o.id: c for c in cards for o in c.offers if o.provider in names}
    return [(m, ids.get(m.id) or setup.catalogue.card(m.id)) for m in models]


async def _listed(setup: Setup, name: str) -> tuple[Listed, ...]:
    from nemocli.cli.world import world_of
    from nemocli.engine.call import check_key
    from nemocli.engine.discover import listed

    provider = setup.catalogue.provider(name)
    if provider.runtime is not None and provider.runtime.kind == "command":
        return await _held(setup, name)
    async with world_of(setup) as world:
        if provider.runtime is not None:
            endpoint = await world.servers.endpoint(setup.catalogue.target(provider, None))
            return await listed(provider, endpoint.base_url, endpoint.key, world)
        key = world.secrets.key_for(provider)
        check_key(provider, provider.base_url, key)
        return await listed(provider, provider.base_url, key, world)


async def _held(setup: Setup, name: str) -> tuple[Listed, ...]:
    from nemocli.cli.downloads import notices
    from nemocli.io.command_runtime import CommandRuntime
    from nemocli.wire.catalog import Listed

    runtime = CommandRuntime(setup.catalogue.provider(name), setup.env, notices(setup))
    return tuple(Listed(m.name) for m in await runtime.models())


def found_card(setup: Setup, name: str) -> ModelCard:
    """The card a name means; a usage fault with the nearest names."""
    from difflib import get_close_matches

    card = setup.catalogue.card(name)
    if card is not None:
        return card
    cards = list(setup.catalogue.cards.values())
    by_id = next((c for c in cards for o in c.offers if o.id == name), None)
    if by_id is not None:
        return by_id
    known = [n for c in cards for n in (c.name, *c.aliases)]
    near = get_close_matches(name.lower(), known, 2, 0.5)
    hint = f"did you mean `{near[0]}`?" if near else "`nemocli models ls` lists them"
    raise usage_error(f"no model {name!r}", hint)


def card_info(setup: Setup, card: ModelCard) -> dict[str, Json]:
    """The whole card, with the prices that hold today."""
    return {
        "model": card.name,
        "title": card.title,
        "description": card.description,
        "parameters": card.parameters,
        "context": card.context,
        "output_limit": card.output_limit,
        "aliases": list(card.aliases),
        "reasoning": list(card.efforts),
        "default_reasoning": card.default_effort,
        "sampling": {k: str(v) for k, v in card.sampling.items()},
        "tools": card.tools,
        "licence": card.licence,
        "released": card.released,
        "offers": [offer_json(card, o, _provider(setup, o.provider)) for o in card.offers],
        "weights": [
            {
                "repo": w.repo,
                "precision": w.precision,
                "size_bytes": w.size_bytes,
                "gated": w.gated,
                "source": w.source,
            }
            for w in card.weights
        ],
        "hardware": [
            {
                "gpu": h.gpu,
                "memory_gb": h.memory_gb,
                "precision": h.precision,
                "count": h.count,
                "tensor_parallel": h.tensor_parallel,
                "nodes": h.nodes,
                "source": h.source,
            }
            for h in card.hardware
        ],
        "notes": list(card.notes),
        "file": card.file,
    }


def _provider(setup: Setup, name: str) -> Provider | None:
    try:
        return setup.catalogue.providers.get(name)
    except NemoError:
        return None


def card_lines(card: ModelCard, said: dict[str, Json]) -> list[str]:
    """For people."""
    lines = facts(
        [
            ("model", f"{card.name} ({card.title})"),
            ("what", card.description),
            ("size", card.parameters),
            ("context", f"{tokens(card.context)} tokens"),
            ("reasoning", ", ".join(card.efforts) or "none"),
            ("sampling", ", ".join(f"{k} {v}" for k, v in card.sampling.items())),
            ("also", ", ".join(card.aliases)),
            ("licence", card.licence),
            ("released", card.released),
        ]
    )
    offers = _rows(said["offers"])
    cells = [
        (str(o["provider"]), str(o["id"]), tokens(o["context"]), price_text(o["price"]), _when(o))
        for o in offers
    ]
    if cells:
        headers = (
            "PROVIDER",
            "ID THERE",
            "CONTEXT",
            "USD PER MILLION TOKENS",
            "SINCE, SOURCE",
        )
        lines += ["", *table(headers, cells, None)]
    if card.weights:
        cells5 = [(w.repo, w.precision, gigabytes(w.size_bytes), w.source) for w in card.weights]
        lines += ["", *table(("WEIGHTS", "PRECISION", "SIZE", "SOURCE"), cells5, None)]
    if card.hardware:
        cells6 = [
            (f"{h.count} x {h.gpu}", f"{h.memory_gb} GB", h.precision, h.source)
            for h in card.hardware
        ]
        lines += ["", *table(("RUNS ON", "MEMORY EACH", "PRECISION", "SOURCE"), cells6, None)]
    return lines + [f"note: {n}" for n in card.notes]


def _when(offer: dict[str, Json]) -> str:
    price = offer["price"]
    if offer["end_of_life"]:
        return f"ends {offer['end_of_life']}"
    return f"{price['valid_from']}, {price['source']}" if isinstance(price, dict) else "-"


def _rows(value: Json) -> list[dict[str, Json]]:
    return [r for r in value if isinstance(r, dict)] if isinstance(value, list) else []


def tokens(value: Json) -> str:
    """`262k`, `1M`: for reading, not for sums."""
    if not isinstance(value, int):
        return "-"
    for unit, size in (("M", 10**6), ("k", 10**3)):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return str(value)


def gigabytes(size: int | None) -> str:
    """Decimal gigabytes, as disks are sold."""
    return "-" if size is None else f"{size / 1e9:,.1f} GB"


def _joined(value: Json) -> str:
    return ", ".join(str(v) for v in value) if isinstance(value, list) else ""


def _per_million(row: dict[str, Json]) -> str:
    if row["input_usd_per_million"] is None:
        return "-"
    return f"${row['input_usd_per_million']} in, ${row['output_usd_per_million']} out"
