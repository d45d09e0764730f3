"""Which rows of a job are over: 24 bytes a row in one file, written in place."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path

from nemocli.core.faults import config_error
from nemocli.core.records import SettledRecord
from nemocli.io.files import PRIVATE_FILE, file_error

MAGIC = b"nemocli batch 1\n"
_HEAD = struct.Struct("<16s16sQQ")
_AT = 64
_SLOT = struct.Struct("<8s8sB7x")
_CHUNK = 4096
"""Slots read at once: rows come in order."""
_NOTHING = bytes(_SLOT.size)


class Index:
    """Slots by ordinal: 8 bytes of the record, 8 of what it asks, and how it ended.

    `out_size` and `err_size` are the bytes of both output files that slots speak of; what lies
    beyond them was written right before a kill. Raises NemoError for a file of another version.
    """

    def __init__(self, path: Path, fingerprint: bytes) -> None:
        self.path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
            head = os.pread(self._file, _HEAD.size, 0)
        except OSError as error:
            raise file_error("cannot open", path, error) from error
        self.fingerprint = fingerprint
        self.out_size = self.err_size = 0
        if len(head) < _HEAD.size:
            self.write_head(0, 0)
        else:
            self._read_head(head)
        self._first = -_CHUNK
        self._slots = b""
        self._length = max(0, os.fstat(self._file).st_size - _AT) // _SLOT.size

    def _read_head(self, head: bytes) -> None:
        magic, self.fingerprint, self.out_size, self.err_size = _HEAD.unpack(head)
        if magic != MAGIC:
            self.close()
            raise config_error(
                f"{self.path} was written by another version of nemocli",
                "finish the job with that one, or start over with `--restart`",
            )

    def slot(self, ordinal: int) -> tuple[bytes, bytes, int]:
        """Record, question, state (0: not over)."""
        if ordinal >= self._length:
            return b"", b"", 0
        if not 0 <= ordinal - self._first < _CHUNK:
            self._first = ordinal - ordinal % _CHUNK
            self._slots = os.pread(self._file, _CHUNK * _SLOT.size, _AT + self._first * _SLOT.size)
        at = (ordinal - self._first) * _SLOT.size
        raw, key, state = _SLOT.unpack_from(self._slots, at)
        return raw, key, state

    def is_settled(self, ordinal: int, raw: bytes) -> bool:
        """Whether exactly this record is over: the fast half of `slot`."""
        if ordinal >= self._length:
            return False
        if not 0 <= ordinal - self._first < _CHUNK:
            self.slot(ordinal)
        at = (ordinal - self._first) * _SLOT.size
        slots = self._slots
        return slots[at : at + 8] == raw and slots[at + 16] != 0

    def write_all(self, rows: Sequence[SettledRecord]) -> None:
        """How each of these ended. Rows beside one another are written at once."""
        slots = {row.ordinal: _SLOT.pack(row.raw, row.key, row.state) for row in rows}
        run: list[bytes] = []
        first = -1
        for ordinal in sorted(slots):
            if ordinal != first + len(run):
                self._write_run(first, run)
                first, run = ordinal, []
            run.append(slots[ordinal])
        self._write_run(first, run)

    def _write_run(self, first: int, run: list[bytes]) -> None:
        if run:
            os.pwrite(self._file, b"".join(run), _AT + first * _SLOT.size)

    def forget(self, ordinal: int) -> None:
        """It is to be asked again."""
        os.pwrite(self._file, _NOTHING, _AT + ordinal * _SLOT.size)
        self._first = -_CHUNK

    def counts(self) -> dict[int, int]:
        """How many rows ended in which way."""
        found: dict[int, int] = {}
        for first in range(0, self._length, _CHUNK):
            data = os.pread(self._file, _CHUNK * _SLOT.size, _AT + first * _SLOT.size)
            states = data[16 :: _SLOT.size]
            for state in set(states) - {0}:
                found[state] = found.get(state, 0) + states.count(state)
        return found

    def reread(self) -> None:
        """Look again: slots were written that had been read before."""
        self._first = -_CHUNK
        self._length = max(0, os.fstat(self._file).st_size - _AT) // _SLOT.size

    def write_head(self, out_size: int, err_size: int) -> None:
        """How far the slots speak."""
        self.out_size, self.err_size = out_size, err_size
        os.pwrite(self._file, _HEAD.pack(MAGIC, self.fingerprint, out_size, err_size), 0)

    def clear(self, fingerprint: bytes) -> None:
        """Nothing is over any more."""
        os.ftruncate(self._file, 0)
        self.fingerprint = fingerprint
        self.write_head(0, 0)
        self.reread()

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)
