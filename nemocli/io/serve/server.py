"""uvicorn as a library: a socket of ours, no signals of its own, no log."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from nemocli.core.faults import NemoError, config_error

GRACE_S = 30
"""For calls under way when the server is told to end."""


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes a free one. Raises NemoError (config)."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # With the protocol named, for only then does asyncio send small pieces at once.
        made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((host, port))
            made.listen(2048)
        except OSError:
            made.close()
            raise
    except OSError as error:
        raise config_error(
            f"cannot listen at {host}:{port}: {error.strerror or error}",
            "`--port 0` takes a free one",
        ) from error
    made.setblocking(False)
    return made


def _missing() -> NemoError:
    return config_error(
        "the gateway needs a package that is not installed", "pip install 'nemocli[serve]'"
    )


@asynccontextmanager
async def listening(
    app: Callable[..., Any], sock: socket.socket, grace_s: int = GRACE_S
) -> AsyncIterator[None]:
    """Serve an application while the block runs; then let what is under way finish. Raises
    NemoError (config) without the extra."""
    try:
        import uvicorn
    except ImportError:
        raise _missing() from None

    ready = asyncio.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            ready.set()

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",
        access_log=False,
        lifespan="off",
        interface="asgi3",
        ws="none",
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=grace_s,
    )
    server = Server(config)
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    waiting = asyncio.create_task(ready.wait())
    try:
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        yield
    finally:
        waiting.cancel()
        server.should_exit = True
        await serving
