"""Whether providers can be reached, and what their clocks say of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from nemocli.cli.choice import providers_with_key
from nemocli.cli.event_loop import run_async
from nemocli.cli.setup.check import Check, failure
from nemocli.core.faults import ExitCode, NemoError

if TYPE_CHECKING:
    from nemocli.cli.context import Setup
    from nemocli.core.ports import World
    from nemocli.core.provider import Provider

SKEW_S = 120
"""So much a clock may be off before signed URLs and tokens stop to work."""

REFUSED = (401, 403)


def check_reach(setup: Setup) -> Iterator[Check]:
    """One GET of the model listing of every provider that has a key and an address, all at once."""
    providers = [p for p in providers_with_key(setup, None) if p.base_url]
    if not providers:
        yield Check("reach", "warn", "no provider has a key", "`nemocli auth login` stores one")
        return
    for found in run_async(lambda: _all(setup, providers)):
        yield from found


async def _all(setup: Setup, providers: list[Provider]) -> list[list[Check]]:
    from nemocli.cli.world import world_of

    async with world_of(setup) as world:
        return await asyncio.gather(*(_reach(world, provider) for provider in providers))


async def _reach(world: World, provider: Provider) -> list[Check]:
    from nemocli.core.ports import Call
    from nemocli.engine.discover import LISTING_TIMEOUTS
    from nemocli.engine.door import authorise, check_key

    name = f"reach {provider.name}"
    begun = world.clock.monotonic()
    try:
        key = world.secrets.key_for(provider)
        check_key(provider, provider.base_url, key)
        headers = dict(provider.headers)
        call = Call("GET", provider.url("models"), headers, timeouts=LISTING_TIMEOUTS)
        async with world.transport.send(authorise(call, provider, key)) as reply:
            took = world.clock.monotonic() - begun
            status, skew = reply.status, _skew(reply.headers.get("date"))
    except NemoError as error:
        return [failure(name, error.fault)]
    return [_answered(name, provider.name, status, took), *_clock(provider.name, skew)]


def _answered(name: str, provider: str, status: int, took: float) -> Check:
    if status in REFUSED:
        hint = f"`nemocli auth login {provider}`"
        return Check(name, "fail", f"answered {status}: it refuses the key", hint, ExitCode.AUTH)
    said = f"answered {status} in {took:.2f} s"
    if status >= 500:
        return Check(name, "warn", said, "try again later, or use another path with `-p`")
    return Check(name, "ok", said)


def _clock(provider: str, skew: float | None) -> Iterator[Check]:
    if skew is None:
        return
    way = "ahead of" if skew > 0 else "behind"
    if abs(skew) > SKEW_S:
        said = f"{abs(skew):.0f} s {way} that of {provider}"
        yield Check("clock", "warn", said, "set the clock of this machine")


def _skew(date: str | None) -> float | None:
    """Seconds by which this clock is ahead of the reply's Date header, where there is one."""
    try:
        theirs = parsedate_to_datetime(date or "")
    except (TypeError, ValueError):
        return None
    return None if theirs.tzinfo is None else (datetime.now(UTC) - theirs).total_seconds()
