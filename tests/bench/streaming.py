"""What an event costs between socket and fold, and what a long answer does to memory.

    python -m tests.bench.streaming [--streams 400]

The server runs in a process of its own. Streams of 50 events are read in turn by our path
(transport, dialect, events, fold) and by bare `httpx2.AsyncClient.stream(...).aiter_bytes()` and
bare aiohttp, which understand nothing. Then 100 MB are streamed and memory is looked at.
Nothing fails here.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any

import httpx2

from nemocli.core.events import Finished, Fold
from nemocli.core.plan import Target
from nemocli.core.provider import Provider
from nemocli.core.request import Message, Request
from nemocli.io.http.direct import DirectTransport
from nemocli.wire.dialect import dialect_named
from tests.servers.process import launched

EVENTS = 50
FRAME = 4
"""Of those: the role, the finish, the usage and `[DONE]`."""
BATCH = 20
BIG = 100_000_000
PIECE = 4_000

SCRIPT = {
    "*": [{"do": "Answer", "text": "token " * (EVENTS - FRAME), "piece": 6}],
    "/v1/big/chat/completions": [{"do": "BigStream", "size": BIG, "piece": PIECE}],
}
ASKED = Request("x/anything", (Message("user", "hi"),))


async def ours(transport: DirectTransport, base_url: str, each: Callable[[int], None]) -> Fold:
    """One answer through everything between socket and fold; `each` gets the events so far."""
    target = Target(Provider("bench", "chat", base_url, local=True), ASKED.model)
    dialect = dialect_named("chat")
    fold = Fold(keep=False)
    count = 0
    async with transport.send(dialect.encode(target, ASKED, base_url)) as reply:
        decoder = dialect.decoder(target, ASKED)
        async for chunk in reply.chunks:
            for event in decoder.feed(chunk):
                fold.add(event)
                count += 1
            each(count)
        for event in decoder.close():
            fold.add(event)
    assert isinstance(fold.end, Finished), fold.end
    return fold


async def bare(client: httpx2.AsyncClient, url: str) -> int:
    """The same bytes, counted."""
    body = {"model": ASKED.model, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    size = 0
    async with client.stream("POST", url, content=json.dumps(body)) as reply:
        async for chunk in reply.aiter_bytes():
            size += len(chunk)
    return size


async def raw(session: Any, url: str) -> int:
    """The same by aiohttp, where it is installed: the client that costs least an event."""
    body = {"model": ASKED.model, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    size = 0
    async with session.post(url, data=json.dumps(body)) as reply:
        async for chunk in reply.content.iter_any():
            size += len(chunk)
    return size


async def microseconds(read: Callable[[], Awaitable[object]]) -> float:
    """Per event, over a batch of streams."""
    begun = time.perf_counter()
    for _ in range(BATCH):
        await read()
    return (time.perf_counter() - begun) / BATCH / EVENTS * 1e6


async def compare(url: str, streams: int) -> None:
    """Batches of all in turn; prints least and median microseconds per event."""
    found: dict[str, list[float]] = {}
    async with contextlib.AsyncExitStack() as stack:
        transport = await stack.enter_async_context(DirectTransport("bench"))
        client = await stack.enter_async_context(httpx2.AsyncClient())
        ways: dict[str, Callable[[], Awaitable[object]]] = {
            "nemocli": lambda: ours(transport, url, lambda _: None),
            "bare httpx2": lambda: bare(client, url + "/chat/completions"),
        }
        with contextlib.suppress(ImportError):
            import aiohttp

            session = await stack.enter_async_context(aiohttp.ClientSession())
            ways["bare aiohttp"] = lambda: raw(session, url + "/chat/completions")
        for number in range(-1, max(1, streams // BATCH)):
            for name, read in ways.items():
                took = await microseconds(read)
                if number >= 0:
                    found.setdefault(name, []).append(took)
    mine = found["nemocli"]
    print(f"{EVENTS} events a stream, {len(mine) * BATCH} streams each way")
    for name, values in found.items():
        ratio = median(a / b for a, b in zip(mine, values, strict=True))
        said = "" if values is mine else f"  nemocli takes {ratio:.2f} of it"
        print(f"  {name:<12} min {min(values):6.1f}  median {median(values):6.1f} us/event{said}")


async def grow(url: str) -> None:
    """One very long answer; prints how far memory rose above where it was after a twentieth."""
    seen: list[int] = []

    def look(count: int) -> None:
        if count >= (len(seen) + 1) * (BIG // PIECE // 20):
            seen.append(_memory_kb())

    begun = time.perf_counter()
    async with DirectTransport("bench") as transport:
        fold = await ours(transport, url + "/big", look)
    took = time.perf_counter() - begun
    print(f"{fold.text_chars / 1e6:.0f} MB of text in {took:.1f} s")
    if seen:
        print(f"  memory {seen[0]} kB after 5 %, at most {max(seen)} kB: +{max(seen) - seen[0]} kB")


def _memory_kb() -> int:
    """Resident now; 0 where /proc does not tell."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return next(int(s.split()[1]) for s in status.splitlines() if s.startswith("VmRSS"))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.streaming", description=__doc__)
    parser.add_argument("--streams", type=int, default=400)
    streams = parser.parse_args().streams
    with launched(SCRIPT) as url:
        asyncio.run(compare(url, streams))
        asyncio.run(grow(url))


if __name__ == "__main__":
    main()
