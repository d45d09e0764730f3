"""The keyboard while nobody is asked: what is typed is not echoed and waits for the next question,
and Ctrl-C is still a signal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

if sys.platform == "win32":

    @contextmanager
    def no_echo() -> Iterator[None]:
        """Windows consoles echo only what a program reads."""
        yield

else:
    import termios

    @contextmanager
    def no_echo() -> Iterator[None]:
        """Without echo, and key by key, Enter as it was typed; as it was, afterwards."""
        try:
            before = termios.tcgetattr(0)
        except termios.error:
            yield
            return
        now = list(before)
        now[0] &= ~termios.ICRNL  # a question typed ahead is sent, not left on a line of its own
        now[3] &= ~(termios.ECHO | termios.ICANON)
        with suppress(termios.error):
            termios.tcsetattr(0, termios.TCSANOW, now)
        try:
            yield
        finally:
            with suppress(termios.error):
                termios.tcsetattr(0, termios.TCSANOW, before)
