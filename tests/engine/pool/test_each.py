"""The same work for each of many things, through the pool, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.engine.pool.each import for_each
from tests.engine.scripted import Clock, virtually

WRONG = Fault(FaultKind.AUTH, "no key")


class Work:
    """Each thing takes a second; what was begun and what was ended."""

    def __init__(self, end: Callable[[int], Fault | None] = lambda thing: None) -> None:
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.most = 0
        self._end = end

    async def do(self, thing: int) -> Fault | None:
        self.begun.append(thing)
        self.most = max(self.most, len(self.begun) - len(self.ended))
        await asyncio.sleep(1)
        self.ended.append(thing)
        return self._end(thing)

    async def all(self, count: int, at_once: int) -> tuple[Fault | None, float]:
        """The fault, and how long it took in seconds."""
        clock = Clock()
        began = clock.monotonic()
        fault = await for_each(range(count), self.do, clock, at_once=at_once, resume="go on")
        return fault, clock.monotonic() - began


def test_so_many_at_a_time_in_their_order() -> None:
    work = Work()
    fault, took = virtually(work.all(10, 4))
    assert fault is None
    assert work.begun == list(range(10))
    assert sorted(work.ended) == list(range(10))
    assert work.most == 4
    assert 3 <= took < 3.5


def test_nothing_to_do_is_done() -> None:
    assert virtually(Work().all(0, 4))[0] is None


def test_a_fault_stops_it_and_what_is_under_way_is_done_to_its_end() -> None:
    work = Work(lambda thing: WRONG if thing == 0 else None)
    fault, _ = virtually(work.all(10, 3))
    assert fault is WRONG
    assert work.begun == work.ended == [0, 1, 2]


def test_what_is_raised_stops_it_too() -> None:
    def end(thing: int) -> None:
        raise NemoError(WRONG) if thing == 0 else ValueError("unexpected")

    assert virtually(Work(end).all(1, 3))[0] is WRONG
    fault, _ = virtually(Work(lambda thing: 1 // 0).all(3, 1))
    assert fault is not None
    assert fault.kind is FaultKind.INTERNAL


def test_a_stop_cancels_what_is_under_way_and_says_how_to_go_on() -> None:
    work = Work()

    async def stopped() -> Fault | None:
        task = asyncio.create_task(work.all(10, 3))
        await asyncio.sleep(1.5)
        task.cancel()
        return (await task)[0]

    fault = virtually(stopped())
    assert fault is not None
    assert (fault.kind, fault.hint) == (FaultKind.INTERRUPTED, "go on")
    assert work.ended == [0, 1, 2]
    assert work.begun == [0, 1, 2, 3, 4, 5]
