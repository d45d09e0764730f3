"""The machine's clock and chance."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from datetime import UTC, datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
_PAIRS = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_RANDOM_BITS = 80


class SystemClock:
    """Time as the machine tells it. Ids are 26 characters, sort by time and never repeat."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()
        self._stem, self._stem_text = -1, ""

    def now(self) -> datetime:
        """Now, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never run backwards; only differences mean anything."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Let others run for so long."""
        await asyncio.sleep(seconds)

    def jitter(self) -> float:
        """A number in [0, 1), for spreading retries."""
        return int.from_bytes(os.urandom(6), "big") / 2**48  # the `random` module loads for 2 ms

    def new_id(self) -> str:
        """48 bits of milliseconds, then 80 of chance; the next one in the same process is larger,
        whatever happens to the clock in between, and in the same millisecond the very next."""
        milliseconds = time.time_ns() // 1_000_000
        with self._lock:
            number = self._last + 1
            if milliseconds > self._last >> _RANDOM_BITS:
                chance = int.from_bytes(os.urandom(_RANDOM_BITS // 8), "big")
                number = max(number, milliseconds << _RANDOM_BITS | chance)
            self._last = number
            if number >> 20 != self._stem:
                self._stem = number >> 20
                places = range(100, -1, -10)
                self._stem_text = "".join([_PAIRS[self._stem >> at & 1023] for at in places])
            return self._stem_text + _PAIRS[number >> 10 & 1023] + _PAIRS[number & 1023]
