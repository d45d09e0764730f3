"""Fetchers of pinned weights as the program puts them together."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

from nemocli.cli.context import Globals, Setup
from nemocli.cli.weights.pinned import pull_pinned
from nemocli.io.servers.fetch import Fetcher, PullFile, Teller
from nemocli.io.servers.pinned import PinnedShelf


def puller(home: Path, *, offline: bool = False) -> PullFile:
    """The engine, with waits that a test can afford."""
    env = {**os.environ, "NEMOCLI_HOME": str(home), "NEMOCLI_RETRY_BASE_S": "0.01"}
    setup = Setup(env)
    setup.begin(Globals(offline=offline, quiet=True))
    return partial(pull_pinned, setup)


def fetcher(folder: Path, told: Teller, env: dict[str, str] | None = None, **more: Any) -> Fetcher:
    """One that keeps its files in a folder."""
    pull = puller(folder.parent / "home", offline=more.get("offline", False))
    return Fetcher(PinnedShelf(folder), pull, dict(os.environ) | (env or {}), told, **more)
