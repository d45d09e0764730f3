"""Waiting that a cancellation always ends.

`asyncio.timeout` around a wait of about no time can take a cancellation that arrives with it for
its own: the request to stop is lost, and the task goes on. What is here never raises to tell that
time is up, so there is nothing to mistake.
"""

from __future__ import annotations

import asyncio

FOREVER = float("inf")


async def until_set(event: asyncio.Event, seconds: float) -> None:
    """Return when the event is set, or after so many seconds (infinity: no limit). It always lets
    others run first, so that a loop around it cannot starve them; cancelling it always cancels."""
    if event.is_set() or seconds <= 0:
        await asyncio.sleep(0)
        return
    if seconds == FOREVER:
        await event.wait()
        return
    loop = asyncio.get_running_loop()
    woken: asyncio.Future[None] = loop.create_future()
    timer = loop.call_later(seconds, _wake, woken)
    waiting = loop.create_task(event.wait())
    waiting.add_done_callback(lambda _: _wake(woken))
    try:
        await woken
    finally:
        timer.cancel()
        waiting.cancel()


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


def acknowledge_stop() -> None:
    """Take note, after catching CancelledError, that the request to stop is being obeyed: what
    follows may wait again, and timeouts around it are not confused by it."""
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()
