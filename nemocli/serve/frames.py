"""The events of a stream as the bytes they came in, for clients of the same dialect.

What is forwarded is what the server wrote, byte for byte, but for two things: the event that says
all is well is held back until the reply has been found complete, and counts that a client did not
ask for are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from nemocli.wire.sse import LONGEST

_BLANK = re.compile(rb"\r\n\r\n|\n\n|\r\r|\r\n\n|\n\r\n")
_DONE = re.compile(rb"^data: ?\[DONE\][ \t]*\r?$", re.MULTILINE)
_TERMINAL = re.compile(
    rb'^data:.*"type" ?: ?"(?:response\.(?:completed|incomplete|failed)|message_stop)"',
    re.MULTILINE,
)
_NO_CHOICES = re.compile(rb'"choices" ?: ?\[ ?\]')


class Frames:
    """Bytes in any cut to whole events; `held` are those from the terminal one on."""

    def __init__(self, *, counts: bool) -> None:
        self._counts = counts
        self._rest = b""
        self.held = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The events that these bytes complete, and that may be shown."""
        data = self._rest + chunk if self._rest else chunk
        start = 0
        for end in _ends(data, max(0, len(self._rest) - 3)):
            frame, start = data[start:end], end
            if self.held or _is_last(frame):
                self.held += frame
            elif self._counts or not _only_counts(frame):
                yield frame
        self._rest = data[start:]
        if len(self._rest) > 2 * LONGEST:
            self._rest = b""  # the decoder of the copy has refused it by now

    def end(self) -> bytes:
        """What is left of a reply that is complete: the terminal event, and what followed it."""
        rest, self._rest = self._rest, b""
        out = self.held + rest
        return out if out and not out.isspace() else b""


def _ends(data: bytes, start: int) -> Iterator[int]:
    """Where events end: behind each blank line."""
    if b"\r" in data:
        for found in _BLANK.finditer(data, start):
            yield found.end()
        return
    while (at := data.find(b"\n\n", start)) >= 0:
        start = at + 2
        yield start


def _is_last(frame: bytes) -> bool:
    """Whether an event says that the reply is whole."""
    if b"[DONE]" in frame and _DONE.search(frame):
        return True
    return b'"type"' in frame and _TERMINAL.search(frame) is not None


def _only_counts(frame: bytes) -> bool:
    """Whether an event of a chat stream holds counts and no part of the answer."""
    if b'"usage"' not in frame or not _NO_CHOICES.search(frame):
        return False
    try:
        data = json.loads(frame.partition(b"data:")[2])
    except ValueError:
        return False
    return isinstance(data, dict) and data.get("choices") == [] and bool(data.get("usage"))
