"""The command line of the Hub stand-in: a process of its own."""

from __future__ import annotations

import argparse
import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers import hub as hubs
from tests.servers.repository import Entry, Repo, enormous


@dataclass(frozen=True, slots=True)
class OnDisk:
    """A file's bytes."""

    file: Path
    size: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", self.file.stat().st_size)

    def read(self, start: int, count: int) -> bytes:
        with self.file.open("rb") as opened:
            opened.seek(start)
            return opened.read(count)


SMALL = 1 << 16
"""Files below this are git's own; the others are kept by sha256."""


def from_folder(folder: Path, name: str) -> Repo:
    """What lies in a folder, as a repository."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    entries = [
        Entry(p.relative_to(folder).as_posix(), OnDisk(p), lfs=p.stat().st_size >= SMALL)
        for p in files
    ]
    return Repo(name, entries)


def serve() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(
        description=hubs.__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--name", default="acme/tiny")
    parser.add_argument("--enormous", action="store_true")
    parser.add_argument("--bodies", help="base URL of a server that has the bodies by sha256")
    parser.add_argument("--tls", type=Path, nargs=2, metavar=("CERT", "KEY"))
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    repos = [enormous()] if given.enormous else []
    if given.folder is not None:
        repos.append(from_folder(given.folder, given.name))
    tls = None if given.tls is None else (given.tls[0], given.tls[1])
    hub = hubs.Hub(*repos, bodies=given.bodies, tls=tls, port=given.port)
    for repo in repos:
        _ = [entry.etag for entry in repo.entries]  # hashed now, not at the first request
    with hub, contextlib.suppress(KeyboardInterrupt):
        print(hub.url, flush=True)
        while True:
            time.sleep(3600)
