"""One event loop for one command, stopped by the signals that mean stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")

_STOP = ("SIGINT", "SIGTERM", "SIGHUP")


def run_async(
    main: Callable[[], Coroutine[Any, Any, T]],
    *,
    many: bool = False,
    interrupt: Callable[[], None] | None = None,
    finishes: bool = False,
) -> T:
    """Run to the end. The first Ctrl-C (or SIGTERM, or the terminal's end) cancels the task, by the
    signal's name: it may still book and show what it has; a second one raises KeyboardInterrupt at
    once. `many` calls at once are worth a faster loop, where one is installed. With `interrupt`,
    that is called for a Ctrl-C instead, however often. Where the task `finishes` something after
    it was stopped, the second Ctrl-C cancels that too, and the third is at once."""
    factory = None
    if many:
        import gc

        from nemocli.io.event_loop import fast_loop

        factory = fast_loop()
        gc.freeze()  # what is here by now stays; looking through it again and again finds nothing
        gc.set_threshold(20_000, 20, 50)
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(_listening(main, interrupt, finishes=finishes))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _listening(
    main: Callable[[], Coroutine[Any, Any, T]],
    interrupt: Callable[[], None] | None,
    *,
    finishes: bool,
) -> T:
    """The handler only leaves word with the loop: a task that is cancelled in the middle of its own
    step (by a signal, between any two of its instructions) can take that for a timeout of its own.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    asked = 0

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if interrupt is not None and number == signal.SIGINT:
            loop.call_soon_threadsafe(interrupt)
            return
        if asked > finishes:
            raise KeyboardInterrupt
        asked += 1
        if task is not None:
            loop.call_soon_threadsafe(task.cancel, signal.Signals(number).name)

    before: dict[int, Any] = {}
    for name in _STOP:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            with suppress(ValueError):  # not the main thread: nobody types there
                before[number] = signal.signal(number, stop)
    try:
        return await main()
    finally:
        for number, handler in before.items():
            with suppress(ValueError, TypeError):
                signal.signal(number, handler)
