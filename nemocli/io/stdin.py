"""What is piped in and what is attached: text, whole, and never waited for in vain."""

from __future__ import annotations

import os
import select
import stat
import sys
from pathlib import Path

from nemocli.core.faults import config_error, usage_error
from nemocli.core.text import one_line
from nemocli.io.files import file_error

MOST_BYTES = 64 * 1024 * 1024
"""Of one input: no model reads more, and a pipe without an end must not fill the memory."""
GRACE_S = 0.05
"""For a program at the other end of a pipe that has only just been started."""
_STDIN = 0
_WIDE = (b"\xff\xfe", b"\xfe\xff")


def read_stdin(*, wanted: bool) -> str | None:
    """What is piped in, to its end; None when there is nothing.

    `wanted` waits for a pipe to say something; else only one that has begun to is read, so that an
    idle pipe (as cron jobs and editors leave open) hangs nobody. Terminals are never read. Raises
    NemoError for what has begun and cannot be read to its end, or is no text.
    """
    if sys.stdin is None:
        return None
    try:
        kind = os.fstat(_STDIN).st_mode
    except OSError:  # closed
        return None
    if os.isatty(_STDIN) or not (wanted or stat.S_ISREG(kind) or _ready(_STDIN)):
        return None
    try:
        data = _whole(_STDIN, "stdin")
    except OSError as error:
        raise config_error(f"cannot read stdin: {error.strerror or error}") from error
    return _decoded(data, "stdin")


def read_attachment(path: str) -> tuple[str, str]:
    """The name and text of a file; a pipe with a name (`<(command)`) will do.

    Raises NemoError naming what is no file, too large, or no text.
    """
    if path == "-":
        raise usage_error("`-f -`: stdin is no file", "what is piped in is sent along without it")
    file = Path(path)
    try:
        file = file.expanduser()
        if file.is_dir():
            raise usage_error(f"{path} is a folder", "attach its files one by one with `-f`")
        with file.open("rb") as source:
            data = _whole(source.fileno(), path)
    except OSError as error:
        raise file_error("cannot read", Path(path), error) from error
    except (ValueError, RuntimeError) as error:  # a NUL in the name; a home that is not there
        raise config_error(f"cannot read {path!r}: {error}") from error
    text = _decoded(data, path)
    if (at := text.find("\0")) >= 0:
        before = len(text[:at].encode("utf-16-le" if data.startswith(_WIDE) else "utf-8"))
        raise config_error(
            f"{path}: not a text file (a NUL byte at {before + _mark_size(data)})",
            "turn it into text first",
        )
    return one_line(path, 400), text


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


def _decoded(data: bytes, what: str) -> str:
    """UTF-8, with or without a byte order mark, or UTF-16 with one."""
    wide = data.startswith(_WIDE)
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        at = error.start + (0 if wide else _mark_size(data))
        hint = "`iconv -t utf-8` converts text in other encodings"
        name = "UTF-16" if wide else "UTF-8"
        raise config_error(f"{what}: not {name} text (byte {at})", hint) from error


def _mark_size(data: bytes) -> int:
    """The length of the byte order mark, which the decoders swallow."""
    return 2 if data.startswith(_WIDE) else 3 if data.startswith(b"\xef\xbb\xbf") else 0


if sys.platform == "win32":
    import ctypes
    import msvcrt
    import time

    def _ready(handle: int) -> bool:
        """Windows selects sockets only; a pipe there is looked into."""
        if _has_data(handle):
            return True
        time.sleep(GRACE_S)
        return _has_data(handle)

    def _has_data(handle: int) -> bool:
        waiting = ctypes.c_ulong()
        pipe = ctypes.c_void_p(msvcrt.get_osfhandle(handle))
        peeked = ctypes.windll.kernel32.PeekNamedPipe(
            pipe, None, 0, None, ctypes.byref(waiting), None
        )
        return waiting.value > 0 or not peeked  # a pipe that is over cannot be looked into

else:

    def _ready(handle: int) -> bool:
        """Whether there is something to read, the end of a pipe included."""
        return bool(select.select([handle], [], [], GRACE_S)[0])
