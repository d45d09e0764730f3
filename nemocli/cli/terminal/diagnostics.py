"""The only writer to stderr: what happened, to whom, and what to type next."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from nemocli.cli.terminal.output import json_text
from nemocli.core.faults import Fault
from nemocli.core.text import neutral, wrap

if TYPE_CHECKING:
    from nemocli.core.values import Json

_CODES = {"error": "1;31", "hint": "36", "warning": "33", "dim": "2"}


class Diagnostics:
    """Lines for people; with `json` the failure is an object for programs, on the last line.

    `quiet` leaves only failures. A broken stderr is nobody's failure.
    """

    def __init__(
        self,
        stream: IO[str] | None,
        colour: bool,
        *,
        quiet: bool = False,
        json: bool = False,
        width: int | None = None,
    ) -> None:
        self._stream = stream
        self._width = (
            width  # of the terminal it is; None for files and pipes, which get lines whole
        )
        self.colour = colour
        self.quiet = quiet
        self.failed = False  # whether a failure was said
        self.json = json

    def error(self, fault: Fault) -> None:
        """A failure."""
        self.failed = True
        if self.json:
            self._line(json_text({"error": error_json(fault)}))
            return
        self._headed("error", "nemocli:", _named(fault))
        if fault.advice:
            self._headed("hint", "hint:", fault.advice)
        if fault.request_id:
            self._line(self._styled("dim", f"request id {neutral(fault.request_id)}"))

    def text(self, text: str) -> None:
        """Lines that stand as they are: a help page that nobody asked for."""
        self.failed = True
        for line in text.splitlines():
            self._line(line)

    def warn(self, text: str) -> None:
        """Something that should be known, and did not stop anything."""
        if not self.quiet:
            self._headed("warning", "note:", text)

    def dim(self, text: str) -> None:
        """A receipt, progress."""
        if not self.quiet:
            self._line(self._styled("dim", self._fitted(neutral(text))))

    def ask(self, text: str) -> None:
        """A question, without the newline, so that the answer follows it."""
        self._write(neutral(text) + " ")

    def debug(self, text: str) -> None:
        """A line of the debug log, whatever else is silenced."""
        self._line(self._styled("dim", neutral(text)))

    def piece(self, text: str) -> None:
        """Part of a dim text that comes bit by bit."""
        self._write(self._styled("dim", neutral(text)))

    def transient(self, text: str) -> None:
        """A line that the next one replaces; needs a terminal that obeys."""
        self._write(f"\r\x1b[2K\x1b[2m{neutral(text)}\x1b[0m" if text else "\r\x1b[2K")

    def _headed(self, style: str, head: str, text: str) -> None:
        said = self._fitted(neutral(text), len(head) + 1)
        self._line(f"{self._styled(style, head)} {said}")

    def _fitted(self, text: str, taken: int = 0) -> str:
        return text if self._width is None else wrap(text, self._width, "  ", taken)

    def _styled(self, style: str, text: str) -> str:
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self.colour else text

    def _line(self, text: str) -> None:
        self._write(text + "\n")

    def _write(self, text: str) -> None:
        if self._stream is None:
            return
        with suppress(OSError, ValueError):
            self._stream.write(text.encode("utf-8", "replace").decode())
            self._stream.flush()


def _named(fault: Fault) -> str:
    """The message with the provider in it."""
    name = fault.provider
    if name is None or re.search(rf"\b{re.escape(name)}\b", fault.message, re.IGNORECASE):
        return fault.message
    return f"{fault.provider}: {fault.message}"


def error_json(fault: Fault) -> dict[str, Json]:
    """The failure as `--json` prints it."""
    said: dict[str, Json] = {
        "code": str(fault.kind),
        "exit_code": int(fault.exit_code),
        "message": fault.message,
        "hint": fault.advice,
        "provider": fault.provider,
        "retryable": fault.retryable,
    }
    if fault.status is not None:
        said["http_status"] = fault.status
    if fault.retry_after_s is not None:
        said["retry_after_s"] = fault.retry_after_s
    if fault.request_id is not None:
        said["request_id"] = fault.request_id
    return said


def stderr(
    colour: bool, *, quiet: bool = False, json: bool = False, width: int | None = None
) -> Diagnostics:
    """The process's own."""
    return Diagnostics(sys.stderr, colour, quiet=quiet, json=json, width=width)
