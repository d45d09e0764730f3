"""Blocking work beside the event loop, which a Ctrl-C does not have to wait for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")

GRACE_S = 0.6
"""How long a job that was told to end may take; then the program ends without it."""


class DaemonThreads:
    """Fills `core.weight_ports.Threads`. No thread holds up the end of the program: one that is
    stuck in the system (a name lookup, a dead disk) is left behind."""

    async def run(self, work: Callable[[], T], abort: Callable[[], None]) -> T:
        """Its outcome. When the wait is cancelled, `abort` is called and must make it end."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        future.add_done_callback(_looked_at)

        def job() -> None:
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits
                _post(loop, lambda error=error: _fail(future, error))  # type: ignore[misc]
            else:
                _post(loop, lambda: _succeed(future, result))

        threading.Thread(target=job, daemon=True).start()
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            abort()
            await asyncio.wait({future}, timeout=GRACE_S)
            raise


def _post(loop: asyncio.AbstractEventLoop, say: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop has ended without waiting
        loop.call_soon_threadsafe(say)


def _succeed(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[T], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


def _looked_at(future: asyncio.Future[T]) -> None:
    if not future.cancelled():
        future.exception()
