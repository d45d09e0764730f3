"""Batch against servers with limits: how much of each limit it uses, and how much is refused.

    python -m tests.bench.flow

Six servers, their minutes shortened, no settings, over whole runs: start and finding included.
Bars: at least 0.85 of the limit (0.65 at 2 s latency, where the start weighs), at most 0.04
refused. Nothing fails here.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from dataclasses import dataclass
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
    """What a whole run came to. `share` is of the limit's rate."""

    good: int
    asked: int
    refused: int
    share: float


LIMITS = (
    Limit("window:40:told", 60, 0.02, 800),
    Limit("window:40", 60, 0.02, 800),
    Limit("bucket:600:told", 6, 0.05, 1_200),
    Limit("bucket:600", 6, 0.05, 1_200),
    Limit("slots:48", 1, 0.2, 4_000),
    Limit("bucket:6000", 1, 2.0, 3_000),
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
        subprocess.run(
            line, check=True, env=home.environment(), cwd=home.cwd, capture_output=True, text=True
        )
        took = time.monotonic() - began
        seen = server.seen()
    share = limit.rows / took / limit.rate
    return Flow(int(seen["good"]), int(seen["asked"]), int(seen["refused"]), share)


def main() -> None:
    """A line per limit."""
    for limit in LIMITS:
        with tempfile.TemporaryDirectory() as folder:
            seen = measure(Home(Path(folder)), limit)
        refused = seen.refused / seen.asked
        print(f"{limit.rule:16} {seen.share:.2f} of the limit, {refused:.3f} refused")


if __name__ == "__main__":
    main()
