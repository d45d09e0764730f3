"""A line that says what is being waited for, on terminals only and only after a while."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from nemocli.core.events import Event, Finished, Reasoning, Retrying, Started, Text
from nemocli.core.text import one_line

if TYPE_CHECKING:
    from nemocli.cli.context import Setup

PATIENCE_S = 1.0
EVERY_S = 0.5


class Waiting:
    """Cold starts take minutes and reasoning is not shown: silence looks like a hang."""

    def __init__(self, setup: Setup, provider: str, *, aloud: bool = False) -> None:
        """`aloud`: reasoning is shown as it comes."""
        self._aloud = aloud
        self._err = setup.err
        self._on = setup.terminal.stderr and setup.terminal.colour_err and not setup.err.quiet
        self._name = one_line(provider, 40)
        self._doing = "waiting"
        self._thought = 0
        self._since = time.monotonic()
        self._shown = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to count."""
        if self._on:
            self._task = asyncio.get_running_loop().create_task(self._tick())

    def stop(self) -> None:
        """Take the line away."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._clear()

    def saw(self, event: Event) -> None:
        """Something came: say something else, or nothing more."""
        if self._task is None:
            return
        match event:
            case Started():
                self._doing = "waiting for the first token"
            case Reasoning() if self._aloud:
                self.stop()  # while anything is shown, nothing else draws on that line
            case Reasoning(text):
                self._doing = "reasoning"
                self._thought += len(text)
            case Retrying():
                self._clear()
                self._name, self._doing = one_line(event.provider, 40), "waiting"
            case Text() | Finished():
                self.stop()
            case _:
                pass

    async def _tick(self) -> None:
        await asyncio.sleep(PATIENCE_S)
        while True:
            waited = int(time.monotonic() - self._since)
            thought = f", {self._thought:,} characters" if self._thought else ""
            self._err.transient(f"{self._name}: {self._doing}{thought} ({waited} s)")
            self._shown = True
            await asyncio.sleep(EVERY_S)

    def _clear(self) -> None:
        if self._shown:
            self._err.transient("")
            self._shown = False
