"""Files of a repository whose bytes are known at every offset, whether they exist or not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

MIB = 1 << 20
PAGE = 1 << 16
HASHABLE = 1 << 30
"""Up to here a virtual file's sha256 is computed; a larger one announces a number of its own."""


class Content(Protocol):
    """Bytes of a given size."""

    @property
    def size(self) -> int: ...
    def read(self, start: int, count: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Known:
    """Bytes that are there."""

    data: bytes = field(repr=False)

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self, start: int, count: int) -> bytes:
        return self.data[start : start + count]


@dataclass(frozen=True, slots=True)
class Virtual:
    """Any size without storage. Every page begins with its own number, so that no piece can stand
    in the place of another unseen."""

    size: int
    seed: str = "0"
    _tail: bytes = field(init=False, repr=False, compare=False, default=b"")

    def __post_init__(self) -> None:
        tail = hashlib.shake_128(self.seed.encode()).digest(PAGE - 8)
        object.__setattr__(self, "_tail", tail)

    def read(self, start: int, count: int) -> bytes:
        count = max(0, min(count, self.size - start))
        first, last = start // PAGE, (start + count + PAGE - 1) // PAGE
        parts: list[bytes] = []
        for page in range(first, last):
            parts += (page.to_bytes(8, "big"), self._tail)
        skip = start - first * PAGE
        return b"".join(parts)[skip : skip + count]


def pieces(content: Content, start: int, count: int, size: int = MIB) -> Iterator[bytes]:
    """A stretch of a file, in order."""
    for at in range(start, start + count, size):
        yield content.read(at, min(size, start + count - at))


def sha256(content: Content) -> str:
    """Its digest, or for what is too large to be read a number that only looks like one."""
    if content.size > HASHABLE:
        return hashlib.sha256(f"announced:{content!r}".encode()).hexdigest()
    digest = hashlib.sha256()
    for piece in pieces(content, 0, content.size):
        digest.update(piece)
    return digest.hexdigest()


def git_sha1(content: Content) -> str:
    """The id git gives the bytes as a blob."""
    digest = hashlib.sha1(b"blob %d\0" % content.size, usedforsecurity=False)
    for piece in pieces(content, 0, content.size):
        digest.update(piece)
    return digest.hexdigest()
