"""A server that says exactly the bytes a test wants, on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable
from types import TracebackType

Handler = Callable[["Peer"], Awaitable[None]]


class Peer:
    """The client's connection: what it asked, and a way to answer byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.head = b""
        self.body = b""

    async def request(self) -> bytes:
        """Read one request; its head is returned, its body kept."""
        self.head = await self.reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in self.head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        self.body = await self.reader.readexactly(length)
        return self.head

    async def say(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    def reset(self) -> None:
        """End with RST instead of FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def told(self, event: threading.Event) -> None:
        """Wait for the test to say something from its own thread."""
        await asyncio.to_thread(event.wait, 10)

    async def gone(self) -> None:
        """Wait until the client has closed its side."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


class RawServer:
    """Serves one handler per connection from a thread of its own; a context manager."""

    def __init__(self, handler: Handler, tls: ssl.SSLContext | None = None) -> None:
        self.handler = handler
        self.heads: list[bytes] = []
        self.connections = 0
        self.client_spoke = threading.Event()  # for the test to set, for a handler to wait for
        self.handler_spoke = threading.Event()  # the other way round
        self._tls = tls
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.port = 0

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> RawServer:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        # Nobody new first: what is accepted while a Server closes is dropped with its socket open.
        self._loop.remove_reader(server.sockets[0].fileno())
        await asyncio.sleep(0.005)
        server.close()
        await self._hang_up()

    async def _hang_up(self) -> None:
        """End every handler and connection, also those that are still being greeted: a socket in
        the middle of that is known to the loop alone."""
        for _ in range(200):
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            known = list(getattr(self._loop, "_transports", {}).values())
            left = [t for t in known if t.get_extra_info("socket").fileno() >= 0]
            if not tasks and not left:
                return
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for transport in left:
                transport.abort()
            await asyncio.sleep(0.005)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        peer = Peer(reader, writer)
        try:
            await self.handler(peer)
        except asyncio.CancelledError:
            writer.transport.abort()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.heads.append(peer.head)
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), 5)


def saying(*parts: bytes) -> Handler:
    """A handler that reads one request, says the parts and closes."""

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(*parts)

    return handler


def response(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A whole reply with its length."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers]
    return "\r\n".join((*lines, "", "")).encode("latin-1") + body


def refused_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
