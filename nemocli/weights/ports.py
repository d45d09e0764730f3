"""The shapes of the outside that a pull needs. io/ fills them. All but `Threads` block."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import field
from typing import Protocol, TypeVar

from nemocli.core.value_class import value_class
from nemocli.weights.repository import Blob, Listing

T = TypeVar("T")


@value_class(frozen=True, slots=True)
class Ask:
    """A GET of bytes `start` to `end` (None: to the last). `token` goes to the URL's own origin
    and is left out wherever a redirect leads elsewhere."""

    url: str
    start: int = 0
    end: int | None = None
    token: str | None = field(default=None, repr=False)


@value_class(frozen=True, slots=True)
class Hop:
    """One answer: where from, status, and header names in lower case."""

    url: str
    status: int
    headers: Mapping[str, str]


class Body(Protocol):
    """The last answer with its bytes, and the redirects that led to it."""

    @property
    def hops(self) -> Sequence[Hop]: ...

    def readinto(self, view: memoryview) -> int:
        """Some bytes, as soon as there are any; 0 at the end. Raises NemoError."""
        ...

    def text(self) -> bytes:
        """The first bytes of a refusal, for people."""
        ...

    def close(self, *, reuse: bool) -> None:
        """Let go; `reuse` only when every byte was read."""
        ...


class Connections(Protocol):
    """One worker's connections, kept open between its requests."""

    def get(self, ask: Ask) -> Body:
        """Ask, and follow redirects. Raises NemoError with a network kind."""
        ...

    def abort(self) -> None:
        """From another thread: whatever waits on a socket here fails at once."""
        ...

    def close(self) -> None: ...


class Bulk(Protocol):
    """Another engine, which brings contents whole. It is not trusted: what it wrote is read."""

    def takes(self, blob: Blob) -> bool: ...

    def bring(self, wanted: Sequence[tuple[Blob, str]], moved: Callable[[int], None]) -> None:
        """Write each content to its path; `moved` hears the bytes so far. Raises NemoError."""
        ...

    def abort(self) -> None:
        """From another thread: a `bring` ends at once."""
        ...


class Part(Protocol):
    """A content under way, of its full size from the start."""

    def write(self, data: memoryview, offset: int) -> None: ...
    def read(self, view: memoryview, offset: int) -> int: ...
    def sync(self) -> None: ...
    def close(self) -> None: ...


@value_class(frozen=True, slots=True)
class Stamp:
    """What tells a file from a changed one without reading it."""

    size: int
    mtime_ns: int


@value_class(frozen=True, slots=True)
class Space:
    """Free bytes and free files on the target, None where it does not count them."""

    free: int
    files: int | None


class Store(Protocol):
    """Where a repository is kept. A *seat* is a place a content finally has; a part becomes one by
    a rename. Every failure of the disk leaves as NemoError naming the file."""

    folder: str

    def lock(self) -> AbstractContextManager[str | None]:
        """Take it: None when it is ours, else who has it (and nothing is held)."""
        ...

    def seats(self, blob: Blob) -> tuple[str, ...]: ...
    def stamp(self, seat: str) -> Stamp | None: ...
    def open_seat(self, seat: str) -> Part: ...
    def part_path(self, blob: Blob) -> str: ...
    def part_bytes(self, blob: Blob) -> int: ...
    def part(self, blob: Blob) -> Part: ...
    def withdraw(self, seat: str, blob: Blob) -> None: ...
    def drop_part(self, blob: Blob) -> None: ...
    def publish(self, blob: Blob) -> None: ...
    def reserve(self, blobs: Sequence[Blob]) -> None: ...
    def space(self) -> Space: ...
    def check_case(self, pairs: Sequence[tuple[str, str]]) -> None: ...
    def begin(self) -> None: ...
    def finish(self, whole: Listing, files: Listing) -> str: ...

    def journal(self) -> bytes: ...
    def rewrite_journal(self, data: bytes) -> None: ...
    def note(self, line: bytes) -> None: ...
    def read_state(self, name: str) -> str | None: ...
    def write_state(self, name: str, text: str) -> None: ...


class Threads(Protocol):
    """Blocking work beside the event loop."""

    def run(self, work: Callable[[], T], abort: Callable[[], None]) -> Awaitable[T]:
        """Its outcome. When the wait is cancelled, `abort` is called and must make it end."""
        ...
