"""What a pull is given: the outside, and how it is to be done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field

from nemocli.core.ports import Clock
from nemocli.core.value_class import value_class
from nemocli.weights.ports import Bulk, Connections, Store, Threads
from nemocli.weights.progress import Progress
from nemocli.weights.pull.pace import BytePace, HoursWindow
from nemocli.weights.pull.retry import Patience

Observe = Callable[[Progress], None]
Tell = Callable[[str], None]


@value_class(frozen=True, slots=True)
class PullWorld:
    """What a pull meets: where the files go, and who fetches them."""

    store: Store
    threads: Threads
    clock: Clock
    connect: Callable[[], Connections]
    observe: Observe
    tell: Tell
    bulk: Bulk | None = None


@value_class(frozen=True, slots=True)
class PullTerms:
    """How a pull is to be done. `helpers` are further streams for small files, whose time is the
    way to the server and back; `reserve` False writes sparse files without asking for room;
    `recheck` reads every file that is here, whatever is remembered of it; `stall_s` seconds without
    a byte end a stream; `tool` signs the manifest."""

    workers: int = 4
    helpers: int = 0
    patience: Patience = field(default_factory=Patience)
    pace: BytePace = field(default_factory=lambda: BytePace(None))
    window: HoursWindow | None = None
    stall_s: float = 20.0
    reserve: bool = True
    recheck: bool = False
    tool: str = "nemocli"
