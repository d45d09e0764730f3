"""A container engine behind its HTTP interface (Docker Engine API 1.43): enough for its client."""

from __future__ import annotations

import json
import re
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

API = "1.43"


class DockerEngine:
    """Containers in memory. `said` is what each one's log holds, `refuses` what a start answers."""

    def __init__(self) -> None:
        self.containers: dict[str, dict[str, Any]] = {}
        self.said: dict[str, str] = {}
        self.refuses: tuple[int, str] | None = None
        self.created: list[dict[str, Any]] = []
        engine = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def _do(self) -> None:
                size = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(size) if size else b""
                status, kind, answer = engine.answer(self.command, self.path, body)
                self.send_response(status)
                self.send_header("Api-Version", API)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer)

            do_GET = do_POST = do_DELETE = do_HEAD = _do

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def host(self) -> str:
        """For DOCKER_HOST."""
        return f"tcp://127.0.0.1:{self._server.server_address[1]}"

    def add(self, name: str, labels: dict[str, str], state: str = "running", said: str = "") -> str:
        """Put a container there; its id."""
        container = f"{len(self.containers) + 0xA1:x}".ljust(64, "0")
        self.containers[container] = {
            "Id": container, "Names": [f"/{name}"], "Image": "image", "ImageID": "sha256:0",
            "Command": "serve", "Created": 1, "Labels": labels, "State": state,
            "Status": "Up 2 minutes" if state == "running" else "Exited (1) 2 minutes ago",
            "Ports": [], "HostConfig": {}, "NetworkSettings": {}, "Mounts": [],
        }  # fmt: skip
        self.said[container] = said
        return container

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, str, bytes]:
        """Status, content type and body for one request."""
        url = urlsplit(target)
        path = re.sub(r"^/v[\d.]+", "", url.path)
        query = parse_qs(url.query)
        if path == "/_ping":
            return 200, "text/plain", b"OK"
        if path == "/info":
            return _json({"ServerVersion": "28.0.0", "Runtimes": {"nvidia": {}, "runc": {}}})
        if path == "/version":
            return _json({"Version": "28.0.0", "ApiVersion": API})
        if path == "/containers/json":
            return _json(self._listed(json.loads(query.get("filters", ["{}"])[0])))
        if path == "/containers/create":
            return self._create(query["name"][0], json.loads(body))
        return self._one(method, path)

    def _listed(self, filters: dict[str, Any]) -> list[dict[str, Any]]:
        wanted = list(filters.get("label", {}))
        return [
            c for c in self.containers.values() if all(w in c["Labels"] for w in wanted)
        ]  # fmt: skip

    def _create(self, name: str, wish: dict[str, Any]) -> tuple[int, str, bytes]:
        self.created.append({"name": name, **wish})
        container = self.add(name, wish.get("Labels") or {}, "created")
        return _json({"Id": container, "Warnings": []}, 201)

    def _one(self, method: str, path: str) -> tuple[int, str, bytes]:
        found = re.fullmatch(r"/containers/([^/]+)(?:/(\w+))?", path)
        if found is None:
            return _json({"message": f"no {path} here"}, 404)
        key = next((k for k in self.containers if k.startswith(found[1])), None)
        if key is None:
            return _json({"message": f"No such container: {found[1]}"}, 404)
        container = self.containers[key]
        if method == "DELETE":
            del self.containers[key]
            return 204, "text/plain", b""
        if found[2] == "start":
            if self.refuses is not None:
                return _json({"message": self.refuses[1]}, self.refuses[0])
            container["State"] = "running"
            return 204, "text/plain", b""
        if found[2] == "logs":
            said = self.said[key].encode()
            framed = struct.pack(">BxxxL", 1, len(said)) + said
            return 200, "application/vnd.docker.raw-stream", framed
        state = {"Status": container["State"], "Running": container["State"] == "running"}
        about = {"Id": key, "Name": container["Names"][0], "State": state}
        config = {"Config": {"Tty": False}, "HostConfig": {"LogConfig": {"Type": "json-file"}}}
        return _json({**about, **config})

    def __enter__(self) -> DockerEngine:
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


def _json(value: object, status: int = 200) -> tuple[int, str, bytes]:
    return status, "application/json", json.dumps(value).encode()
