"""Contents that another engine brings whole: verified here like all others, or not taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from nemocli.core.faults import FaultKind, NemoError
from nemocli.weights.digest import Count, Reading, StopFlag, read_whole
from nemocli.weights.journal import Claims
from nemocli.weights.ports import Bulk
from nemocli.weights.pull.options import PullWorld
from nemocli.weights.repository import Blob

Place = Callable[[Blob, Reading], None]
"""A content that is what it should be has its seat; remember it. Called in a thread."""

_OURS = frozenset({FaultKind.CONFIG, FaultKind.OFFLINE, FaultKind.INTERRUPTED})
"""Failures that plain requests would meet too."""


@dataclass(slots=True)
class InBulk:
    """One run of the other engine: bytes that came by it, and the contents among them that were
    what they should be."""

    bulk: Bulk
    world: PullWorld
    place: Place
    moved: int = 0
    good: list[Blob] = field(default_factory=list)

    async def run(
        self, lacking: Sequence[Blob], claims: Mapping[str, Claims], stop: StopFlag
    ) -> list[Blob]:
        """Bring what the engine takes and nobody has begun; what is still lacking afterwards is for
        plain requests. A failure of the engine is told and no more."""
        store, threads = self.world.store, self.world.threads
        wanted = [b for b in lacking if self.bulk.takes(b) and b.name not in claims]
        if not wanted:
            return list(lacking)

        def abort() -> None:
            stop.set()
            self.bulk.abort()

        def bring() -> None:
            self.bulk.bring([(b, store.part_path(b)) for b in wanted], self._moved)

        try:
            await threads.run(bring, abort)
        except NemoError as error:
            if error.fault.kind in _OURS:
                raise
            self.world.tell(f"{error.fault.message}; going on with plain requests")
        left = {b.name: b for b in lacking}
        for blob in wanted:
            if await threads.run(partial(self._judge, blob, stop), stop.set):
                self.good.append(blob)
                del left[blob.name]
        return list(left.values())

    def _moved(self, count: int) -> None:
        self.moved = count

    def _judge(self, blob: Blob, stop: StopFlag) -> bool:
        store = self.world.store
        part = store.part(blob)
        try:
            reading = read_whole(part, blob, stop, Count())
            if reading.good:
                part.sync()
        finally:
            part.close()
        if not reading.good:
            store.drop_part(blob)
            self.world.tell(f"{blob.path} did not arrive whole: asking for it again")
            return False
        store.publish(blob)
        self.place(blob, reading)
        return True
