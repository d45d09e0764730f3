"""The Hub stand-in keeps the Hub's word: to plain HTTP, and to huggingface_hub itself."""

from __future__ import annotations

import hashlib
import http.client
import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.hub_peer import hf
from tests.servers.content import PAGE, Known, Virtual, sha256
from tests.servers.hub import OUTSIDER, TOKEN, Hub
from tests.servers.mishaps import Flip, NoRange, Refuse, Reset, Truncate, WrongRange
from tests.servers.repository import COMMIT, Entry, Repo, enormous, small

SHARD = "model-00001-of-00003.safetensors"


def get(url: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """One request on a connection of its own, redirects not followed."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(
            method, target, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
        reply = connection.getresponse()
        return reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read()
    finally:
        connection.close()


def signed(hub: Hub, path: str = SHARD, **headers: str) -> str:
    _, head, _ = get(f"{hub.url}/acme/tiny/resolve/main/{path}", "HEAD", **headers)
    return head["location"]


def test_a_virtual_file_has_the_same_bytes_however_it_is_read() -> None:
    virtual = Virtual(3 * PAGE + 77, "x")
    whole = virtual.read(0, virtual.size)
    assert len(whole) == virtual.size
    assert b"".join(virtual.read(at, 1000) for at in range(0, virtual.size, 1000)) == whole
    assert sha256(virtual) == hashlib.sha256(whole).hexdigest()
    assert virtual.read(virtual.size, 10) == b""


def test_the_listing_carries_every_size_and_digest_and_the_commit() -> None:
    with Hub(small()) as hub:
        status, _, body = get(f"{hub.url}/api/models/acme/tiny/revision/main")
        assert (status, json.loads(body)["sha"]) == (200, COMMIT)
        _, _, body = get(f"{hub.url}/api/models/acme/tiny/tree/{COMMIT}?recursive=true")
        rows = {r["path"]: r for r in json.loads(body) if r["type"] == "file"}
        assert rows.keys() == {e.path for e in hub.repos["acme/tiny"].entries}
        shard = rows[SHARD]
        assert shard["lfs"]["oid"] == sha256(Virtual(shard["size"], "acme/tiny/1"))


def test_a_long_listing_comes_in_pages() -> None:
    many = [Entry(f"f{n:04}", Known(b"x"), lfs=False) for n in range(25)]
    with Hub(Repo("acme/many", many), page=10) as hub:
        url, rows, pages = f"{hub.url}/api/models/acme/many/tree/main?recursive=True", [], 0
        while url:
            _, head, body = get(url)
            rows += json.loads(body)
            pages += 1
            url = head["link"].split(">")[0].removeprefix("<") if "link" in head else ""
        assert (len(rows), pages) == (25, 3)


def test_an_lfs_file_is_a_redirect_to_another_origin_and_a_git_file_is_itself() -> None:
    with Hub(small()) as hub:
        status, head, _ = get(f"{hub.url}/acme/tiny/resolve/main/{SHARD}", "HEAD")
        entry = hub.repos["acme/tiny"].entry(SHARD)
        assert entry is not None
        assert status == 302
        assert head["x-linked-etag"] == f'"{entry.sha256}"'
        assert head["x-linked-size"] == str(entry.size)
        assert urlsplit(head["location"]).netloc != urlsplit(hub.url).netloc
        status, head, body = get(f"{hub.url}/acme/tiny/resolve/main/config.json")
        assert status == 200
        blob = hashlib.sha1(b"blob %d\0" % len(body) + body, usedforsecurity=False)
        assert head["etag"] == f'"{blob.hexdigest()}"'


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ("bytes=0-9", 206, "bytes 0-9/{size}"),
        ("bytes=100-", 206, "bytes 100-{last}/{size}"),
        ("bytes=-5", 206, "bytes {tail}-{last}/{size}"),
        ("bytes=99999999-", 416, "bytes */{size}"),
    ],
)
def test_ranges(asked: str, status: int, said: str) -> None:
    with Hub(small()) as hub:
        entry = hub.repos["acme/tiny"].entry(SHARD)
        assert entry is not None
        size = entry.size
        code, head, body = get(signed(hub), Range=asked)
        assert code == status
        wanted = said.format(size=size, last=size - 1, tail=size - 5)
        assert head["content-range"] == wanted
        if status == 206:
            first, last = wanted.removeprefix("bytes ").split("/")[0].split("-")
            assert body == entry.content.read(int(first), int(last) - int(first) + 1)


def test_an_address_that_was_not_signed_or_has_expired_is_refused() -> None:
    with Hub(small(), url_uses=1) as hub:
        url = signed(hub)
        assert get(url.replace("Signature=", "Signature=0"))[0] == 403
        assert [get(url)[0], get(url)[0]] == [200, 403]
    with Hub(small(), url_life_s=-1) as hub:
        assert get(signed(hub))[0] == 403


def test_gates_open_for_whoever_was_let_in() -> None:
    shut = small()
    shut.gated = "manual"
    with Hub(shut) as hub:
        url = f"{hub.url}/acme/tiny/resolve/main/{SHARD}"
        status, head, _ = get(url, "HEAD")
        assert (status, head["x-error-code"]) == (401, "GatedRepo")
        assert get(url, "HEAD", Authorization=f"Bearer {OUTSIDER}")[0] == 403
        assert get(url, "HEAD", Authorization=f"Bearer {TOKEN}")[0] == 302
        assert [s.token for s in hub.asked("resolve")] == [None, OUTSIDER, TOKEN]


def test_mishaps_strike_where_and_as_often_as_they_were_told() -> None:
    with Hub(small()) as hub:
        hub.rule(Refuse(503, retry_after=2), times=2, skip=1)
        assert [get(signed(hub))[0] for _ in range(4)] == [200, 503, 503, 200]
        hub.rule(Flip(at=70_000))
        plain, spoilt = hub.repos["acme/tiny"].entry(SHARD), get(signed(hub))[2]
        assert plain is not None
        true = plain.content.read(0, plain.size)
        assert [n for n, (a, b) in enumerate(zip(true, spoilt, strict=True)) if a != b] == [70_000]
        hub.rule(NoRange())
        assert get(signed(hub), Range="bytes=5-9")[0] == 200
        hub.rule(WrongRange())
        assert get(signed(hub), Range="bytes=5-9")[1]["content-range"].startswith("bytes 4101-")


@pytest.mark.parametrize("mishap", [Truncate(1000), Reset(1000)])
def test_a_body_that_is_cut_is_an_error_to_its_reader(mishap: Truncate | Reset) -> None:
    with Hub(small()) as hub:
        hub.rule(mishap)
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            get(signed(hub))
        assert hub.sent(SHARD) == 1000


def test_352_gb_can_be_listed_and_read_anywhere() -> None:
    with Hub(enormous()) as hub:
        repo = hub.repos["nvidia/virtual-ultra-nvfp4"]
        assert len(repo.entries) == 114
        assert 352e9 < repo.size < 353e9
        entry = repo.entries[-1]
        _, head, _ = get(f"{hub.url}/{repo.name}/resolve/main/{entry.path}", "HEAD")
        body = get(head["location"], Range="bytes=3000000000-3000000099")[2]
        assert body == entry.content.read(3_000_000_000, 100)


def test_huggingface_hub_downloads_from_it(tmp_path: Path) -> None:
    with Hub(small(), page=2) as hub:
        cache = tmp_path / "cache"
        done = hf("download", "acme/tiny", cache=cache, HF_ENDPOINT=hub.url, HF_TOKEN=TOKEN)
        assert done.returncode == 0, done.stderr
        snapshot = cache / "models--acme--tiny" / "snapshots" / COMMIT
        for entry in hub.repos["acme/tiny"].entries:
            assert (snapshot / entry.path).read_bytes() == entry.content.read(0, entry.size)
        assert not any(s.authorized for s in hub.asked("cdn"))
        checked = hf("cache", "verify", "acme/tiny", cache=cache, HF_ENDPOINT=hub.url)
        assert checked.returncode == 0, checked.stderr
        assert not [s for s in hub.seen if s.where is None and s.status != 200], hub.seen


def test_huggingface_hub_does_not_notice_a_flip_which_is_why_we_do(tmp_path: Path) -> None:
    with Hub(small()) as hub:
        hub.rule(Flip(at=70_000), pattern=SHARD)
        done = hf(
            "download",
            "acme/tiny",
            "--local-dir",
            "here",
            cache=tmp_path / "c",
            HF_ENDPOINT=hub.url,
        )
        assert done.returncode == 0, done.stderr
        entry = hub.repos["acme/tiny"].entry(SHARD)
        assert entry is not None
        fetched = (tmp_path / "here" / SHARD).read_bytes()
        assert hashlib.sha256(fetched).hexdigest() != entry.sha256


def test_huggingface_hub_is_refused_at_a_gate(tmp_path: Path) -> None:
    shut = small()
    shut.gated = "auto"
    with Hub(shut) as hub:
        done = hf("download", "acme/tiny", cache=tmp_path / "cache", HF_ENDPOINT=hub.url)
        assert done.returncode != 0
        assert "gated" in (done.stderr + done.stdout).lower() or "denied" in done.stderr.lower()
