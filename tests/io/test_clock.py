"""Ids sort by time and never repeat."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, timedelta

from nemocli.io.clock import SystemClock


def test_ids_are_26_characters_in_ascending_order() -> None:
    clock = SystemClock()
    ids = [clock.new_id() for _ in range(5000)]
    assert ids == sorted(set(ids))
    assert all(re.fullmatch(r"[0-7][0-9a-hjkmnp-tv-z]{25}", i) for i in ids)


def test_ids_of_different_clocks_sort_by_time() -> None:
    first = SystemClock().new_id()
    until = time.time_ns() + 2_000_000
    while time.time_ns() < until:
        pass
    assert first < SystemClock().new_id()


def test_threads_never_get_the_same_id() -> None:
    clock = SystemClock()
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda _: clock.new_id(), range(4000)))
    assert len(set(ids)) == 4000


def test_now_is_in_utc_and_jitter_below_one() -> None:
    clock = SystemClock()
    assert clock.now().utcoffset() == timedelta(0)
    assert clock.now().tzinfo is UTC
    assert all(0 <= clock.jitter() < 1 for _ in range(100))
    assert clock.monotonic() <= clock.monotonic()
