"""Manners on a shared line: a cap on the rate, and hours of the day."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from datetime import datetime

from nemocli.core.faults import usage_error
from nemocli.core.value_class import value_class

_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)(b|bit|bits)?(?:/s|ps)?", re.IGNORECASE)
_POWER = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_WINDOW = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")
_DAY_S = 86_400

STEP_S = 0.05
"""So much of a second's bytes is read at once under a cap."""
CATCH_UP_S = 1.0
"""So much lost time is made up for after a hiccup, such as a file being synced."""


def parse_rate(text: str) -> float:
    """`50M`, `50MB/s`, `400Mbit`, `48MiB`: bytes per second. Decimal unless an `i` says 1024."""
    found = _RATE.fullmatch(text.strip())
    if found is None or not float(found[1]):
        raise usage_error(
            f"--limit-rate {text!r} is no rate", "write 50M (MB per second) or 400Mbit"
        )
    number, power, binary, unit = found.groups()
    bytes_per_s = float(number) * float((1024 if binary else 1000) ** _POWER[power.lower()])
    return bytes_per_s / 8 if (unit or "").lower().startswith("bit") else bytes_per_s


class BytePace:
    """A cap over all streams together. Any thread may ask; times are of one monotonic clock."""

    def __init__(self, rate: float | None) -> None:
        self.rate = rate
        self._next: float | None = None
        self._lock = threading.Lock()

    @property
    def chunk(self) -> int | None:
        """How much to read at once so that the rate is even; None: as much as one likes."""
        return None if self.rate is None else max(4096, int(self.rate * STEP_S))

    def delay(self, count: int, now: float) -> float:
        """Seconds to wait after having read so many bytes."""
        if self.rate is None:
            return 0.0
        with self._lock:
            due = now if self._next is None else max(self._next, now - CATCH_UP_S)
            self._next = due + count / self.rate
            return max(0.0, self._next - now)


@value_class(frozen=True, slots=True)
class HoursWindow:
    """Hours of the day in which bytes may flow, in seconds since local midnight; may span it."""

    start: int
    end: int

    def wait_s(self, local: datetime) -> float:
        """Seconds until it opens; 0 while it is open."""
        at = local.hour * 3600 + local.minute * 60 + local.second + local.microsecond / 1e6
        since = (at - self.start) % _DAY_S
        length = (self.end - self.start) % _DAY_S
        return 0.0 if since < length else _DAY_S - since


def parse_window(text: str) -> HoursWindow:
    """`22:00-06:00`, local time."""
    found = _WINDOW.fullmatch(text.strip())
    if found is not None:
        h1, m1, h2, m2 = (int(part) for part in found.groups())
        start, end = h1 * 3600 + m1 * 60, h2 * 3600 + m2 * 60
        if max(start, end) <= _DAY_S and max(m1, m2) < 60 and start % _DAY_S != end % _DAY_S:
            return HoursWindow(start % _DAY_S, end % _DAY_S)
    raise usage_error(f"--window {text!r} is no span of the day", "write 22:00-06:00 (local time)")


@dataclass(slots=True)
class _Seen:
    bytes: int
    since: float
    marks: list[tuple[float, int]]


class Watchdog:
    """Tells which streams are dead: no byte for `stall_s`, or hardly any beside what others get
    now, or what any stream of this run got before: the last stream has no others beside it."""

    SLOW_S = 30.0
    SHARE = 0.02
    SHARE_OF_BEFORE = 0.002

    def __init__(self, stall_s: float) -> None:
        self.stall_s = stall_s
        self._seen: dict[int, _Seen] = {}
        self._best = 0.0  # the highest rate of one stream over SLOW_S

    def look(self, now: float, streams: dict[int, int]) -> dict[int, str]:
        """Streams by number with their bytes so far; those to end, and what to say of it."""
        self._seen = {n: s for n, s in self._seen.items() if n in streams}
        for number, count in streams.items():
            seen = self._seen.setdefault(number, _Seen(count, now, [(now, count)]))
            if count != seen.bytes:
                seen.bytes, seen.since = count, now
            if now - seen.marks[-1][0] >= 1.0:
                seen.marks.append((now, count))
                seen.marks = [m for m in seen.marks if now - m[0] <= self.SLOW_S + 1]
        dead = {
            n: f"no data for {self.stall_s:g} s"
            for n, s in self._seen.items()
            if now - s.since >= self.stall_s
        }
        rates = {n: r for n, s in self._seen.items() if (r := self._rate(s, now)) is not None}
        if len(rates) > 2:
            usual = sorted(rates.values())[len(rates) // 2]
            slow = {n for n, r in rates.items() if r < usual * self.SHARE}
            dead |= {n: f"{rates[n]:.0f} bytes/s while others flow" for n in slow - dead.keys()}
        least = self._best * self.SHARE_OF_BEFORE
        slow = {n for n, r in rates.items() if r < least}
        dead |= {
            n: f"{rates[n]:.0f} bytes/s where a stream had {self._best:,.0f} before"
            for n in slow - dead.keys()
        }
        self._best = max([self._best, *rates.values()])
        return dead

    def _rate(self, seen: _Seen, now: float) -> float | None:
        then, count = seen.marks[0]
        return (seen.bytes - count) / (now - then) if now - then >= self.SLOW_S else None
