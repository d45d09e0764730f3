"""What is piped in and what is attached: text, whole, and never waited for in vain."""

from __future__ import annotations

import os
import select
import stat
import sys
from pathlib import Path

from nemocli.core.faults import NemoError, config_error, usage_error
from nemocli.core.text import one_line
from nemocli.io.files import file_error

MOST_BYTES = 64 * 1024 * 1024
"""Of one input: no model reads more, and a pipe without an end must not fill the memory."""
GRACE_S = 0.05
"""For a program at the other end of a pipe that has only just been started."""


def read_stdin(*, wanted: bool) -> str | None:
    """What is piped in, to its end; None when there is nothing.

    `wanted` waits for a pipe to say something; else only one that has begun to is read, so that an
    idle pipe (as cron jobs and editors leave open) hangs nobody. Terminals are never read.
    """
    if sys.stdin is None:
        return None
    handle = 0
    try:
        kind = os.fstat(handle).st_mode
        if os.isatty(handle):
            return None
        if not wanted and not stat.S_ISREG(kind) and not _ready(handle):
            return None
        return _decoded(_whole(handle), "stdin")
    except OSError as error:
        if wanted:
            raise config_error(f"cannot read stdin: {error.strerror or error}") from error
        return None


def _ready(handle: int) -> bool:
    try:
        return bool(select.select([handle], [], [], GRACE_S)[0])
    except (OSError, ValueError):  # Windows selects sockets only
        return False


def _whole(handle: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := os.read(handle, 1 << 20):
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise config_error(
                f"more than {MOST_BYTES // 2**20} MiB on stdin",
                "no model takes that much at once; send a part of it",
            )
    return b"".join(parts)


def read_attachment(path: str) -> tuple[str, str]:
    """The name and text of a file. Raises NemoError naming it."""
    file = Path(path).expanduser()
    try:
        if file.is_dir():
            raise usage_error(f"{path} is a folder", "attach its files one by one with `-f`")
        if file.stat().st_size > MOST_BYTES:
            raise config_error(f"{path}: larger than {MOST_BYTES // 2**20} MiB")
        data = file.read_bytes()
    except OSError as error:
        raise _named(file_error("cannot read", file, error), path) from error
    if b"\0" in data[:8192] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise config_error(f"{path}: not a text file (a NUL byte at {data.index(0)})")
    return one_line(path, 400), _decoded(data, path)


def _named(error: NemoError, path: str) -> NemoError:
    return error if path in error.fault.message else config_error(f"{path}: {error.fault.message}")


def _decoded(data: bytes, what: str) -> str:
    """UTF-8, with or without a byte order mark, or UTF-16 with one."""
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        hint = "`iconv -t utf-8` converts it"
        raise config_error(f"{what}: not UTF-8 text (byte {error.start})", hint) from error
