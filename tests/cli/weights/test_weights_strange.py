"""Hubs, mirrors, proxies, disks and caches as people have them, each once misjudged."""

from __future__ import annotations

import os
import stat
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from nemocli.io.http.download_client import Sockets
from nemocli.weights.hub import next_page
from nemocli.weights.hub_layout import cache_root, hf_home
from nemocli.weights.ports import Ask
from nemocli.weights.pull.pace import Watchdog
from tests.cli.weights.weights_case import (
    NAME,
    SHARD,
    assert_said,
    assert_whole,
    mounted,
    pull,
    pull_to_cache,
    shards,
    target,
    to_hub,
)
from tests.run import Home, run
from tests.servers.content import MIB, Known
from tests.servers.hub import Hub
from tests.servers.mishaps import Headers, Redirect, Refuse, Truncate
from tests.servers.repository import Entry, Repo, small


def test_an_address_that_was_remembered_and_expired_is_asked_for_again(home: Home) -> None:
    repo = shards(40 * MIB, 1)
    with Hub(repo, url_uses=1) as hub:
        hub.rule(Truncate(MIB), "cdn", "*.safetensors", times=2)
        done = pull(home, hub)
        seen = len(hub.asked("resolve"))
    assert_said(done, 0)
    assert "HF_TOKEN" not in done.err
    assert_whole(target(home), repo)
    assert seen > len(repo.entries)


def test_one_file_that_is_refused_does_not_keep_the_others(home: Home) -> None:
    repo = small()
    with Hub(repo) as hub:
        hub.rule(Refuse(403), "resolve", SHARD, times=None)
        done = pull(home, hub)
    assert done.code == 4
    assert_whole(target(home), repo, {e.path for e in repo.entries} - {SHARD})


def test_an_etag_of_a_nodes_own_is_a_note_where_the_digest_is_known(home: Home) -> None:
    repo = shards(40 * MIB, 1)
    with Hub(repo) as hub:
        hub.rule(Headers({"etag": '"node-7"'}), "cdn", "*.safetensors", times=1, skip=1)
        done = pull(home, hub)
    assert_said(done, 0)
    assert_whole(target(home), repo)


@pytest.mark.parametrize("times", [1, 2])
def test_a_range_that_is_falsely_refused_is_asked_for_otherwise(home: Home, times: int) -> None:
    repo = shards(3 * MIB, 1)
    with Hub(repo) as hub:
        hub.rule(Truncate(MIB), "cdn", "*.safetensors", times=1)
        hub.rule(Refuse(416), "cdn", "*.safetensors", times=times)
        done = pull(home, hub)
    assert_said(done, 0)
    assert_whole(target(home), repo)


@pytest.mark.parametrize(
    "headers", [{"content-length": "5, 5"}, {"x-linked-size": "nonsense"}, {"etag": ""}]
)
def test_no_header_of_a_server_raises_anything_but_a_fault(
    home: Home, headers: dict[str, str | None]
) -> None:
    repo = small()
    with Hub(repo) as hub:
        hub.rule(Headers(headers), "cdn", times=1)
        hub.rule(Headers(headers), "resolve", times=1)
        done = pull(home, hub)
    assert "unexpected" not in done.err, done.err
    assert done.code != 1


def test_a_raw_redirect_is_followed_percent_encoded(home: Home) -> None:
    repo = small()
    with Hub(repo) as hub:
        hub.rule(Redirect("/a path/caf\u00e9"), "resolve", times=1)
        done = pull(home, hub)
        paths = [seen.path for seen in hub.seen]
    assert "unexpected" not in done.err, done.err
    assert done.code != 1
    assert not any(" " in path for path in paths if "a path" in path)


def test_a_proxy_is_told_its_password_for_plain_addresses_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str | None] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.append(self.headers.get("Proxy-Authorization"))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("http_proxy", f"http://me:secret%21@127.0.0.1:{server.server_port}")
    monkeypatch.delenv("no_proxy", raising=False)
    connections = Sockets("test", 5.0)
    body = connections.get(Ask("http://far.invalid/file", 0, None, None))
    body.close(reuse=False)
    connections.close()
    server.shutdown()
    server.server_close()
    assert told == ["Basic bWU6c2VjcmV0IQ=="]


@pytest.mark.parametrize(
    ("endpoint", "link", "next_"),
    [
        ("https://hub.a", "https://hub.a/api/x?c=1", "https://hub.a/api/x?c=1"),
        ("https://mirror.b", "https://hub.a/api/x?c=1", "https://mirror.b/api/x?c=1"),
        ("https://m.b/hf", "https://m.b/hf/api/x?c=1", "https://m.b/hf/api/x?c=1"),
        ("https://m.b/hf", "https://hub.a/api/x?c=1", "https://m.b/hf/api/x?c=1"),
        ("https://m.b/hf", "/hf/api/x?c=1", "https://m.b/hf/api/x?c=1"),
        ("https://m.b/hf", "?c=1", "https://m.b/hf/api/models?c=1"),
    ],
)
def test_the_next_page_is_at_the_endpoint(endpoint: str, link: str, next_: str) -> None:
    assert next_page(endpoint, f"{endpoint}/api/models", link) == next_


def test_long_names_arrive_and_what_cannot_be_a_file_can_be_left_out(home: Home) -> None:
    long, longer = "n" * 246 + ".bin", "m" * 300
    for name in (long, longer):
        repo = Repo(NAME, (Entry(name, Known(b"x" * 1000)), Entry("README.md", Known(b"hi"))))
        with Hub(repo) as hub:
            done = pull(home, hub)
            left = pull(home, hub, "--exclude", "[nm]*")
        assert left.code == 0, left.err
        assert done.code == (0 if name == long else 3), done.err
        assert name != longer or "--exclude" in done.err
    assert (target(home) / long).read_bytes() == b"x" * 1000


def test_reserved_names_can_be_left_out(home: Home) -> None:
    name = ".cache/huggingface/trees/x.json"
    repo = Repo(NAME, (Entry(name, Known(b"x")), Entry("README.md", Known(b"hi"))))
    with Hub(repo) as hub:
        refused = pull(home, hub)
        done = pull(home, hub, "--exclude", ".cache/*")
    assert refused.code != 0
    assert done.code == 0, done.err


def test_variables_in_paths_are_expanded_as_the_ecosystem_does() -> None:
    env = {"HF_HOME": "$DISK/hf", "DISK": "/data", "HF_HUB_CACHE": "${NONE}/x"}
    assert hf_home(env, "/home/me") == "/data/hf"
    assert cache_root(env, "/home/me") == "${NONE}/x"
    assert cache_root({"HF_HOME": "~/${A}", "A": "b"}, "/home/me") == "/home/me/b/hub"


def test_the_other_offline_variable_counts(home: Home, tmp_path: Path) -> None:
    with Hub(small()) as hub:
        done = pull_to_cache(home, hub, tmp_path / "cache", TRANSFORMERS_OFFLINE="1")
        assert hub.seen == []
    assert done.code == 7


def test_status_and_ls_look_before_they_say_complete(home: Home, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    repo = small()
    with Hub(repo) as hub:
        assert pull_to_cache(home, hub, cache).code == 0
        env = to_hub(hub, HF_HUB_CACHE=str(cache))
    whole = run("weights", "ls", "--json", home=home, env=env).json()
    blob = max((cache / "models--acme--tiny" / "blobs").iterdir(), key=lambda p: p.stat().st_size)
    blob.unlink()
    status = run("weights", "status", NAME, "--json", home=home, env=env).json()
    listed = run("weights", "ls", "--json", home=home, env=env).json()
    said = run("weights", "ls", home=home, env=env).text
    assert len(whole["repos"][0]["verified"]) == 1
    assert (status["state"], status["files_missing"]) == ("incomplete", 1)
    assert (listed["repos"][0]["verified"], listed["repos"][0]["state"]) == ([], "incomplete")
    assert "1 file missing" in said


def test_a_password_in_the_endpoint_is_refused_and_not_shown(home: Home) -> None:
    env = {"HF_ENDPOINT": "https://me:hunter2secret@hub.invalid"}
    done = run("weights", "plan", NAME, "--json", home=home, env=env)
    assert done.code == 3
    assert "hunter2secret" not in done.err + done.text


def test_two_commits_without_a_main_are_named(home: Home, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with Hub(small()) as hub:
        assert pull_to_cache(home, hub, cache).code == 0
        env = to_hub(hub, HF_HUB_CACHE=str(cache))
    root = cache / "models--acme--tiny"
    (first,) = (p.name for p in (root / "snapshots").iterdir())
    (root / "refs" / "main").unlink()
    (root / "snapshots" / ("b" * 40)).mkdir()
    done = run("weights", "verify", NAME, home=home, env=env)
    assert_said(done, 3, "several revisions", first[:12], "--revision")
    assert run("weights", "verify", NAME, "--revision", first[:10], home=home, env=env).code == 0
    away = run("weights", "export", NAME, str(tmp_path / "out"), "--revision", first,
               home=home, env=env)  # fmt: skip
    assert away.code == 0, away.err


def test_a_lock_belongs_to_whom_the_folder_belongs_to(home: Home, tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        with Hub(small()) as hub:
            assert pull_to_cache(home, hub, tmp_path / "cache").code == 0
    finally:
        os.umask(before)
    (lock,) = (tmp_path / "cache").rglob(".nemocli/lock")
    assert stat.S_IMODE(lock.stat().st_mode) == 0o664


def test_what_is_whole_needs_no_lock_and_no_write(home: Home, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "tmpfs", "size=256m") as disk, Hub(small()) as hub:
        assert pull_to_cache(home, hub, disk / "cache").code == 0
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        again = pull_to_cache(home, hub, disk / "cache")
        more = pull_to_cache(home, hub, disk / "cache", "--recheck")
    assert again.code == 0, again.err
    assert_said(more, 3, "read-only")


def test_the_last_stream_is_compared_with_what_streams_had_before() -> None:
    dog, dead = Watchdog(1000.0), {}
    count = 0
    for second in range(200):
        count += 10_000_000 if second < 60 else 2
        dead = dead or dog.look(float(second), {0: count})
    assert "before" in dead[0]
