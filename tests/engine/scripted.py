"""A World through the ports: prepared replies, a clock that is moved, a book in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from nemocli.core.card import ModelCard, Offer
from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.money import Price
from nemocli.core.plan import Plan, Target
from nemocli.core.policy import Policy
from nemocli.core.ports import Call, Endpoint, Entry, Key, Reply, Reservation, Settled, World
from nemocli.core.provider import Auth, Provider, Settlement, UsageWire
from nemocli.core.request import Message, Request

DAY = datetime(2026, 11, 23, 12, tzinfo=UTC)
FOREVER = "forever"


def sse(*texts: str, end: str | None = "stop", usage: dict[str, Any] | None = None) -> list[bytes]:
    """A chat-completions stream in pieces; without `end` it stops in the middle."""
    rows: list[Any] = [{"id": "gen-1", "choices": [{"delta": {"content": t}}]} for t in texts]
    if end is not None:
        rows.append({"id": "gen-1", "choices": [{"delta": {}, "finish_reason": end}]})
        rows.append({"id": "gen-1", "choices": [], "usage": usage or USED})
    lines = [f"data: {json.dumps(row)}\n\n".encode() for row in rows]
    return lines if end is None else [*lines, b"data: [DONE]\n\n"]


USED = {"prompt_tokens": 10, "completion_tokens": 5, "cost": "0.001"}
BROKEN = NemoError(Fault(FaultKind.NETWORK, "the connection was reset"))
SLOW = NemoError(Fault(FaultKind.TIMEOUT, "nothing came"))


@dataclass
class Script:
    """One reply: a status, headers, then chunks, faults to raise, or FOREVER to wait."""

    steps: list[Any] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    before: NemoError | str | None = None


@dataclass
class ScriptedTransport:
    """Gives the scripts in turn, the last one for ever; remembers the calls."""

    scripts: list[Script]
    calls: list[Call] = field(default_factory=list)

    @asynccontextmanager
    async def send(self, call: Call) -> AsyncIterator[Reply]:
        script = self.scripts[min(len(self.calls), len(self.scripts) - 1)]
        self.calls.append(call)
        if script.before == FOREVER:
            await asyncio.Event().wait()
        if isinstance(script.before, NemoError):
            raise script.before
        yield Reply(script.status, script.headers, chunks(script.steps))


async def chunks(steps: list[Any]) -> AsyncIterator[bytes]:
    for step in steps:
        if isinstance(step, NemoError):
            raise step
        if step == FOREVER:
            await asyncio.Event().wait()
        yield step


@dataclass
class ScriptedClock:
    """Moves a little whenever it is looked at; sleeping takes no time."""

    slept: list[float] = field(default_factory=list)
    ticks: float = 0.0
    ids: int = 0
    block: bool = False

    def now(self) -> datetime:
        return DAY

    def monotonic(self) -> float:
        self.ticks += 0.1
        return self.ticks

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if self.block:
            await asyncio.Event().wait()
        await asyncio.sleep(0)

    def jitter(self) -> float:
        return 0.0

    def new_id(self) -> str:
        self.ids += 1
        return f"id-{self.ids}"


@dataclass
class Book:
    """The ledger in memory; `broken` refuses everything."""

    entries: list[Entry] = field(default_factory=list)
    open: dict[str, Reservation] = field(default_factory=dict)
    settled: list[Settled] = field(default_factory=list)
    broken: bool = False

    def _check(self) -> None:
        if self.broken:
            raise NemoError(Fault(FaultKind.CONFIG, "the disk is full; the answer was not booked"))

    def reserve(self, reservation: Reservation) -> None:
        self._check()
        self.open[reservation.attempt_id] = reservation

    def enter(self, entry: Entry) -> None:
        self._check()
        assert all(e.attempt_id != entry.attempt_id for e in self.entries)
        self.open.pop(entry.attempt_id, None)
        self.entries.append(entry)

    def settle(self, settled: Settled) -> None:
        self._check()
        self.settled.append(settled)


@dataclass
class Keys:
    key: str | None = "secret-key-0123456789"

    def key_for(self, provider: Provider) -> Key | None:
        return Key(self.key, "test") if self.key else None


class NoServers:
    async def endpoint(self, target: Target) -> Endpoint:
        raise AssertionError("nothing is started here")


PRICE = Price("shop", "big", date(2026, 1, 1), Decimal("0.60"), Decimal("2.40"))
SHOP = Provider(
    "shop",
    "chat",
    "https://shop.example/v1",
    auth=Auth(env=("SHOP_KEY",)),
    usage=UsageWire(cost="usage.cost"),
    settlement=Settlement("/generation?id={id}", {"cost": "data.total_cost"}, 0.5, 3),
    prices=(PRICE,),
)
OTHER = Provider("other", "chat", "https://other.example/v1", auth=Auth(required=False))
BIG = ModelCard(
    "big",
    offers=(Offer("shop", "vendor/big"), Offer("other", "big-1")),
    output_limit=4096,
)
AT_SHOP = Target(SHOP, "vendor/big", BIG, BIG.offers[0])
AT_OTHER = Target(OTHER, "big-1", BIG, BIG.offers[1])
ASKED = Request("big", (Message("user", "hello there"),))


@dataclass
class Scene:
    """A scripted World and what happened in it."""

    transport: ScriptedTransport
    clock: ScriptedClock = field(default_factory=ScriptedClock)
    book: Book = field(default_factory=Book)
    keys: Keys = field(default_factory=Keys)
    seen: list[Any] = field(default_factory=list)

    @property
    def world(self) -> World:
        return World(self.transport, self.keys, self.clock, self.book, NoServers())


def scene(*scripts: Script) -> Scene:
    return Scene(ScriptedTransport(list(scripts)))


def plan(*targets: Target, **more: Any) -> Plan:
    return Plan(targets or (AT_SHOP,), more.pop("policy", Policy()), run_id="run-1", **more)
