"""A transport whose calls wait until their server may be asked, in virtual time."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from nemocli.core.faults import NemoError
from nemocli.core.ports import Call
from nemocli.engine.pool.gate import TargetLane
from nemocli.engine.pool.paced import PacedTransport
from nemocli.engine.pool.pacing import Pinned
from tests.engine.scripted import BROKEN, STALLED, Clock, Later, Script, Transport, virtually

HERE, THERE = "https://a.example/v1/x", "https://b.example:8443/v1/x"


def lanes(pinned: Pinned | None = None) -> dict[str, TargetLane]:
    return {"https://a.example:443": TargetLane("a", pinned or Pinned())}


async def ask(paced: PacedTransport, url: str = HERE) -> int:
    async with paced.send(Call("POST", url)) as reply:
        async for _ in reply.chunks:
            pass
        return reply.status


def sent_at(inner: Transport) -> list[float]:
    return [round(at - inner.times[0], 2) for at in inner.times]


async def together(paced: PacedTransport, count: int, url: str = HERE) -> list[int]:
    return list(await asyncio.gather(*(ask(paced, url) for _ in range(count))))


def test_a_pace_that_a_provider_states_is_kept() -> None:
    async def work() -> list[float]:
        inner = Transport([Script()])
        assert await together(PacedTransport(inner, lanes(Pinned(rpm=60)), Clock()), 4) == [200] * 4
        return sent_at(inner)

    assert virtually(work()) == pytest.approx([0, 1, 2, 3], abs=0.05)


def test_calls_to_others_go_at_once() -> None:
    async def work() -> list[float]:
        inner = Transport([Script()])
        await together(PacedTransport(inner, lanes(Pinned(rpm=60)), Clock()), 4, THERE)
        return sent_at(inner)

    assert virtually(work()) == pytest.approx([0, 0, 0, 0], abs=0.05)


def test_a_refusal_holds_the_next_ones_back_as_long_as_it_says() -> None:
    async def work() -> list[float]:
        inner = Transport([Script(status=429, headers={"retry-after": "7"}), Script()])
        paced = PacedTransport(inner, lanes(), Clock())
        assert await ask(paced) == 429  # the caller's to ask again
        assert await together(paced, 2) == [200, 200]
        return sent_at(inner)

    assert all(at >= 6.9 for at in virtually(work())[1:])


@pytest.mark.parametrize(
    "script",
    [Script(before=[BROKEN]), Script([Later(1), STALLED]), Script(status=503), Script(status=400)],
    ids=["reset", "stalled", "busy", "wrong"],
)
def test_a_call_that_fails_leaves_its_place(script: Script) -> None:
    async def work() -> list[int]:
        paced = PacedTransport(Transport([script, Script()]), lanes(Pinned(cap=1)), Clock())
        with suppress(NemoError):
            await ask(paced)
        return await together(paced, 3)

    assert virtually(work()) == [200, 200, 200]


def test_a_call_that_is_cancelled_while_it_waits_holds_nobody_up() -> None:
    async def work() -> int:
        inner = Transport([Script([Later(5)])])
        paced = PacedTransport(inner, lanes(Pinned(cap=1)), Clock())
        first, second, third = (asyncio.create_task(ask(paced)) for _ in range(3))
        await asyncio.sleep(1)
        second.cancel()
        await asyncio.gather(first, second, third, return_exceptions=True)
        assert second.cancelled()
        return len(inner.calls)

    assert virtually(work()) == 2
