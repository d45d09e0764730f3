"""What is piped in and what is attached: text, whole, and never waited for in vain."""

from __future__ import annotations

import base64
import os
import select
import stat
import sys
from collections.abc import Callable
from pathlib import Path

from nemocli.core.faults import config_error, usage_error
from nemocli.core.request import Image
from nemocli.core.text import one_line
from nemocli.io.files import file_error
from nemocli.io.text import image_type, text_of

MOST_BYTES = 64 * 1024 * 1024
"""Of one input: no model reads more, and a pipe without an end must not fill the memory."""
MOST_IMAGE = 20 * 1024 * 1024
"""Of one picture: what sellers take at the most."""
NOTICE_S = 1.0
"""After so long a wait for stdin is said."""
SILENT_S = 5.0
"""For the program at the other end of a pipe to write something, where a prompt was typed too."""
_STDIN = 0


def read_stdin(*, wanted: bool, say: Callable[[str], None] | None = None) -> str | None:
    """What is piped in, to its end; None when there is nothing.

    `wanted` waits for as long as it takes; else a pipe gets SILENT_S to begin, or to end, so that
    one that nobody writes to (as cron jobs and editors leave open) hangs nobody. `say` is told what
    is waited for, and of a file that is taken along. Terminals are never read. Raises NemoError for
    what has begun and cannot be read to its end, or is no text.
    """
    if sys.stdin is None:
        return None
    try:
        kind = os.fstat(_STDIN).st_mode
    except OSError:  # closed
        return None
    if os.isatty(_STDIN):
        return None
    say = say or _unsaid
    if not stat.S_ISREG(kind) and not _begun(wanted, say):
        return None
    try:
        data = _whole(_STDIN, "stdin")
    except OSError as error:
        raise config_error(f"cannot read stdin: {error.strerror or error}") from error
    if stat.S_ISREG(kind) and not wanted and data:
        say(f"{len(data):,} bytes of stdin go along with the prompt; `-n` leaves stdin alone")
    return text_of(data, "stdin")


def _unsaid(_: str) -> None:
    """Nobody listens."""


def _begun(wanted: bool, say: Callable[[str], None]) -> bool:
    """Wait for a pipe's first byte, or for its end."""
    if _ready(_STDIN, NOTICE_S):
        return True
    if wanted:
        say("waiting for stdin; Ctrl-D or Ctrl-C ends it")
        return True
    say(f"waiting for stdin, {SILENT_S:g} s at the most; `-n` leaves it alone")
    if _ready(_STDIN, SILENT_S - NOTICE_S):
        return True
    say(
        f"nothing came from stdin in {SILENT_S:g} s: asked without it; `-` as a prompt waits longer"
    )
    return False


def read_attachment(path: str) -> tuple[str, str]:
    """The name and text of a file; a pipe with a name (`<(command)`) will do.

    Raises NemoError naming what is no file, too large, or no text.
    """
    return one_line(path, 400), text_of(_file(path), path)


def read_text_or_image(path: str) -> tuple[str, str] | Image:
    """The same, or the picture that a file holds. Raises NemoError as `read_attachment` does."""
    data = _file(path)
    if (kind := image_type(data)) is None:
        return one_line(path, 400), text_of(data, path)
    if len(data) > MOST_IMAGE:
        raise config_error(f"more than {MOST_IMAGE // 2**20} MiB: {path}", "send a smaller picture")
    return Image(f"data:{kind};base64,{base64.b64encode(data).decode()}")


def _file(path: str) -> bytes:
    if path == "-":
        raise usage_error("`-f -`: stdin is no file", "what is piped in is sent along without it")
    file = Path(path)
    try:
        file = file.expanduser()
        if file.is_dir():
            raise usage_error(f"{path} is a folder", "attach its files one by one with `-f`")
        with file.open("rb") as source:
            return _whole(source.fileno(), path)
    except OSError as error:
        raise file_error("cannot read", Path(path), error) from error
    except (ValueError, RuntimeError) as error:  # a NUL in the name; a home that is not there
        raise config_error(f"cannot read {path!r}: {error}") from error


def _whole(handle: int, what: str) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := _some(handle):
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise config_error(
                f"more than {MOST_BYTES // 2**20} MiB: {what}",
                "no model takes that much at once; send a part of it",
            )
    return b"".join(parts)


def _some(handle: int) -> bytes:
    while True:
        try:
            return os.read(handle, 1 << 20)
        except BlockingIOError:  # whoever shares the pipe with us made it non-blocking
            select.select([handle], [], [])


if sys.platform == "win32":
    import ctypes
    import msvcrt
    import time

    def _ready(handle: int, seconds: float) -> bool:
        """Windows selects sockets only; a pipe there is looked into."""
        ends = time.monotonic() + seconds
        while not _has_data(handle):
            if time.monotonic() > ends:
                return False
            time.sleep(0.02)
        return True

    def _has_data(handle: int) -> bool:
        waiting = ctypes.c_ulong()
        pipe = ctypes.c_void_p(msvcrt.get_osfhandle(handle))
        peeked = ctypes.windll.kernel32.PeekNamedPipe(
            pipe, None, 0, None, ctypes.byref(waiting), None
        )
        return waiting.value > 0 or not peeked  # a pipe that is over cannot be looked into

else:

    def _ready(handle: int, seconds: float) -> bool:
        """Whether there is something to read in that time, the end of a pipe included."""
        return bool(select.select([handle], [], [], seconds)[0])
