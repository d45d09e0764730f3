"""Pinned weights: found, fetched once, verified, and mended when they are spoilt."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from nemocli.core.faults import FaultKind, NemoError
from nemocli.io.servers.pinned import Pin
from tests.io.servers.pulling import fetcher, puller
from tests.servers.files import FileServer

DATA = b"GGUF" + random.Random(7).randbytes(300_000)
PIN = Pin("tiny.gguf", len(DATA), hashlib.sha256(DATA).hexdigest(), (), "give a file")


@dataclass
class Told:
    lines: list[str] = field(default_factory=list)
    most: int = 0

    def say(self, line: str) -> None:
        self.lines.append(line)

    def progress(self, what: str, done: int, total: int | None) -> None:
        self.most = max(self.most, done)

    def finish(self) -> None:
        pass


def pinned(url: str) -> Pin:
    return replace(PIN, sources=({"kind": "url", "url": url},))


def fetch(folder: Path, pin: Pin, told: Told | None = None, **more) -> Path:
    return asyncio.run(fetcher(folder, told or Told(), **more).get(pin))


def test_a_file_is_fetched_once_and_then_found(tmp_path: Path) -> None:
    told = Told()
    with FileServer(DATA) as server:
        first = fetch(tmp_path, pinned(server.url), told)
        again = fetch(tmp_path, pinned(server.url), told)
    assert first == again
    assert first.read_bytes() == DATA
    assert len(server.asked) == 1
    assert told.most == len(DATA)
    assert len(told.lines) == 1


def test_a_broken_fetch_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with FileServer(DATA, cuts=[100_000]) as server:
        assert fetch(tmp_path, pinned(server.url)).read_bytes() == DATA
    assert server.asked == [None, "bytes=100000-"]


def test_a_host_that_keeps_breaking_off_is_given_up(tmp_path: Path) -> None:
    with FileServer(DATA, cuts=[100_000, 0, 0, 0]) as server:
        with pytest.raises(NemoError) as caught:
            fetch(tmp_path, pinned(server.url))
        assert caught.value.fault.kind is FaultKind.NETWORK
        assert fetch(tmp_path, pinned(server.url)).read_bytes() == DATA
    assert server.asked == [None, *["bytes=100000-"] * 3, None]


def test_a_server_without_ranges_sends_it_again(tmp_path: Path) -> None:
    with FileServer(DATA, cuts=[100_000], ranges=False) as server:
        assert fetch(tmp_path, pinned(server.url)).read_bytes() == DATA


def test_a_wrong_file_is_never_used(tmp_path: Path) -> None:
    wrong = b"GGUF" + b"x" * (len(DATA) - 4)
    with FileServer(wrong) as server, pytest.raises(NemoError, match="not the digest"):
        fetch(tmp_path, pinned(server.url))
    assert not (tmp_path / PIN.file).exists()


@pytest.mark.parametrize("spoilt", [DATA[:-1], DATA[:-1] + b"?", b""])
def test_a_spoilt_file_is_fetched_again(tmp_path: Path, spoilt: bytes) -> None:
    with FileServer(DATA) as server:
        file = fetch(tmp_path, pinned(server.url))
        file.write_bytes(spoilt)
        os.utime(file, (time.time() + 5, time.time() + 5))
        assert fetch(tmp_path, pinned(server.url)).read_bytes() == DATA
    assert len(server.asked) == 2


def test_too_much_is_cut_off(tmp_path: Path) -> None:
    with FileServer(DATA * 3) as server, pytest.raises(NemoError, match="not 300004"):
        fetch(tmp_path, pinned(server.url))


def test_one_line_says_what_was_tried_and_what_to_type(tmp_path: Path) -> None:
    with FileServer(DATA, status=503) as server, pytest.raises(NemoError) as caught:
        fetch(tmp_path, pinned(server.url))
    fault = caught.value.fault
    assert "503" in fault.message
    assert "\n" not in fault.message
    assert fault.hint == "connect this machine once, or give a file"


def test_offline_uses_what_is_here_and_fetches_nothing(tmp_path: Path) -> None:
    with FileServer(DATA) as server:
        with pytest.raises(NemoError) as caught:
            fetch(tmp_path, pinned(server.url), offline=True)
        assert caught.value.fault.kind is FaultKind.OFFLINE
        assert server.asked == []
        fetch(tmp_path, pinned(server.url))
        assert fetch(tmp_path, pinned(server.url), offline=True).read_bytes() == DATA


def test_many_at_once_fetch_it_once(tmp_path: Path) -> None:
    told = Told()

    async def go(pin: Pin) -> list[Path]:
        fetchers = [fetcher(tmp_path / "shelf", told) for _ in range(4)]
        return await asyncio.gather(*(f.get(pin) for f in fetchers))

    with FileServer(DATA) as server:
        found = asyncio.run(go(pinned(server.url)))
    assert {p.read_bytes() for p in found} == {DATA}
    assert len(server.asked) == 1
    assert any("waiting for another" in line for line in told.lines)


def test_a_mirror_of_the_hub_takes_its_place(tmp_path: Path) -> None:
    hub = "https://huggingface.co/org/repo/resolve/main/file.gguf"
    with FileServer(DATA) as server:
        env = {"HF_ENDPOINT": server.url.rsplit("/", 1)[0]}
        assert fetch(tmp_path, pinned(hub), env=env).read_bytes() == DATA


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with FileServer(DATA) as server, pytest.raises(NemoError) as caught:
        fetch(blocked / "weights", pinned(server.url))
    assert caught.value.fault.kind is FaultKind.CONFIG
    assert str(blocked) in caught.value.fault.message


def test_a_hub_that_sends_on_to_its_store_is_followed(tmp_path: Path) -> None:
    with FileServer(DATA) as store, FileServer(b"", elsewhere=store.url) as hub:
        assert fetch(tmp_path, pinned(hub.url)).read_bytes() == DATA


def test_offline_also_means_where_one_is_sent_on_to(tmp_path: Path) -> None:
    with FileServer(b"", elsewhere="https://far.invalid/file") as hub:
        engine = puller(tmp_path / "home", offline=True)
        with pytest.raises(NemoError) as caught:
            asyncio.run(engine(hub.url, PIN, tmp_path / "shelf", lambda done: None))
    assert caught.value.fault.kind is FaultKind.OFFLINE
    assert "far.invalid" in caught.value.fault.message
