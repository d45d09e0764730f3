"""Manners: rates that are kept, hours that are kept, and streams that are given up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.faults import NemoError
from nemocli.weights.pull.pace import CATCH_UP_S, BytePace, Watchdog, parse_rate, parse_window


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("50M", 50e6),
        ("50MB/s", 50e6),
        ("400Mbit", 50e6),
        ("48MiB", 48 * 2**20),
        ("1.5g", 1.5e9),
        ("800", 800),
        ("8kbps", 8000),
    ],
)
def test_rates_are_read_as_people_write_them(text: str, rate: float) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "0", "fast", "-5M", "5X", "1e9"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(NemoError, match="limit-rate"):
        parse_rate(text)


@given(
    st.floats(1e3, 1e9),
    st.lists(st.tuples(st.integers(1, 1 << 20), st.floats(0, 0.5)), min_size=50, max_size=200),
)
def test_a_cap_is_kept_from_the_first_byte_and_lost_time_is_made_up_for(rate, steps) -> None:
    pace, now, sent = BytePace(rate), 1000.0, 0
    for count, busy in steps:
        sent += count
        now += pace.delay(count, now) + busy
        assert sent <= rate * (now - 1000.0 + CATCH_UP_S) + (1 << 20)
    # A reader that is always ready is held to the rate exactly.
    ready, at, total = BytePace(rate), 0.0, 0
    for count, _ in steps:
        total += count
        at += ready.delay(count, at)
    assert at == pytest.approx(total / rate)


@given(st.integers(0, 86_399), st.integers(0, 1439), st.integers(0, 1439))
def test_a_window_opens_when_it_says(second: int, first: int, last: int) -> None:
    if first == last:
        return
    text = f"{first // 60:02d}:{first % 60:02d}-{last // 60:02d}:{last % 60:02d}"
    window = parse_window(text)
    now = datetime(2026, 11, 23, tzinfo=UTC) + timedelta(seconds=second)
    opened = now + timedelta(seconds=window.wait_s(now))
    minute = opened.hour * 60 + opened.minute
    inside = first <= minute < last if first < last else minute >= first or minute < last
    assert inside
    assert window.wait_s(now) < 86_400


@pytest.mark.parametrize("text", ["", "22-06", "25:00-06:00", "22:00-22:00", "22:60-23:00"])
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(NemoError, match="window"):
        parse_window(text)


def test_a_silent_stream_is_given_up_and_a_slow_one_only_beside_others() -> None:
    dog = Watchdog(5.0)
    counts = {0: 0, 1: 0, 2: 0, 3: 0}
    dead: dict[int, str] = {}
    for second in range(60):
        counts = {0: counts[0] + 10_000_000, 1: counts[1] + 9_000_000, 2: counts[2] + 1000, 3: 7}
        dead |= {n: w for n, w in dog.look(float(second), dict(counts)).items() if n not in dead}
    assert dead[3] == "no data for 5 s"
    assert "while others flow" in dead[2]
    assert set(dead) == {2, 3}
    lonely = Watchdog(5.0)
    assert not any(lonely.look(float(s), {0: 10 * s}) for s in range(100))
