"""What `nim bench` itself costs while it measures: its share of a core under many slow streams.

    python -m tests.bench.nim [--streams 64] [--rate 50] [--seconds 10]

A server of its own process sends each stream so many tokens a second; `nim bench` runs against it,
and so does the least a client can be (bytes read and thrown away), each in a process of its own.
CPU seconds of the whole process, less those of a run of next to nothing (its start), over the
seconds of the streams. Bar: 5 % of a core at 64 streams x 50 tokens/s. Nothing fails here.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.serve_streams import SERVER
from tests.run import Home, argv

LEAST = """
import asyncio, sys

class Reader(asyncio.Protocol):
    def __init__(self, done):
        self.done = done
    def connection_made(self, transport):
        body = b"{}"
        transport.write(b"POST / HTTP/1.1\\r\\nhost: x\\r\\ncontent-length: 2\\r\\n\\r\\n" + body)
    def data_received(self, data):
        if data.endswith(b"0\\r\\n\\r\\n"):
            self.done.set_result(None)

async def main():
    loop = asyncio.get_running_loop()
    waiting = []
    for _ in range(int(sys.argv[2])):
        done = loop.create_future()
        await loop.create_connection(lambda: Reader(done), "127.0.0.1", int(sys.argv[1]))
        waiting.append(done)
    await asyncio.gather(*waiting)

try:
    import uvloop
    uvloop.run(main())
except ImportError:
    asyncio.run(main())
"""


def cpu_of(line: list[str], env: dict[str, str]) -> tuple[float, str]:
    """CPU seconds of a process and its children, and what it said."""
    before = os.times()
    done = subprocess.run(line, env=env, capture_output=True, text=True, check=False, timeout=300)
    after = os.times()
    if done.returncode:
        raise SystemExit(done.stderr)
    used = after.children_user - before.children_user
    return used + after.children_system - before.children_system, done.stdout


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--streams", type=int, default=64)
    parse.add_argument("--rate", type=float, default=50)
    parse.add_argument("--seconds", type=float, default=10)
    given = parse.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        shares = {}
        for seconds in (0.1, given.seconds):
            server = subprocess.Popen(
                [sys.executable, "-c", SERVER, str(given.rate), str(seconds)],
                stdout=subprocess.PIPE,
                text=True,
            )
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            try:
                time.sleep(0.2)
                home.provider("bench", f"http://127.0.0.1:{port}/v1", default_model="m")
                bench = argv("nim", "bench", "-p", "bench", "--sweep", str(given.streams),
                             "--requests", str(given.streams), "--json")  # fmt: skip
                # The warm-up is a round of its own: twice the streams' time.
                mine, said = cpu_of(bench, home.environment())
                least, _ = cpu_of(
                    [sys.executable, "-c", LEAST, port, str(given.streams)], dict(os.environ)
                )
                assert json.loads(said)["points"][0]["errors"] in (0, {}), said
                shares[seconds] = mine, least
            finally:
                server.kill()
                server.wait()
    (a, b), (c, d) = shares[0.1], shares[given.seconds]
    rounds = given.seconds - 0.1
    mine, least = (c - a) / (2 * rounds), (d - b) / rounds
    events = given.streams * given.rate
    print(f"{given.streams} streams x {given.rate:g} tokens/s for {given.seconds:g} s")
    print(f"nim bench      {mine:6.1%} of a core, {mine / events * 1e6:.1f} us an event (bar 5 %)")
    print(f"the least      {least:6.1%}, {least / events * 1e6:.1f} us: {mine / least:.1f}x")


if __name__ == "__main__":
    main()
