"""What an abandoned reply really cost, asked of its seller afterwards."""

from __future__ import annotations

from dataclasses import replace

from nemocli.core.faults import NemoError
from nemocli.core.money import Cost, pico_from_usd
from nemocli.core.ports import Entry, Settled, World
from nemocli.core.provider import Provider, Timeouts
from nemocli.engine.door import authorise, check_key, refusal, whole, without_key
from nemocli.wire.http import fault_from, request_id_of
from nemocli.wire.settle import FinalCost, cost_from, settlement_call

TIMEOUTS = Timeouts(connect_s=5, first_byte_s=5, idle_s=5, total_s=10)
"""Somebody may be waiting for their prompt: a figure that takes longer can be asked for later."""


def is_unsettled(entry: Entry, provider: Provider) -> bool:
    """Whether the seller may know better than the ledger what this attempt cost."""
    known = entry.cost.source in ("reported", "reconciled", "free")
    return provider.settlement is not None and entry.reply_id is not None and not known


async def settle(
    entry: Entry,
    provider: Provider,
    world: World,
    tries: int | None = None,
    *,
    at_once: bool = False,
) -> Entry | None:
    """The entry at its final cost, which is then in the ledger; None while nobody knows it.

    A seller writes its record some time after the reply: 404 means not yet, and is asked again
    `tries` times, first after a while unless `at_once`. Raises NemoError for anything else that
    goes wrong.
    """
    if provider.settlement is None or entry.reply_id is None:
        return None
    for number in range(tries or provider.settlement.tries):
        if number or not at_once:
            await world.clock.sleep(provider.settlement.delay_s)
        final = await _asked(entry.reply_id, provider, world)
        if final is not None and final.cost_usd is not None:
            return _entered(entry, final, world)
    return None


async def _asked(reply_id: str, provider: Provider, world: World) -> FinalCost | None:
    call = settlement_call(provider, reply_id, provider.base_url)
    key = world.secrets.key_for(provider)
    check_key(provider, provider.base_url, key)
    call = authorise(call, provider, key, TIMEOUTS)
    async with world.transport.send(call) as reply:
        if reply.status == 404:
            return None
        if reply.status != 200:
            body, now = await refusal(reply), world.clock.now()
            fault = fault_from(reply.status, reply.headers, body, now, provider=provider, model="")
            fault = fault.at(provider.name, request_id_of(reply.headers))
            raise NemoError(without_key(fault, key))
        body = await whole(reply)
    return cost_from(provider, body)


def _entered(entry: Entry, final: FinalCost, world: World) -> Entry | None:
    if final.cost_usd is None:
        return None
    pico = pico_from_usd(final.cost_usd)
    usage = final.usage if final.usage is not None and final.usage.known else None
    settled = Settled(entry.attempt_id, world.clock.now(), pico, usage, final.upstream)
    world.ledger.settle(settled)
    cost = Cost(
        pico,
        "reconciled",
        entry.cost.price_id,
        entry.cost.list_pico,
        entry.cost.list_price_id,
    )
    return replace(
        entry, cost=cost, usage=usage or entry.usage, upstream=final.upstream or entry.upstream
    )


async def settle_quietly(
    entry: Entry, provider: Provider, world: World, tries: int | None = None
) -> Entry | None:
    """The same, where not knowing is no failure: the row stays an estimate."""
    try:
        return await settle(entry, provider, world, tries)
    except NemoError:
        return None
