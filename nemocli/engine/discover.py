"""Which model a server has, where the server decides what it is called."""

from __future__ import annotations

import re
from dataclasses import replace

from nemocli.core.card import ModelCard
from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.plan import Target, add_model
from nemocli.core.ports import Call, Key, World
from nemocli.core.provider import Provider, Timeouts
from nemocli.engine.door import Door, authorise, refusal, whole, without_key
from nemocli.wire.catalog import Listed, listing
from nemocli.wire.http import fault_from, request_id_of

LISTING_TIMEOUTS = Timeouts(connect_s=5, first_byte_s=15, idle_s=15, total_s=30)

NO_LISTING = (404, 405, 501)
"""What servers without a listing of models answer."""

MOST_LISTING_BYTES = 32 * 1024 * 1024
"""The longest listings met, of a few hundred models with their prices, take one."""


async def get(provider: Provider, url: str, key: Key | None, world: World) -> bytes:
    """The body of a GET at this provider. Raises NemoError with the provider named."""
    call = Call("GET", url, dict(provider.headers), timeouts=LISTING_TIMEOUTS)
    try:
        async with world.transport.send(authorise(call, provider, key)) as reply:
            if reply.status != 200:
                body = await refusal(reply)
                now = world.clock.now()
                fault = fault_from(
                    reply.status, reply.headers, body, now, provider=provider, model="", url=url
                )
                if fault.hint and "models ls" in fault.hint:  # what was just run
                    fault = replace(fault, hint=f"check `base_url` of {provider.name}")
                raise NemoError(fault.at(provider.name, request_id_of(reply.headers)))
            return await whole(reply, MOST_LISTING_BYTES)
    except NemoError as error:
        raise NemoError(without_key(error.fault.at(provider.name), key)) from error


async def list_models(
    provider: Provider, base_url: str, key: Key | None, world: World
) -> tuple[Listed, ...]:
    """What the server's own model listing says. Raises NemoError with the provider named."""
    url = base_url + provider.path("models")
    body = await get(provider, url, key, world)
    try:
        return listing(body)
    except NemoError as error:
        raise NemoError(without_key(error.fault.at(provider.name), key)) from error


async def discover_model(door: Door, world: World) -> Target:
    """The target with the id under which this server has the model.

    The only model of a server is taken for the one that was meant: its owner chose its name.
    """
    provider, card = door.target.provider, door.target.card
    try:
        models = await list_models(provider, door.base_url, door.key, world)
    except NemoError as error:
        if card is None or provider.discover or error.fault.status not in NO_LISTING:
            raise
        return replace(door.target, model=card.name)  # nothing says that it is called otherwise
    away = provider.leaves_machine
    # Stable: a model that stays on this machine is taken before one that only seems to.
    names = sorted((m.id for m in models), key=lambda n: bool(away) and n.endswith(str(away)))
    if card is not None and (name := _meant(card, names)) is not None:
        return replace(door.target, model=name)
    if len(names) == 1:
        return replace(door.target, model=names[0], card=None)
    listed_here = ", ".join(names[:8])
    hint = f"name one with `-m`: {listed_here}" if names else provider.start_hint
    if card is not None and not provider.discover:
        hint = add_model(provider, card) + (f" (listed: {listed_here})" if names else "")
    what = f"a model like {card.name}" if card is not None else "one model to choose"
    raise NemoError(
        Fault(
            FaultKind.UNAVAILABLE,
            f"{provider.name} does not list {what}",
            hint,
            provider.name,
            sent=False,
        )
    )


def _meant(card: ModelCard, names: list[str]) -> str | None:
    """The name that is one of the card's, else the first that has the card's full name, or that of
    its weights, in it. Short aliases (`ultra`) count only as whole names."""
    whole = {_bare(n) for n in (card.name, *card.aliases)}
    within = {_bare(n) for n in (card.name, *(w.repo for w in card.weights))}
    exact = (n for n in names if _bare(n) in whole)
    return next(exact, None) or next((n for n in names if any(w in _bare(n) for w in within)), None)


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower().rpartition("/")[2])
