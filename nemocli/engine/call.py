"""One attempt: a request down, events up to one sink, exactly one end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from urllib.parse import quote, urlsplit, urlunsplit

from nemocli.core.events import Event, Failed, Finished, Started
from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.plan import Target
from nemocli.core.ports import Call, Endpoint, Reply, World
from nemocli.core.provider import Provider
from nemocli.core.request import Request
from nemocli.engine.door import (
    Door,
    authorise,
    check_key,
    key_refusal,
    refusal,
    without_key,
)
from nemocli.wire.dialect import Decoder, dialect_named
from nemocli.wire.http import (
    ANSWERED,
    QUEUED,
    deprecation_of,
    fault_from,
    queue_fault,
    request_id_of,
)

Sink = Callable[[Event], None]

DRAIN_S = 0.25
"""How long the rest of a body may take after the end was announced; a new connection costs more."""

USAGE_S = 5.0
"""How long the counts may take after a finish reason. An answer that is whole waits no longer for
its receipt, or a silent server would hold it back until the idle timeout."""

_UNKNOWN_END = (FaultKind.CUT, FaultKind.PROTOCOL)
"""What a body looks like that ended early: where the connection broke, that is the reason."""

QUEUED_S = 1.0
"""Between two questions for a call in a queue; the server holds each question for a while."""


async def open_door(target: Target, world: World) -> Door:
    """Start or find the server, find the key, learn the model's id where the server decides it.

    Raises NemoError when there is no key, no server, or no such model; nothing billable was sent.
    """
    provider = target.provider
    endpoint = Endpoint(provider.base_url)
    if provider.runtime is not None and not provider.base_url:
        endpoint = await world.servers.endpoint(target)
    key = world.secrets.key_for(provider) or endpoint.key
    check_key(provider, endpoint.base_url, key)
    if not target.model and endpoint.model:
        target = replace(target, model=endpoint.model)
    door = Door(target, endpoint.base_url, key)
    if not target.model:
        from nemocli.engine.discover import discover_model

        door = replace(door, target=await discover_model(door, world))
    return door


async def call(
    door: Door, request: Request, world: World, sink: Sink, timeout_s: float | None
) -> None:
    """Give the sink any number of parts and exactly one end."""
    ended = False

    def once(event: Event) -> None:
        nonlocal ended
        if isinstance(event, Finished | Failed):
            ended = True
        if isinstance(event, Failed):
            event = Failed(key_refusal(without_key(event.fault, door.key), door.key))
        sink(event)

    try:
        await _exchange(door, request, world, once, timeout_s)
    except NemoError as error:
        if not ended:
            once(Failed(error.fault.at(door.target.provider.name)))


async def _exchange(
    door: Door, request: Request, world: World, sink: Sink, timeout_s: float | None
) -> None:
    provider = door.target.provider
    wire = dialect_named(provider.dialect).encode(door.target, request, door.base_url)
    times = provider.timeouts.within(timeout_s)
    if not request.stream:  # the first byte comes when the last is known
        times = replace(times, first_byte_s=times.total_s)
    asked = authorise(wire, provider, door.key, times)
    ends = world.clock.monotonic() + times.total_s
    while True:
        async with world.transport.send(asked) as reply:
            later = queue_call(asked, reply, provider)
            if later is None or world.clock.monotonic() > ends:
                await _read(reply, door, request, sink, world)
                return
        await world.clock.sleep(QUEUED_S)
        asked = later


def queue_call(asked: Call, reply: Reply, provider: Provider) -> Call | None:
    """Where the answer to a call that waits in the server's queue is asked for; None for any other
    reply, and where the provider says no such place.

    The place may be at another host of the same domain; for a server of another domain it is taken
    to be at its own origin, where the key belongs.
    """
    request_id = request_id_of(reply.headers)
    if reply.status != QUEUED or provider.queued is None or request_id is None:
        return None
    place, here = urlsplit(provider.queued), urlsplit(asked.url)
    if _domain(place.hostname) != _domain(here.hostname):
        place = place._replace(scheme=here.scheme, netloc=here.netloc)
    url = urlunsplit(place).replace("{id}", quote(request_id, safe=""))
    return replace(asked, method="GET", url=url, body=b"")


def _domain(host: str | None) -> str:
    return ".".join((host or "").lower().split(".")[-2:])


async def _read(reply: Reply, door: Door, request: Request, sink: Sink, world: World) -> None:
    """The events of a reply, or the one failure that its status is."""
    target, provider = door.target, door.target.provider
    request_id = request_id_of(reply.headers)
    url = door.base_url + provider.path(provider.dialect)
    if (fault := await refusal_of(reply, target, url, world)) is not None:
        sink(Failed(fault))
        return
    sink(_started(reply, request_id))
    decoder = dialect_named(provider.dialect).decoder(target, request)
    await _decode(reply, decoder, lambda event: sink(_named(event, provider, request_id)))


async def refusal_of(reply: Reply, target: Target, url: str, world: World) -> Fault | None:
    """The failure that the status of a reply is, with the provider named; None where an answer
    follows. `url` is what was asked."""
    headers, provider = reply.headers, target.provider
    if reply.status in ANSWERED:
        return None
    if reply.status == QUEUED:
        fault = queue_fault(headers, provider)
    else:
        body = await refusal(reply)
        fault = fault_from(
            reply.status,
            headers,
            body,
            world.clock.now(),
            provider=provider,
            model=target.model,
            url=url,
        )
    return fault.at(provider.name, request_id_of(headers))


async def _decode(reply: Reply, decoder: Decoder, sink: Sink) -> None:
    """Chunks to events. An announced end stands, whatever the connection does after it; so does
    a reason for its failure that the server got out before the connection broke."""
    broken: NemoError | None = None
    chunks = aiter(reply.chunks)
    try:
        async with asyncio.timeout(None) as patience:
            async for chunk in chunks:
                for event in decoder.feed(chunk):
                    sink(event)
                    if isinstance(event, Finished | Failed):
                        await _drain(chunks)
                        return
                if decoder.ended and patience.when() is None:
                    patience.reschedule(asyncio.get_running_loop().time() + USAGE_S)
    except TimeoutError:
        pass  # of our own patience: nothing but counts was missing
    except NemoError as error:
        broken = error
    for event in decoder.close():
        if broken and isinstance(event, Failed) and event.fault.kind in _UNKNOWN_END:
            raise broken
        sink(event)


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    """Read what little may follow the end, so that the connection can be used again."""
    with suppress(NemoError, TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            async for _ in chunks:
                pass


def _started(reply: Reply, request_id: str | None) -> Started:
    return Started(
        reply_id=reply.headers.get("x-generation-id"),
        request_id=request_id,
        deprecation=deprecation_of(reply.headers),
    )


def _named(event: Event, provider: Provider, request_id: str | None) -> Event:
    if isinstance(event, Failed):
        return Failed(event.fault.at(provider.name, request_id))
    return event
