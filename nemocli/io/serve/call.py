"""One call through the gateway: asked through the engine's one door, handed on as it comes.

A client that goes away cancels its call; a reply that breaks off ends as an error event and a
connection that is cut, never as a clean end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from nemocli.core.budget import RunBudget
from nemocli.core.events import Event, Finished, Fold, Reasoning, Text, ToolCallPart
from nemocli.core.faults import Fault, FaultKind
from nemocli.core.money import usd_text
from nemocli.core.plan import Plan
from nemocli.core.ports import World
from nemocli.core.request import Request
from nemocli.core.value_class import value_class
from nemocli.engine.run import Answer, run
from nemocli.io.serve.asgi import CutError, Receive, Send, reply, start
from nemocli.io.serve.tap import Tap
from nemocli.serve.frames import Frames
from nemocli.serve.incoming import Incoming
from nemocli.serve.outgoing import KEEP_ALIVE, ClientReply, error_headers, status_of

SILENCE_S = 10.0
"""Without a word from the model, after which the client is told that it is waited for."""


@value_class(frozen=True, slots=True)
class ClientDialect:
    """How one kind of client is read, answered and told of failures. `reply` takes the reply's id,
    its model, when it began and what was asked."""

    read: Callable[[bytes], Incoming]
    reply: Callable[[str, str, int, Incoming], ClientReply]
    error: Callable[[Fault], bytes]


async def fail(
    send: Send, dialect: ClientDialect, fault: Fault, more: tuple[tuple[str, str], ...] = ()
) -> None:
    """A failure before anything was said, in the client's own envelope."""
    await reply(send, status_of(fault), dialect.error(fault), (*more, *error_headers(fault)))


@dataclass(slots=True)
class GatewayCall:
    """One call under way. `over` is told how it ended (answered, failed, left), and why; `alike`
    says that the path speaks the client's own dialect, whose bytes then go on as they are; `tell`
    hears of every event."""

    world: World
    budget: RunBudget | None
    over: Callable[[str, Answer, Fault | None], None]
    dialect: ClientDialect
    wish: Incoming
    plan: Plan
    served: str | None
    dropped: tuple[str, ...]
    alike: bool
    send: Send
    tell: Callable[[Event], None] = field(default=lambda event: None)
    begun: bool = False
    over_with: bool = False
    left: bool = False
    reply: ClientReply | None = None
    raw: Frames | None = None
    pending: list[bytes] = field(default_factory=list)
    sending: asyncio.Lock = field(default_factory=asyncio.Lock)
    sent_at: float = field(default_factory=time.monotonic)
    timer: asyncio.TimerHandle | None = None
    alive: asyncio.Task[None] | None = None
    answer: Answer = field(init=False)

    def __post_init__(self) -> None:
        self.answer = Answer(Fold(), self.plan.targets[0])

    async def carry_out(self, request: Request, receive: Receive) -> None:
        """Ask, and hand on what comes as it comes; whoever leaves cancels."""
        tap = Tap(self.world.transport, self._opened, self._took, self._flush)
        seen = self.wish.stream or self.alike
        world = replace(self.world, transport=tap) if seen else self.world
        task = cast(asyncio.Task[None], asyncio.current_task())
        watching = asyncio.create_task(self._watch(receive, task))
        if self.wish.stream:
            self._listen()
        fault = None
        try:
            await run(self.plan, request, world, self._sink, budget=self.budget, answer=self.answer)
        except asyncio.CancelledError:
            task.uncancel()
            if not self.left:
                fault = Fault(FaultKind.INTERRUPTED, "the gateway was stopped")
        except Exception as error:  # noqa: BLE001 - the client is told, whatever it is
            fault = getattr(error, "fault", None) or Fault(FaultKind.INTERNAL, "a fault of ours")
        finally:
            self.over_with = True
            for waiting in (self.timer, watching, self.alive):
                if waiting is not None:
                    waiting.cancel()
        await self._end(fault)

    async def _watch(self, receive: Receive, asking: asyncio.Task[None]) -> None:
        """Until the client leaves: then nobody wants the answer."""
        while (await receive())["type"] != "http.disconnect":
            pass
        if not self.over_with:
            self.left = True
            asking.cancel()

    def _opened(self, headers: Mapping[str, str]) -> None:
        """A reply begins; nothing of one before it was shown."""
        stream = "event-stream" in headers.get("content-type", "")
        self.raw = Frames(counts=self.wish.include_usage) if self.alike and stream else None
        self.pending = []

    def _took(self, chunk: bytes) -> None:
        if not self.wish.stream:
            self.pending.append(chunk)
        elif self.raw is not None:
            self.pending += self.raw.feed(chunk)

    def _sink(self, event: Event) -> None:
        self.tell(event)
        if not self.wish.stream or self.raw is not None:
            return
        shown = isinstance(event, Text | Reasoning | ToolCallPart)
        if shown and (data := self._made().chunk(event)):
            self.pending.append(data)

    async def _flush(self) -> None:
        """Hand on what has come, once any of it is part of an answer. Where the client is slow,
        nothing more is read from the model's server meanwhile."""
        fold = self.answer.fold
        if not (self.wish.stream and self.pending):
            return
        if self.raw is None or fold.shown or isinstance(fold.end, Finished):
            await self._piece(b"".join(self.pending))
            self.pending.clear()

    def _listen(self) -> None:
        """Say something where nothing was sent for too long: one timer for a whole stream."""
        loop, silent_s = asyncio.get_running_loop(), time.monotonic() - self.sent_at
        if silent_s >= SILENCE_S:
            self.alive = loop.create_task(self._keep_alive())
            silent_s = 0.0
        self.timer = loop.call_later(SILENCE_S - silent_s, self._listen)

    async def _keep_alive(self) -> None:
        """A sign of life: a comment where the server's own bytes follow, which have ids of their
        own; else what the dialect has for it."""
        await self._piece(KEEP_ALIVE if self.alike else self._made().keep_alive)

    def _made(self) -> ClientReply:
        if self.reply is None:
            started, answer = self.answer.fold.started, self.answer
            name = started.reply_id or f"call-{answer.attempt_id}"
            model = started.model or answer.target.model
            self.reply = self.dialect.reply(name, model, int(time.time()), self.wish)
        return self.reply

    async def _end(self, fault: Fault | None) -> None:
        answer = self.answer
        if self.left:
            self.over("left", answer, None)
            return
        if fault is None and not isinstance(answer.fold.end, Finished):
            fault = answer.fault or Fault(FaultKind.CUT, "the reply broke off")
        # What is kept of it is kept before the client knows that it is over.
        self.over("failed" if fault else "answered", answer, fault)
        await self._flush()
        if fault is None and self.wish.stream:
            ended = self.raw.end() if self.raw is not None else self._made().end(answer.fold)
            await self._piece(ended or self._made().last, more=False)
        elif fault is None:
            await reply(self.send, 200, self._whole(), self._headers())
        elif not self.begun:
            await fail(self.send, self.dialect, fault, self._headers())
        else:
            await self._piece(self._made().fail(fault))
            raise CutError

    def _whole(self) -> bytes:
        """The reply as the server wrote it, where that is one in the client's own dialect."""
        body = b"".join(self.pending) if self.alike else b""
        return body if body.lstrip()[:1] == b"{" else self._made().whole(self.answer.fold)

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
        async with self.sending:
            if not self.begun:
                self.begun = True
                await start(self.send, 200, "text/event-stream", self._headers())
            await self.send({"type": "http.response.body", "body": data, "more_body": more})
            self.sent_at = time.monotonic()
