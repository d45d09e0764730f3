"""What a job will come to: sums against draws, and quantiles against published tables."""

from __future__ import annotations

import random
from datetime import date
from decimal import Decimal

import pytest

from nemocli.batch.estimate import Picked, SeenAnswers, Sizes, estimate_job, student, too_long
from nemocli.batch.rows import Row
from nemocli.core.money import Price
from nemocli.core.usage import Usage

PRICE = Price("s", "m", date(2026, 1, 1), Decimal(1), Decimal(2))


def row(n: int, chars: int = 400) -> Row:
    key = random.Random(n).randbytes(8)
    return Row(n, f"in:{n + 1}", f"row-{n + 1}", False, "chat", {}, b"r" * 8, key, chars)


def sizes_of(count: int, most: int | None = None, chars: int = 400) -> Sizes:
    sizes = Sizes()
    for n in range(count):
        sizes.see(row(n, chars), most)
    return sizes


@pytest.mark.parametrize(
    ("freedom", "value"),  # Student's t at 0.95, from printed tables
    [(1, 6.314), (2, 2.920), (3, 2.353), (4, 2.132), (9, 1.833), (19, 1.729), (99, 1.660)],
)
def test_students_t(freedom: int, value: float) -> None:
    assert student(0.95, freedom) == pytest.approx(value, rel=0.004)


def test_nothing_seen_is_a_guess_up_to_the_limits() -> None:
    found = estimate_job(sizes_of(10, most=200), SeenAnswers(), PRICE, free=False, source="assumed")
    assert (found.input_tokens, found.output_p50, found.output_p95) == (1000, 2000, 2000)
    assert (found.pico_p50, found.pico_p95) == (5000 * 10**6, 5000 * 10**6)
    free = estimate_job(
        sizes_of(10), SeenAnswers(), None, free=False, source="assumed", output_limit=4096
    )
    assert (free.output_p50, free.output_p95, free.pico_p50) == (10_240, 40_960, None)


def test_p95_is_passed_about_once_in_twenty() -> None:
    chance = random.Random(3)
    rows, passed, below = 200, 0, 0
    for _ in range(400):
        seen = SeenAnswers()
        for _ in range(20):
            seen.add(400, Usage(100, output_tokens=round(chance.gauss(300, 60))), 1.0)
        found = estimate_job(sizes_of(rows), seen, PRICE, free=False, source="sample")
        total = sum(round(chance.gauss(300, 60)) for _ in range(rows))
        passed += total > found.output_p95
        below += total > found.output_p50
    assert 0.02 <= passed / 400 <= 0.09
    assert 0.4 <= below / 400 <= 0.6


def test_the_slowest_limit_says_how_long() -> None:
    seen = SeenAnswers([400], [100], [300], [2.0])
    given = {"rpm": 60.0, "tpm": 4_000.0, "cap": 4}
    found = estimate_job(sizes_of(100), seen, PRICE, free=False, source="sample", **given)
    assert found.slowest == "4000 tokens a minute"
    assert found.seconds == pytest.approx((100 * 101 + 100 * 300) / 4000 * 60, rel=0.02)


def test_a_sample_is_the_same_whatever_the_order() -> None:
    rows = [row(n) for n in range(500)]
    first, second = Picked(20), Picked(20)
    for one in rows:
        first.see(one)
    for one in reversed(rows):
        second.see(one)
    assert first.rows == second.rows
    assert len(first.rows) == 20


def test_rows_that_do_not_fit() -> None:
    assert too_long(row(0, 4000), 4.0, 100, 1000)
    assert not too_long(row(0, 4000), 4.0, None, 1000)
    assert not too_long(row(0, 10**9), 4.0, None, None)
