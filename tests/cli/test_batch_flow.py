"""Limits found over real sockets: a server that refuses, its minutes shortened, and no settings.

The learner itself is measured by `tests/core/test_pacing.py`, in simulated time and over hours.
"""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.cli.test_batch_kill import write_many
from tests.run import Home, argv
from tests.servers.quick import Quick

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("limit", "faster", "latency", "count", "good", "refused"),
    [
        ("window:40:told", 60, 0.02, 800, 0.85, 0.05),
        ("window:40", 60, 0.02, 800, 0.80, 0.05),
        ("bucket:600:told", 6, 0.05, 1_200, 0.85, 0.04),
        ("bucket:600", 6, 0.05, 1_200, 0.85, 0.04),
        ("slots:48", 1, 0.2, 4_000, 0.80, 0.04),
        ("bucket:6000", 1, 2.0, 3_000, 0.65, 0.04),
    ],
)
def test_a_limit_is_found_and_kept(
    home: Home, limit: str, faster: float, latency: float, count: int, good: float, refused: float
) -> None:
    """Bars over the whole of a short run, its start and the finding of the limit included."""
    write_many(home.cwd / "in.jsonl", count)
    kind, number, *_ = limit.split(":")
    with Quick(limit=limit, faster=faster, latency_s=latency, sigma=0.3) as server:
        home.provider("stub", server.url)
        line = argv("batch", "run", "in.jsonl", "-o", "out.jsonl", "-p", "stub", "-m", "x/anything")
        began = time.monotonic()
        done = subprocess.run(
            line, check=False, env=home.environment(), cwd=home.cwd, capture_output=True, text=True
        )
        took = time.monotonic() - began
        seen = server.seen()
    assert done.returncode == 0, done.stderr
    assert seen["good"] == count
    rate = 48 / (latency * 1.05) if kind == "slots" else int(number) / 60 * faster
    print(
        f"{limit:16} {count / took / rate:.2f} of the limit, {seen['refused'] / seen['asked']:.3f}"
    )
    assert count / took >= good * rate
    assert seen["refused"] <= refused * seen["asked"]
