"""Serves one file in ranges, as a static host does, and misbehaves on request."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


@dataclass
class FileServer:
    """`cut_at` closes the connection after so many bytes of the first answers; `ranges` False
    answers every range with the whole file; `status` refuses."""

    data: bytes
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    status: int | None = None
    elsewhere: str | None = None
    asked: list[str | None] = field(default_factory=list)

    def __enter__(self) -> FileServer:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/file.gguf"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        files = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                files.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler

    def answer(self, to: BaseHTTPRequestHandler) -> None:
        wanted = to.headers.get("range")
        self.asked.append(wanted)
        if self.elsewhere is not None:
            to.send_response(302)
            to.send_header("Location", self.elsewhere)
            to.send_header("Content-Length", "0")
            to.end_headers()
            return
        if self.status is not None:
            to.send_error(self.status)
            return
        begin = int(wanted.split("=")[1].rstrip("-")) if wanted and self.ranges else 0
        body = self.data[begin:]
        to.send_response(206 if begin else 200)
        to.send_header("Content-Length", str(len(body)))
        if begin:
            size = len(self.data)
            to.send_header("Content-Range", f"bytes {begin}-{size - 1}/{size}")
        to.end_headers()
        to.wfile.write(body[: self.cuts.pop(0)] if self.cuts else body)
        to.close_connection = True
