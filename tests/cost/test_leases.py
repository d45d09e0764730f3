"""The parts of a lease add up to it, to the last pico-dollar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.usage import Usage
from nemocli.cost.leases import Lease, LeasedCall, apportion, market_price, shares

START = datetime(2026, 11, 1, tzinfo=UTC)
NODE = Lease("n", "nim", 8, "H100", 3_990_000_000_000, "market", START)


def work(number: int, at_s: float, took_s: float, read: int | None, made: int | None) -> LeasedCall:
    at = START + timedelta(seconds=at_s)
    return LeasedCall(f"a{number}", at, took_s, Usage(read, output_tokens=made))


calls = st.lists(
    st.tuples(
        st.floats(0, 7200),
        st.floats(0, 4000),
        st.none() | st.integers(0, 10**6),
        st.none() | st.integers(0, 10**6),
    ),
    max_size=30,
).map(lambda rows: [work(n, *row) for n, row in enumerate(rows)])


@given(calls, st.integers(1, 10**10), st.integers(1, 64), st.integers(0, 10**13))
def test_the_parts_of_a_lease_add_up(
    served: list[LeasedCall], elapsed_us: int, gpus: int, rate: int
) -> None:
    lease = Lease("n", "nim", gpus, "X", rate, "given", START)
    stop = START + timedelta(microseconds=elapsed_us)
    split = shares(lease, stop, served)
    assert abs(split.pico * 3_600_000_000 - gpus * rate * elapsed_us) <= 1_800_000_000
    assert 0 <= split.idle <= split.pico
    assert sum(split.busy.values()) + split.idle == split.pico
    if split.full:
        assert sum(split.full.values()) == split.pico
    assert min([*split.busy.values(), *split.full.values(), 0]) == 0


def test_idle_time_is_that_in_which_no_call_was_under_way() -> None:
    hour = START + timedelta(hours=1)
    overlapping = [work(1, 0, 900, 100, 100), work(2, 600, 1200, 0, 100), work(3, 3000, 9000, 0, 0)]
    split = shares(NODE, hour, overlapping)
    assert split.pico == 8 * 3_990_000_000_000
    assert split.idle == split.pico * 20 // 60, "1800 to 3000 s"
    assert split.busy["a3"] == 0
    assert abs(split.full["a1"] * 900 - split.pico * 500) < 900
    assert split.full["a3"] == 0
    assert split.full["a1"] + split.full["a2"] == split.pico


def test_without_work_all_of_it_is_idle() -> None:
    hour = START + timedelta(hours=1)
    for served in ([], [work(1, 0, 10, None, None)]):
        split = shares(NODE, hour, served)
        assert (split.idle, split.busy) == (split.pico, {})


@given(st.integers(0, 10**18), st.dictionaries(st.text(), st.integers(0, 10**12), min_size=1))
def test_whole_units_are_shared_fairly(whole: int, weights: dict[str, int]) -> None:
    total = sum(weights.values())
    if not total:
        return
    parts = apportion(whole, weights)
    assert sum(parts.values()) == whole
    for name, weight in weights.items():
        assert abs(parts[name] * total - whole * weight) < total


@pytest.mark.parametrize(
    ("name", "gpu"),
    [("H100", "H100"), ("h100-80gb-hbm3", "H100"), ("GB200", "GB200"), ("NVIDIA B200", "B200")],
)
def test_a_gpu_has_a_market_price_however_it_is_written(name: str, gpu: str) -> None:
    found = market_price(name)
    assert found is not None
    assert (found.gpu, found.least <= found.usd <= found.most) == (gpu, True)


def test_what_nobody_rents_out_has_none() -> None:
    assert market_price("RTX4090") is None
