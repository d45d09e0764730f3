"""Bytes to server-sent events, with no I/O and no opinion about the payload."""

from __future__ import annotations

from collections.abc import Iterator

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.value_class import value_class

LONGEST = 16 * 1024 * 1024
"""Bytes of one line, and of the data of one event: no honest server sends more."""

MOST_STRAY = 4096
"""Bytes that are kept of lines that belong to no event stream: an error put in by a gateway."""

_BOM = b"\xef\xbb\xbf"
_FIELDS = (b"data", b"event", b"id", b"retry")


@value_class(frozen=True, slots=True)
class ServerEvent:
    """One dispatched event. Lines of data are joined with newlines; `event` is often empty."""

    data: str
    event: str = ""


class SseParser:
    """Feed it any cut of the stream; the events are the same.

    Lines end at CR, LF or CRLF and nowhere else: JSON may hold U+2028 and U+0085 as they are
    (WHATWG HTML, "Server-sent events", 2026). Every byte is looked at once, however small the
    chunks of a giant line. Raises NemoError (protocol) for a line or an event above LONGEST.
    """

    __slots__ = ("_after_cr", "_data", "_event", "_first", "_held", "_tail", "recognised", "stray")

    def __init__(self) -> None:
        self._tail: list[bytes] = []
        self._held = 0  # bytes of the unfinished line and of the data before it
        self._data: list[bytes] = []
        self._event = ""
        self._first = True
        self._after_cr = False
        self.recognised = False  # whether any line so far was one of an event stream
        self.stray = b""  # what stood on lines of no event stream since the last data

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The events that these bytes complete."""
        if self._after_cr and chunk:
            self._after_cr = False
            if chunk[0] == 0x0A:  # the other half of CRLF
                chunk = chunk[1:]
        if not chunk:
            return
        self._after_cr = chunk[-1] == 0x0D
        lines = chunk.splitlines()  # of bytes: at CR, LF and CRLF only
        rest = b"" if chunk[-1] in b"\r\n" else lines.pop()
        if lines and self._tail:
            lines[0] = b"".join((*self._tail, lines[0]))
            self._held -= sum(map(len, self._tail))
            self._tail.clear()
        for line in lines:
            if line:
                self._line(line)
            elif self._data or self._event:
                yield from self._dispatch()
        if rest:
            self._tail.append(rest)
            self._hold(len(rest))

    def flush(self) -> Iterator[ServerEvent]:
        """The event that was begun and lacks its blank line: for a stream that has ended.

        The standard drops it. Servers that end with `data: [DONE]` and no newline are common, and
        whether the data is whole can be told by whoever reads it.
        Raises nothing: what is here was let in by `feed`.
        """
        if self._tail:
            line = b"".join(self._tail)
            self._tail.clear()
            self._held -= len(line)
            self._line(line)
        if self._data:
            yield from self._dispatch()

    @property
    def pending(self) -> bool:
        """Whether something was begun and not finished."""
        return bool(self._tail or self._data)

    def _dispatch(self) -> Iterator[ServerEvent]:
        if self._data:
            data = b"\n".join(self._data).decode("utf-8", "replace")
            event = ServerEvent(data, self._event)
            self._data.clear()
            self._held, self._event = 0, ""
            yield event
        self._event = ""

    def _line(self, line: bytes) -> None:
        if self._first:
            self._first = False
            line = line.removeprefix(_BOM)
        name, _, value = line.partition(b":")
        if name == b"data":
            value = value.removeprefix(b" ")
            self._data.append(value)
            self._hold(len(value) + 1)
            self.recognised = True
            self.stray = b""
        elif not name or name in _FIELDS:
            self.recognised = True
            if name == b"event":
                self._event = value.removeprefix(b" ").decode("utf-8", "replace")
        elif len(self.stray) < MOST_STRAY:
            self.stray += line[:MOST_STRAY] + b"\n"

    def _hold(self, size: int) -> None:
        self._held += size
        if self._held > LONGEST:
            raise NemoError(
                Fault(
                    FaultKind.PROTOCOL,
                    f"the server sent more than {LONGEST // 2**20} MiB without ending an event",
                    "check `base_url`, or use another path with `-p`",
                )
            )
