"""Pinned weights, brought by the same engine as whole repositories."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nemocli.cli.weights.session import Desk, Manners
from nemocli.io.threads import DaemonThreads
from nemocli.io.weights.store import FolderStore
from nemocli.weights.hub import Source
from nemocli.weights.pull.options import PullWorld
from nemocli.weights.pull.pull import Pull
from nemocli.weights.repository import NO_COMMIT, Listing, RemoteFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from nemocli.cli.context import Setup
    from nemocli.io.servers.pinned import Pin
    from nemocli.weights.progress import Progress

TRIES = 3
"""In a row without progress: somebody waits for an answer, and there may be another source."""

_COMMIT = re.compile(r"/resolve/([0-9a-f]{40})/")


async def pull_pinned(
    setup: Setup, url: str, pin: Pin, folder: Path, progress: Callable[[int], None]
) -> None:
    """What `io.fetching.PullFile` promises: the address is the only source, the sum decides."""
    desk = Desk(setup)
    listing = listing_of(url, pin)
    world = PullWorld(
        FolderStore(folder),
        DaemonThreads(),
        desk.clock,
        desk.connect,
        lambda now: _told(now, progress),
        setup.err.dim,
    )
    patience = replace(desk.patience, tries=TRIES)
    terms = replace(desk.terms(Manners()), patience=patience)
    await Pull(listing, listing, (Source(listing.endpoint, exact=url),), world, terms).run()


def listing_of(url: str, pin: Pin) -> Listing:
    """A repository of one file; its commit is that of the address, if it names one."""
    parts = urlsplit(url)
    commit = found[1] if (found := _COMMIT.search(parts.path)) else NO_COMMIT
    file = RemoteFile(pin.file, pin.size, NO_COMMIT, pin.sha256)
    return Listing("pinned/weights", f"{parts.scheme}://{parts.netloc}", commit, commit, (file,))


def _told(now: Progress, progress: Callable[[int], None]) -> None:
    if now.phase in ("fetching", "done"):
        progress(now.done)
