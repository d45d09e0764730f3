"""What the harness of an evaluation takes: 1,000 attempts against a stub that answers at once.

    python -m tests.bench.evaluation [--attempts 1000]

Bars: 1,000 attempts within 60 s; what a model turn takes more than the bare call at most 5 ms;
memory at the end at most 20 MB above that at a tenth. The same requests are made again by a bare
client, one after another, for the price of a call alone. Nothing fails here.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from tests.cli.batch.batch_case import Each
from tests.run import Home, run, spawn
from tests.servers.agent import Agent
from tests.servers.stub import Stub

TASKS = 5
"""In the suite `quick`, of two arms."""


def attempts(home: Home, count: int, jobs: int) -> tuple[float, int]:
    """Seconds of so many attempts, and the most memory (kB)."""
    line = ("eval", "run", "e", "--arm", "new=new:x/m", "--arm", "old=new:x/n")
    epochs = max(1, count // (2 * TASKS))
    began, most = time.monotonic(), 0
    with spawn(*line, "--epochs", str(epochs), "-j", str(jobs), "--json", home=home) as running:
        while running.process.poll() is None:
            most = max(most, running.memory_kb() or 0)
            time.sleep(0.05)
        done = running.finish()
    if done.code:
        raise RuntimeError(done.err)
    return time.monotonic() - began, most


def bare(stub: Stub, bodies: list[bytes]) -> float:
    """Milliseconds of a call alone, by the standard library's client."""
    parts = urlsplit(stub.url)
    connection = HTTPConnection(parts.hostname or "", parts.port)
    spent = []
    for body in bodies:
        began = time.perf_counter()
        connection.request(
            "POST", f"{parts.path}/chat/completions", body, {"content-type": "application/json"}
        )
        connection.getresponse().read()
        spent.append(time.perf_counter() - began)
    return 1000 * statistics.fmean(spent)


def main() -> None:
    """A line for each figure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--attempts", type=int, default=1000)
    count = parser.parse_args().attempts
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "user")
        run("eval", "init", "e", "--from", "quick", home=home)
        agent = Agent(home.cwd / "e", "gold", epochs=count)
        with Stub(Each(lambda request: agent(request.json))) as stub:
            home.provider("new", stub.url)
            _, few_kb = attempts(home, count // 10, 8)
            shutil.rmtree(home.cwd / "e" / "runs")
            before = len(stub.requests)
            one_s, _ = attempts(home, count // 10, 1)
            asked = stub.requests[before:]
            alone_ms = bare(stub, [json.dumps(r.json).encode() for r in asked])
            turn_ms = 1000 * one_s / len(asked)
            shutil.rmtree(home.cwd / "e" / "runs")
            wall_s, many_kb = attempts(home, count, 8)
    print(f"{count} attempts, 8 at a time: {wall_s:.1f} s (bar 60 for 1,000)")
    print(f"a turn: {turn_ms:.2f} ms, the bare call {alone_ms:.2f} ms,"
          f" more: {turn_ms - alone_ms:.2f} ms (bar 5; the program's start is in it)")  # fmt: skip
    print(f"memory: {many_kb / 1024:.0f} MB, at a tenth {few_kb / 1024:.0f} MB")


if __name__ == "__main__":
    main()
