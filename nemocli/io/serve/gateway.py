"""The gateway as a bare ASGI application: routes from the request's target only, nothing else.

Every call goes through the engine's one door. A client that goes away cancels its call; a reply
that breaks off ends as an error event and a connection that is cut, never as a clean end.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from nemocli.core.budget import RunBudget
from nemocli.core.events import Event, Finished, Fold, Reasoning, Text, ToolCallPart
from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.money import usd_text
from nemocli.core.plan import Plan, Target
from nemocli.core.ports import World
from nemocli.core.request import Effort, Request
from nemocli.core.usage import CHARS_PER_TOKEN
from nemocli.engine.run import Answer, run
from nemocli.serve.guard import Guard
from nemocli.serve.incoming import MOST_BODY, Incoming, incoming, refusal
from nemocli.serve.messages import MessagesReply, messages_error, messages_incoming, refused_json
from nemocli.serve.outgoing import ChatReply, Reply, error_headers, error_json, status_of
from nemocli.serve.responses import responses_incoming
from nemocli.serve.responses_reply import ResponsesReply

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

SLOWEST_S = 60.0
"""Between two pieces of a request."""
SILENCE_S = 10.0
"""Without a word from the model, after which the client is told that it is waited for."""
MOST_WAITING = 16 << 20
"""Characters that a slow reader may let pile up before its call is given up."""
JSON = "application/json"


class _CutError(Exception):
    """The connection must not end as if all were well."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Where a model's name leads: `plan` for a wish, `served` its name where it is another one.
    `models` are the names to offer."""

    plan_of: Callable[[str], tuple[Plan, str | None]]
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of client is read, answered and told of failures. `reply` takes the reply's id,
    its model, when it began and what was asked."""

    read: Callable[[bytes], Incoming]
    reply: Callable[[str, str, int, Incoming], Reply]
    error: Callable[[Fault], bytes]


CHAT = Dialect(
    incoming,
    lambda name, model, at, wish: ChatReply(name, model, at, include_usage=wish.include_usage),
    error_json,
)
MESSAGES = Dialect(
    messages_incoming,
    lambda name, model, at, wish: MessagesReply(name, model),
    messages_error,
)
RESPONSES = Dialect(
    responses_incoming,
    lambda name, model, at, wish: ResponsesReply(name, model, at, wish.tools),
    error_json,
)
DIALECTS = {"/chat/completions": CHAT, "/messages": MESSAGES, "/responses": RESPONSES}


@dataclass(slots=True)
class Gateway:
    """The application. `count` are calls by how they ended, `spent_pico` what they cost, None
    once a cost was unknown."""

    world: World
    guard: Guard
    paths: Paths
    budget: RunBudget | None
    count: dict[str, int] = field(default_factory=dict)
    spent_pico: int | None = 0

    def book(self, how: str, answer: Answer) -> None:
        """Count a call that is over."""
        self.count[how] = self.count.get(how, 0) + 1
        for entry in answer.entries:
            spent, cost = self.spent_pico, entry.cost.pico
            self.spent_pico = None if spent is None or cost is None else spent + cost

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        path = scope["path"].removeprefix("/v1").rstrip("/") or "/"
        if path == "/health" and scope["method"] == "GET":
            await _reply(send, 200, b'{"status": "ok"}')
            return
        refused = self.guard.refuses(headers)
        if refused is not None:
            body = _refused(path, *refused)
            await _reply(send, refused[0], body, (("x-should-retry", "false"),))
            return
        if headers.get("content-encoding", "identity") != "identity":
            await _reply(send, 415, _refused(path, 415, "send the body without an encoding"))
            return
        await self._route(scope["method"], path, receive, send)

    async def _route(self, method: str, path: str, receive: Receive, send: Send) -> None:
        dialect = DIALECTS.get(path) if method == "POST" else None
        if dialect is not None:
            await self._answer(dialect, receive, send)
        elif (method, path) == ("POST", "/messages/count_tokens"):
            await _count(receive, send)
        elif (method, path) == ("GET", "/models"):
            rows = [
                {"id": name, "object": "model", "created": 0, "owned_by": "nemocli"}
                for name in self.paths.models
            ]
            await _reply(send, 200, json.dumps({"object": "list", "data": rows}).encode())
        elif (method, path) == ("GET", "/responses"):
            what = "answers come over HTTP here, not over WebSocket; POST to this path"
            await _reply(send, 426, _refused(path, 426, what), (("upgrade", "HTTP/1.1"),))
        elif (method, path) == ("HEAD", "/"):
            await _reply(send, 200, b"")
        else:
            await _reply(send, 404, _refused(path, 404, f"nothing is served at {method} {path}"))

    async def _answer(self, dialect: Dialect, receive: Receive, send: Send) -> None:
        try:
            wish = dialect.read(await _body(receive))
            plan, served = self.paths.plan_of(wish.model)
            request, dropped = _request(wish, plan)
        except NemoError as error:
            await _fail(send, dialect, error.fault)
            return
        call = _Call(self, dialect, wish, plan, served, dropped, send)
        await call.carry_out(request, receive)


def _request(wish: Incoming, plan: Plan) -> tuple[Request, tuple[str, ...]]:
    """The wish in the form that its targets take, and what is left out of it. Raises NemoError
    (request)."""
    alike = all(target.provider.dialect == wish.dialect for target in plan.targets)
    if alike and wish.same is not None:
        request, dropped = wish.same, wish.same_dropped
    elif wish.other is not None:
        request, dropped = wish.other, wish.dropped
    else:
        raise refusal(wish.refused or "cannot be carried")
    if request.reasoning is not None and not all(
        _has_effort(target, request.reasoning) for target in plan.targets
    ):
        return replace(request, reasoning=None), (*dropped, "reasoning.effort")
    return request, dropped


def _has_effort(target: Target, effort: Effort) -> bool:
    try:
        target.effort_patch(effort)
    except NemoError:
        return False
    return True


@dataclass(slots=True)
class _Call:
    """One call under way."""

    gateway: Gateway
    dialect: Dialect
    wish: Incoming
    plan: Plan
    served: str | None
    dropped: tuple[str, ...]
    send: Send
    events: asyncio.Queue[Event | None] = field(default_factory=asyncio.Queue)
    waiting: int = 0
    begun: bool = False
    reply: Reply | None = None
    sent_at: float = field(default_factory=time.monotonic)
    answer: Answer = field(init=False)

    def __post_init__(self) -> None:
        self.answer = Answer(Fold(), self.plan.targets[0])

    async def carry_out(self, request: Request, receive: Receive) -> None:
        """Ask, and hand on what comes as it comes; whoever leaves cancels."""
        plan = replace(self.plan, keep=not self.wish.stream)
        world, budget = self.gateway.world, self.gateway.budget
        asking = asyncio.create_task(
            run(plan, request, world, self._sink, budget=budget, answer=self.answer)
        )
        asking.add_done_callback(lambda _: self.events.put_nowait(None))
        watching = asyncio.create_task(_gone(receive, asking))
        try:
            await self._hand_on()
            await self._end(asking)
        finally:
            watching.cancel()
            asking.cancel()
            await asyncio.gather(asking, watching, return_exceptions=True)

    def _sink(self, event: Event) -> None:
        if self.wish.stream:
            self.waiting += _size(event)
            self.events.put_nowait(event)

    async def _hand_on(self) -> None:
        while True:
            try:
                async with asyncio.timeout(SILENCE_S):
                    event = await self.events.get()
            except TimeoutError:
                await self._keep_alive()
                continue
            if event is None:
                return
            self.waiting -= _size(event)
            if isinstance(event, Text | Reasoning | ToolCallPart):
                if data := self._made().chunk(event):
                    await self._piece(data)
                elif time.monotonic() - self.sent_at > SILENCE_S:
                    await self._keep_alive()
            if self.waiting > MOST_WAITING:
                raise _CutError

    async def _keep_alive(self) -> None:
        if self.wish.stream:
            await self._piece(self._made().keep_alive)

    def _made(self) -> Reply:
        if self.reply is None:
            started, answer = self.answer.fold.started, self.answer
            name = started.reply_id or f"call-{answer.attempt_id}"
            model = started.model or answer.target.model
            self.reply = self.dialect.reply(name, model, int(time.time()), self.wish)
        return self.reply

    async def _end(self, asking: asyncio.Task[Answer]) -> None:
        book, answer = self.gateway.book, self.answer
        if asking.cancelled():
            book("left", answer)
            return  # the client is gone
        fault = None
        if (error := asking.exception()) is not None:
            fault = getattr(error, "fault", None) or Fault(FaultKind.INTERNAL, "a fault of ours")
        elif not isinstance(answer.fold.end, Finished):
            fault = answer.fault or Fault(FaultKind.CUT, "the reply broke off")
        book("failed" if fault else "answered", answer)
        if fault is None and self.wish.stream:
            await self._piece(self._made().end(answer.fold), more=False)
        elif fault is None:
            await _reply(self.send, 200, self._made().whole(answer.fold), self._headers())
        elif not self.begun:
            await _fail(self.send, self.dialect, fault, self._headers())
        else:
            await self._piece(self._made().failed(fault))
            raise _CutError

    def _headers(self) -> tuple[tuple[str, str], ...]:
        answer = self.answer
        found = [("x-nemocli-provider", answer.target.provider.name)]
        if answer.attempt_id:
            found.append(("x-nemocli-attempt", answer.attempt_id))
        if self.served is not None:
            found.append(("x-nemocli-served", self.served))
        if self.dropped:
            found.append(("x-nemocli-dropped", ", ".join(self.dropped)[:1000]))
        cost = answer.last.cost if answer.last is not None else None
        usd = None if cost is None else usd_text(cost.pico)
        if usd is not None and not self.begun:
            found.append(("x-nemocli-cost-usd", usd))
        return tuple(found)

    async def _piece(self, data: bytes, *, more: bool = True) -> None:
        if not self.begun:
            self.begun = True
            await _start(self.send, 200, "text/event-stream", self._headers())
        await self.send({"type": "http.response.body", "body": data, "more_body": more})
        self.sent_at = time.monotonic()


def _size(event: Event) -> int:
    """About how many characters an event holds in memory."""
    return len(event.text) if isinstance(event, Text | Reasoning) else 64


async def _gone(receive: Receive, asking: asyncio.Task[Answer]) -> None:
    """Until the client leaves: then nobody wants the answer."""
    while (await receive())["type"] != "http.disconnect":
        pass
    asking.cancel()


async def _body(receive: Receive) -> bytes:
    """The whole body. Raises NemoError for one that is too long, or comes too slowly."""
    parts, size = [], 0
    while True:
        try:
            async with asyncio.timeout(SLOWEST_S):
                message = await receive()
        except TimeoutError:
            fault = Fault(FaultKind.REQUEST, "the request did not arrive", status=408, sent=False)
            raise NemoError(fault) from None
        if message["type"] == "http.disconnect":
            raise _CutError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MOST_BODY:
            what = f"a body of more than {MOST_BODY:,} bytes"
            raise NemoError(Fault(FaultKind.REQUEST, what, status=413, sent=False, retry=False))
        if not message.get("more_body"):
            return b"".join(parts)


async def _count(receive: Receive, send: Send) -> None:
    """About how many tokens a request would be: an estimate, and its header says so."""
    try:
        wish = messages_incoming(await _body(receive))
    except NemoError as error:
        await _fail(send, MESSAGES, error.fault)
        return
    chars = wish.other.chars if wish.other is not None else 0
    body = json.dumps({"input_tokens": -(-chars // CHARS_PER_TOKEN)}).encode()
    await _reply(send, 200, body, (("x-nemocli-usage", "estimated"),))


async def _fail(
    send: Send, dialect: Dialect, fault: Fault, more: tuple[tuple[str, str], ...] = ()
) -> None:
    await _reply(send, status_of(fault), dialect.error(fault), (*more, *error_headers(fault)))


def _refused(path: str, status: int, message: str) -> bytes:
    """A refusal at the door, in the words of whoever asks at that path."""
    if path.startswith("/messages"):
        return refused_json(status, message)
    kind = "invalid_request_error"
    return json.dumps(
        {"error": {"message": message, "type": kind, "code": str(status), "param": None}}
    ).encode()


async def _start(
    send: Send, status: int, kind: str, more: tuple[tuple[str, str], ...], size: int | None = None
) -> None:
    headers = [("content-type", kind), ("cache-control", "no-store"), *more]
    if size is not None:
        headers.append(("content-length", str(size)))
    raw = [(k.encode("latin-1"), v.encode("latin-1", "replace")) for k, v in headers]
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def _reply(
    send: Send, status: int, body: bytes, more: tuple[tuple[str, str], ...] = ()
) -> None:
    with suppress(OSError):
        await _start(send, status, JSON, more, len(body))
        await send({"type": "http.response.body", "body": body})
