"""Lines on their way to the writer, so that a kill does not lose what has arrived.

Two files in shared memory take turns: one for the group that is being written, one for what comes
meanwhile. A line is the system's as soon as it is here, at no call to it, and outlives the process.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from nemocli.io.files import file_error, map_file

NAMES = ("came.0", "came.1")
BEFORE = ("arrived.0", "arrived.1")
"""Names of the first version, which held lines alone."""
_SIZE = struct.Struct("<Q")
_FRAME = struct.Struct("<I?")
"""Before each: its length, and whether it is packed."""
_FIRST = 1 << 20


class Arrived:
    """Written by one process, and read by the next one if this one is killed. A line that no longer
    fits is not noted: the next kill may ask for it again."""

    def __init__(self, folder: Path) -> None:
        self._paths = [folder / name for name in NAMES]
        try:
            self._maps = [map_file(path, _FIRST) for path in self._paths]
        except OSError as error:
            raise file_error("cannot write to", folder, error) from error
        self._ends = [_SIZE.size, _SIZE.size]
        self._now = 0

    def add(self, data: bytes, *, packed: bool = False) -> None:
        """A line that is not in the output yet, or an answer of which it will be made."""
        now = self._now
        held, begin = self._maps[now], self._ends[now]
        end = begin + _FRAME.size + len(data)
        if end <= _FIRST:
            held[begin:end] = _FRAME.pack(len(data), packed) + data
            _SIZE.pack_into(held, 0, end)
            self._ends[now] = end

    def turn(self) -> None:
        """What came so far is about to be written."""
        self._now = 1 - self._now

    def settle(self) -> None:
        """It is."""
        other = 1 - self._now
        _SIZE.pack_into(self._maps[other], 0, 0)
        self._ends[other] = _SIZE.size

    def close(self, *, keep: bool) -> None:
        """Let go; `keep` what could not be written."""
        for held, path in zip(self._maps, self._paths, strict=True):
            held.close()
            if not keep:
                path.unlink(missing_ok=True)


def arrivals(folder: Path) -> Iterator[tuple[bool, bytes]]:
    """Lines that an earlier process left, and packed answers: whether it is one, and its bytes."""
    for name in NAMES:
        data, at = _held(folder / name), 0
        while at < len(data):
            size, packed = _FRAME.unpack_from(data, at)
            at += _FRAME.size + size
            yield packed, data[at - size : at]
    for name in BEFORE:
        lines = _held(folder / name).splitlines(keepends=True)
        yield from ((False, line) for line in lines if line.endswith(b"\n"))


def _held(path: Path) -> bytes:
    """What is in one of the files."""
    try:
        data = path.read_bytes()
    except OSError:
        return b""
    return data[_SIZE.size : _SIZE.unpack_from(data)[0]] if len(data) >= _SIZE.size else b""


def forget(folder: Path) -> None:
    """They are in the output."""
    for name in (*NAMES, *BEFORE):
        (folder / name).unlink(missing_ok=True)
