"""One HTTP/1.1 connection written by hand, so that every way of breaking it can be had."""

from __future__ import annotations

import json
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

Framing = Literal["chunked", "length", "close"]

SLICE_S = 0.02
"""Between two looks at whether the client has gone or the server is to stop."""


@dataclass(slots=True)
class Request:
    """What came in. Header names in lower case; `json` is None when the body is none; `at` is
    `time.monotonic()`; `gone` is set once the client hung up before the reply was complete."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    at: float
    gone: threading.Event = field(default_factory=threading.Event)

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))

    @property
    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class HungUp(Exception):
    """The connection is over, whoever ended it."""


class Channel:
    """Reads requests and writes replies on one socket; HungUp when the other side has gone."""

    def __init__(self, sock: socket.socket, stop: threading.Event) -> None:
        self.sock = sock
        self.stop = stop
        self.keep = True
        self.answering = False
        self._buffer = b""
        self._framing: Framing = "chunked"

    # reading

    def request(self) -> Request | None:
        """The next request, None when the client closes instead."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._fill():
                return None
            if self._buffer[:1] == b"\x16":  # a TLS handshake: refused as real servers do
                self.send(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
                return None
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        at = time.monotonic()
        if headers.get("expect", "").lower() == "100-continue":
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = self._chunks()
        else:
            body = self._take(int(headers.get("content-length", "0")))
        self.keep = headers.get("connection", "").lower() != "close"
        return Request(method, target, headers, body, at)

    def _chunks(self) -> bytes:
        parts: list[bytes] = []
        while True:
            size = int(self._line().split(b";")[0], 16)
            parts.append(self._take(size))
            self._line()
            if not size:
                return b"".join(parts)

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            if not self._fill():
                raise HungUp
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def _take(self, size: int) -> bytes:
        parts = [self._buffer[:size]]
        have = len(parts[0])
        self._buffer = self._buffer[size:]
        while have < size:
            if not self._fill():
                raise HungUp
            part = self._buffer[: size - have]
            self._buffer = self._buffer[len(part) :]
            parts.append(part)
            have += len(part)
        return b"".join(parts)

    def _fill(self) -> bool:
        try:
            data = self.sock.recv(1 << 16)
        except OSError:
            return False
        self._buffer += data
        return bool(data)

    # writing

    def head(
        self,
        status: int,
        headers: Mapping[str, str],
        framing: Framing = "chunked",
        length: int | None = None,
    ) -> None:
        """The status line and headers; `length` is needed for the framing of that name."""
        self._framing = framing
        self.answering = True
        if framing == "close":
            self.keep = False
        fields = {k: v for k, v in headers.items() if v is not None}
        fields |= {
            "chunked": {"transfer-encoding": "chunked"},
            "length": {"content-length": str(length or 0)},
            "close": {"connection": "close"},
        }[framing]
        lines = [f"HTTP/1.1 {status} {_phrase(status)}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def body(self, data: bytes) -> None:
        """A piece of the body, one HTTP chunk where the framing has them."""
        if data:
            self.send(b"%x\r\n%b\r\n" % (len(data), data) if self._framing == "chunked" else data)

    def finish(self) -> None:
        """The proper end of a reply."""
        if self._framing == "chunked":
            self.send(b"0\r\n\r\n")
        self.answering = False

    def send(self, data: bytes) -> None:
        """Bytes as they are. A client that has gone, or a server told to stop, is HungUp."""
        if self.stop.is_set():
            raise HungUp
        try:
            self.sock.sendall(data)
        except OSError as error:
            raise HungUp from error

    def wait(self, seconds: float | None) -> None:
        """Pass the time (None: for ever); HungUp as soon as the client closes."""
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            left = SLICE_S if end is None else min(SLICE_S, end - time.monotonic())
            if left <= 0:
                return
            if self.stop.wait(left) or self._closed():
                raise HungUp

    def _closed(self) -> bool:
        try:
            if not select.select([self.sock], [], [], 0)[0]:
                return False
            if isinstance(self.sock, ssl.SSLSocket):
                return not self._fill()
            return not self.sock.recv(1, socket.MSG_PEEK)
        except (OSError, ValueError):
            return True

    def hang_up(self) -> None:
        """Close without the proper end (FIN)."""
        self.answering = False
        raise HungUp

    def reset(self) -> None:
        """Close with a RST: lingering for zero seconds throws away what is in flight."""
        self.answering = False
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise HungUp


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
