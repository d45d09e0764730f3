"""The chunk store as another engine: faster lines, the same verification, and plain requests behind
it. A store in a folder stands for the real one, which hf_xet reads as it reads that."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.cli.weights.weights_case import NAME, assert_said, assert_whole, pull, target
from tests.run import Home
from tests.servers.content import Known
from tests.servers.hub import TOKEN, Hub
from tests.servers.repository import Entry, Repo

pytestmark = pytest.mark.slow

hf_xet = pytest.importorskip("hf_xet")

DATA = random.Random(5).randbytes(3_000_000)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "chunks"
    folder.mkdir()
    return folder


def stored(folder: Path, data: bytes) -> str:
    """Put a content into the store; its name there."""
    source = folder.parent / "source"
    source.write_bytes(data)
    session = hf_xet.XetSession()
    with session.new_upload_commit(endpoint=f"local://{folder}") as commit:
        upload = commit.start_upload_file(str(source))
    return str(upload.result().xet_info.hash)


def repo(xet: str | None) -> Repo:
    plain = Entry("config.json", Known(b"{}"), lfs=False)
    return Repo(NAME, [Entry("model.safetensors", Known(DATA), xet=xet), plain])


def test_what_the_store_has_comes_from_it_and_is_verified(home: Home, store: Path) -> None:
    with Hub(repo(stored(store, DATA)), chunks=f"local://{store}") as hub:
        done = pull(home, hub, "--engine", "xet", env={"HF_TOKEN": TOKEN})
        assert_said(done, 0)
        assert_whole(target(home), hub.repos[NAME])
        assert hub.asked("cdn") == []
        assert "3.0 MB fetched" in done.err
        again = pull(home, hub, "--engine", "xet")
        assert "nothing fetched" in again.err


def test_wrong_bytes_of_the_store_are_never_kept(home: Home, store: Path) -> None:
    other = stored(store, bytes(reversed(DATA)))
    with Hub(repo(other), chunks=f"local://{store}") as hub:
        done = pull(home, hub, "--engine", "xet")
        assert_said(done, 0, "model.safetensors did not arrive whole")
        assert_whole(target(home), hub.repos[NAME])
        assert len(hub.asked("cdn")) == 1


@pytest.mark.parametrize("chunks", [None, "local:///nowhere/at/all"])
def test_a_store_that_fails_gives_way_to_plain_requests(home: Home, chunks: str | None) -> None:
    with Hub(repo("0" * 64), chunks=chunks) as hub:
        done = pull(home, hub, "--engine", "xet")
        assert_said(done, 0, "going on with plain requests")
        assert_whole(target(home), hub.repos[NAME])


def test_an_engine_nobody_knows_is_refused(home: Home) -> None:
    with Hub(repo(None)) as hub:
        assert_said(pull(home, hub, "--engine", "warp"), 2, "http or xet")
