"""A stream that is timed as it comes: what is read of it says the same as the whole."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from nemocli.core.events import Failed, Finished, Metered, Text
from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.ports import Call, Reply
from nemocli.core.provider import Provider
from nemocli.io.clock import SystemClock
from nemocli.nim.arrivals import Arrivals, TimedTransport
from nemocli.wire.chat.reply import ChatReader
from nemocli.wire.reply import ReplyDecoder

HOSTED = Provider("there", "chat", "https://there.example/v1")


def event(**fields: Any) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def words(text: str, **more: Any) -> bytes:
    return event(choices=[{"index": 0, "delta": {"content": text, **more}}])


END = event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
USAGE = event(choices=[], usage={"prompt_tokens": 3, "completion_tokens": 400})
DONE = b"data: [DONE]\n\n"
MANY = [words(f"word {n} ") for n in range(400)]


class Served:
    """A reply whose pieces come a second apart. Fills `Transport` and `Coming`."""

    def __init__(self, pieces: list[bytes], fault: NemoError | None = None) -> None:
        self.pieces = pieces
        self.fault = fault
        self.arrived = 0.0
        self.rests = 0
        self._left = deque(pieces)

    async def rest(self, until: bytes) -> None:
        self.rests += 1

    def take_all(self) -> list[tuple[float, bytes]]:
        """Two that came meanwhile."""
        taken = []
        for _ in range(min(2, len(self._left))):
            self.arrived += 1
            taken.append((self.arrived, self._left.popleft()))
        return taken

    @asynccontextmanager
    async def send(self, call: Call) -> AsyncIterator[Reply]:
        assert call.timed
        yield Reply(200, {}, self._chunks(), self)

    async def _chunks(self) -> AsyncIterator[bytes]:
        while self._left:
            self.arrived += 1
            yield self._left.popleft()
        if self.fault is not None:
            raise self.fault


def read(served: Served) -> tuple[list[tuple[float, Any]], int]:
    """Each event with its moment, and how many bytes were read."""
    arrivals, found, size = Arrivals(), [], 0
    decoder = ReplyDecoder(ChatReader(HOSTED, "m"), HOSTED, "m")

    async def go() -> None:
        nonlocal size
        transport = TimedTransport(served, SystemClock(), arrivals)
        async with transport.send(Call("POST", "https://there.example/v1")) as reply:
            async for chunk in reply.chunks:
                size += len(chunk)
                for each in decoder.feed(chunk):
                    found.append((arrivals.at, each))
                    arrivals.begun = arrivals.begun or isinstance(each, Text)

    asyncio.run(go())
    return found, size


def test_the_end_is_read_and_the_middle_is_not() -> None:
    served = Served([*MANY, END, USAGE, DONE])
    found, size = read(served)
    texts = [at for at, each in found if isinstance(each, Text)]
    assert (texts[0], texts[-1]) == (1, 400)
    assert next(e.usage.output_tokens for _, e in found if isinstance(e, Metered)) == 400
    assert isinstance(found[-1][1], Finished)
    assert size < sum(map(len, served.pieces)) / 3


@pytest.mark.parametrize(
    "pieces",
    [
        [*MANY, END, DONE],  # no counts: the text is what is counted
        [*MANY, words("", tool_calls=[{"index": 0, "function": {"name": "f"}}]), END, USAGE, DONE],
        [*MANY[:200], b'data: {"usage": {}, "choi'],
    ],
    ids=["no usage", "a tool call", "cut"],
)
def test_where_the_end_is_not_enough_all_is_read(pieces: list[bytes]) -> None:
    found, size = read(Served(pieces))
    texts = [each for _, each in found if isinstance(each, Text)]
    if b"usage" not in pieces[-1]:
        assert size == sum(map(len, pieces))
        assert len(texts) == 400
    else:
        assert not any(isinstance(each, Finished) for _, each in found)


def test_a_failure_keeps_what_came_before_it() -> None:
    served = Served(MANY[:50], NemoError(Fault(FaultKind.CUT, "gone")))
    arrivals = Arrivals()
    arrivals.begun = True

    async def go() -> bytes:
        data = b""
        transport = TimedTransport(served, SystemClock(), arrivals)
        async with transport.send(Call("POST", "https://there.example/v1")) as reply:
            try:
                async for chunk in reply.chunks:
                    data += chunk
            except NemoError:
                return data
        raise AssertionError("it did not fail")

    assert asyncio.run(go()) == b"".join(MANY[:50])


def test_an_error_in_the_stream_is_seen() -> None:
    error = event(error={"message": "broken", "code": 500})
    found, _ = read(Served([*MANY, error]))
    assert isinstance(found[-1][1], Failed)
