"""What a pull that was ended keeps, and what the next one fetches again."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from tests.cli.weights.weights_case import (
    NAME,
    SEGMENT,
    assert_nothing_false,
    assert_said,
    assert_whole,
    huge_disk,
    published,
    pull,
    pulling,
    shards,
    target,
    to_hub,
    unfinished,
)
from tests.run import Home, run, spawn
from tests.servers.content import MIB
from tests.servers.hub import Hub
from tests.servers.mishaps import Slow, Stall
from tests.servers.repository import OTHER_COMMIT, Repo, enormous, small

WORKERS = 2


def kill_after(home: Home, hub: Hub, count: int, *args: str) -> int:
    """Start a pull, kill it with signal 9 once so much was fetched; the bytes fetched."""
    with pulling(home, hub, "--max-workers", str(WORKERS), *args) as running:
        hub.wait_sent(count)
        running.process.kill()
        running.finish()
    return hub.sent()


@pytest.mark.parametrize("size", [48 * MIB, 150 * MIB], ids=["three files", "one and a tail"])
def test_kill_9_costs_at_most_a_segment_for_each_worker(home: Home, size: int) -> None:
    repo = shards(size, count=3 if size < 100 * MIB else 1)
    with Hub(repo) as hub:
        # What lies in sockets' buffers was given out and never arrived: slow enough to be little.
        hub.rule(Slow(60 * MIB, piece=MIB), "cdn", "model*", times=None)
        first = kill_after(home, hub, 80 * MIB)
        hub.clear_rules()
        assert_nothing_false(target(home), repo)
        hub.forget()
        assert_said(pull(home, hub, "--max-workers", str(WORKERS)), 0)
        assert_whole(target(home), repo)
        again = first + hub.sent() - repo.size
        assert again <= WORKERS * (SEGMENT + 4 * MIB), f"{again / MIB:.1f} MiB were fetched again"


def test_pulls_killed_again_and_again_still_arrive_and_leave_nothing(home: Home) -> None:
    repo = shards(24 * MIB)
    with Hub(repo) as hub:
        hub.rule(Slow(60 * MIB, piece=MIB), "cdn", "model*", times=None)
        for count in (10, 40, 70):
            kill_after(home, hub, count * MIB)
        hub.clear_rules()
        assert_said(pull(home, hub), 0)
        assert_whole(target(home), repo)


def test_a_finished_pull_asks_for_no_body_again(home: Home) -> None:
    with Hub(small()) as hub:
        assert_said(pull(home, hub), 0)
        hub.forget()
        assert_said(pull(home, hub), 0)
        assert hub.asked("cdn", "resolve") == []


def test_a_bit_that_flips_in_an_unfinished_file_is_found(home: Home) -> None:
    repo = shards(64 * MIB, count=1)
    with Hub(repo) as hub:
        hub.rule(Slow(60 * MIB, piece=MIB), "cdn", "model*", times=None)
        first = kill_after(home, hub, 50 * MIB)
        largest = max(
            (p for p in target(home).rglob("*") if p.is_file()), key=lambda p: p.stat().st_size
        )
        with largest.open("r+b") as opened:
            opened.seek(5 * MIB)
            byte = opened.read(1)
            opened.seek(5 * MIB)
            opened.write(bytes([byte[0] ^ 16]))
        hub.clear_rules()
        hub.forget()
        assert_said(pull(home, hub, "--max-workers", str(WORKERS)), 0)
        assert_whole(target(home), repo)
        again = first + hub.sent() - repo.size
        assert again <= (WORKERS + 1) * (SEGMENT + 4 * MIB)


@pytest.mark.slow
def test_a_journal_that_was_torn_or_lost_costs_bytes_and_nothing_else(home: Home) -> None:
    repo = shards(48 * MIB, count=1)
    for spoil in ("cut", "rubbish", "gone"):
        folder = Home(home.root / spoil)
        with Hub(repo) as hub:
            hub.rule(Slow(60 * MIB, piece=MIB), "cdn", "model*", times=None)
            kill_after(folder, hub, 36 * MIB)
            for file in _journals(target(folder)):
                data = file.read_bytes()
                if spoil == "gone":
                    file.unlink()
                else:
                    file.write_bytes(data[:-7] if spoil == "cut" else b"\0{]" + data[3:])
            hub.clear_rules()
            assert_said(pull(folder, hub), 0)
            assert_whole(target(folder), repo)


def _journals(folder: Path) -> list[Path]:
    """Small files of the program's own beside an unfinished one."""
    return [
        p
        for p in folder.rglob("*")
        if p.is_file() and 16 < p.stat().st_size < MIB and "journal" in p.name
    ]


def test_the_next_pull_of_another_commit_does_not_use_the_old_bytes(home: Home) -> None:
    with Hub(shards(24 * MIB)) as hub:
        hub.rule(Slow(60 * MIB, piece=MIB), "cdn", "model*", times=None)
        kill_after(home, hub, 20 * MIB)
    fresh = Repo(NAME, shards(24 * MIB + 5).entries, commit=OTHER_COMMIT)
    with Hub(fresh) as hub:
        assert_said(pull(home, hub), 0)
        assert_whole(target(home), fresh)


# Ctrl-C


def test_ctrl_c_stops_at_once_and_says_how_to_go_on(home: Home) -> None:
    with Hub(shards(64 * MIB)) as hub:
        hub.rule(Slow(2 * MIB), "cdn", "model*", times=None)
        with pulling(home, hub) as running:
            hub.wait_sent(2 * MIB)
            began = time.monotonic()
            running.interrupt()
            done = running.finish()
            took = time.monotonic() - began
        assert_said(done, 130, "weights pull")
        assert took < 5, f"{took:.2f} s"  # takes 0.2 s
        sent = hub.sent()
        hub.clear_rules()
        assert_said(pull(home, hub), 0)
        assert_whole(target(home), hub.repos[NAME])
        assert sent < hub.sent()


def test_ctrl_c_is_heard_while_a_server_is_silent(home: Home) -> None:
    with Hub(small()) as hub:
        hub.rule(Stall(1000), "cdn", "model*", times=None)
        with pulling(home, hub, env={"HF_HUB_DOWNLOAD_TIMEOUT": "60"}) as running:
            hub.wait_sent(3000)
            began = time.monotonic()
            running.interrupt()
            done = running.finish()
        assert time.monotonic() - began < 5  # takes 0.2 s; the server would stay silent for 60
        assert_said(done, 130)


def test_sigterm_stops_it_too(home: Home) -> None:
    with Hub(shards(64 * MIB)) as hub:
        hub.rule(Slow(2 * MIB), "cdn", "model*", times=None)
        with pulling(home, hub) as running:
            hub.wait_sent(2 * MIB)
            running.process.send_signal(signal.SIGTERM)
            done = running.finish(5)
        assert done.code != 0
        assert_nothing_false(target(home), hub.repos[NAME])


# Two at once


def test_two_pulls_of_one_folder_fetch_every_byte_once(home: Home) -> None:
    repo = shards(32 * MIB)
    with Hub(repo) as hub:
        hub.rule(Slow(80 * MIB, piece=MIB), "cdn", "model*", times=None)
        with pulling(home, hub) as one, pulling(home, hub) as two:
            ended = [one.finish(), two.finish()]
        for done in ended:
            assert_said(done, 0)
        assert_whole(target(home), repo)
        assert hub.sent() <= repo.size + WORKERS * MIB


def test_the_lock_of_a_pull_that_was_killed_is_not_waited_for(home: Home) -> None:
    with Hub(shards(32 * MIB)) as hub:
        hub.rule(Slow(40 * MIB, piece=MIB), "cdn", "model*", times=None)
        kill_after(home, hub, 8 * MIB)
        hub.clear_rules()
        began = time.monotonic()
        assert_said(pull(home, hub), 0)
        assert time.monotonic() - began < 30


def test_one_of_two_that_is_killed_does_not_take_the_other_with_it(home: Home) -> None:
    repo = shards(32 * MIB)
    with Hub(repo) as hub:
        hub.rule(Slow(20 * MIB, piece=MIB), "cdn", "model*", times=None)
        with pulling(home, hub) as one:
            hub.wait_sent(8 * MIB)
            with pulling(home, hub) as two:
                hub.wait_sent(24 * MIB)
                one.process.kill()
                one.finish()
                hub.clear_rules()
                assert_said(two.finish(), 0)
        assert_whole(target(home), repo)


# Progress


def test_status_tells_another_process_how_far_it_is(home: Home) -> None:
    with Hub(shards(64 * MIB)) as hub:
        hub.rule(Slow(20 * MIB, piece=MIB), "cdn", "model*", times=None)
        with pulling(home, hub) as running:
            hub.wait_sent(60 * MIB)
            asked = run(
                "weights", "status", str(target(home)), "--json", home=home, env=to_hub(hub)
            )
            assert running.process.poll() is None
            assert_said(asked, 0)
            assert asked.json()
            running.process.kill()


def test_progress_json_is_lines_of_objects_on_stderr(home: Home) -> None:
    with Hub(shards(16 * MIB)) as hub:
        hub.rule(Slow(16 * MIB, piece=MIB), "cdn", "model*", times=None)
        done = pull(home, hub, "--progress", "json")
        assert_said(done, 0)
        rows = [json.loads(line) for line in done.err.splitlines() if line.startswith("{")]
        assert len(rows) >= 2
        assert b"\x1b" not in done.out
        assert "\x1b" not in done.err


def test_a_pipe_sees_no_bars(home: Home) -> None:
    with Hub(small()) as hub:
        done = pull(home, hub)
        assert_said(done, 0)
        assert "\x1b" not in done.err
        assert "\r" not in done.err


# 352 GB that do not exist


@pytest.mark.slow
def test_352_gb_are_planned_started_killed_and_resumed(home: Home, tmp_path: Path) -> None:
    repo = enormous()
    with Hub(repo) as hub, huge_disk(tmp_path) as disk:
        folder = disk / "ultra"
        line = ("weights", "pull", repo.name, "--local-dir", str(folder))

        planned = run(
            "weights", "plan", repo.name, "--local-dir", str(folder), "--json",
            home=home, env=to_hub(hub),
        )  # fmt: skip
        assert_said(planned, 0)
        assert str(repo.size) in planned.text

        first = 0
        for round_ in range(2):
            hub.forget()
            with spawn(*line, "--max-workers", "2", home=home, env=to_hub(hub)) as running:
                hub.wait_sent(200 * MIB, 60)
                running.process.kill()
                running.finish()
            assert not [p for p in published(folder, repo) if p.endswith(".safetensors")]
            ranges = sorted(s.range or "" for s in hub.asked("cdn"))
            if round_ == 0:
                first = hub.sent()
            else:
                assert any(r and not r.startswith("bytes=0-") for r in ranges), ranges
        assert first >= 200 * MIB
        assert unfinished(folder) or list(folder.rglob("*"))


@pytest.mark.slow
def test_352_gb_are_refused_at_once_where_they_do_not_fit(home: Home) -> None:
    with Hub(enormous()) as hub:
        began = time.monotonic()
        done = pull(home, hub, name="nvidia/virtual-ultra-nvfp4")
        assert done.code not in (0, 1), done.err
        assert_said(done, done.code, "GB")
        assert time.monotonic() - began < 10
        assert hub.sent() < 100_000
