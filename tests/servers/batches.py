"""Providers' own batches, as their documents describe them: inline, or by files.

It is strict where they are: `endpoint` and `model` stand before `requests`, a body names no other
model, an upload is a form. Work is done when `finish` is called.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.servers.behaviours import Exchange, Status
from tests.servers.channel import Request

Work = Callable[[dict[str, Any]], dict[str, Any]]
"""A body to `response` or `error` of its result."""


def answered(body: dict[str, Any]) -> dict[str, Any]:
    """A good answer to a chat or a response."""
    if "input" in body:
        said = body["input"] if isinstance(body["input"], str) else body["input"][-1]["content"]
        text = {"type": "output_text", "text": f"re: {said}"}
        reply = {
            "id": "resp-1",
            "object": "response",
            "status": "completed",
            "model": "x/anything",
            "output": [{"type": "message", "role": "assistant", "content": [text]}],
            "usage": {
                "input_tokens": 10,
                "output_tokens": 5,
                "total_tokens": 15,
                "cost": {"currency": "USD", "total_cost": 0.0002},
            },
        }
    else:
        message = {"role": "assistant", "content": f"re: {body['messages'][-1]['content']}"}
        reply = {
            "id": "gen-1",
            "model": "x/anything",
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        }
    return {"response": {"status_code": 200, "request_id": "r1", "body": reply}, "error": None}


@dataclass
class Batches:
    """Everything a stub does: `stub.on("", Batches())`."""

    kind: str = "inline"
    base: str = "/v1/batches"
    work: Work = answered
    lose_reply: bool = False
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    items: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def play(self, exchange: Exchange) -> None:
        request = exchange.request
        self.asked.append(f"{request.method} {request.path}")
        path = request.path
        if path.startswith("/v1/files") and self.kind == "files":
            self._file(request).play(exchange)
        elif path == self.base and request.method == "POST":
            status = self._create(request)
            if self.lose_reply and status.code < 300:
                self.lose_reply = False
                exchange.channel.reset()
                return
            status.play(exchange)
        elif path == self.base:
            rows = [self._shown(b, results=False) for b in reversed(self.batches)]
            Status(200, {"data": rows}).play(exchange)
        elif path.startswith(self.base + "/"):
            name = path.rsplit("/", 1)[1]
            found = name in self.batches
            Status(200 if found else 404, self._shown(name) if found else "no").play(exchange)
        else:
            Status(404, "404 page not found\n").play(exchange)

    def _file(self, request: Request) -> Status:
        if request.method == "GET":
            return Status(200, self.files[request.path.split("/")[3]])
        kind = request.headers["content-type"]
        assert kind.startswith("multipart/form-data; boundary=")
        mark = kind.split("boundary=")[1].encode()
        parts = request.body.split(b"--" + mark)
        assert parts[-1] == b"--\r\n"
        assert b'name="purpose"\r\n\r\nbatch\r\n' in parts[1]
        name = f"file-{len(self.files)}"
        self.files[name] = parts[2].split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n")
        return Status(200, {"id": name, "object": "file"})

    def _create(self, request: Request) -> Status:
        said = request.json
        if self.kind == "inline":
            at = [request.body.find(f'"{n}"'.encode()) for n in ("endpoint", "model", "requests")]
            if sorted(at) != at or at[0] < 0:
                return Status(400, {"error": {"message": "endpoint and model come first"}})
            model = said["model"]
            if any(r["body"].get("model", model) != model for r in said["requests"]):
                return Status(400, {"error": {"message": "mixed models"}})
            items = said["requests"]
        else:
            key = request.headers["idempotency-key"]
            if key in self.keys:
                return Status(200, self._shown(self.keys[key]))
            lines = self.files[said["input_file_id"]].splitlines()
            items = [json.loads(line) for line in lines]
            assert all(item["url"] == said["endpoint"] == "/v1/responses" for item in items)
        names = [item["custom_id"] for item in items]
        assert len(set(names)) == len(names)
        name = f"batch-{len(self.batches)}"
        self.items[name] = items
        self.batches[name] = {
            "id": name,
            "object": "batch",
            "status": "validating",
            "metadata": said.get("metadata"),
            "created_at": None,
        }
        if self.kind == "files":
            self.keys[request.headers["idempotency-key"]] = name
        return Status(202 if self.kind == "inline" else 200, self._shown(name))

    def finish(self, status: str = "completed", cost: float | None = 0.0005) -> None:
        """Everything that is there is answered."""
        for name, batch in self.batches.items():
            if batch["status"] != "validating":
                continue
            batch["status"] = status
            if status != "completed":
                continue
            lines = [
                {"id": f"i{n}", "custom_id": item["custom_id"], **self.work(item["body"])}
                for n, item in enumerate(self.items[name])
            ][::-1]
            if self.kind == "inline":
                count = len(lines)
                batch["results"] = lines
                batch["usage"] = {
                    "prompt_tokens": 10 * count,
                    "completion_tokens": 5 * count,
                    "total_tokens": 15 * count,
                    "cost": cost,
                    "is_byok": False,
                }
            else:
                batch["output_file_id"] = f"file-out-{name}"
                data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
                self.files[batch["output_file_id"]] = data

    def _shown(self, name: str, *, results: bool = True) -> dict[str, Any]:
        batch = dict(self.batches[name])
        total = len(self.items[name])
        done = total if batch["status"] == "completed" else 0
        batch["request_counts"] = {"total": total, "completed": done, "failed": 0}
        batch.setdefault("usage", None)
        batch.setdefault("results", None)
        if not results:
            del batch["results"]
        return batch
