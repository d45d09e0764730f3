"""Disks that are full, shut, or pulled away."""

from __future__ import annotations

import os
import resource
import shutil
import sys
from pathlib import Path

import pytest

from tests.cli.weights.weights_case import (
    NAME,
    SHARD,
    assert_nothing_false,
    assert_said,
    assert_whole,
    mounted,
    pull,
    pulling,
    shards,
    target,
    to_hub,
)
from tests.run import Home, argv, run, spawn
from tests.servers.content import MIB
from tests.servers.hub import Hub
from tests.servers.mishaps import Slow
from tests.servers.repository import small

pytestmark = pytest.mark.slow


_LIMITED = "import os, resource, sys; n = int(sys.argv[1]); "
_LIMITED += "resource.setrlimit(resource.RLIMIT_FSIZE, (n, n)); "
_LIMITED += "os.execv(sys.argv[2], sys.argv[2:])"


def into(folder: Path, *args: str) -> tuple[str, ...]:
    return ("weights", "pull", NAME, "--local-dir", str(folder), *args)


def test_what_does_not_fit_is_refused_before_the_first_byte(home: Home, tmp_path: Path) -> None:
    with Hub(shards(8 * MIB)) as hub, mounted(tmp_path / "d", "tmpfs", "size=20m") as disk:
        done = run(*into(disk / "here"), home=home, env=to_hub(hub))
        assert done.code not in (0, 1), done.err
        assert_said(done, done.code, "space")
        assert hub.sent() < 100_000


def test_a_disk_that_others_fill_meanwhile_ends_the_pull_in_words(
    home: Home, tmp_path: Path
) -> None:
    """What was reserved stays ours: filling the rest of the disk does no harm."""
    with Hub(shards(8 * MIB)) as hub, mounted(tmp_path / "d", "tmpfs", "size=130m") as disk:
        hub.rule(Slow(8 * MIB, piece=MIB), "cdn", "model*", times=None)
        with spawn(*into(disk / "here"), home=home, env=to_hub(hub)) as running:
            hub.wait_sent(2 * MIB)
            _fill(disk / "others")
            done = running.finish()
        assert "Traceback" not in done.err
        assert done.code != 1
        assert_nothing_false(disk / "here", hub.repos[NAME])
        (disk / "others").unlink()
        hub.clear_rules()
        assert_said(run(*into(disk / "here"), home=home, env=to_hub(hub)), 0)
        assert_whole(disk / "here", hub.repos[NAME])


def _fill(file: Path) -> None:
    with file.open("wb", buffering=0) as opened:
        size = MIB
        while size:
            try:
                opened.write(b"\0" * size)
            except OSError:
                size //= 2


def test_a_file_size_limit_ends_the_pull_in_words(home: Home) -> None:
    """RLIMIT_FSIZE: the same fault without needing root."""
    with Hub(shards(8 * MIB)) as hub:
        line = [sys.executable, "-c", _LIMITED, str(3 * MIB), *argv(*into(target(home)))]
        with spawn(home=home, env=to_hub(hub), line=line) as running:
            done = running.finish()
        assert "Traceback" not in done.err, done.err
        assert done.code not in (0, 1), done.err
        assert_nothing_false(target(home), hub.repos[NAME])
        assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
        assert_said(pull(home, hub), 0)


def test_a_disk_without_inodes_ends_the_pull_in_words(home: Home, tmp_path: Path) -> None:
    options = "size=200m,nr_inodes=6"
    with Hub(small(shards=12)) as hub, mounted(tmp_path / "d", "tmpfs", options) as disk:
        done = run(*into(disk / "here"), home=home, env=to_hub(hub))
        assert "Traceback" not in done.err, done.err
        assert hub.asked("tree")
        assert done.code not in (0, 1), done.err
        assert_nothing_false(disk / "here", hub.repos[NAME])


def test_a_target_that_cannot_be_written_is_refused(home: Home, tmp_path: Path) -> None:
    with Hub(small()) as hub, mounted(tmp_path / "d", "tmpfs", "size=40m,ro") as disk:
        done = run(*into(disk / "here"), home=home, env=to_hub(hub))
        assert_said(done, (2, 3, 5), str(disk))
        assert hub.sent() < 100_000


def test_a_folder_without_permission_is_refused(home: Home) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    target(home).mkdir()
    target(home).chmod(0o500)
    with Hub(small()) as hub:
        assert_said(pull(home, hub), (2, 3, 5), str(target(home)))


def test_a_file_where_the_folder_should_be_is_refused(home: Home) -> None:
    target(home).write_text("a file of yours")
    with Hub(small()) as hub:
        done = pull(home, hub)
        assert_said(done, (2, 3, 5), str(target(home)))
    assert target(home).read_text() == "a file of yours"


def test_a_file_of_the_users_under_a_name_to_come_is_not_lost_in_silence(home: Home) -> None:
    target(home).mkdir()
    (target(home) / "config.json").write_text("mine")
    with Hub(small()) as hub:
        done = pull(home, hub)
        assert "Traceback" not in done.err
        if done.code == 0:
            assert_whole(target(home), hub.repos[NAME])
        else:
            assert "config.json" in done.err
            assert (target(home) / "config.json").read_text() == "mine"


def test_the_target_vanishing_in_the_middle_is_not_a_success(home: Home) -> None:
    with Hub(shards(32 * MIB)) as hub:
        hub.rule(Slow(16 * MIB, piece=MIB), "cdn", "model*", times=None)
        with pulling(home, hub) as running:
            hub.wait_sent(16 * MIB)
            shutil.rmtree(target(home), ignore_errors=True)
            hub.clear_rules()
            done = running.finish()
        assert "Traceback" not in done.err, done.err
        assert done.code != 1
        if done.code == 0:
            assert_whole(target(home), hub.repos[NAME])
        assert_said(pull(home, hub), 0)
        assert_whole(target(home), hub.repos[NAME])


def test_a_file_that_stands_there_already_is_used_when_it_is_right(home: Home) -> None:
    with Hub(small()) as hub:
        entry = hub.repos[NAME].entry(SHARD)
        assert entry is not None
        target(home).mkdir()
        (target(home) / SHARD).write_bytes(entry.content.read(0, entry.size))
        assert_said(pull(home, hub), 0)
        assert_whole(target(home), hub.repos[NAME])
        assert hub.asked("cdn", path=SHARD) == []


def test_a_disk_that_is_full_to_the_last_byte_still_verifies(home: Home, tmp_path: Path) -> None:
    with Hub(small()) as hub, mounted(tmp_path / "d", "tmpfs", "size=100m") as disk:
        assert_said(run(*into(disk / "here"), home=home, env=to_hub(hub)), 0)
        _fill(disk / "others")
        done = run("weights", "verify", str(disk / "here"), home=home, env=to_hub(hub))
        assert_said(done, 0)


def test_dev_full_for_stdout_is_not_a_success(home: Home) -> None:
    with Hub(small()) as hub, Path("/dev/full").open("wb") as full:
        assert_said(pull(home, hub), 0)
        done = run(
            "weights", "verify", str(target(home)), "--json", home=home, stdout=full.fileno()
        )
        assert done.code != 0
