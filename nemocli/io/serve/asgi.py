"""The little of ASGI that the gateway needs: replies, bodies with a bound, and a cut."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.serve.incoming import MOST_BODY

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

SLOWEST_S = 60.0
"""Between two pieces of a request."""
JSON = "application/json"


class CutError(Exception):
    """The connection must not end as if all were well."""


async def whole_body(receive: Receive) -> bytes:
    """The whole body. Raises NemoError for one that is too long, or comes too slowly."""
    try:
        async with asyncio.timeout(SLOWEST_S) as limit:
            return await _pieces(receive, limit)
    except TimeoutError:
        fault = Fault(FaultKind.REQUEST, "the request did not arrive", status=408, sent=False)
        raise NemoError(fault) from None


async def _pieces(receive: Receive, limit: asyncio.Timeout) -> bytes:
    """All of them. What is left of `limit` is renewed with every second in which one comes."""
    parts, size = list[bytes](), 0
    now = asyncio.get_running_loop().time
    until = now() + SLOWEST_S
    while True:
        message = await receive()
        if (at := now() + SLOWEST_S) - until > 1:
            limit.reschedule(at)
            until = at
        if message["type"] == "http.disconnect":
            raise CutError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MOST_BODY:
            what = f"a body of more than {MOST_BODY:,} bytes"
            raise NemoError(Fault(FaultKind.REQUEST, what, status=413, sent=False, retry=False))
        if not message.get("more_body"):
            return b"".join(parts)


async def start(
    send: Send, status: int, kind: str, more: tuple[tuple[str, str], ...], size: int | None = None
) -> None:
    """Status and headers."""
    headers = [("content-type", kind), ("cache-control", "no-store"), *more]
    if size is not None:
        headers.append(("content-length", str(size)))
    raw = [(k.encode("latin-1"), v.encode("latin-1", "replace")) for k, v in headers]
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def reply(
    send: Send, status: int, body: bytes, more: tuple[tuple[str, str], ...] = ()
) -> None:
    """A whole reply; one that nobody takes is nobody's fault."""
    with suppress(OSError):
        await start(send, status, JSON, more, len(body))
        await send({"type": "http.response.body", "body": body})
