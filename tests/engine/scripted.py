"""A World through the ports: prepared replies, virtual time, a book in memory.

Waiting takes no time: the loop's clock jumps to the next timer. Where nothing will ever happen any
more, the run fails instead of hanging.
"""

from __future__ import annotations

import asyncio
import json
import selectors
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from nemocli.core.card import ModelCard, Offer
from nemocli.core.events import Fold, Text
from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.money import Price
from nemocli.core.plan import Plan, Target
from nemocli.core.policy import Policy
from nemocli.core.ports import Call, Endpoint, Entry, Key, Reply, Reservation, Room, Settled, World
from nemocli.core.provider import Auth, Provider, Settlement, UsageWire
from nemocli.core.request import Message, Request
from nemocli.engine.run import Answer, run

T = TypeVar("T")

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


# Virtual time


class _Selector(selectors.SelectSelector):
    """Skips every wait, and remembers how much was skipped."""

    skipped = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise AssertionError("nothing will ever happen")
        self.skipped += max(0.0, timeout)
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._skipping = _Selector()
        super().__init__(self._skipping)

    def time(self) -> float:
        return super().time() + self._skipping.skipped


def virtually(work: Coroutine[Any, Any, T]) -> T:
    """The outcome of the work, whose waits take no time."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(work)


# What a server sends


@dataclass(frozen=True)
class Later:
    """The next step comes after so many seconds."""

    seconds: float


FOREVER = Later(float("inf"))
Step = bytes | NemoError | Later


@dataclass
class Script:
    """One reply: steps before its headers, status, headers, and steps of its body."""

    steps: list[Step] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    before: list[Step] = field(default_factory=list)
    taken: int = 0


def fault(kind: FaultKind, message: str = "it broke", *, sent: bool = True) -> NemoError:
    return NemoError(Fault(kind, message, sent=sent))


BROKEN = fault(FaultKind.NETWORK, "the connection was reset")
STALLED = fault(FaultKind.TIMEOUT, "nothing came")
USED = {"prompt_tokens": 10, "completion_tokens": 5}


def sse(
    *texts: str, end: str | None = "stop", usage: dict[str, Any] | None = None, done: bool = True
) -> list[Step]:
    """A chat-completions stream in pieces; without `end` it stops in the middle."""
    rows: list[Any] = [chunk({"content": text}) for text in texts]
    if end is not None:
        rows.append(chunk({}, end))
    if end is not None and done:
        rows.append({"id": "gen-1", "choices": [], "usage": USED if usage is None else usage})
    lines: list[Step] = [frame(row) for row in rows]
    return [*lines, b"data: [DONE]\n\n"] if end is not None and done else lines


def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"delta": delta, "finish_reason": finish}
    return {"id": "gen-1", "model": "vendor/big-fp8", "choices": [choice]}


def frame(row: Any) -> bytes:
    return f"data: {json.dumps(row)}\n\n".encode()


def document(value: Any, status: int = 200, **headers: str) -> Script:
    return Script([json.dumps(value).encode()], status, headers)


def good() -> Script:
    return Script(sse("Hello", " you"))


def cut() -> Script:
    return Script(sse("Hello", end=None))


def refused(status: int, **headers: str) -> Script:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Script([b"no"], status, {"x-request-id": f"req-{status}", **named})


# The ports


@dataclass
class Transport:
    """Gives the scripts in turn, the last one for ever; remembers the calls and when they came."""

    scripts: list[Script | Callable[[Call], Script]]
    calls: list[Call] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    open: int = 0

    @asynccontextmanager
    async def send(self, call: Call) -> AsyncIterator[Reply]:
        script = self.scripts[min(len(self.calls), len(self.scripts) - 1)]
        if not isinstance(script, Script):
            script = script(call)
        self.calls.append(call)
        self.times.append(asyncio.get_running_loop().time())
        self.open += 1
        try:
            for step in script.before:
                await _taken(step)
            yield Reply(script.status, script.headers, _chunks(script))
        finally:
            self.open -= 1


async def _chunks(script: Script) -> AsyncIterator[bytes]:
    for step in script.steps:
        script.taken += 1
        if (data := await _taken(step)) is not None:
            yield data


async def _taken(step: Step) -> bytes | None:
    if isinstance(step, NemoError):
        raise step
    if step == FOREVER:
        await asyncio.Event().wait()
    if isinstance(step, Later):
        await asyncio.sleep(step.seconds)
        return None
    return step


@dataclass
class Clock:
    """The loop's own time; chance is always the same."""

    slept: list[float] = field(default_factory=list)
    ids: int = 0

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(seconds)

    def jitter(self) -> float:
        return 0.0

    def new_id(self) -> str:
        self.ids += 1
        return f"id-{self.ids}"


@dataclass
class Book:
    """The ledger; `broken` names the methods that fail."""

    entries: list[Entry] = field(default_factory=list)
    open: dict[str, Reservation] = field(default_factory=dict)
    reserved: list[Reservation] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    broken: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    refuses: FaultKind | None = None
    rooms: Callable[[Reservation], Room | None] = lambda _: None

    def note(self, reservation: Reservation) -> bool:
        self._check("reserve")
        capped = self.warnings or self.refuses is not None or self.rooms(reservation) is not None
        if capped or "room" in self.broken:
            return False
        self.reserve(reservation)
        return True

    def room(self, reservation: Reservation) -> Room | None:
        self._check("room")
        return self.rooms(reservation)

    def reserve(self, reservation: Reservation) -> tuple[str, ...]:
        self._check("reserve")
        if self.refuses is not None:
            raise fault(self.refuses, "another call took it", sent=False)
        assert reservation.attempt_id not in self.open
        self.open[reservation.attempt_id] = reservation
        self.reserved.append(reservation)
        return self.warnings

    def enter(self, entry: Entry) -> None:
        self._check("enter")
        assert all(e.attempt_id != entry.attempt_id for e in self.entries)
        self.open.pop(entry.attempt_id, None)
        self.entries.append(entry)

    def settle(self, settled: Settled) -> None:
        self._check("settle")
        assert any(e.attempt_id == settled.attempt_id for e in self.entries)
        self.settled.append(settled)

    def _check(self, method: str) -> None:
        if method in self.broken:
            raise fault(FaultKind.CONFIG, f"could not {method}: the disk is full", sent=False)


SECRET = "key-0123456789-abcdef"


@dataclass
class Keys:
    key: str | None = SECRET

    def key_for(self, provider: Provider) -> Key | None:
        return Key(self.key, "test") if self.key else None


@dataclass
class Servers:
    """What a server that is started says of itself, after the steps that starting takes."""

    found: Endpoint | None = None
    before: list[Step] = field(default_factory=list)

    async def endpoint(self, target: Target) -> Endpoint:
        for step in self.before:
            await _taken(step)
        assert self.found is not None, "nothing is started here"
        return self.found


# Who and what

PRICE = Price("shop", "big", date(2026, 1, 1), Decimal("0.60"), Decimal("2.40"))
SHOP = Provider(
    "shop",
    "chat",
    "https://shop.example/v1",
    auth=Auth(env=("SHOP_KEY",), setup_url="https://shop.example/keys"),
    usage=UsageWire(cost="usage.cost"),
    settlement=Settlement("/generation?id={id}", {"cost": "data.total_cost"}, 0.5, 3),
    prices=(PRICE,),
)
OTHER = Provider("other", "chat", "https://other.example/v1", auth=Auth(required=False))
BIG = ModelCard(
    "big", offers=(Offer("shop", "vendor/big"), Offer("other", "big-1")), output_limit=4096
)
AT_SHOP = Target(SHOP, "vendor/big", BIG, BIG.offers[0])
AT_OTHER = Target(OTHER, "big-1", BIG, BIG.offers[1])
ASKED = Request("big", (Message("user", "hello there"),))
ONCE = Policy(tries=1)


@dataclass
class Scene:
    """A scripted World and what happened in it."""

    transport: Transport
    clock: Clock = field(default_factory=Clock)
    book: Book = field(default_factory=Book)
    keys: Keys = field(default_factory=Keys)
    servers: Servers = field(default_factory=Servers)
    seen: list[Any] = field(default_factory=list)

    @property
    def world(self) -> World:
        return World(self.transport, self.keys, self.clock, self.book, self.servers)

    @property
    def calls(self) -> list[Call]:
        return self.transport.calls

    @property
    def entry(self) -> Entry:
        """The only row of the ledger."""
        (entry,) = self.book.entries
        return entry

    @property
    def said(self) -> str:
        return "".join(e.text for e in self.seen if isinstance(e, Text))

    def sent(self, number: int = -1) -> dict[str, Any]:
        """The body of a call."""
        body: dict[str, Any] = json.loads(self.calls[number].body)
        return body


def scene(*scripts: Script | Callable[[Call], Script]) -> Scene:
    return Scene(Transport(list(scripts)))


def plan(*targets: Target, **more: Any) -> Plan:
    return Plan(targets or (AT_SHOP,), run_id="run-1", **more)


def ask(at: Scene, *targets: Target, request: Request = ASKED, **more: Any) -> Answer:
    """One run to its end."""
    return virtually(run(plan(*targets, **more), request, at.world, at.seen.append))


def cancelled(
    at: Scene, after_s: float, *targets: Target, request: Request = ASKED, **more: Any
) -> tuple[Answer, bool]:
    """One run that is cancelled after so many seconds; and whether the cancellation came out."""
    planned = plan(*targets, **more)
    answer = Answer(Fold(), planned.targets[0])

    async def interrupted() -> bool:
        work = run(planned, request, at.world, at.seen.append, answer=answer)
        task = asyncio.create_task(work)
        asyncio.get_running_loop().call_later(after_s, task.cancel)
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()
        return task.cancelled()

    return answer, virtually(interrupted())
