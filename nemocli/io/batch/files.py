"""The files a job grows: one that is only added to, and one of answers that wait for their turn."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from nemocli.core.records import Reader, SettledRecord, WrittenLines
from nemocli.io.files import file_error

BLOCK = 1 << 20


class Appended:
    """A file that only grows; `kept` bytes of it are spoken for."""

    def __init__(self, path: Path, kept: int) -> None:
        self.path = path
        self.kept = kept
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            self.size = os.fstat(self._file).st_size
        except OSError as error:
            raise file_error("cannot write", path, error) from error

    def append(self, lines: Sequence[bytes]) -> None:
        """All of them, or a fault and none of them."""
        if not lines:
            return
        data = b"".join(lines)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            with_hint = file_error("cannot write", self.path, error)
            os.ftruncate(self._file, self.size)
            raise with_hint from error
        self.size += len(data)

    def cut_torn(self) -> int:
        """Take a last line without its end away; its bytes."""
        if not self.size:
            return 0
        at, tail = self.size, b""
        while at > self.kept:
            begin = max(self.kept, at - BLOCK)
            tail = os.pread(self._file, at - begin, begin)
            end = tail.rfind(b"\n")
            if end >= 0 or begin == self.kept:
                whole = begin + end + 1
                torn = self.size - whole
                if torn:
                    os.ftruncate(self._file, whole)
                    self.size = whole
                return torn
            at = begin
        return 0

    def lines_from(self, at: int) -> Iterator[bytes]:
        """Whole lines from a place on."""
        with open(os.dup(self._file), "rb", buffering=BLOCK) as file:  # noqa: PTH123 - a handle
            file.seek(at)
            for line in file:
                if line.endswith(b"\n"):
                    yield line

    def close(self, *, keep_empty: bool = True) -> None:
        """Let go of it."""
        if not self.size and not keep_empty:
            self.path.unlink(missing_ok=True)
        os.close(self._file)


class OrderWindow:
    """Answers that wait for the row before them: on the disk too, for they are paid for."""

    def __init__(self, path: Path, read: Reader) -> None:
        self._path = path
        self._held: dict[int, bytes] = {}
        self._over: set[int] = set()
        self._order: deque[tuple[int, bool]] = deque()
        self._size = 0
        for line in whole_lines(path):  # of a run that was killed
            with suppress(ValueError):
                self._held[read(line).ordinal] = line
                self._size += len(line)

    def turn(self, lines: WrittenLines, settled: Sequence[SettledRecord]) -> list[bytes]:
        """Take what came in, give what is next."""
        self._order.extend(lines.order)
        for row, line in zip(settled, lines.done, strict=False):
            self._held[row.ordinal] = line
        self._over.update(row.ordinal for row in settled[len(lines.done) :])
        turn = []
        while self._order:
            ordinal, over = self._order[0]
            if ordinal in self._held:
                turn.append(self._held.pop(ordinal))
            elif ordinal in self._over:
                self._over.discard(ordinal)
            elif not over:
                break
            self._order.popleft()
        return turn

    def save(self) -> None:
        """Have what waits on the disk. Raises NemoError, and leaves what was there."""
        data = b"".join(self._held.values())
        if not data and not self._size:
            return
        beside = self._path.with_name("held.jsonl.part")
        try:
            beside.write_bytes(data)
            beside.replace(self._path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise file_error("cannot write", self._path, error) from error
        self._size = len(data)

    def hold(self, lines: Sequence[tuple[int, bytes]]) -> None:
        """Answers of an earlier run that have not had their turn. Raises NemoError."""
        self._held.update(lines)
        self.save()

    def drop(self, ordinal: int) -> None:
        """It is in the output already."""
        self._held.pop(ordinal, None)


def whole_lines(path: Path) -> list[bytes]:
    """Of a small file; none of one that is not there."""
    try:
        data = path.read_bytes()
    except OSError:
        return []
    return [line for line in data.splitlines(keepends=True) if line.endswith(b"\n")]


def errors_of(out: Path) -> Path:
    """Where failed rows go."""
    return out.with_name(f"{out.name}.errors.jsonl")


def folder_of(out: Path) -> Path:
    """What a job remembers between runs."""
    return out.with_name(f"{out.name}.nemocli")
