"""Whom a pull believes, and to whom it shows what: tokens, hostile listings, moving branches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.weights.weights_case import (
    NAME,
    SHARD,
    assert_said,
    assert_whole,
    published,
    pull,
    target,
)
from tests.run import Home
from tests.servers.content import MIB, Virtual
from tests.servers.hub import OUTSIDER, TOKEN, Hub
from tests.servers.mishaps import Flip, Headers, Redirect
from tests.servers.repository import OTHER_COMMIT, Entry, Repo, small

# Gates and tokens


pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("token", "word"), [(None, "token"), (OUTSIDER, "gated"), ("hf_x", "")])
def test_a_gate_that_is_shut_is_exit_4_and_says_how_to_open_it(
    home: Home, token: str | None, word: str
) -> None:
    with Hub(replace(small(), gated="manual")) as hub:
        done = pull(home, hub, env={"HF_TOKEN": token} if token else {})
        assert_said(done, 4, NAME, word)
        assert hub.asked("cdn") == []
        if token:
            assert token not in done.err + done.text


def test_a_token_opens_the_gate_and_is_shown_to_nobody_else(home: Home) -> None:
    with Hub(replace(small(), gated="auto", private=True)) as hub:
        done = pull(home, hub, env={"HF_TOKEN": TOKEN})
        assert_said(done, 0)
        assert_whole(target(home), hub.repos[NAME])
        assert {s.token for s in hub.asked("info", "tree", "resolve")} == {TOKEN}
        assert not any(s.authorized for s in hub.asked("cdn"))
        assert TOKEN not in done.err + done.text
        assert home.files_holding(TOKEN) == []


def test_a_token_does_not_follow_a_redirect_to_another_origin(home: Home) -> None:
    with Hub(small()) as hub, Hub(small()) as stranger:
        hub.rule(Redirect(f"{stranger.url}/acme/tiny/resolve/main/{SHARD}"), "resolve", SHARD, None)
        pull(home, hub, env={"HF_TOKEN": TOKEN})
        assert any(s.authorized for s in hub.asked("resolve", path=SHARD))
        assert not any(s.authorized for s in stranger.seen)
        hub.rule(Redirect(f"{stranger.url}/api/models/{NAME}/revision/main"), "info", times=None)
        pull(home, hub, env={"HF_TOKEN": TOKEN})
        assert not any(s.authorized for s in stranger.seen)


def test_the_token_huggingface_hub_stored_is_used(home: Home) -> None:
    folder = home.root / "hf"
    folder.mkdir()
    (folder / "token").write_text(TOKEN + "\n")
    with Hub(replace(small(), gated="auto")) as hub:
        assert_said(pull(home, hub, env={"HF_HOME": str(folder)}), 0)


# What must not be believed


def test_a_listing_that_announces_a_false_digest_is_refused(home: Home) -> None:
    repo = small()
    n = next(n for n, e in enumerate(repo.entries) if e.path == SHARD)
    repo.entries[n] = replace(repo.entries[n], announced="a" * 64)
    with Hub(repo) as hub:
        assert_said(pull(home, hub), (7, 8), SHARD)
        assert SHARD not in published(target(home), repo)


def test_a_listing_that_announces_a_false_size_is_refused(home: Home) -> None:
    for size in (MIB, 3 * MIB):
        repo = small()
        n = next(n for n, e in enumerate(repo.entries) if e.path == SHARD)
        repo.entries[n] = replace(repo.entries[n], announced_size=size)
        with Hub(repo) as hub:
            assert_said(pull(home, hub), (7, 8), SHARD)
            assert SHARD not in published(target(home), repo)


def test_a_small_git_file_is_checked_too(home: Home) -> None:
    with Hub(small()) as hub:
        hub.rule(Flip(3), "resolve", "config.json", times=1)
        assert_said(pull(home, hub), 0)
        assert_whole(target(home), hub.repos[NAME])


HOSTILE = (
    "../outside", "/etc/nemocli-outside", "a/../../outside", "..", ".", "a//b", "a/./b",
    "dir\\..\\..\\outside", "C:\\outside", "nul\0byte", ".cache/huggingface/x", "a/",
    ".cache", ".git", "x" * 300,
)  # fmt: skip


@pytest.mark.parametrize("path", HOSTILE, ids=[repr(p[:20]) for p in HOSTILE])
def test_a_name_that_leads_out_of_the_folder_is_refused(home: Home, path: str) -> None:
    repo = Repo(NAME, [*small().entries, Entry(path, Virtual(100_000, "bad"))])
    before = set(home.root.rglob("*outside*"))
    with Hub(repo) as hub:
        done = pull(home, hub)
        assert "Traceback" not in done.err
        assert done.code not in (0, 1), done.err
        assert hub.asked("tree"), "the listing was never read"
        assert hub.asked("cdn") == [], "bodies were asked for before the names were looked at"
    assert set(home.root.rglob("*outside*")) == before
    assert not Path("/etc/nemocli-outside").exists()


def test_names_that_differ_only_in_case_are_not_laid_over_one_another(home: Home) -> None:
    one, two = Virtual(100_000, "one"), Virtual(100_000, "two")
    repo = Repo(NAME, [Entry("Model.bin", one), Entry("model.bin", two)])
    with Hub(repo) as hub:
        done = pull(home, hub)
        assert "Traceback" not in done.err
        if done.code == 0:
            assert_whole(target(home), repo)
        else:
            assert_said(done, (2, 3, 5, 7), "case")


def test_a_file_and_a_folder_of_one_name_are_refused(home: Home) -> None:
    repo = Repo(NAME, [Entry("a", Virtual(100_000, "one")), Entry("a/b", Virtual(100_000, "two"))])
    with Hub(repo) as hub:
        done = pull(home, hub)
        assert hub.asked("tree")
        assert done.code not in (0, 1), done.err
        assert "Traceback" not in done.err


def test_a_link_that_leads_out_of_the_folder_is_not_followed(home: Home) -> None:
    outside = home.root / "outside"
    outside.mkdir()
    target(home).mkdir()
    (target(home) / "extra").symlink_to(outside)
    with Hub(small()) as hub:
        done = pull(home, hub)
        assert "Traceback" not in done.err
        assert hub.asked("tree")
        assert list(outside.iterdir()) == [], "written through a link that leads elsewhere"
        assert done.code not in (0, 1)


def test_a_commit_that_changes_in_the_middle_is_refused(home: Home) -> None:
    with Hub(small()) as hub:
        hub.rule(Headers({"x-repo-commit": OTHER_COMMIT}), "resolve", SHARD, times=None)
        done = pull(home, hub)
        assert_said(done, (5, 7, 8), SHARD)
        assert SHARD not in published(target(home), hub.repos[NAME])


def test_a_content_that_changes_in_the_middle_is_refused(home: Home) -> None:
    with Hub(small()) as hub:
        hub.rule(Headers({"x-linked-etag": f'"{"b" * 64}"'}), "resolve", SHARD, times=None)
        done = pull(home, hub)
        assert_said(done, (5, 7, 8), SHARD)


def test_a_branch_that_moves_meanwhile_does_not_matter(home: Home) -> None:
    with Hub(small()) as hub:
        assert_said(pull(home, hub), 0)
        asked = [s.headers for s in hub.asked("tree")]
        assert asked
        assert not [s for s in hub.seen if s.where == "resolve" and s.status == 404]
        hub.repos[NAME].commit = OTHER_COMMIT
        assert_said(pull(home, hub), 0)
