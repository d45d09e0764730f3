"""The pace at which servers are asked: close to what they allow, without being told."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.engine.pool.pacing import Pacer, Pinned, Word
from tests.engine.pool.flow_servers import SERVERS, Bucket, Slots, Window, simulate


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_server_is_used_and_hardly_ever_refuses(name: str, seed: int) -> None:
    make, rate, latency = SERVERS[name]
    run = simulate(make(), latency=latency, seed=seed)
    limit = rate or 48 / (latency * math.exp(0.125))
    assert run.accepted / (limit * 3600) >= 0.92
    assert run.refused / (run.refused + run.accepted) <= 0.04


@pytest.mark.parametrize(
    ("server", "per_s"),
    [
        (Bucket(600, False, 600), 10),
        (Window(1000, False), 1000 / 60),
        (Window(40, False, 6.0), 40 / 6),
        (Slots(5), 5 / (4 * math.exp(0.125))),
    ],
    ids=["deep bucket", "wide window", "short window", "few slots"],
)
def test_other_limits_are_found_too(server, per_s: float) -> None:
    run = simulate(server)
    assert run.accepted / (per_s * 3600) >= 0.9
    assert run.refused / (run.refused + run.accepted) <= 0.05


@pytest.mark.parametrize(
    ("server", "per_s", "latency", "least"),
    [
        (Bucket(6000, False), 100, 2.0, 1.0),
        (Bucket(3600, True, size=100), 60, 0.05, 0.97),
        (Slots(48), 48 / (0.2 * math.exp(0.045)), 0.2, 0.95),
    ],
    ids=["far away", "bucket", "slots"],
)
def test_a_limit_is_found_within_twenty_seconds(
    server, per_s: float, latency: float, least: float
) -> None:
    run = simulate(server, hours=20 / 3600, latency=latency, sigma=0.3)
    assert run.accepted / (per_s * 20) >= least


class Raised:
    """A limit of 60 a minute that is 600 after two minutes."""

    def __init__(self) -> None:
        self._low, self._high = Bucket(60, False), Bucket(600, False)

    def take(self, now: float, busy: int) -> tuple[bool, float | None]:
        return (self._low if now < 120 else self._high).take(now, busy)


def test_a_limit_that_is_raised_is_found() -> None:
    """Within some four hundred calls: sooner would be refused more often where it stays."""
    until, later = (simulate(Raised(), hours=seconds / 3600) for seconds in (720, 1320))
    assert later.accepted - until.accepted >= 0.95 * 6000


def test_what_is_pinned_is_kept() -> None:
    pacer = Pacer(Pinned(rpm=60, cap=3))
    assert [pacer.wait(0.0) for _ in range(2)] == [0.0, 0.0]
    tickets = [pacer.start(0.0)]
    assert 0.9 <= pacer.wait(0.0) <= 1.0
    for at in (1.0, 2.0):
        assert pacer.wait(at) == 0
        tickets.append(pacer.start(at))
    assert pacer.wait(10.0) == math.inf  # three are under way
    pacer.finish(tickets[0], 10.0, "ok")
    assert pacer.wait(10.0) == 0


def test_tokens_a_minute_are_kept() -> None:
    pacer, now, sent = Pacer(Pinned(tpm=60_000, cap=1000)), 0.0, 0
    while now < 300:
        wait = pacer.wait(now, 1000)
        if wait:
            now += wait
            continue
        ticket = pacer.start(now, 1000)
        sent += 1
        pacer.finish(ticket, now, "ok", tokens=1000)
    assert 0.95 <= sent / 300 <= 1.1


def test_retry_after_is_obeyed() -> None:
    pacer = Pacer()
    ticket = pacer.start(5.0)
    pacer.finish(ticket, 5.1, "refused", 7.0)
    assert pacer.wait(5.1) == pytest.approx(7.0, abs=0.01)


def test_a_server_that_only_queues_is_not_given_ever_more() -> None:
    """Four at a time, whatever is sent: the others wait in line there."""
    import heapq

    pacer, now, ends, done = Pacer(), 0.0, [], 0
    free = [0.0] * 4
    while now < 600:
        wait = pacer.wait(now)
        if wait == 0:
            at = heapq.heappop(free)
            end = max(at, now) + 1.0
            heapq.heappush(free, end)
            heapq.heappush(ends, (end, done, pacer.start(now)))
            done += 1
            continue
        now, _, ticket = heapq.heappop(ends)
        pacer.finish(ticket, now, "ok")
    assert pacer.under_way <= 40


@given(
    st.lists(
        st.tuples(
            st.floats(-100, 100),
            st.sampled_from(["ok", "refused", "overloaded", "lost", "other"]),
            st.none() | st.floats(0, 1000),
        ),
        max_size=60,
    )
)
def test_a_clock_that_jumps_back_stops_nothing(
    steps: list[tuple[float, Word, float | None]],
) -> None:
    """The job's clock never does; if it did, calls would still go on, and none be counted twice."""
    now, pacer, out = 1000.0, Pacer(now=1000.0), []
    for jump, word, wait_s in steps:
        now += jump
        wait = pacer.wait(now)
        assert wait >= 0
        if wait == 0:
            out.append(pacer.start(now))
        elif out:
            pacer.finish(out.pop(), now, word, wait_s)
        assert pacer.under_way == len(out)
    for ticket in out:
        pacer.finish(ticket, now, "ok")
    assert pacer.under_way == 0
    assert pacer.wait(now + 10_000) == 0
