"""A file as segments: what is there, what is missing, and how the rest is shared out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from nemocli.weights.repository import Blob

SEGMENT = 16 * 1024 * 1024
"""Bytes between two checks that a later run can rely on."""

SMALL = 1024 * 1024
"""A file of at most so many bytes takes less time to send than to ask for."""

LEAST_SHARED = 2 * SEGMENT
"""Below twice this a stretch is left to whoever is on it: a new request would not pay."""


def segment_count(size: int) -> int:
    """Segments of a file; an empty one has none."""
    return -(-size // SEGMENT)


def segment_span(index: int, size: int) -> tuple[int, int]:
    """First byte and end of a segment."""
    return index * SEGMENT, min((index + 1) * SEGMENT, size)


def missing(size: int, good: Iterable[int]) -> Iterator[tuple[int, int]]:
    """The stretches outside the good segments, as long as can be."""
    have = set(good)
    start: int | None = None
    for index in range(segment_count(size)):
        first, _ = segment_span(index, size)
        if index in have:
            if start is not None:
                yield start, first
            start = None
        elif start is None:
            start = first
    if start is not None:
        yield start, size


def all_of(known: Mapping[int, str], size: int) -> tuple[str, ...] | None:
    """The marks of all segments in order; None while one is unknown."""
    indices = range(segment_count(size))
    return tuple(known[i] for i in indices) if all(i in known for i in indices) else None


@dataclass(slots=True, eq=False)
class Piece:
    """A stretch one worker is on. `at` moves forward, `end` may come nearer while it does; `crc`
    is the checksum of the segment under way."""

    blob: Blob
    at: int
    end: int
    crc: int = 0
    failures: int = 0

    @property
    def left(self) -> int:
        """Bytes still to come."""
        return self.end - self.at


@dataclass(slots=True)
class Board:
    """Who does what: whole files while there are more files than workers, then what is left of the
    longest one, halved. All calls come from one thread."""

    queue: deque[Blob]
    pieces: deque[Piece] = field(default_factory=deque)
    active: list[Piece] = field(default_factory=list)
    opening: int = 0
    whole_only: set[str] = field(default_factory=set)
    """Files whose server does not know ranges: never shared."""

    def take(self, *, small: bool = False) -> Blob | Piece | None:
        """The next thing to do: a stretch, a file to open, or nothing now. `small`: of the small
        files alone, the smallest first, while others take the largest."""
        if small:
            return self._small()
        if self.pieces:
            piece = self.pieces.popleft()
            self.active.append(piece)
            return piece
        if self.queue:
            self.opening += 1
            return self.queue.popleft()
        return self._share()

    def _small(self) -> Blob | Piece | None:
        piece = next((p for p in self.pieces if p.blob.size <= SMALL), None)
        if piece is not None:
            self.pieces.remove(piece)
            self.active.append(piece)
            return piece
        if self.queue and self.queue[-1].size <= SMALL:
            self.opening += 1
            return self.queue.pop()
        return None

    def open(self, blob: Blob, spans: Sequence[tuple[int, int]]) -> None:
        """What a file that was opened still lacks; comes before files not begun."""
        self.opening -= 1
        self.add(blob, spans)

    def add(self, blob: Blob, spans: Sequence[tuple[int, int]]) -> None:
        """More of a file is to be fetched."""
        self.pieces.extendleft(reversed([Piece(blob, start, end) for start, end in spans]))

    def drop(self, blob: Blob) -> None:
        """Nothing more of this file is to be fetched."""
        self.pieces = deque(p for p in self.pieces if p.blob is not blob)

    def finish(self, piece: Piece) -> None:
        """A stretch has come to its end, or its worker will not go on."""
        self.active.remove(piece)

    @property
    def idle(self) -> bool:
        """Nobody has anything to do, now or later."""
        return not (self.queue or self.pieces or self.active or self.opening)

    def _share(self) -> Piece | None:
        shared = [p for p in self.active if p.blob.name not in self.whole_only]
        longest = max(shared, key=lambda p: p.left, default=None)
        if longest is None or longest.left < 2 * LEAST_SHARED:
            return None
        middle = longest.at + longest.left // 2
        middle = -(-middle // SEGMENT) * SEGMENT
        piece = Piece(longest.blob, middle, longest.end)
        longest.end = middle
        self.active.append(piece)
        return piece
