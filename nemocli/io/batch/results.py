"""Where rows end up, for an event loop: what comes in while a group is written makes the next."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from nemocli.core.faults import Fault, NemoError
from nemocli.core.records import WrittenLines

if TYPE_CHECKING:
    from nemocli.core.records import Begun
    from nemocli.io.batch.in_flight import UnderWay
    from nemocli.io.batch.spool import Arrived
    from nemocli.io.batch.writer_process import Child, Inline

MOST_AT_ONCE = 512


class GroupedResults:
    """Fills `batch.ports.Results` over a keeper. `window` rows may be under way where the output
    keeps the order of the input; None where it does not."""

    def __init__(
        self,
        keeper: Child | Inline,
        under_way: UnderWay,
        arrived: Arrived,
        *,
        ordered: bool = False,
    ) -> None:
        self._keeper = keeper
        self._arrived = arrived
        self._ordered = ordered
        self._under_way = under_way
        self._ended: list[str] = []
        self._answered: list[bytes] = []
        self._packed: list[bytes] = []
        self._failed: list[bytes] = []
        self._attempts: list[bytes] = []
        self._order: list[tuple[int, bool]] = []
        self._dropped: list[str] = []
        self._begun: list[tuple[Begun, asyncio.Future[Sequence[str]]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._broken: Fault | None = None

    def place(self, ordinal: int, *, over: bool = False) -> None:
        """Note a row's place in the order."""
        if self._ordered:
            self._order.append((ordinal, over))

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    async def reserve(self, begun: Begun) -> Sequence[str]:
        """Put an attempt on record before it is made. Raises NemoError."""
        self._check()
        future: asyncio.Future[Sequence[str]] = self._loop.create_future()
        self._under_way.note(begun.attempt_id, begun.chars)
        self._begun.append((begun, future))
        self._write_on()
        return await future

    def begin(self, attempt_id: str) -> None:
        """It is being made now."""
        self._under_way.mark_sent(attempt_id)

    def end(self, attempt_id: str) -> None:
        """What came of it is among the lines given so far."""
        self._ended.append(attempt_id)

    def answer(self, line: bytes) -> None:
        """A row's answer."""
        self._arrived.add(line)
        self._answered.append(line)
        self._write_on()

    def quick_answer(self, pack: bytes) -> None:
        """A row's answer, of which whoever writes it makes the line."""
        self._arrived.add(pack, packed=True)
        self._packed.append(pack)
        self._write_on()

    def fail(self, line: bytes) -> None:
        """A row that was given up."""
        self._arrived.add(line)
        self._failed.append(line)
        self._write_on()

    def attempt(self, line: bytes) -> None:
        """An attempt of a row that is not over."""
        self._attempts.append(line)
        self._write_on()

    def drop(self, attempt_id: str) -> None:
        """An attempt that was put on record and never made."""
        self._dropped.append(attempt_id)
        self._write_on()

    async def flush(self) -> None:
        """Until everything is on the disk. Raises NemoError where it is not."""
        if self._any():  # rows that were over may let go of others that waited for them
            self._write_on()
        while self._writing is not None:
            await asyncio.wait({self._writing})
        self._check()

    async def close(self) -> None:
        """Let go of the files."""
        await self._keeper.close()
        self._under_way.close()
        self._arrived.close(keep=self._broken is not None)

    def _check(self) -> None:
        if self._broken is not None:
            raise NemoError(self._broken)

    def _write_on(self) -> None:
        if self._writing is None:
            self._writing = self._loop.create_task(self._write())

    async def _write(self) -> None:
        try:
            while self._any():
                await self._group()
        finally:
            self._writing = None

    def _any(self) -> bool:
        lines = self._answered or self._packed or self._failed or self._attempts
        return bool(lines or self._begun or self._order or self._dropped)

    async def _group(self) -> None:
        begun, self._begun = self._begun[:MOST_AT_ONCE], self._begun[MOST_AT_ONCE:]
        lines = WrittenLines(
            tuple(self._answered),
            tuple(self._failed),
            tuple(self._attempts),
            tuple(each for each, _ in begun),
            tuple(self._order),
            tuple(self._dropped),
            tuple(self._packed),
        )
        ended, self._ended = [*self._ended, *self._dropped], []
        self._answered, self._packed, self._failed, self._attempts = [], [], [], []
        self._order, self._dropped = [], []
        self._arrived.turn()
        try:
            said = await self._keeper.commit(lines)
        except NemoError as error:
            self._broken = self._broken or error.fault
            for _, future in begun:
                if not future.done():
                    future.set_exception(error)
            return
        self._arrived.settle()
        for attempt_id in ended:
            self._under_way.over(attempt_id)
        for (each, future), word in zip(begun, said, strict=True):
            if future.done():
                continue
            if isinstance(word, Fault):
                self._under_way.over(each.attempt_id)
                future.set_exception(NemoError(word))
            else:
                future.set_result(word)
