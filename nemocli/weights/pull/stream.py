"""One stretch of one file, from a connection to the disk: the loop where the time is spent."""

from __future__ import annotations

from collections.abc import Callable

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.weights.digest import CHUNK, StopFlag
from nemocli.weights.ports import Body
from nemocli.weights.pull.assembly import BlobWork
from nemocli.weights.pull.pace import BytePace
from nemocli.weights.segments import SEGMENT, Piece


class StreamMeter:
    """One worker's bytes off the wire; `waiting` while it holds back by itself."""

    __slots__ = ("bytes", "waiting")

    def __init__(self) -> None:
        self.bytes = 0
        self.waiting = False


class Streamer:
    """A worker's buffer and manners; used by one thread at a time."""

    def __init__(self, pace: BytePace, monotonic: Callable[[], float], stop: StopFlag) -> None:
        size = CHUNK if pace.chunk is None else min(CHUNK, pace.chunk)
        self._view = memoryview(bytearray(size))
        self._pace = pace
        self._monotonic = monotonic
        self._stop = stop
        self.meter = StreamMeter()

    def carry(self, work: BlobWork, piece: Piece, body: Body, offset: int) -> None:
        """Write a body that begins at `offset` of the file, up to where the stretch ends by then.
        What came is kept whatever happens. Raises NemoError when it ended early."""
        self._skip(body, piece.at - offset)
        while (room := self._room(piece)) > 0:
            self._stop.check()
            if not self._fill(work, piece, body, room):
                message = f"the connection ended within {piece.blob.path}"
                raise NemoError(Fault(FaultKind.CUT, message))

    def _room(self, piece: Piece) -> int:
        left = min(piece.end - piece.at, SEGMENT - piece.at % SEGMENT)
        return min(left, len(self._view))

    def _fill(self, work: BlobWork, piece: Piece, body: Body, room: int) -> bool:
        """So many bytes, in as many reads as it takes; False when there are no more."""
        filled = 0
        try:
            while filled < room:
                got = body.readinto(self._view[filled:room])
                if not got:
                    return False
                filled += got
                self._took(got)
        finally:
            if filled:
                work.write(piece, self._view[:filled])
        return True

    def _skip(self, body: Body, count: int) -> None:
        """Read past what is here already: the server does not know ranges."""
        while count > 0:
            self._stop.check()
            got = body.readinto(self._view[: min(count, len(self._view))])
            if not got:
                raise NemoError(Fault(FaultKind.CUT, "the connection ended"))
            count -= got
            self._took(got)

    def _took(self, count: int) -> None:
        self.meter.bytes += count
        if self._pace.rate is not None:
            delay = self._pace.delay(count, self._monotonic())
            if delay > 0:
                self.meter.waiting = True
                try:
                    self._stop.wait(delay)
                finally:
                    self.meter.waiting = False
