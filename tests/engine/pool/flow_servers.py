"""Six servers with limits, in simulated time: what a provider's gateway does to too many calls."""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass, field
from itertools import count

from nemocli.engine.pool.pacing import Pacer, Pinned


@dataclass
class Window:
    """So many in each fixed minute."""

    rpm: int
    tells: bool
    window_s: float = 60.0
    _start: float = -1e9
    _used: int = 0

    def take(self, now: float, busy: int) -> tuple[bool, float | None]:
        if now - self._start >= self.window_s:
            self._start, self._used = now - now % self.window_s, 0
        if self._used < self.rpm:
            self._used += 1
            return True, None
        return False, (self._start + self.window_s - now) if self.tells else None


@dataclass
class Bucket:
    """A bucket that refills evenly."""

    rpm: int
    tells: bool
    size: float = 0.0
    _level: float = -1.0
    _at: float = 0.0

    def take(self, now: float, busy: int) -> tuple[bool, float | None]:
        size = self.size or self.rpm / 6
        if self._level < 0:
            self._level = size
        self._level = min(size, self._level + (now - self._at) * self.rpm / 60)
        self._at = now
        if self._level >= 1:
            self._level -= 1
            return True, None
        return False, ((1 - self._level) * 60 / self.rpm) if self.tells else None


@dataclass
class Slots:
    """So many at a time."""

    slots: int

    def take(self, now: float, busy: int) -> tuple[bool, float | None]:
        return busy < self.slots, None


@dataclass
class Run:
    accepted: int = 0
    refused: int = 0
    log: deque = field(default_factory=deque)


def simulate(
    server,
    hours: float = 1.0,
    latency: float = 4.0,
    sigma: float = 0.5,
    seed: int = 1,
    pacer: Pacer | None = None,
) -> Run:
    pacer = pacer or Pacer(Pinned())
    chance = random.Random(seed)
    now, end, busy, run = 0.0, hours * 3600, 0, Run()
    events: list = []
    serial = count()
    while True:
        wait = pacer.wait(now)
        if wait == 0:
            ticket = pacer.start(now)
            good, tell = server.take(now + 0.02, busy)
            if good:
                busy += 1
                run.accepted += 1
                took = chance.lognormvariate(0, sigma) * latency
                heapq.heappush(events, (now + took, next(serial), ticket, "ok", None))
            else:
                run.refused += 1
                heapq.heappush(events, (now + 0.05, next(serial), ticket, "refused", tell))
            continue
        at = now + wait
        if events and events[0][0] <= at:
            now, _, ticket, word, tell = heapq.heappop(events)
            if word == "ok":
                busy -= 1
            pacer.finish(ticket, now, word, tell)
        else:
            assert at < 1e12, "nothing will ever happen"
            now = at
        if now > end:
            return run


SERVERS = {
    "40 rpm window, told": (lambda: Window(40, True), 40 / 60, 4.0),
    "40 rpm window, untold": (lambda: Window(40, False), 40 / 60, 4.0),
    "600 rpm bucket, told": (lambda: Bucket(600, True), 10, 4.0),
    "600 rpm bucket, untold": (lambda: Bucket(600, False), 10, 4.0),
    "48 slots": (lambda: Slots(48), None, 4.0),
    "6000 rpm bucket": (lambda: Bucket(6000, False), 100, 2.0),
}
if __name__ == "__main__":
    import math

    for name, (make, rate, latency) in SERVERS.items():
        worst = []
        for seed in range(4):
            r = simulate(make(), seed=seed, latency=latency)
            limit = rate or 48 / (latency * math.exp(0.125))
            worst.append((r.accepted / (limit * 3600), r.refused / max(1, r.refused + r.accepted)))
        print(f"{name:24}", "  ".join(f"{g:.3f}/{x * 100:.1f}%" for g, x in worst))
    for name, make, rate in [
        ("600 big bucket", lambda: Bucket(600, False, 600), 10),
        ("600 tiny", lambda: Bucket(600, False, 1.5), 10),
        ("20 rpm win", lambda: Window(20, False), 20 / 60),
        ("1000 win", lambda: Window(1000, False), 1000 / 60),
        ("40 in 6s", lambda: Window(40, False, 6.0), 40 / 6),
    ]:
        r = simulate(make())
        print(
            f"{name:24} {r.accepted / (rate * 3600):.3f}"
            f" {r.refused / (r.refused + r.accepted) * 100:.1f}%"
        )
