"""Weights on the disk: what `verify` sees, and what `--repair` fetches."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cli.weights.weights_case import (
    NAME,
    SEGMENT,
    SHARD,
    assert_said,
    assert_whole,
    pull,
    shards,
    target,
    verify,
)
from tests.run import Home
from tests.servers.content import MIB
from tests.servers.hub import Hub
from tests.servers.mishaps import Flip
from tests.servers.repository import small


def flip(file: Path, at: int, bit: int = 0) -> None:
    """Bit rot: the modification time does not move."""
    kept = file.stat()
    if file.is_symlink():
        file = file.resolve()
    mode = file.stat().st_mode
    file.chmod(0o600)
    with file.open("r+b") as opened:
        opened.seek(at)
        byte = opened.read(1)[0]
        opened.seek(at)
        opened.write(bytes([byte ^ (1 << bit)]))
    file.chmod(mode)
    os.utime(file, ns=(kept.st_atime_ns, kept.st_mtime_ns))


def test_what_was_pulled_is_verified_without_a_network(home: Home) -> None:
    with Hub(small()) as hub:
        assert_said(pull(home, hub), 0)
    assert_said(verify(home, target(home)), 0)


@pytest.mark.parametrize("at", [0, 1_000_000, 2 * MIB + 12345])
def test_a_flipped_bit_is_found_and_named(home: Home, at: int) -> None:
    with Hub(small()) as hub:
        assert_said(pull(home, hub), 0)
    flip(target(home) / SHARD, at, 5)
    done = verify(home, target(home))
    assert "Traceback" not in done.err
    assert done.code not in (0, 1), done.err
    assert SHARD in done.err + done.text


def test_every_flip_in_many_files_is_found(home: Home) -> None:
    with Hub(small(shards=9, size=300_000)) as hub:
        assert_said(pull(home, hub), 0)
        bad = [e for e in hub.repos[NAME].entries if e.size > 1000][::2]
        for n, entry in enumerate(bad):
            flip(target(home) / entry.path, n * 7919 % entry.size, n % 8)
        flip(target(home) / "config.json", 2)
        done = verify(home, target(home), "--json")
        assert done.code not in (0, 1)
        for path in ["config.json", *(e.path for e in bad)]:
            assert path in done.text, path
        good = {e.path for e in hub.repos[NAME].entries} - {e.path for e in bad} - {"config.json"}
        assert json.loads(done.out)
        repaired = verify(home, target(home), "--repair", hub=hub)
        assert_said(repaired, 0)
        assert_whole(target(home), hub.repos[NAME])
        assert good


def test_a_flip_is_repaired_by_one_segment(home: Home) -> None:
    repo = shards(70 * MIB, count=1)
    with Hub(repo) as hub:
        assert_said(pull(home, hub), 0)
        flip(target(home) / "model-00001-of-00001.safetensors", 40 * MIB)
        hub.forget()
        assert_said(verify(home, target(home), "--repair", hub=hub), 0)
        assert_whole(target(home), repo)
        assert 0 < hub.sent() <= SEGMENT
        assert_said(verify(home, target(home)), 0)


def test_repair_checks_what_it_fetches(home: Home) -> None:
    repo = shards(40 * MIB, count=1)
    name = "model-00001-of-00001.safetensors"
    with Hub(repo) as hub:
        assert_said(pull(home, hub), 0)
        flip(target(home) / name, 20 * MIB)
        hub.rule(Flip(20 * MIB + 5), times=1)
        assert_said(verify(home, target(home), "--repair", hub=hub), 0)
        assert_whole(target(home), repo)


@pytest.mark.parametrize("size", [0, 1, MIB, 2 * MIB + 12345])
def test_a_truncated_file_is_found_and_repaired(home: Home, size: int) -> None:
    with Hub(small()) as hub:
        assert_said(pull(home, hub), 0)
        os.truncate(target(home) / SHARD, size)
        done = verify(home, target(home))
        assert done.code not in (0, 1)
        assert SHARD in done.err + done.text
        assert_said(verify(home, target(home), "--repair", hub=hub), 0)
        assert_whole(target(home), hub.repos[NAME])


def test_a_file_that_grew_is_found_and_repaired(home: Home) -> None:
    with Hub(small()) as hub:
        assert_said(pull(home, hub), 0)
        with (target(home) / SHARD).open("ab") as opened:
            opened.write(b"more")
        assert verify(home, target(home)).code not in (0, 1)
        assert_said(verify(home, target(home), "--repair", hub=hub), 0)
        assert_whole(target(home), hub.repos[NAME])


def test_a_file_that_vanished_is_found_and_repaired(home: Home) -> None:
    with Hub(small()) as hub:
        assert_said(pull(home, hub), 0)
        (target(home) / SHARD).unlink()
        done = verify(home, target(home))
        assert done.code not in (0, 1)
        assert SHARD in done.err + done.text
        assert_said(verify(home, target(home), "--repair", hub=hub), 0)
        assert_whole(target(home), hub.repos[NAME])


def test_a_file_under_the_name_of_another_is_found(home: Home) -> None:
    with Hub(small()) as hub:
        assert_said(pull(home, hub), 0)
    one, two = target(home) / SHARD, target(home) / "model-00002-of-00003.safetensors"
    one.rename(target(home) / "x")
    two.rename(one)
    (target(home) / "x").rename(two)
    done = verify(home, target(home))
    assert done.code not in (0, 1)
    assert SHARD in done.err + done.text
    assert two.name in done.err + done.text


def test_a_foreign_file_is_named_and_left_alone(home: Home) -> None:
    with Hub(small()) as hub:
        assert_said(pull(home, hub), 0)
    foreign = target(home) / "model-00004-of-00003.safetensors"
    foreign.write_bytes(b"not ours")
    done = verify(home, target(home))
    assert foreign.name in done.err + done.text
    assert foreign.read_bytes() == b"not ours"


def test_a_quick_look_finds_what_is_short_and_takes_a_sample_of_the_rest(home: Home) -> None:
    with Hub(small()) as hub:
        assert_said(pull(home, hub), 0)
    assert_said(verify(home, target(home), "--sample", "10%"), 0)
    os.truncate(target(home) / SHARD, 1000)
    assert verify(home, target(home), "--sample", "10%").code not in (0, 1)


def test_the_manifest_is_not_believed_when_it_was_changed(home: Home) -> None:
    """Manifest and file changed together still meet the trusted digest at a repair online."""
    with Hub(small()) as hub:
        assert_said(pull(home, hub), 0)
        os.truncate(target(home) / SHARD, 4096)
        for file in target(home).rglob("*manifest*"):
            file.write_bytes(file.read_bytes()[:-20])
        done = verify(home, target(home))
        assert done.code not in (0, 1)
        assert "Traceback" not in done.err


def test_a_folder_that_was_never_pulled_says_so(home: Home) -> None:
    empty = home.cwd / "empty"
    empty.mkdir()
    done = verify(home, empty)
    assert done.code in (2, 3, 5)
    assert str(empty) in done.err
    assert verify(home, home.cwd / "nowhere").code in (2, 3, 5)


def test_a_file_vanishing_under_the_check_is_a_finding_not_a_crash(home: Home) -> None:
    with Hub(small()) as hub:
        assert_said(pull(home, hub), 0)
    (target(home) / SHARD).unlink()
    (target(home) / SHARD).symlink_to(home.cwd / "nowhere")
    done = verify(home, target(home))
    assert done.code not in (0, 1)
    assert "Traceback" not in done.err
