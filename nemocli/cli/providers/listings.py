"""What providers list right now, as rows: the ids of known models marked with their cards."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypedDict

from nemocli.cli.event_loop import run_async
from nemocli.cli.providers.model_facts import tokens
from nemocli.cli.providers.provider_facts import readiness
from nemocli.cli.terminal.tables import table
from nemocli.core.faults import Fault, FaultKind, NemoError

if TYPE_CHECKING:
    from decimal import Decimal

    from nemocli.cli.context import Setup
    from nemocli.core.card import ModelCard
    from nemocli.core.plan import Target
    from nemocli.wire.catalog import Listed


class ListingRow(TypedDict):
    """A model as a provider lists it now. `model`: the card it is of. Prices in USD."""

    provider: str
    id: str
    model: str | None
    context: int | None
    input_usd_per_million: str | None
    output_usd_per_million: str | None
    tools: bool | None
    structured_output: str | None


def listing_rows(setup: Setup, name: str) -> list[ListingRow]:
    """What a provider lists right now. Raises NemoError."""
    return [
        {
            "provider": name,
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


def all_listed_rows(setup: Setup) -> list[ListingRow]:
    """What every provider that is ready lists; nothing is started for it. Who fails is noted, and
    the fault is raised where nobody answers."""
    rows: list[ListingRow] = []
    fault = Fault(
        FaultKind.AUTH,
        "no provider is ready: no key is at hand, no local server listens",
        "`nemocli providers ls` says what each needs",
        sent=False,
    )
    answered = False
    for provider in setup.catalogue.providers.values():
        if provider.runtime is not None or not readiness(setup, provider)[0]:
            continue
        try:
            rows += listing_rows(setup, provider.name)
            answered = True
        except NemoError as error:
            fault = error.fault
            setup.err.warn(f"{provider.name}: {fault.message}")
    if not answered:
        raise NemoError(fault)
    return rows


def listing_table(rows: list[ListingRow], width: int | None) -> list[str]:
    """For people; models with a card first."""
    rows = sorted(rows, key=lambda r: (r["model"] is None, r["provider"], r["id"]))
    cells = [
        (r["id"], r["model"] or "-", tokens(r["context"]), _price(r), r["provider"]) for r in rows
    ]
    return table(("ID", "MODEL", "CONTEXT", "USD PER MILLION TOKENS", "PROVIDER"), cells, width)


def listing_targets(setup: Setup, name: str, *, every: bool) -> list[Target]:
    """The listed ids that are of models with a card, or `every` id."""
    provider = setup.catalogue.provider(name)
    return [
        replace(setup.catalogue.target(provider, model.id), card=card)
        for model, card in _listing(setup, name)
        if every or card is not None
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
    from nemocli.engine.discover import list_models
    from nemocli.engine.door import check_key

    provider = setup.catalogue.provider(name)
    if provider.runtime is not None and provider.runtime.kind == "command":
        return await _held(setup, name)
    async with world_of(setup) as world:
        if provider.runtime is not None:
            endpoint = await world.servers.endpoint(setup.catalogue.target(provider, None))
            return await list_models(provider, endpoint.base_url, endpoint.key, world)
        key = world.secrets.key_for(provider)
        check_key(provider, provider.base_url, key)
        return await list_models(provider, provider.base_url, key, world)


async def _held(setup: Setup, name: str) -> tuple[Listed, ...]:
    from nemocli.cli.downloads import notices
    from nemocli.io.servers.command import CommandRuntime
    from nemocli.wire.catalog import Listed

    runtime = CommandRuntime(
        setup.catalogue.provider(name), setup.env, notices(setup), setup.key_names()
    )
    return tuple(Listed(m.name) for m in await runtime.models())


def _exact(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:f}"


def _price(row: ListingRow) -> str:
    if row["input_usd_per_million"] is None:
        return "-"
    return f"${row['input_usd_per_million']} in, ${row['output_usd_per_million']} out"
