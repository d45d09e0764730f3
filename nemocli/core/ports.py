"""The shapes of the outside world. io/ fills them; tests fill them with scripts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import field
from datetime import datetime
from typing import Literal, Protocol

from nemocli.core.faults import Fault
from nemocli.core.money import Cost, CostSource, Pico
from nemocli.core.plan import Target
from nemocli.core.provider import Provider, Timeouts
from nemocli.core.usage import Usage
from nemocli.core.value_class import value_class

EntryStatus = Literal["ok", "error", "cut", "truncated", "aborted"]


@value_class(frozen=True, slots=True)
class Key:
    """A credential and where it came from; its value never shows in a repr."""

    value: str = field(repr=False)
    source: str


@value_class(frozen=True, slots=True)
class Call:
    """An HTTP call as a value; the key never shows in its repr. `ca` is a file of certificates
    (PEM) to trust beside the system's; `timed`: each piece of the reply's body is to be."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)
    body: bytes = field(repr=False, default=b"")
    timeouts: Timeouts = field(repr=False, default=Timeouts())
    secrets: tuple[str, ...] = field(repr=False, default=())
    ca: str | None = field(repr=False, default=None)
    timed: bool = field(repr=False, default=False)


class Coming(Protocol):
    """A body that may come while nobody waits for each piece. `rest` returns where a piece is here
    already, else when the body is over, a piece holds `until`, or much is unread; `take_all` gives
    what is here with the moments when it came, `arrived` that of the piece last taken, in seconds
    as `Clock.monotonic` has them."""

    @property
    def arrived(self) -> float: ...
    async def rest(self, until: bytes) -> None: ...
    def take_all(self) -> list[tuple[float, bytes]]: ...


@value_class(frozen=True, slots=True)
class Reply:
    """Status, header names in lower case, and the body as it comes (content coding undone).
    `coming`, where its pieces are timed: of a plain body, for a call that is `timed`. `body`: all
    of it, where it is here already; `chunks` give the same."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]
    coming: Coming | None = None
    body: bytes | None = None


class Transport(Protocol):
    """HTTP. Every failure leaves as NemoError with a network kind; nothing else is raised."""

    def send(self, call: Call) -> AbstractAsyncContextManager[Reply]: ...


class Clock(Protocol):
    """Time and chance. `monotonic` in seconds; `jitter` in [0, 1); `new_id` sorts by time."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...
    async def sleep(self, seconds: float) -> None: ...
    def jitter(self) -> float: ...
    def new_id(self) -> str: ...


class Secrets(Protocol):
    """Keys, bound to origins: asked with the provider as it will be called."""

    def key_for(self, provider: Provider) -> Key | None: ...


@value_class(frozen=True, slots=True)
class Endpoint:
    """Where a started or found server listens; `model` when it serves just one."""

    base_url: str
    key: Key | None = None
    model: str | None = None


class Servers(Protocol):
    """Servers that have to be started before they can be asked."""

    async def endpoint(self, target: Target) -> Endpoint: ...


@value_class(frozen=True, slots=True)
class Entry:
    """One row of the ledger: one HTTP attempt, whatever became of it. Content is not in it.

    `attempt_id` is unique; `attempt` counts from 1 within the run. Times in seconds, money in
    pico-USD, `at` in UTC.
    """

    attempt_id: str
    run_id: str
    attempt: int
    at: datetime
    command: str
    provider: str
    model: str
    requested_model: str
    status: EntryStatus
    usage: Usage
    cost: Cost
    served_model: str | None = None
    upstream: str | None = None
    reply_id: str | None = None
    finish_reason: str | None = None
    fault: Fault | None = None
    http_status: int | None = None
    ttft_s: float | None = None
    total_s: float | None = None
    tags: tuple[str, ...] = ()
    project: str | None = None
    session: str | None = None
    request_id: str | None = None


@value_class(frozen=True, slots=True)
class Settled:
    """What became known afterwards about one attempt; recorded beside its row, not over it.
    `source` says of whom: its seller, or the lease of the GPUs it ran on."""

    attempt_id: str
    at: datetime
    cost_pico: Pico
    usage: Usage | None = None
    upstream: str | None = None
    source: CostSource = "reconciled"


@value_class(frozen=True, slots=True)
class Reservation:
    """The worst case of an attempt about to be made; released by its Entry. `pico` None: nobody
    knows what it may cost."""

    attempt_id: str
    at: datetime
    provider: str
    model: str
    pico: Pico | None
    run_id: str = ""
    command: str = ""
    project: str | None = None
    tags: tuple[str, ...] = ()


@value_class(frozen=True, slots=True)
class Room:
    """What the tightest hard budget over a call still allows, in pico-USD, and its name."""

    left: int
    budget: str


class Ledger(Protocol):
    """The ledger. `enter` is durable when it returns; a second entry of one attempt is refused.

    `note` is `reserve` where there is no budget at all; it is False, and does nothing, where there
    is one. `room` is None where no hard budget covers the call. `reserve` checks and holds in one
    step: it raises NemoError (budget) when a hard budget does not allow the call, and returns the
    warnings of budgets that are nearly used up.
    """

    def note(self, reservation: Reservation) -> bool: ...
    def room(self, reservation: Reservation) -> Room | None: ...
    def reserve(self, reservation: Reservation) -> tuple[str, ...]: ...
    def enter(self, entry: Entry) -> None: ...
    def settle(self, settled: Settled) -> None: ...


Validator = Callable[[str], list[str]]
"""An answer's text to what is wrong with it; empty when nothing is."""


@value_class(frozen=True, slots=True)
class World:
    """The outside, put together once and handed down."""

    transport: Transport
    secrets: Secrets
    clock: Clock
    ledger: Ledger
    servers: Servers
