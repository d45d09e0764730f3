"""Files and folders that go along with a message, as text."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from nemocli.core.faults import NemoError, usage_error
from nemocli.io.stdin import read_attachment

MOST_FILES = 500
_NEVER = frozenset({"node_modules", "__pycache__", "venv", "target", "dist", "build"})


def attachments(path: str) -> tuple[list[tuple[str, str]], int]:
    """The name and text of a file, or of every text file below a folder (hidden ones and what tools
    make are left out), and how many were passed over as no text. Raises NemoError."""
    folder = Path(path).expanduser()
    if not folder.is_dir():
        return [read_attachment(path)], 0
    found: list[tuple[str, str]] = []
    passed = 0
    for file in _files(folder):
        if len(found) >= MOST_FILES:
            raise usage_error(
                f"{path} holds more than {MOST_FILES} text files", "name a part of it"
            )
        try:
            found.append(read_attachment(str(file)))
        except NemoError:
            passed += 1
    return found, passed


def _files(folder: Path) -> Iterator[Path]:
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if f not in _NEVER and not f.startswith("."))
        yield from (Path(here, name) for name in sorted(names) if not name.startswith("."))
