"""How far a pull has come: for a bar, for a line a program reads, for another process."""

from __future__ import annotations

from collections import deque
from typing import Literal

from nemocli.core.value_class import value_class
from nemocli.core.values import Json

Phase = Literal["waiting", "checking", "reserving", "fetching", "paused", "finishing", "done"]


@value_class(frozen=True, slots=True)
class Doing:
    """A file under way."""

    path: str
    done: int
    size: int


@value_class(frozen=True, slots=True)
class Progress:
    """Bytes and files. `done` counts what is in place, `fetched` what came over the wire in this
    run; `rate` is in bytes per second over the last seconds."""

    phase: Phase
    size: int = 0
    done: int = 0
    fetched: int = 0
    files: int = 0
    files_done: int = 0
    rate: float = 0.0
    doing: tuple[Doing, ...] = ()
    retries: int = 0
    note: str | None = None

    @property
    def eta_s(self) -> float | None:
        """Seconds to the end at this rate; None while there is none."""
        left = self.size - self.done
        return left / self.rate if self.rate > 0 else (0.0 if not left else None)


class Rate:
    """Bytes per second over a sliding window."""

    def __init__(self, window_s: float = 10.0) -> None:
        self._window_s = window_s
        self._marks: deque[tuple[float, int]] = deque()

    def at(self, now: float, count: int) -> float:
        """The rate, given the count at this time."""
        self._marks.append((now, count))
        while len(self._marks) > 2 and now - self._marks[0][0] > self._window_s:
            self._marks.popleft()
        then, before = self._marks[0]
        return (count - before) / (now - then) if now > then else 0.0


def progress_json(progress: Progress) -> dict[str, Json]:
    """One object; fields are only ever added."""
    eta = progress.eta_s
    return {
        "type": "progress",
        "phase": progress.phase,
        "bytes_total": progress.size,
        "bytes_done": progress.done,
        "bytes_fetched": progress.fetched,
        "files_total": progress.files,
        "files_done": progress.files_done,
        "bytes_per_s": round(progress.rate),
        "eta_s": None if eta is None else round(eta, 1),
        "retries": progress.retries,
        "active": [{"path": d.path, "bytes_done": d.done, "bytes": d.size} for d in progress.doing],
        "note": progress.note,
    }
