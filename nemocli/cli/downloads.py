"""How a fetch is shown: a line, and on a terminal a bar."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nemocli.cli.context import Setup

EVERY_S = 0.1
BAR = 24


class Downloads:
    """Fills `io.fetching.Teller` on stderr."""

    def __init__(self, setup: Setup) -> None:
        self._err = setup.err
        self._bar = setup.terminal.stderr and setup.terminal.colour_err and not setup.err.quiet
        self._last = 0.0

    def say(self, line: str) -> None:
        """A line of its own."""
        self.finish()
        self._err.dim(line)

    def progress(self, what: str, done: int, total: int | None) -> None:
        """How far it is, in bytes."""
        now = time.monotonic()
        if not self._bar or now - self._last < EVERY_S:
            return
        self._last = now
        if total:
            full = min(BAR, BAR * done // total)
            bar = "█" * full + "░" * (BAR - full)
            self._err.transient(f"{bar} {done / 1e6:.0f} of {total / 1e6:.0f} MB  {what}")
        else:
            self._err.transient(f"{done / 1e6:.0f} MB  {what}")

    def finish(self) -> None:
        """Take the bar away."""
        if self._last:
            self._err.transient("")
            self._last = 0.0


def notices(setup: Setup) -> Downloads:
    """The teller of this process."""
    return Downloads(setup)
