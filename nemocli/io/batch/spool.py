"""Lines on their way to the writer, so that a kill does not lose what has arrived.

Two files in shared memory take turns: one for the group that is being written, one for what comes
meanwhile. A line is the system's as soon as it is here, at no call to it, and outlives the process.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from nemocli.io.files import file_error, map_file

NAMES = ("arrived.0", "arrived.1")
_SIZE = struct.Struct("<Q")
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

    def add(self, line: bytes) -> None:
        """A line that is not in the output yet."""
        now = self._now
        held, begin = self._maps[now], self._ends[now]
        end = begin + len(line)
        if end <= _FIRST:
            held[begin:end] = line
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


def arrivals(folder: Path) -> Iterator[bytes]:
    """Lines that an earlier process left."""
    for name in NAMES:
        try:
            data = (folder / name).read_bytes()
        except OSError:
            continue
        if len(data) >= _SIZE.size:
            end = _SIZE.unpack_from(data)[0]
            lines = data[_SIZE.size : end].splitlines(keepends=True)
            yield from (line for line in lines if line.endswith(b"\n"))


def forget(folder: Path) -> None:
    """They are in the output."""
    for name in NAMES:
        (folder / name).unlink(missing_ok=True)
