"""A listening socket that gives every connection a thread and a channel."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.servers.channel import Channel, HungUp, Request


class Listener:
    """Serves `answer(channel, request)` for each request, from `start` to `close`.

    `connections` counts what was accepted. `tls` is a pair of PEM files (certificate, key).
    """

    def __init__(
        self,
        answer: Callable[[Channel, Request], None],
        tls: tuple[Path, Path] | None = None,
        port: int = 0,
    ) -> None:
        self.connections = 0
        self._answer = answer
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._tls: ssl.SSLContext | None = None
        if tls is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(*tls)
        self._listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self._wake, self._woken = socket.socketpair()

    @property
    def scheme(self) -> str:
        return "https" if self._tls else "http"

    def start(self) -> None:
        self._spawn(self._accept)

    def close(self) -> None:
        """Hang up on everybody and wait for the threads."""
        self._stop.set()
        self._wake.close()
        with self._lock:
            left, threads = list(self._open), list(self._threads)
        for sock in left:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)
        self._listener.close()
        self._woken.close()

    def hang_up_on_all(self) -> None:
        """Every open connection ends now, as when a machine in between restarts."""
        with self._lock:
            left = list(self._open)
        for sock in left:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _spawn(self, target: Any, *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        with self._lock:
            self._threads = [t for t in self._threads if t.is_alive()]
            self._threads.append(thread)
            thread.start()

    def _accept(self) -> None:
        while not self._stop.is_set():
            ready, _, _ = select.select([self._listener, self._woken], [], [])
            if self._woken in ready:
                return
            sock, _ = self._listener.accept()
            self.connections += 1
            self._spawn(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        with self._lock:
            self._open.add(sock)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is None:
                self._converse(Channel(sock, self._stop))
            else:
                with self._tls.wrap_socket(sock, server_side=True) as secure:
                    self._converse(Channel(secure, self._stop))
        except (OSError, HungUp):
            pass
        finally:
            with self._lock:
                self._open.discard(sock)
            sock.close()

    def _converse(self, channel: Channel) -> None:
        while channel.keep:
            request = channel.request()
            if request is None:
                return
            self._answer(channel, request)
