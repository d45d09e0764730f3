"""The only writer to stdout: the answer or the data, and nothing else."""

from __future__ import annotations

import json
import os
import sys
from typing import IO, TYPE_CHECKING, Any

from nemocli.core.faults import Fault, FaultKind
from nemocli.core.text import neutral

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nemocli.core.values import Json

STDOUT = 1
MOST_HELD = 64 * 1024
"""Characters of a line that a pipe waits for."""


class ReaderGone(Exception):
    """Whoever read stdout has left: no failure, but nothing more to do."""


class Unwritable(Exception):
    """stdout cannot take what it should (a full disk)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.fault = Fault(FaultKind.CONFIG, f"cannot write the output: {reason}", sent=False)


class Output:
    """Text as it came; on a terminal without anything the terminal would obey.

    On a terminal every piece is written at once, in a pipe every line, so that a stream is a stream
    and lines of programs side by side stay whole. Raises ReaderGone and
    Unwritable, which are not NemoErrors: no call to a provider failed.
    """

    def __init__(self, stream: IO[str] | None, tty: bool, width: int | None = None) -> None:
        """`width`: columns of the terminal; None where there is none."""
        self.width = width
        self._bytes: IO[bytes] | None = getattr(stream, "buffer", None)
        self._tty = tty
        self._last = "\n"
        self._held: list[str] = []  # the line that was begun, in a pipe
        self._held_chars = 0

    def ready(self) -> None:
        """Raises Unwritable where stdout is closed: asked before something is paid for."""
        if self._bytes is None:
            raise Unwritable("stdout is closed")

    def text(self, text: str) -> None:
        """A piece of the answer."""
        if not text:
            return
        self._last = text[-1]
        if self._tty:
            self._write(neutral(text).encode("utf-8", "replace"))
            return
        # In a pipe whole lines: programs side by side (`xargs -P`) share one.
        line, newline, rest = text.rpartition("\n")
        if newline or self._held_chars + len(rest) > MOST_HELD:
            whole = "".join((*self._held, line, newline))
            self._held, self._held_chars = [], 0
            if not newline:
                whole, rest = whole + rest, ""
            self._write(whole.encode("utf-8", "replace"))
        if rest:
            self._held.append(rest)
            self._held_chars += len(rest)

    def flush(self) -> None:
        """Write the line that was begun, as it is."""
        if self._held:
            whole, self._held, self._held_chars = "".join(self._held), [], 0
            self._write(whole.encode("utf-8", "replace"))

    def end_line(self) -> None:
        """A newline, unless the last piece ended in one."""
        if self._last != "\n":
            self.text("\n")

    def line(self, text: str = "") -> None:
        """One line."""
        self.text(text + "\n")

    def lines(self, lines: Iterable[str]) -> None:
        """A line each, as they come."""
        for text in lines:
            self.text(text + "\n")

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Rows under their heads, as wide as the terminal is."""
        from nemocli.cli.terminal.tables import table

        self.lines(table(heads, rows, self.width))

    def mark(self, mark: str, code: str, text: str) -> None:
        """A line that begins with a coloured mark; `code` is the SGR code, empty for none."""
        self.flush()
        shown = f"\x1b[{code}m{mark}\x1b[0m" if code else mark
        self._last = "\n"
        self._write(f"{shown}{neutral(text) if self._tty else text}\n".encode("utf-8", "replace"))

    def paint(self, text: str) -> None:
        """Text for a terminal with what it shall obey in it: what came from elsewhere was made
        harmless before."""
        if text:
            self.flush()
            self._last = text[-1]
            self._write(text.encode("utf-8", "replace"))

    def json(self, value: object) -> None:
        """One indented JSON document; money stays exact as text."""
        self.line(json_text(value, indent=2))

    def jsonl(self, value: Json) -> None:
        """One JSON value on a line of its own."""
        self.line(json_text(value))

    def _write(self, data: bytes) -> None:
        if self._bytes is None:
            raise Unwritable("stdout is closed")
        try:
            self._bytes.write(data)
            self._bytes.flush()
        except BrokenPipeError as error:
            _let_go()
            raise ReaderGone from error
        except OSError as error:
            _let_go()
            raise Unwritable(error.strerror or str(error)) from error


def json_text(value: object, indent: int | None = None) -> str:
    """JSON with readable text; half a character is escaped, so that every reader can decode it."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=_plain)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent, default=_plain)
    return text


def _plain(value: Any) -> Json:
    if type(value).__name__ == "Decimal":  # not imported for those who print none
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _let_go() -> None:
    """Nothing may be flushed into a broken stream when the interpreter ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, STDOUT)
    os.close(nowhere)


def stdout(tty: bool, width: int | None = None) -> Output:
    """The process's own."""
    return Output(sys.stdout, tty, width)
