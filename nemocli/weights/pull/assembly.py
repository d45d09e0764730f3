"""One file under way: its bytes, and the digest that follows them in order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from zlib import crc32

from nemocli.weights.digest import CHUNK, SUM_CHARS, Count, StopFlag, Whole, segment_crc
from nemocli.weights.journal import Claims, drop_line, line
from nemocli.weights.ports import Part
from nemocli.weights.repository import Blob
from nemocli.weights.segments import SEGMENT, Piece, all_of, missing, segment_count, segment_span

Span = tuple[int, int]


class BlobWork:
    """Bytes may come in several stretches at once; the digest takes each byte once, in order: from
    the stretch that is at the front, else from the disk when the front has been filled in.

    What an earlier run left is believed segment by segment as the digest passes over it; the first
    that is not as it was is fetched again, and only that. `write`, `check` and `catch_up` are
    called from any thread, the rest from one.
    """

    def __init__(self, blob: Blob, part: Part, note: Callable[[bytes], None]) -> None:
        self.blob = blob
        self.part = part
        self.live: list[Piece] = []
        self.closing = False
        self.failed = False
        self.restarts = 0
        self.resumed = Count()
        self._note = note
        self._have: set[int] = set()
        self._claims: Claims = {}
        self._sums: dict[int, str] = {}
        self._whole = Whole(blob)
        self._before = self._whole
        self._hashed = 0
        self._lock = threading.Lock()

    @property
    def complete(self) -> bool:
        """Every byte is written, as far as is known before the digest has passed it."""
        return len(self._have) + len(self._claims) == segment_count(self.blob.size)

    @property
    def written(self) -> int:
        """Bytes in place, those of unfinished segments included."""
        size = self.blob.size
        with self._lock:
            known = [*self._have, *self._claims]
        full = sum(end - first for first, end in (segment_span(i, size) for i in known))
        return min(size, full + sum(p.at % SEGMENT for p in list(self.live) if p.at < p.end))

    @property
    def behind(self) -> bool:
        """Whether bytes on the disk wait for the digest."""
        with self._lock:
            return self._filled() > self._hashed

    def check(self, claims: Claims, stop: StopFlag) -> list[Span]:
        """Look at what an earlier run says it wrote; the stretches that are to be fetched."""
        view, size = memoryview(bytearray(CHUNK)), self.blob.size
        for index, claim in claims.items():
            first, end = segment_span(index, size)
            if not 0 <= first < end:
                continue
            marked = len(claim) == SUM_CHARS
            if not marked and segment_crc(self.part, index, size, view, stop) != int(claim, 16):
                continue
            with self._lock:
                if marked:
                    self._claims[index] = claim
                else:
                    self._have.add(index)
                    self.resumed.bytes += end - first
        bad = self.catch_up(stop)
        gaps = missing(size, self._have | self._claims.keys() | {s[0] // SEGMENT for s in bad})
        return sorted([*gaps, *bad])

    def write(self, piece: Piece, data: memoryview) -> None:
        """The next bytes of a stretch, never beyond its segment."""
        self.part.write(data, piece.at)
        size, at = self.blob.size, piece.at + len(data)
        ends = at % SEGMENT == 0 or at == size
        claim = None
        if self._hashed != piece.at:  # only the front needs no checksum of its own
            piece.crc = crc32(data, piece.crc)
        with self._lock:
            if self._hashed == piece.at:
                self._whole.update(data)
                self._hashed = at
                claim = self._marked() if ends else None
            piece.at = at
        if ends:
            index = (at - 1) // SEGMENT
            self._note(line(self.blob.name, index, claim or f"{piece.crc:08x}"))
            with self._lock:
                self._have.add(index)
            piece.crc = 0

    def catch_up(self, stop: StopFlag) -> list[Span]:
        """Read into the digest what is on the disk and was not in order when it came. A segment
        that is not as an earlier run left it is given back, to be fetched."""
        view = memoryview(bytearray(CHUNK))
        while True:
            stop.check()
            with self._lock:
                at = self._hashed
                count = min(CHUNK, self._filled() - at)
                if count <= 0:
                    return []
                if at % SEGMENT == 0:
                    self._before = self._whole.copy()
                got = self.part.read(view[:count], at)
                self._whole.update(view[:got])
                self._hashed += got
                if got < count:
                    return [self._rejected(at // SEGMENT)]
                if self._hashed % SEGMENT == 0 or self._hashed == self.blob.size:
                    index = at // SEGMENT
                    claim = self._claims.pop(index, None)
                    mark = self._marked()
                    if claim not in (None, mark):
                        return [self._rejected(index)]
                    if claim is not None:
                        self.resumed.bytes += self._hashed - index * SEGMENT
                    self._have.add(index)
                    self._note(line(self.blob.name, index, mark))

    def _marked(self) -> str:
        """The mark at the digest's place, which is a segment's end."""
        mark = self._whole.sum()
        self._sums[(self._hashed - 1) // SEGMENT] = mark
        return mark

    def _rejected(self, index: int) -> Span:
        """Back to before a segment, which is forgotten."""
        self._whole = self._before
        self._hashed = index * SEGMENT
        self._claims.pop(index, None)
        self._have.discard(index)
        self._sums.pop(index, None)
        return segment_span(index, self.blob.size)

    def _filled(self) -> int:
        """How far the bytes after the digest's place are there."""
        index = self._hashed // SEGMENT
        if index in self._have or index in self._claims:
            return segment_span(index, self.blob.size)[1]
        for piece in self.live:
            if piece.at // SEGMENT == index and piece.at > self._hashed:
                return piece.at
        return self._hashed

    def good(self) -> bool:
        """Whether the whole is what was announced; every byte is written and read."""
        return self._hashed == self.blob.size and self._whole.matches()

    @property
    def sha256(self) -> str:
        """Of the whole, once it is whole."""
        return self._whole.sha256

    @property
    def sums(self) -> tuple[str, ...]:
        """The marks of all segments, once it is whole."""
        return all_of(self._sums, self.blob.size) or ()

    def restart(self) -> None:
        """Forget every byte: they were not the file's."""
        self._note(drop_line(self.blob.name))
        self._have.clear()
        self._claims.clear()
        self._sums.clear()
        self.live.clear()
        self._whole = Whole(self.blob)
        self._hashed = 0
        self.closing = False
        self.restarts += 1
