"""A provider on a real socket that does what it is told, faults included.

In a test::

    with Stub(Status(503), Answer("hello")) as stub:
        ...  # call stub.url; the last behaviour repeats
    assert stub.requests[0].json["model"] == "x/anything"

By hand: `python tests/servers/stub.py --port 8099 --script FILE` (see script.py) prints its base
URL and serves until it is interrupted.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.servers.answer import Answer, Dialect
from tests.servers.behaviours import Behaviour, Exchange, Reply, Status
from tests.servers.channel import Channel, HungUp, Request
from tests.servers.listener import Listener

ANSWERING = ("/chat/completions", "/responses", "/agent")
MODELS = ("x/anything", "nvidia/nemotron-3-ultra-550b-a55b")


class Stub:
    """A server on 127.0.0.1; a context manager, usable from any number of threads.

    `requests` holds everything that came, `url` is the base URL with `/v1`, `tls` a pair of PEM
    files (certificate, key). Ports are given by the system unless one is named.
    """

    def __init__(
        self,
        *script: Behaviour | Answer,
        tls: tuple[Path, Path] | None = None,
        port: int = 0,
        models: Iterable[str] = MODELS,
    ) -> None:
        self.requests: list[Request] = []
        self.models = tuple(models)
        self._scripts: dict[str, list[Behaviour]] = {}
        self._billed: dict[str, tuple[Answer, Request]] = {}
        self._news = threading.Condition()
        self._listener = Listener(self._answer, tls, port)
        self.script(*(script or (Answer(),)))

    @property
    def origin(self) -> str:
        return f"{self._listener.scheme}://127.0.0.1:{self._listener.port}"

    @property
    def connections(self) -> int:
        return self._listener.connections

    @property
    def url(self) -> str:
        return f"{self.origin}/v1"

    def script(self, *behaviours: Behaviour | Answer) -> None:
        """What to do with the next requests for an answer; the last one repeats."""
        self.on("*", *behaviours)

    def on(self, path: str, *behaviours: Behaviour | Answer) -> None:
        """The same for one path (`/v1/models`), or for all of them (empty), in place of what the
        stub does by itself."""
        with self._news:
            self._scripts[path] = [Reply(b) if isinstance(b, Answer) else b for b in behaviours]

    def asked(self, suffix: str = "") -> list[Request]:
        """The requests whose path ends so; all of those for an answer when nothing is given."""
        with self._news:
            return [r for r in self.requests if r.path.endswith(suffix or ANSWERING)]

    def wait_for(self, count: int, timeout_s: float = 60.0) -> list[Request]:
        """The requests so far, once there are so many; TimeoutError when they do not come."""
        with self._news:
            if not self._news.wait_for(lambda: len(self.requests) >= count, timeout_s):
                raise TimeoutError(f"{len(self.requests)} of {count} requests came")
            return list(self.requests)

    def __enter__(self) -> Stub:
        self._listener.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._listener.close()

    def _answer(self, channel: Channel, request: Request) -> None:
        behaviour, exchange = self._next(channel, request)
        try:
            channel.answering = True
            behaviour.play(exchange)
        except HungUp:
            if channel.answering:
                request.gone.set()
            raise

    def _next(self, channel: Channel, request: Request) -> tuple[Behaviour, Exchange]:
        dialect: Dialect = "chat" if request.path.endswith("/chat/completions") else "responses"
        with self._news:
            self.requests.append(request)
            exchange = Exchange(channel, request, dialect, f"gen-{len(self.requests):06d}")
            behaviour = self._behaviour(request)
            answer = getattr(behaviour, "answer", None)
            if answer is not None:
                self._billed[exchange.reply_id] = (answer, request)
            self._news.notify_all()
        return behaviour, exchange

    def _behaviour(self, request: Request) -> Behaviour:
        answers = request.method == "POST" and request.path.endswith(ANSWERING)
        mine = self._scripts.get(request.path) or self._scripts.get("")
        queue = mine or (self._scripts["*"] if answers else [])
        if queue:
            return queue.pop(0) if len(queue) > 1 else queue[0]
        path = request.path.removeprefix("/v1")
        if path == "/models":
            return Status(200, {"object": "list", "data": [_model(m) for m in self.models]})
        if path.startswith("/models/"):
            name = path.removeprefix("/models/").removesuffix("/endpoints")
            if name not in self.models:
                return Status(404, "404 page not found\n")
            return Status(200, _hosts(name) if path.endswith("/endpoints") else _model(name))
        if path == "/generation":
            return self._generation(request.query.get("id", ""))
        return Status(404, "404 page not found\n")

    def _generation(self, reply_id: str) -> Status:
        """What a reply came to, as OpenRouter's GET /generation tells it afterwards."""
        if reply_id not in self._billed:
            return Status(
                404, {"error": {"code": 404, "message": f"Generation {reply_id} not found"}}
            )
        answer, request = self._billed[reply_id]
        usage = answer.usage or {}
        data = {
            "id": reply_id,
            "model": answer.model or request.json.get("model"),
            "total_cost": answer.cost or 0,
            "cancelled": request.gone.is_set(),
            "finish_reason": answer.finish,
            "provider_name": answer.upstream,
            "native_tokens_prompt": usage.get("prompt_tokens"),
            "native_tokens_completion": usage.get("completion_tokens"),
            "native_tokens_reasoning": 0,
            "native_tokens_cached": 0,
        }
        return Status(200, {"data": data})


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1, "owned_by": "stub"}


def _hosts(name: str) -> dict[str, Any]:
    """As OpenRouter lists the hosts of a model: USD per token, as text."""
    pricing = {"prompt": "0.0000006", "completion": "0.0000024", "input_cache_read": "0.00000012"}
    rows = [{"tag": "stub/host", "provider_name": "Host", "pricing": pricing, "status": 0}]
    return {"data": {"id": name, "endpoints": rows}}


def from_script(script: Mapping[str, Any], port: int = 0) -> Stub:
    """A stub that follows a script read from JSON."""
    from tests.servers.script import behaviour

    stub = Stub(port=port)
    for path, rows in script.items():
        stub.on(path, *(behaviour(row) for row in rows))
    return stub


def main() -> None:
    """Serve until interrupted; the base URL is the first line of stdout."""
    import argparse
    import json

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--script", type=Path, help="JSON, see script.py")
    given = parser.parse_args()
    script = json.loads(given.script.read_text()) if given.script else {}
    with from_script(script, given.port) as stub, contextlib.suppress(KeyboardInterrupt):
        print(stub.url, flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
