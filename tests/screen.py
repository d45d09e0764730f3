"""A terminal one can look at: the program runs on a pty, and an emulator keeps the screen.

with Terminal("chat", "-p", "stub", home=home) as terminal:
    terminal.until("> ")
    terminal.type("hello\\r")
    terminal.until("Hello.")
    assert terminal.lines() == [...]
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping

import pyte

from tests.run import _LAUNCH, Home, TookTooLong, argv


class Terminal:
    """A run on a terminal of `columns` by `rows`. A context manager: what still runs is killed."""

    def __init__(
        self,
        *args: str,
        home: Home,
        columns: int = 80,
        rows: int = 24,
        env: Mapping[str, str] | None = None,
        stdin: int | None = None,
        line: list[str] | None = None,
    ) -> None:
        self.raw = b""
        self.screen = pyte.HistoryScreen(columns, rows, history=20_000, ratio=0.001)
        self.screen.write_process_input = self._reply
        self._stream = pyte.ByteStream(self.screen)
        self._primary, secondary = os.openpty()
        self._set_size(columns, rows)
        self.process = subprocess.Popen(
            [sys.executable, "-SEc", _LAUNCH, os.ttyname(secondary), *(line or argv(*args))],
            stdin=secondary if stdin is None else stdin,
            stdout=secondary,
            stderr=secondary,
            env=home.environment({"TERM": "xterm-256color", **(env or {})}),
            cwd=home.cwd,
            start_new_session=True,
        )
        os.close(secondary)

    def _set_size(self, columns: int, rows: int) -> None:
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._primary, termios.TIOCSWINSZ, size)

    def _reply(self, data: str) -> None:
        """What the terminal itself answers, such as where its cursor is."""
        with contextlib.suppress(OSError):
            os.write(self._primary, data.encode())

    def resize(self, columns: int, rows: int) -> None:
        """As if somebody drew at the window's corner."""
        self.screen.resize(rows, columns)
        self._set_size(columns, rows)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGWINCH)

    def type(self, text: str | bytes) -> None:
        """Keys, as a terminal sends them."""
        os.write(self._primary, text.encode() if isinstance(text, str) else text)

    def paste(self, text: str, *, ended: bool = True) -> None:
        """A bracketed paste; `ended` False loses its end mark."""
        self.type(f"\x1b[200~{text}" + "\x1b[201~" * ended)

    def pump(self, seconds: float) -> bool:
        """Take what comes for so long; False when nobody has the terminal open any more."""
        if not select.select([self._primary], [], [], max(0.0, seconds))[0]:
            return True
        try:
            data = os.read(self._primary, 65536)
        except OSError:
            return False
        self.raw += data
        self._stream.feed(data)
        return bool(data)

    def until(self, wanted: str | Callable[[], bool], timeout: float = 20) -> None:
        """Until a text is on the screen (or in the scrollback), or something holds."""
        end = time.monotonic() + timeout
        while not (wanted() if callable(wanted) else wanted in self.text()):
            if time.monotonic() > end or not self.pump(end - time.monotonic()):
                raise TookTooLong(f"{wanted!r} never came:\n{self.text()}")

    def settle(self, seconds: float = 0.3) -> None:
        """Until nothing came for so long."""
        while True:
            before = len(self.raw)
            self.pump(seconds)
            if len(self.raw) == before:
                return

    def lines(self) -> list[str]:
        """The scrollback and the screen, without what is blank at the ends."""
        history = [
            "".join(line[x].data for x in range(self.screen.columns)).rstrip()
            for line in self.screen.history.top
        ]
        shown = [*history, *(line.rstrip() for line in self.screen.display)]
        while shown and not shown[-1]:
            shown.pop()
        return shown

    def text(self) -> str:
        return "\n".join(self.lines())

    def end(self, timeout: float = 20) -> int:
        """Wait for the program's end; its exit code."""
        end = time.monotonic() + timeout
        while self.pump(0.2) and self.process.poll() is None:
            if time.monotonic() > end:
                raise TookTooLong(self.text())
        return self.process.wait(max(1.0, end - time.monotonic()))

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._primary)
