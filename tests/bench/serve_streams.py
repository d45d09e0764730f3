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
                due += 1 / EVENTS
                await asyncio.sleep(max(0, due - time.monotonic()))
                writer.write(chunk(EVENT % time.monotonic_ns()))
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


def main() -> None:
    """A line for each way."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--events", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=10)
    wish = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        line = [sys.executable, "-c", SERVER, str(wish.events), str(wish.seconds)]
        server = stack.enter_context(subprocess.Popen(line, stdout=subprocess.PIPE, text=True))
        stack.callback(server.kill)
        assert server.stdout is not None
        upstream = f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
        url, token, pid, _ = stack.enter_context(gateway(upstream, folder))
        body = json.dumps({"model": MODEL, "stream": True, "messages": [
            {"role": "user", "content": "hi"}]}).encode()  # fmt: skip
        for name, where in (("direct", upstream), ("nemocli", url)):
            host, port, _ = request(where, token)
            head = (
                f"POST {urlsplit(where).path}/chat/completions HTTP/1.1\r\n"
                f"Host: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            late, count = asyncio.run(all_of(host, port, head.encode() + body, wish.streams))
            cuts = statistics.quantiles(late, n=100)
            memory = f", {resident_mb(pid):.0f} MB" if name == "nemocli" else ""
            print(
                f"{name}: {count:,} events of {wish.streams} streams, late by {cuts[49]:.1f} ms"
                f" p50, {cuts[98]:.1f} ms p99{memory}"
            )


if __name__ == "__main__":
    main()
