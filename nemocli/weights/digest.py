"""Whether bytes are the ones that were announced."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from itertools import zip_longest
from zlib import crc32

from nemocli.core.value_class import value_class
from nemocli.weights.ports import Part
from nemocli.weights.repository import Blob
from nemocli.weights.segments import SEGMENT, segment_span

SUM_CHARS = 16
"""Hex digits of a mark: it tells where a file is bad; whether it is good its SHA-256 decides."""

CHUNK = 512 * 1024
"""Bytes handled at once: read, summed and written while they are in the processor's cache."""


class Whole:
    """A running digest over a whole content: SHA-256, and for a file git holds also git's own
    SHA-1 of a blob, which is what such a file is known by."""

    __slots__ = ("_blob", "_git", "_sha256")

    def __init__(self, blob: Blob) -> None:
        self._blob = blob
        self._sha256 = hashlib.sha256()
        self._git = None
        if blob.sha256 is None:
            self._git = hashlib.sha1(b"blob %d\0" % blob.size, usedforsecurity=False)

    def update(self, data: memoryview) -> None:
        """The next bytes."""
        self._sha256.update(data)
        if self._git is not None:
            self._git.update(data)

    @property
    def sha256(self) -> str:
        """Of all bytes so far."""
        return self._sha256.hexdigest()

    def sum(self) -> str:
        """A mark of all bytes so far: the beginning of their SHA-256."""
        return self._sha256.hexdigest()[:SUM_CHARS]

    def copy(self) -> Whole:
        """A second one that goes on from here by itself."""
        other = Whole(self._blob)
        other._sha256 = self._sha256.copy()
        other._git = None if self._git is None else self._git.copy()
        return other

    def matches(self) -> bool:
        """Whether all bytes so far are the content."""
        if self._git is not None:
            return self._git.hexdigest() == self._blob.name
        return self._sha256.hexdigest() == self._blob.sha256


@value_class(frozen=True, slots=True)
class Reading:
    """What a file on the disk turned out to be: `sums` are the marks at the end of each segment,
    `size` how many bytes could be read."""

    good: bool
    sha256: str
    sums: tuple[str, ...]
    size: int

    def first_bad(self, sums: Sequence[str]) -> int | None:
        """The first segment that is not as it was when these marks were taken."""
        pairs = enumerate(zip_longest(sums, self.sums))
        return next((index for index, (then, now) in pairs if then != now), None)


class Stopped(Exception):
    """Whoever wanted the outcome has left."""


class StopFlag:
    """A flag that reading and fetching look at between two chunks."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Stop at the next chunk."""
        self._event.set()

    def check(self) -> None:
        """Raises Stopped when set."""
        if self._event.is_set():
            raise Stopped

    def wait(self, seconds: float) -> None:
        """Wait so long. Raises Stopped as soon as it is set."""
        if self._event.wait(seconds):
            raise Stopped


class Count:
    """Bytes so far, for whoever shows them."""

    __slots__ = ("bytes",)

    def __init__(self) -> None:
        self.bytes = 0


def read_whole(file: Part, blob: Blob, stop: StopFlag, seen: Count) -> Reading:
    """Read a file to its end and say what it is."""
    whole, view = Whole(blob), memoryview(bytearray(CHUNK))
    sums: list[str] = []
    at = 0
    while at < blob.size:
        stop.check()
        got = file.read(view[: min(CHUNK, blob.size - at)], at)
        if not got:
            break
        whole.update(view[:got])
        at += got
        seen.bytes += got
        if at % SEGMENT == 0 or at == blob.size:
            sums.append(whole.sum())
    longer = file.read(view[:1], blob.size) if at == blob.size else 0
    good = at == blob.size and not longer and whole.matches()
    return Reading(good, whole.sha256, tuple(sums), at + longer)


def segment_crc(file: Part, index: int, size: int, view: memoryview, stop: StopFlag) -> int | None:
    """The checksum of a segment as it is on the disk; None when the file ends before it does."""
    at, end = segment_span(index, size)
    crc = 0
    while at < end:
        stop.check()
        got = file.read(view[: min(len(view), end - at)], at)
        if not got:
            return None
        crc = crc32(view[:got], crc)
        at += got
    return crc
