"""The keyboard while nobody is asked: what is typed is not echoed and waits for the next question,
and Ctrl-C is still a signal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

if sys.platform == "win32":

    class QuietKeyboard:
        """Windows consoles echo only what a program reads."""

        def __enter__(self) -> QuietKeyboard:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        @contextmanager
        def lent(self) -> Iterator[None]:
            """As it was before, for another program."""
            yield

else:
    import termios

    class QuietKeyboard:
        """Without echo, and key by key, Enter as it was typed, from `with` to its end: nothing that
        is typed between one question and the next is drawn, or read as something else."""

        def __init__(self) -> None:
            self._before: list[Any] | None = None

        def __enter__(self) -> QuietKeyboard:
            try:
                before = termios.tcgetattr(0)
            except termios.error:
                return self  # no terminal: nothing is typed
            self._before = before
            now = list(before)
            now[0] &= ~termios.ICRNL  # a message typed ahead is sent
            now[3] &= ~(termios.ECHO | termios.ICANON)
            _set(now)
            return self

        def __exit__(self, *_: object) -> None:
            if self._before is not None:
                _set(self._before)

        @contextmanager
        def lent(self) -> Iterator[None]:
            """As it was before, for another program."""
            self.__exit__()
            try:
                yield
            finally:
                self.__enter__()

    def _set(attributes: list[Any]) -> None:
        with suppress(termios.error):
            termios.tcsetattr(0, termios.TCSANOW, attributes)
