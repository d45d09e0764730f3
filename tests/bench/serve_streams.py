"""Many open streams through the gateway: is any event late, and what does it hold in memory?

    python -m tests.bench.serve_streams [--streams 500] [--events 20] [--seconds 10]

A server sends each stream so many events a second, each with the moment it was sent; a client reads
all of them, straight from the server and through the gateway, in turns. Bars: at 500 streams the
99th percentile late by at most 50 ms; at most 100 MB. The client, the gateway and the server share
the machine's cores, so the direct run beside it says what is the machine's own. Nothing fails here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.serve import MODEL, gateway, request, resident_mb

SERVER = """
import asyncio, sys, time

EVENTS, SECONDS = float(sys.argv[1]), float(sys.argv[2])
HEAD = (b"HTTP/1.1 200 OK\\r\\ncontent-type: text/event-stream\\r\\n"
        b"transfer-encoding: chunked\\r\\n\\r\\n")
EVENT = (b'data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"m",'
         b'"choices":[{"index":0,"delta":{"content":"%020d"},"finish_reason":null}]}\\n\\n')
LAST = (b'data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"m",'
        b'"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\\n\\n'
        b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":100}}\\n\\n'
        b'data: [DONE]\\n\\n')

def chunk(data):
    return b"%x\\r\\n%b\\r\\n" % (len(data), data)

async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\\r\\n\\r\\n")).lower()
            await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\\r\\n")[0]))
            writer.write(HEAD)
            due = time.monotonic()
            for _ in range(int(EVENTS * SECONDS)):
                writer.write(chunk(EVENT % time.monotonic_ns()))
                due += 1 / EVENTS
                await asyncio.sleep(max(0, due - time.monotonic()))
            writer.write(chunk(LAST) + b"0\\r\\n\\r\\n")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=4096, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


RELAY = """
import asyncio, sys
import uvicorn

HOST, PORT = "127.0.0.1", int(sys.argv[1])
kept = []

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    reader, writer = kept.pop() if kept else await asyncio.open_connection(HOST, PORT)
    writer.write(b"POST %s HTTP/1.1\\r\\nhost: x\\r\\ncontent-length: %d\\r\\n\\r\\n"
                 % (scope["path"].encode(), len(body)) + body)
    await reader.readuntil(b"\\r\\n\\r\\n")
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    while size := int(await reader.readline(), 16):
        data = (await reader.readexactly(size + 2))[:-2]
        await send({"type": "http.response.body", "body": data, "more_body": True})
    await reader.readline()
    kept.append((reader, writer))
    await send({"type": "http.response.body", "body": b""})

uvicorn.run(app, host=HOST, port=int(sys.argv[2]), log_level="critical", http="httptools")
"""
"""The least a relay can be on the same server code: bytes in, bytes out, nothing looked at."""

OPENED_A_SECOND = 200


async def one(host: str, port: int, data: bytes, late: list[float], since_ns: int) -> int:
    """Read a stream to its end; how many events came. Those are timed that were sent when all the
    streams were open."""
    reader, writer = await asyncio.open_connection(host, port, limit=1 << 20)
    writer.write(data)
    count = 0
    while True:
        line = await reader.readline()
        if line.startswith(b"data: [DONE]"):
            break
        if not line:
            raise SystemExit("a stream was cut")
        at = line.find(b'"content":"')
        if at >= 0 and line[at + 11 : at + 31].isdigit():
            sent_ns = int(line[at + 11 : at + 31])
            count += 1
            if sent_ns > since_ns:
                late.append((time.monotonic_ns() - sent_ns) / 1e6)
    writer.close()
    return count


async def all_of(host: str, port: int, data: bytes, streams: int) -> tuple[list[float], int]:
    """Milliseconds each event was late, and how many came, of streams begun one after another."""
    late: list[float] = []
    since_ns = time.monotonic_ns() + int((streams / OPENED_A_SECOND + 0.5) * 1e9)

    async def begun(number: int) -> int:
        await asyncio.sleep(number / OPENED_A_SECOND)
        return await one(host, port, data, late, since_ns)

    counts = await asyncio.gather(*(begun(n) for n in range(streams)))
    return late, sum(counts)


async def first_byte(host: str, port: int, data: bytes, calls: int) -> float:
    """Milliseconds to the first piece of a stream, the median of some on one connection."""
    reader, writer = await asyncio.open_connection(host, port, limit=1 << 20)
    took = []
    for _ in range(calls):
        began = time.perf_counter()
        writer.write(data)
        await reader.readuntil(b"data: {")
        took.append(time.perf_counter() - began)
        await reader.readuntil(b"0\r\n\r\n")
    writer.close()
    return 1000 * statistics.median(took)


def beginnings(folder: Path, calls: int) -> None:
    """How soon a stream begins: from the server, through a bare relay, through the gateway in the
    client's dialect and in another."""
    with ExitStack() as stack:
        server = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", SERVER, "1000", "0.003"], stdout=subprocess.PIPE, text=True
            )
        )
        stack.callback(server.kill)
        assert server.stdout is not None
        at = server.stdout.readline().strip()
        relay = stack.enter_context(subprocess.Popen([sys.executable, "-c", RELAY, at, "18474"]))
        stack.callback(relay.kill)
        upstream = f"http://127.0.0.1:{at}/v1"
        url, token, _, _ = stack.enter_context(gateway(upstream, folder / "first"))
        time.sleep(1)
        ways = {
            "direct": (upstream, "chat/completions"),
            "relay": ("http://127.0.0.1:18474/v1", "chat/completions"),
            "passed through": (url, "chat/completions"),
            "translated": (url, "messages"),
        }
        found: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(4):
            for name, (where, path) in ways.items():
                found[name].append(asyncio.run(first_byte(*_asked(where, token, path), calls // 4)))
        medians = {name: statistics.median(each) for name, each in found.items()}
        for name, took in medians.items():
            print(f"first piece, {name}: {took:.2f} ms, {took / medians['relay']:.1f}x the relay")


def gaps(stack: ExitStack, folder: Path) -> None:
    """The time between two events of 16 streams of 50 a second: from the server, and through the
    gateway, in turns."""
    line = [sys.executable, "-c", SERVER, "50", "4"]
    server = stack.enter_context(subprocess.Popen(line, stdout=subprocess.PIPE, text=True))
    stack.callback(server.kill)
    assert server.stdout is not None
    upstream = f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
    url, token, _, _ = stack.enter_context(gateway(upstream, folder / "gaps"))
    found: dict[str, list[float]] = {}
    for _ in range(3):
        for name, where in (("direct", upstream), ("nemocli", url)):
            asked = _asked(where, token, "chat/completions")
            each = asyncio.run(between(*asked))
            found.setdefault(name, []).append(statistics.quantiles(each, n=100)[98])
    direct, ours = (statistics.median(found[name]) for name in ("direct", "nemocli"))
    print(f"gap p99 at 16 streams: {direct:.1f} ms direct, {ours:.1f} ms through nemocli,"
          f" {ours / direct:.2f}x")  # fmt: skip


async def between(host: str, port: int, data: bytes) -> list[float]:
    """Milliseconds between two events, of 16 streams at once."""
    found = list[float]()

    async def stream() -> None:
        reader, writer = await asyncio.open_connection(host, port, limit=1 << 20)
        writer.write(data)
        last = None
        while not (line := await reader.readline()).startswith(b"data: [DONE]"):
            if not line:
                raise SystemExit("a stream was cut")
            if b'"content":"' in line:
                now = time.perf_counter()
                if last is not None:
                    found.append(1000 * (now - last))
                last = now
        writer.close()

    await asyncio.gather(*(stream() for _ in range(16)))
    return found


def _asked(where: str, token: str, path: str) -> tuple[str, int, bytes]:
    """Host, port and the bytes of one streamed call."""
    body = json.dumps(
        {"model": MODEL, "stream": True, "max_tokens": 100,
         "messages": [{"role": "user", "content": "hi"}]}
    ).encode()  # fmt: skip
    host, port, _ = request(where, token)
    head = (
        f"POST {urlsplit(where).path}/{path} HTTP/1.1\r\n"
        f"Host: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return host, port, head.encode() + body


def main() -> None:
    """A line for each way."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--events", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=10)
    wish = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        beginnings(folder, 400)
        line = [sys.executable, "-c", SERVER, str(wish.events), str(wish.seconds)]
        server = stack.enter_context(subprocess.Popen(line, stdout=subprocess.PIPE, text=True))
        stack.callback(server.kill)
        assert server.stdout is not None
        upstream = f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
        url, token, pid, _ = stack.enter_context(gateway(upstream, folder))
        gaps(stack, folder)
        for name, where in (("direct", upstream), ("nemocli", url)):
            asked = _asked(where, token, "chat/completions")
            late, count = asyncio.run(all_of(*asked, wish.streams))
            cuts = statistics.quantiles(late, n=100)
            memory = f", {resident_mb(pid):.0f} MB" if name == "nemocli" else ""
            print(
                f"{name}: {count:,} events of {wish.streams} streams, late by {cuts[49]:.1f} ms"
                f" p50, {cuts[98]:.1f} ms p99{memory}"
            )


if __name__ == "__main__":
    main()
