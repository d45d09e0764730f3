"""A server that is never the brake: one process, no threads, a prepared answer.

It keeps to one of the limits of `tests/engine/pool/flow_servers.py`, with its minutes shortened,
counts what came, and can write down the `user` field of every body it answered. In a test::

    with Quick(latency_s=0.01) as server:
        ...  # call server.url
    server.seen()

By hand: `python -m tests.servers.quick --limit window:40 --faster 60` prints its base URL.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
WORDS = "the quick brown fox jumps over the lazy dog and then some more "


def answer(tokens: int = 200, model: str = "x/anything") -> bytes:
    """A whole chat completion of about so many tokens."""
    return json.dumps(
        {
            "id": "gen-quick",
            "object": "chat.completion",
            "created": 1,
            "model": model,
            "provider": "Quick",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": (WORDS * tokens)[: tokens * 8]},
                }
            ],
            "usage": {
                "prompt_tokens": 300,
                "completion_tokens": tokens,
                "total_tokens": 300 + tokens,
                "cost": 0.0001,
            },
        }
    ).encode()


def framed(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "content-type: application/json", f"content-length: {len(body)}"]
    return ("\r\n".join([*lines, *headers]) + "\r\n\r\n").encode() + body


class Service:
    """What all connections share."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.latency_s: float = given.latency
        self.sigma: float = given.sigma
        self.chance = random.Random(given.seed)
        self.good = framed(answer(given.tokens))
        self.limit = limit_of(given.limit)
        self.faster: float = given.faster
        self.busy = 0
        self.counts = {"asked": 0, "good": 0, "refused": 0, "most_at_once": 0}
        self.first: float | None = None
        self.log = open(given.log, "ab", buffering=0) if given.log else None  # noqa: SIM115, PTH123
        self.fail_every: int = given.fail_every

    def take(self, now: float) -> tuple[bool, float | None]:
        """Whether a call is let in, and what a refusal says of waiting, in real seconds."""
        self.counts["asked"] += 1
        if self.first is None:
            self.first = now
        if self.limit is None:
            return True, None
        good, wait = self.limit.take((now - self.first) * self.faster, self.busy)
        return good, None if wait is None else wait / self.faster

    def seen(self) -> bytes:
        return framed(json.dumps({**self.counts, "busy": self.busy}).encode())


class Never:
    """Refuses everything."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s

    def take(self, now: float, busy: int) -> tuple[bool, float]:
        return False, self.wait_s


def limit_of(text: str | None) -> Any:
    """`window:40`, `window:40:told`, `bucket:600`, `slots:48`, `never:2` (every call is refused and
    told to come again in two seconds)."""
    if not text:
        return None
    if text.startswith("never:"):
        return Never(float(text.removeprefix("never:")))
    from tests.engine.pool.flow_servers import Bucket, Slots, Window

    kind, number, *told = text.split(":")
    if kind == "slots":
        return Slots(int(number))
    made: Callable[[int, bool], Any] = {"window": Window, "bucket": Bucket}[kind]
    return made(int(number), bool(told))


class Connection(asyncio.Protocol):
    def __init__(self, service: Service) -> None:
        self.service = service
        self.buffer = b""
        self.transport: Any = None
        self.loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        while True:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            length = (
                int(head[at + 15 : head.find(b"\r\n", at) if b"\r\n" in head[at:] else end])
                if at >= 0
                else 0
            )
            if len(self.buffer) < end + 4 + length:
                return
            body = self.buffer[end + 4 : end + 4 + length]
            self.buffer = self.buffer[end + 4 + length :]
            self.answer(head, body)

    def answer(self, head: bytes, body: bytes) -> None:
        service = self.service
        if head.startswith(b"get"):
            self.transport.write(service.seen())
            return
        good, wait = service.take(self.loop.time())
        if not good:
            service.counts["refused"] += 1
            told = [f"retry-after: {wait:.3f}"] if wait is not None else []
            self.transport.write(
                framed(
                    b'{"error":{"message":"slow down","code":429}}', "429 Too Many Requests", *told
                )
            )
            return
        if service.fail_every and service.counts["asked"] % service.fail_every == 0:
            self.transport.write(
                framed(b'{"error":{"message":"broken","code":500}}', "500 Internal Server Error")
            )
            return
        service.counts["good"] += 1
        service.busy += 1
        service.counts["most_at_once"] = max(service.counts["most_at_once"], service.busy)
        if service.log is not None:
            at = body.find(b'"user":"')
            service.log.write(body[at + 8 : body.find(b'"', at + 8)] + b"\n")
        if service.latency_s:
            took = service.latency_s * service.chance.lognormvariate(0, service.sigma)
            self.loop.call_later(took, self.finish)
        else:
            self.finish()

    def finish(self) -> None:
        self.service.busy -= 1
        if not self.transport.is_closing():
            self.transport.write(self.service.good)


async def serve(given: argparse.Namespace) -> None:
    service = Service(given)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(service), "127.0.0.1", given.port, backlog=4096
    )
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds, the median")
    parser.add_argument("--sigma", type=float, default=0.0, help="of the logarithm")
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--limit", help="window:RPM[:told], bucket:RPM[:told], slots:N")
    parser.add_argument("--faster", type=float, default=1.0, help="seconds of the limit in one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", help="a file for the `user` of every body answered")
    parser.add_argument("--fail-every", type=int, default=0, help="every Nth call is a 500")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(parser.parse_args()))


class Quick:
    """The server in a process of its own; a context manager."""

    def __init__(self, **options: Any) -> None:
        self._line = [sys.executable, "-m", "tests.servers.quick"]
        for name, value in options.items():
            self._line += [f"--{name.replace('_s', '').replace('_', '-')}", str(value)]
        self.url = ""

    def seen(self) -> dict[str, int]:
        with urllib.request.urlopen(self.url) as reply:
            counted: dict[str, int] = json.load(reply)
        return counted

    def __enter__(self) -> Quick:
        self._process = subprocess.Popen(self._line, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


if __name__ == "__main__":
    main()
