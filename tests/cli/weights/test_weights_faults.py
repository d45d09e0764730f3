"""Everything that may happen to weights on their way, and that they arrive whole or not at all."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from tests.cli.weights.weights_case import (
    NAME,
    SEGMENT,
    SHARD,
    assert_nothing_false,
    assert_said,
    assert_whole,
    published,
    pull,
    shards,
    target,
)
from tests.run import Home
from tests.servers.content import MIB, Known, Virtual
from tests.servers.hub import Hub
from tests.servers.mishaps import (
    Flip,
    Headers,
    Instead,
    Mishap,
    NoRange,
    Portal,
    Redirect,
    Refuse,
    Reset,
    Slow,
    Stall,
    Truncate,
    Where,
    WrongRange,
)
from tests.servers.repository import small

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Passing:
    """A fault that goes away: the pull must come through it, at exit 0 and with every byte."""

    mishap: Mishap
    where: Where = "cdn"
    pattern: str = SHARD
    times: int | None = 1
    skip: int = 0


PASSING = {
    "body cut by a FIN": Passing(Truncate(MIB + 77)),
    "body cut at once": Passing(Truncate(0)),
    "body cut three times": Passing(Truncate(500_000), times=3),
    "RST inside the body": Passing(Reset(MIB)),
    "RST before the head": Passing(Reset()),
    "RST at the file's address": Passing(Reset(), where="resolve"),
    "RST at the listing": Passing(Reset(), where="tree", pattern="*"),
    "a bit flips on the wire": Passing(Flip(1_234_567, 3)),
    "the first bit flips": Passing(Flip(0)),
    "the last bit flips": Passing(Flip(2 * MIB + 12345, 7)),
    "body 500": Passing(Refuse(500)),
    "body 503 twice": Passing(Refuse(503), times=2),
    "body 502 with a page": Passing(Refuse(502, body=b"<html>bad gateway</html>")),
    "body 403 (an address that expired)": Passing(Refuse(403)),
    "body 429": Passing(Refuse(429, retry_after=1)),
    "body 429 with a date": Passing(Refuse(429, retry_after=1, as_date=True)),
    "body 408": Passing(Refuse(408)),
    "file's address 429 and its window": Passing(Refuse(429, window=1), where="resolve"),
    "file's address 503": Passing(Refuse(503), where="resolve", times=2),
    "file's address 500": Passing(Refuse(500), where="resolve"),
    "listing 503": Passing(Refuse(503), where="tree", pattern="*", times=2),
    "listing 429": Passing(Refuse(429, retry_after=1), where="tree", pattern="*"),
    "information 503": Passing(Refuse(503), where="info", pattern="*"),
    "information 429": Passing(Refuse(429, retry_after=1), where="info", pattern="*"),
    "listing cut": Passing(Truncate(100), where="tree", pattern="*"),
    "silence inside the body": Passing(Stall(MIB)),
    "silence before the head": Passing(Stall()),
    "silence at the file's address": Passing(Stall(), where="resolve"),
    "a portal once in place of the body": Passing(Portal()),
    "200 and the whole file for a range": Passing(NoRange(), times=None),
    "an ETag of its own": Passing(Headers({"etag": '"wrong"'}), times=None),
    "no ETag": Passing(Headers({"etag": None}), times=None),
    "another redirect within the Hub": Passing(
        Redirect("/acme/tiny/resolve/main/" + SHARD, 307), where="resolve"
    ),
    "a body that is too short, once": Passing(Instead(Known(b"short"))),
}


@pytest.mark.parametrize("row", PASSING.values(), ids=PASSING.keys())
def test_a_fault_that_passes_costs_nothing_but_time(home: Home, row: Passing) -> None:
    with Hub(small()) as hub:
        hub.rule(row.mishap, row.where, row.pattern, row.times, row.skip)
        done = pull(home, hub, "--max-workers", "2")
        assert_said(done, 0)
        assert_whole(target(home), hub.repos[NAME])
        assert not any(s.authorized for s in hub.asked("cdn"))


@dataclass(frozen=True, slots=True)
class Lasting:
    """A fault that stays: exit code and words, and nothing false at a file's name."""

    mishap: Mishap
    codes: tuple[int, ...]
    words: tuple[str, ...] = (SHARD,)
    where: Where = "cdn"
    pattern: str = SHARD


LASTING = {
    "bits flip every time": Lasting(Flip(70_000), (7, 8)),
    "body 500": Lasting(Refuse(500), (5, 7)),
    "body 403": Lasting(Refuse(403), (4, 5, 7)),
    "body 404": Lasting(Refuse(404), (5, 7)),
    "body 416": Lasting(Refuse(416), (5, 7, 8)),
    "body reset": Lasting(Reset(1000), (7, 8)),
    "body never complete": Lasting(Truncate(1000), (7, 8)),
    "silence": Lasting(Stall(1000), (7,)),
    "a portal for the body": Lasting(Portal(), (7, 8)),
    "other content of the right size": Lasting(
        Instead(Virtual(2 * MIB + 12345 + 1, "other")), (7, 8)
    ),
    "other bytes than asked for, said": Lasting(WrongRange(), (0, 7, 8), ()),
    "listing 500": Lasting(Refuse(500), (5, 7), (), "tree", "*"),
    "information 500": Lasting(Refuse(500), (5, 7), (), "info", "*"),
    "a portal for the information": Lasting(Portal(), (7,), (), "info", "*"),
    "a portal for the listing": Lasting(Portal(), (7,), (), "tree", "*"),
    "a portal for the file's address": Lasting(Portal(), (7, 8), (), "resolve"),
    "a circle of redirects": Lasting(
        Redirect("/acme/tiny/resolve/main/" + SHARD), (5, 7), (), "resolve"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("row", LASTING.values(), ids=LASTING.keys())
def test_a_fault_that_stays_ends_the_pull_in_words(home: Home, row: Lasting) -> None:
    with Hub(small()) as hub:
        hub.rule(row.mishap, row.where, row.pattern, times=None)
        done = pull(home, hub, "--max-workers", "2")
        assert_said(done, row.codes, *row.words)
        assert_nothing_false(target(home), hub.repos[NAME])
        if done.code:
            assert SHARD not in published(target(home), hub.repos[NAME])


def test_one_bad_file_does_not_keep_the_others_from_arriving(home: Home) -> None:
    with Hub(small()) as hub:
        hub.rule(Refuse(404), "cdn", SHARD, times=None)
        assert pull(home, hub).code != 0
        others = {e.path for e in hub.repos[NAME].entries} - {SHARD}
        assert set(published(target(home), hub.repos[NAME])) == others


def test_the_exit_code_is_of_the_worst_that_happened_in_any_worker(home: Home) -> None:
    with Hub(small(shards=12, size=MIB)) as hub:
        hub.rule(Refuse(404), "cdn", "model-00012*", times=None)
        assert_said(pull(home, hub, "--max-workers", "8"), (5, 7), "model-00012")


@pytest.mark.parametrize("where", ["info", "tree"])
def test_a_429_that_stays_is_exit_6(home: Home, where: Where) -> None:
    with Hub(small()) as hub:
        hub.rule(Refuse(429, retry_after=0), where, times=None)
        assert_said(pull(home, hub), 6)


def test_a_repository_that_is_not_there_is_exit_5(home: Home) -> None:
    with Hub(small()) as hub:
        assert_said(pull(home, hub, name="acme/none"), (4, 5), "acme/none")
        assert_said(pull(home, hub, "--revision", "v9"), 5, "v9")
        assert published(target(home), hub.repos[NAME]) == []


def test_no_hub_at_all_is_exit_7(home: Home) -> None:
    with Hub(small()) as hub:
        pass
    assert_said(pull(home, hub), 7)


@pytest.mark.parametrize("short", [1, 100, 5000])
def test_a_body_cut_just_before_a_segments_end_goes_on_at_that_byte(home: Home, short: int) -> None:
    with Hub(shards(40 * MIB, count=1)) as hub:
        hub.rule(Truncate(SEGMENT - short), "cdn", "model*")
        assert_said(pull(home, hub, "--max-workers", "1"), 0)
        assert_whole(target(home), hub.repos[NAME])
        assert hub.sent() < hub.repos[NAME].size + MIB, "nothing was fetched twice"


@pytest.mark.parametrize("after", [1, 100, 5000, MIB])
def test_a_server_without_ranges_is_read_past_what_is_here(home: Home, after: int) -> None:
    with Hub(small()) as hub:
        hub.rule(Truncate(after), "cdn", SHARD)
        hub.rule(NoRange(), "cdn", "model*", times=None)
        assert_said(pull(home, hub), 0)
        assert_whole(target(home), hub.repos[NAME])


# Time


def test_an_address_that_expires_is_asked_for_again(home: Home) -> None:
    with Hub(shards(20 * MIB), url_uses=1) as hub:
        hub.rule(Truncate(5 * MIB), "cdn", "model-*", times=4)
        assert_said(pull(home, hub, "--max-workers", "2"), 0)
        assert_whole(target(home), hub.repos[NAME])


def test_one_address_serves_all_of_a_file(home: Home) -> None:
    with Hub(shards(40 * MIB)) as hub:
        assert_said(pull(home, hub), 0)
        lfs = [e for e in hub.repos[NAME].entries if e.lfs]
        for entry in lfs:
            assert len(hub.asked("resolve", path=entry.path)) <= 1, entry.path


@pytest.mark.parametrize("skew_s", [-86_400.0, 86_400.0])
def test_a_clock_that_is_a_day_off_changes_nothing(home: Home, skew_s: float) -> None:
    with Hub(small(), clock_skew_s=skew_s) as hub:
        assert_said(pull(home, hub), 0)
        assert_whole(target(home), hub.repos[NAME])


def test_retry_after_is_obeyed(home: Home) -> None:
    with Hub(small()) as hub:
        hub.rule(Refuse(429, retry_after=2), "cdn", SHARD)
        assert_said(pull(home, hub), 0)
        first, second = (s.at for s in hub.asked("cdn", path=SHARD)[:2])
        assert second - first >= 1.9


@pytest.mark.slow
def test_a_slow_drip_is_not_a_stall(home: Home) -> None:
    with Hub(small(shards=1, size=200_000)) as hub:
        hub.rule(Slow(50_000, piece=5_000), "cdn", "model*", times=None)
        began = time.monotonic()
        assert_said(pull(home, hub), 0)
        assert time.monotonic() - began > 3
        assert len(hub.asked("cdn", path="model-00001-of-00001.safetensors")) == 1
