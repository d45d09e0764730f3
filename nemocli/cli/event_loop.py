"""One event loop for one command, stopped by the signals that mean stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")

_STOP = ("SIGTERM", "SIGHUP")


def run_async(main: Callable[[], Coroutine[Any, Any, T]], *, many: bool = False) -> T:
    """Run to the end. The first Ctrl-C (or SIGTERM, or the terminal's end) cancels the task, which
    may still book and show what it has; a second one raises KeyboardInterrupt at once. `many` calls
    at once are worth a faster loop, where one is installed."""
    factory = None
    if many:
        from nemocli.io.event_loop import fast_loop

        factory = fast_loop()
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(_listening(main))


async def _listening(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    for name in _STOP:
        number = getattr(signal, name, None)
        if number is not None and task is not None:
            with suppress(NotImplementedError, RuntimeError):
                loop.add_signal_handler(number, task.cancel)
    return await main()
