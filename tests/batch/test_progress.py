"""What a person is told while a batch runs: rows that are over, time, money, and nothing cut."""

from __future__ import annotations

import random

import pytest

from nemocli.batch.progress import RowPace, Tally, line_of, projection


def half_way(rows: int = 500, over: int = 349) -> tuple[Tally, RowPace]:
    tally, pace = Tally(rows=rows), RowPace()
    pace.look(0.0, tally)
    tally.ok, tally.attempts, tally.pico = over, over + 3, 2_000_000_000 * over // 349
    tally.retries = 3
    pace.look(280.0, tally)
    return tally, pace


def test_the_line_counts_rows_that_are_over() -> None:
    tally, pace = half_way()
    line = line_of(tally, pace, cap=None, limit="40/min", why="")
    assert line.startswith("349/500 (69 %) · ~2 min left · $0.0020 of ~$0.0029 · 3 retries")
    assert "limit 40/min" in line


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_nothing_is_cut_in_the_middle(width: int) -> None:
    tally, pace = half_way()
    whole = line_of(tally, pace, cap=10**12, limit="40/min, 8 at once", why="refused")
    line = line_of(tally, pace, cap=10**12, limit="40/min, 8 at once", why="refused", width=width)
    assert len(line) <= width
    assert set(line.split(" · ")) <= set(whole.split(" · "))


def test_rows_of_earlier_runs_cost_nothing_now() -> None:
    tally = Tally(rows=100, skipped=50, ok=25, pico=25)
    assert (tally.over, projection(tally)) == (75, 50)


def test_nothing_is_projected_from_nothing() -> None:
    assert projection(Tally(rows=10)) is None
    assert RowPace().eta_s(Tally(rows=10)) is None


LIMITS = {
    "40 a minute, in bursts": lambda n: (n // 40) * 60.0 + (n % 40) * 0.1,
    "a bucket of 600 a minute": lambda n: n * 0.1,
    "48 slots": lambda n: (n // 48) * 2.0,
    "2 s latency": lambda n: 2.0 + n * 0.01,
    "a slow start": lambda n: min(n, 20) * 0.5 + max(0, n - 20) * 0.1,
    "a pace that grows": lambda n: 2.0 * n**0.5,
    "random": lambda n: n * 0.2 + random.Random(n).random(),
}


@pytest.mark.parametrize("name", LIMITS)
def test_half_way_the_rest_is_known_within_a_fifth(name: str) -> None:
    rows, at = 800, LIMITS[name]
    tally, pace = Tally(rows=rows), RowPace()
    pace.look(0.0, tally)
    for number in range(1, rows // 2 + 1):
        tally.ok, tally.pico = number, number * 100
        pace.look(at(number), tally)
    whole, now = at(rows), at(rows // 2)
    left = pace.eta_s(tally)
    assert left is not None
    assert abs(now + left - whole) <= 0.2 * whole
    assert projection(tally) == rows * 100
