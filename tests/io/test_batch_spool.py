"""What has arrived outlives its process: lines, packed answers, and files of the first version."""

from __future__ import annotations

import struct
from pathlib import Path

from nemocli.io.batch.spool import Arrived, arrivals, forget

LONG = b"x" * (1 << 19)


def test_what_came_is_found_in_its_order_until_it_is_written(tmp_path: Path) -> None:
    arrived = Arrived(tmp_path)
    arrived.add(b'{"a": 1}\n')
    arrived.add(b"\x07\0\n\n", packed=True)
    arrived.turn()
    arrived.add(b'{"b": 2}\n')
    both = [(False, b'{"a": 1}\n'), (True, b"\x07\0\n\n"), (False, b'{"b": 2}\n')]
    assert list(arrivals(tmp_path)) == both
    arrived.settle()
    assert list(arrivals(tmp_path)) == both[2:]
    arrived.close(keep=True)
    assert list(arrivals(tmp_path)) == both[2:]
    forget(tmp_path)
    assert list(arrivals(tmp_path)) == []


def test_what_no_longer_fits_is_not_noted(tmp_path: Path) -> None:
    arrived = Arrived(tmp_path)
    for _ in range(3):
        arrived.add(LONG, packed=True)
    arrived.add(b"small\n")
    assert list(arrivals(tmp_path)) == [(True, LONG), (False, b"small\n")]
    arrived.close(keep=False)
    assert not list(tmp_path.iterdir())


def test_a_file_of_the_first_version_is_read_as_before(tmp_path: Path) -> None:
    lines = b'{"a": 1}\n{"b": 2}\n'
    (tmp_path / "arrived.0").write_bytes(struct.pack("<Q", 8 + len(lines)) + lines + bytes(64))
    (tmp_path / "arrived.1").write_bytes(b"torn")
    assert list(arrivals(tmp_path)) == [(False, b'{"a": 1}\n'), (False, b'{"b": 2}\n')]
    forget(tmp_path)
    assert not list(tmp_path.iterdir())
