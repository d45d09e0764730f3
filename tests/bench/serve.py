"""The gateway against the server behind it, and against litellm's proxy where it is installed.

    python -m tests.bench.serve [--calls 400] [--litellm PATH/TO/litellm]

One run, in turns: what a call through each takes more than a direct one (the median of one client,
a body of 40 kB; the 99th percentile of 16), calls a second at 16 clients, memory, and the time to
start; and the gateway once more while it records every call. Nothing fails here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.run import Home, spawn
from tests.servers.quick import Quick

BODY_BYTES = 40_000
CLIENTS = 16
MODEL = "m"


def request(url: str, token: str) -> tuple[str, int, bytes]:
    """Host, port and the bytes of one call."""
    parts = urlsplit(url)
    body = json.dumps(
        {"model": MODEL, "messages": [{"role": "user", "content": "w " * (BODY_BYTES // 2)}]}
    ).encode()
    head = (
        f"POST {parts.path}/chat/completions HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return parts.hostname or "", parts.port or 80, head.encode() + body


async def client(host: str, port: int, data: bytes, calls: int) -> list[float]:
    """Seconds of each of some calls on one kept connection."""
    reader, writer = await asyncio.open_connection(host, port, limit=1 << 20)
    took = []
    for _ in range(calls):
        began = time.perf_counter()
        writer.write(data)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise SystemExit(head.decode())
        if b"content-length: " in head:
            await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
        else:
            await reader.readuntil(b"0\r\n\r\n")
        took.append(time.perf_counter() - began)
    writer.close()
    return took


async def many(host: str, port: int, data: bytes, calls: int) -> tuple[float, list[float]]:
    """Calls a second of several clients at once, and the seconds of each call."""
    began = time.perf_counter()
    each = calls // CLIENTS
    took = await asyncio.gather(*(client(host, port, data, each) for _ in range(CLIENTS)))
    return each * CLIENTS / (time.perf_counter() - began), [s for one in took for s in one]


def resident_mb(pid: int) -> float:
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def gateway(upstream: str, folder: Path, *more: str) -> Iterator[tuple[str, str, int, float]]:
    """Ours: its address, token, process and seconds to start."""
    home = Home(folder / "user")
    home.provider("quick", upstream, default_model=MODEL)
    began = time.perf_counter()
    with spawn("serve", "--json", "-p", "quick", *more, home=home) as running:
        told = json.loads(running.until("}"))
        yield told["base_url"], told["token"], running.process.pid, time.perf_counter() - began
        running.process.terminate()


@contextmanager
def litellm(program: str, upstream: str, folder: Path) -> Iterator[tuple[str, str, int, float]]:
    """The peer, with one model that leads to the same server."""
    config = folder / "config.yaml"
    model = {"model": f"openai/{MODEL}", "api_base": upstream, "api_key": "k"}
    config.write_text(
        json.dumps({"model_list": [{"model_name": MODEL, "litellm_params": model}],
                    "general_settings": {"master_key": "sk-1"}})
    )  # fmt: skip
    env = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    url, began = "http://127.0.0.1:18473/v1", time.perf_counter()
    line = [program, "--config", str(config), "--port", "18473", "--host", "127.0.0.1"]
    process = subprocess.Popen(line, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = began + 90
        while time.perf_counter() < deadline:
            try:
                asyncio.run(
                    client("127.0.0.1", 18473, request("http://127.0.0.1:18473/v1", "sk-1")[2], 1)
                )
                break
            except (OSError, SystemExit, asyncio.IncompleteReadError):
                time.sleep(0.1)
        yield url, "sk-1", process.pid, time.perf_counter() - began
    finally:
        process.terminate()
        process.wait(20)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--litellm", default=shutil.which("litellm"))
    wish = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(Quick())
        ways = {"direct": (server.url, "k", 0, 0.0)}
        ways["nemocli"] = stack.enter_context(gateway(server.url, folder))
        recorded = gateway(server.url, folder / "recorded", "--record", "bench")
        ways["nemocli, recording"] = stack.enter_context(recorded)
        if wish.litellm:
            ways["litellm"] = stack.enter_context(litellm(wish.litellm, server.url, folder))
        calls = {name: request(url, token) for name, (url, token, *_) in ways.items()}
        single: dict[str, list[float]] = {name: [] for name in ways}
        rate: dict[str, list[float]] = {name: [] for name in ways}
        crowd: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(4):
            for name, call in calls.items():
                single[name] += asyncio.run(client(*call, wish.calls // 4))
                a_second, took = asyncio.run(many(*call, wish.calls))
                rate[name].append(a_second)
                crowd[name] += took
        direct = statistics.median(single["direct"])
        slowest = {name: statistics.quantiles(took, n=100)[98] for name, took in crowd.items()}
        for name, (_, _, pid, start) in ways.items():
            added = (statistics.median(single[name]) - direct) * 1000
            late = (slowest[name] - slowest["direct"]) * 1000
            print(
                f"{name}: +{added:.2f} ms p50 over direct ({direct * 1000:.2f} ms), "
                f"+{late:.1f} ms p99 at {CLIENTS} clients, "
                f"{statistics.median(rate[name]):,.0f} calls/s"
                + (f", {resident_mb(pid):.0f} MB, up in {start:.2f} s" if pid else "")
            )


if __name__ == "__main__":
    sys.exit(main())
