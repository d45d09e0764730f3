"""Records out of a pipe, read by a thread: whoever writes it may take their time."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Self

from nemocli.core.records import Record

AHEAD = 1024
"""Records that may wait to be taken."""


class Piped:
    """An async iterator. Its thread holds up nobody's end: it is left behind in its read."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._records = records
        self._ready: deque[Record] = deque()
        self._room = threading.Semaphore(AHEAD)
        self._news: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = False
        self._error: BaseException | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Record:
        if self._news is None:
            self._news, self._loop = asyncio.Event(), asyncio.get_running_loop()
            threading.Thread(target=self._read, daemon=True).start()
        while not self._ready:
            if self._over:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            self._news.clear()
            if not self._ready and not self._over:
                await self._news.wait()
        self._room.release()
        return self._ready.popleft()

    def _read(self) -> None:
        try:
            for record in self._records:
                self._room.acquire()
                self._ready.append(record)
                self._tell()
        except BaseException as error:  # noqa: BLE001 - handed to whoever takes the records
            self._error = error
        self._over = True
        self._tell()

    def _tell(self) -> None:
        news, loop = self._news, self._loop
        if news is not None and loop is not None and not news.is_set():
            with suppress(RuntimeError):  # the loop has ended without us
                loop.call_soon_threadsafe(news.set)
