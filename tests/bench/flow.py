"""Batch against servers with limits: how much of each limit it uses, and how much is refused.

    python -m tests.bench.flow

Six servers, their minutes shortened, no settings, over whole runs of about a minute each: start,
finding and the last answers included. Bars: at least 0.92 of the limit, at most 0.04 refused; what
is said at half-way of the cost and of the time left within a fifth of what it becomes. Nothing
fails here.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from tests.bench.batch import write_rows
from tests.run import Home, argv
from tests.servers.quick import Quick


@dataclass(frozen=True, slots=True)
class Limit:
    """A server's rule (`KIND:NUMBER[:told]`), how much faster its clock goes, how long it takes."""

    rule: str
    faster: float
    latency_s: float
    rows: int

    @property
    def rate(self) -> float:
        """Calls per second at the limit."""
        kind, number, *_ = self.rule.split(":")
        if kind == "slots":
            return int(number) / (self.latency_s * 1.05)
        return int(number) / 60 * self.faster


@dataclass(frozen=True, slots=True)
class Flow:
    """What a whole run came to. `share` is of the limit's rate; `money` and `time` are what was
    said at half-way of its cost and of the rest of its time, as shares of what they became."""

    good: int
    asked: int
    refused: int
    share: float
    money: float
    time: float


LIMITS = (
    Limit("window:40:told", 60, 0.02, 2_400),
    Limit("window:40", 60, 0.02, 2_400),
    Limit("bucket:600:told", 30, 0.05, 20_000),
    Limit("bucket:600", 30, 0.05, 20_000),
    Limit("slots:48", 1, 0.2, 16_000),
    Limit("bucket:6000", 1, 2.0, 8_000),
)


def measure(home: Home, limit: Limit) -> Flow:
    """One run of a batch at a server with this limit; raises where it does not end well."""
    write_rows(home.cwd / "in.jsonl", limit.rows, words=20)
    with Quick(
        limit=limit.rule, faster=limit.faster, latency_s=limit.latency_s, sigma=0.3
    ) as server:
        home.provider("stub", server.url)
        line = argv("batch", "run", "in.jsonl", "-o", "out.jsonl", "-p", "stub", "-m", "x/anything")
        began = time.monotonic()
        with subprocess.Popen(
            [*line, "--progress", "json"],
            env=home.environment(),
            cwd=home.cwd,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as running:
            assert running.stderr is not None
            said = [
                (time.monotonic(), json.loads(each))
                for each in running.stderr
                if each.startswith(b"{")
            ]
        ended = time.monotonic()
        if running.returncode:
            raise RuntimeError(f"exit {running.returncode}: {said[-1]}")
        seen = server.seen()
    told = [(at, each) for at, each in said if each.get("projected_usd")]
    at, half = next(each for each in told if each[1]["over"] >= limit.rows / 2)
    return Flow(
        int(seen["good"]),
        int(seen["asked"]),
        int(seen["refused"]),
        limit.rows / (ended - began) / limit.rate,
        float(Decimal(half["projected_usd"]) / Decimal(told[-1][1]["usd"])),
        half["eta_s"] / (ended - at),
    )


def main() -> None:
    """A line per limit."""
    for limit in LIMITS:
        with tempfile.TemporaryDirectory() as folder:
            seen = measure(Home(Path(folder)), limit)
        refused = seen.refused / seen.asked
        print(
            f"{limit.rule:16} {seen.share:.2f} of the limit, {refused:.3f} refused;"
            f" said at half-way: {seen.money:.2f} of the cost, {seen.time:.2f} of the time left"
        )


if __name__ == "__main__":
    main()
