"""A user who pulls weights: the command lines, and what must hold of a folder afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.run import Done, Home, Running, run, spawn
from tests.servers.content import MIB
from tests.servers.hub import Hub
from tests.servers.repository import Repo, small

NAME = "acme/tiny"
SHARD = "model-00001-of-00003.safetensors"
SEGMENT = 16 * MIB
"""The most that one worker may lose."""
PATIENCE_S = "1"
"""Seconds without a byte after which a body counts as stalled."""


def to_hub(hub: Hub, **extra: str) -> dict[str, str]:
    """The environment of somebody whose Hub this is."""
    return {"HF_ENDPOINT": hub.url, "HF_HUB_DOWNLOAD_TIMEOUT": PATIENCE_S, **extra}


def target(home: Home) -> Path:
    """The plain folder pulls go to."""
    return home.cwd / "here"


def pull(
    home: Home,
    hub: Hub,
    *args: str,
    name: str = NAME,
    env: Mapping[str, str] | None = None,
    timeout: float = 60,
) -> Done:
    """`weights pull` into the plain folder, to its end."""
    line = ("weights", "pull", name, "--local-dir", str(target(home)), *args)
    return run(*line, home=home, env=to_hub(hub, **(env or {})), timeout=timeout)


def pulling(
    home: Home, hub: Hub, *args: str, name: str = NAME, env: Mapping[str, str] | None = None
) -> Running:
    """The same, under way."""
    line = ("weights", "pull", name, "--local-dir", str(target(home)), *args)
    return spawn(*line, home=home, env=to_hub(hub, **(env or {})))


def pull_to_cache(
    home: Home, hub: Hub, cache: Path, *args: str, name: str = NAME, **env: str
) -> Done:
    """`weights pull` into the Hugging Face cache."""
    return run(
        "weights", "pull", name, *args, home=home, env=to_hub(hub, HF_HUB_CACHE=str(cache), **env)
    )


def verify(home: Home, folder: Path, *args: str, hub: Hub | None = None) -> Done:
    """`weights verify` of a folder, without a network unless there is a Hub to repair from."""
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "1"}
    return run(
        "weights", "verify", str(folder), *args, home=home, env=to_hub(hub) if hub else nowhere
    )


def assert_whole(folder: Path, repo: Repo, only: set[str] | None = None) -> None:
    """Every file is there with its bytes, and nothing of an unfinished one is left."""
    for entry in repo.entries:
        if only is not None and entry.path not in only:
            assert not (folder / entry.path).exists(), entry.path
            continue
        file = folder / entry.path
        assert file.stat().st_size == entry.content.size, entry.path
        with file.open("rb") as opened:
            for at in range(0, entry.content.size, 8 * MIB):
                assert opened.read(8 * MIB) == entry.content.read(at, 8 * MIB), entry.path
    assert unfinished(folder) == []


def unfinished(folder: Path) -> list[Path]:
    """What a pull leaves while it is under way."""
    marks = (".incomplete", ".part", ".partial", ".tmp", ".lease", ".download")
    return [p for p in folder.rglob("*") if p.is_file() and p.name.endswith(marks)]


def published(folder: Path, repo: Repo) -> list[str]:
    """The files that stand at their own names."""
    return [e.path for e in repo.entries if (folder / e.path).exists()]


def assert_nothing_false(folder: Path, repo: Repo) -> None:
    """What stands at its name is what it should be, finished or not."""
    for path in published(folder, repo):
        entry = repo.entry(path)
        assert entry is not None
        data = (folder / path).read_bytes()
        assert data == entry.content.read(0, entry.content.size), f"{path} is not what it claims"


def assert_said(done: Done, code: int | tuple[int, ...], *words: str) -> None:
    """It ended so and said so, in words and without a traceback."""
    codes = (code,) if isinstance(code, int) else code
    assert done.code in codes, f"{done.code}, not {codes}: {done.err[-2000:]}"
    assert "Traceback" not in done.err, done.err
    for word in words:
        assert word.lower() in done.err.lower(), f"{word!r} is not said: {done.err[-2000:]}"


def shards(size: int, count: int = 3) -> Repo:
    """The usual repository with shards of another size."""
    return small(shards=count, size=size)


@contextlib.contextmanager
def mounted(folder: Path, kind: str, options: str, device: Path | None = None) -> Iterator[Path]:
    """A file system of the test's own; skipped where that is not permitted."""
    folder.mkdir(parents=True, exist_ok=True)
    source = "none" if device is None else str(device)
    line = ["mount", "-t", kind, "-o", options, source, str(folder)]
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root may mount")
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"mount is not permitted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)


@contextlib.contextmanager
def huge_disk(folder: Path, size: int = 400 * 10**9) -> Iterator[Path]:
    """A file system of so many bytes that takes a few megabytes: ext4 on a sparse file."""
    image = folder / "image"
    if not shutil.which("mkfs.ext4"):
        pytest.skip("no mkfs.ext4 here")
    with image.open("wb") as opened:
        opened.truncate(size)
    lazy = "lazy_itable_init=1,lazy_journal_init=1,nodiscard"
    make = ["mkfs.ext4", "-q", "-m0", "-E", lazy, str(image)]
    subprocess.run(make, check=True, capture_output=True)
    with mounted(folder / "huge", "ext4", "loop", image) as disk:
        yield disk
