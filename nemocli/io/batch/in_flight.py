"""Which attempts are on record, and which of them were sent: a small file in shared memory.

A kill does not take back what was written there, and writing costs no call to the system.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from nemocli.io.files import file_error, map_file

_SLOT = struct.Struct("<26sBxxxxxQ")
SLOTS = 4096
NOTHING, NOTED, SENT = 0, 1, 2


class UnderWay:
    """Slots by attempt. With more than `SLOTS` of them the rest is not noted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._map = map_file(path, _SLOT.size * SLOTS, fresh=False)
        except OSError as error:
            raise file_error("cannot write", path, error) from error
        self._free = list(range(SLOTS - 1, -1, -1))
        self._at: dict[str, int] = {}

    def note(self, attempt_id: str, chars: int) -> None:
        """It is about to be made."""
        if self._free:
            at = self._at[attempt_id] = self._free.pop()
            _SLOT.pack_into(self._map, at * _SLOT.size, attempt_id.encode(), NOTED, chars)

    def mark_sent(self, attempt_id: str) -> None:
        """It is being made."""
        at = self._at.get(attempt_id)
        if at is not None:
            self._map[at * _SLOT.size + 26] = SENT

    def over(self, attempt_id: str) -> None:
        """It is booked."""
        at = self._at.pop(attempt_id, None)
        if at is not None:
            self._map[at * _SLOT.size + 26] = NOTHING
            self._free.append(at)

    def close(self) -> None:
        """Let go; the file goes where nothing is under way any more."""
        self._map.close()
        if not self._at:
            self._path.unlink(missing_ok=True)


def leftovers(path: Path) -> Iterator[tuple[str, bool, int]]:
    """Attempts that an earlier process left: whether each was sent, and its length."""
    data = b""
    with suppress(OSError):
        data = path.read_bytes()
    for at in range(0, len(data) - len(data) % _SLOT.size, _SLOT.size):
        name, state, chars = _SLOT.unpack_from(data, at)
        if state in (NOTED, SENT):
            yield name.decode("ascii", "replace"), state == SENT, chars
