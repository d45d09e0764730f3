"""What the three standard streams are: terminals or not, coloured or not, how wide."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import IO, Any, Literal

from nemocli.core.value_class import value_class

Colour = Literal["auto", "always", "never"]

NARROWEST = 40


@value_class(frozen=True, slots=True)
class Terminal:
    """Each stream judged by itself. `width` in columns, of whichever output is a terminal."""

    stdin: bool
    stdout: bool
    stderr: bool
    colour_out: bool
    colour_err: bool
    width: int = 80

    @property
    def talks(self) -> bool:
        """Whether somebody can be asked: questions are written to stderr and read from stdin."""
        return self.stdin and self.stderr


def terminal_from(env: Mapping[str, str], colour: Colour = "auto") -> Terminal:
    """The streams of this process as they are now."""
    stdin, stdout, stderr = (_tty(s) for s in (sys.stdin, sys.stdout, sys.stderr))
    out, err = (_coloured(env, colour, tty) for tty in (stdout, stderr))
    return Terminal(stdin, stdout, stderr, out, err, _width(env))


def _coloured(env: Mapping[str, str], colour: Colour, tty: bool) -> bool:
    """The flag, then NO_COLOR, FORCE_COLOR, TERM=dumb (no-color.org, force-color.org)."""
    if colour != "auto":
        return colour == "always"
    if env.get("NO_COLOR"):
        return False
    if env.get("FORCE_COLOR", "0") not in ("", "0") or env.get("CLICOLOR_FORCE", "0") != "0":
        return True
    return tty and env.get("TERM") != "dumb"


def _tty(stream: IO[Any] | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def _width(env: Mapping[str, str]) -> int:
    if env.get("COLUMNS", "").isdecimal():
        return max(int(env["COLUMNS"]), NARROWEST)
    for handle in (1, 2, 0):
        try:
            return max(os.get_terminal_size(handle).columns, NARROWEST)
        except OSError:
            continue
    return 80


def screen_size(width: int = 80) -> tuple[int, int]:
    """Columns and rows of the terminal that stdout is, as they are now."""
    try:
        size = os.get_terminal_size(1)
    except OSError:
        return width, 24
    return max(20, size.columns), size.lines
