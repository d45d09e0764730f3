"""A repository of weights at one commit: its files, their sizes and digests, and their contents."""

from __future__ import annotations

import unicodedata

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.text import one_line
from nemocli.core.value_class import value_class

LONGEST_NAME = 255
"""Bytes of one name that file systems take."""


NO_COMMIT = "0" * 40
"""Of a file that is in no repository."""


@value_class(frozen=True, slots=True)
class RemoteFile:
    """One file. `oid` is git's sha1 of what git holds (for a large file: of its pointer);
    `sha256` None for a file that git itself holds."""

    path: str
    size: int
    oid: str
    sha256: str | None = None
    xet: str | None = None

    @property
    def etag(self) -> str:
        """The name its content goes by in the shared cache."""
        return self.sha256 or self.oid


@value_class(frozen=True, slots=True)
class Listing:
    """What a revision is. `revision` as it was asked for, `commit` what it meant then."""

    repo: str
    endpoint: str
    revision: str
    commit: str
    files: tuple[RemoteFile, ...] = ()
    gated: bool = False
    licence: str | None = None

    @property
    def size(self) -> int:
        """Bytes of all files, those with the same content counted each time."""
        return sum(file.size for file in self.files)


@value_class(frozen=True, slots=True)
class Blob:
    """One content, under all the names it has. `sha256` None: checked by git's sha1, its name."""

    name: str
    size: int
    sha256: str | None
    paths: tuple[str, ...]
    xet: str | None = None

    @property
    def path(self) -> str:
        """The first of its names, for people."""
        return self.paths[0]


def check_path(path: str, *, whole: bool = True) -> None:
    """Refuse a name that, on this or any system, would be written outside its folder; where it is
    judged as a `whole`, also one that is too long for a file."""
    parts = path.split("/")
    anchored = any(
        part[1:2] == ":" or part[:1] == "\\" or part in ("", ".", "..") for part in parts
    )
    if whole and any(len(part.encode("utf-8", "replace")) > LONGEST_NAME for part in parts):
        raise NemoError(
            Fault(
                FaultKind.CONFIG,
                f"no file here can have so long a name ({len(path):,} characters):"
                f" {one_line(path, 80)}",
                "leave it out with `--exclude`",
                sent=False,
            )
        )
    climbs = ".." in path.replace("\\", "/").split("/")
    hidden = any(unicodedata.category(c) in ("Cc", "Cs") for c in path)
    if anchored or climbs or hidden:
        raise NemoError(
            Fault(
                FaultKind.PROTOCOL,
                f"the repository lists a path that would leave its folder: {one_line(path, 80)!r}",
                "nothing was written; do not trust this repository, and tell its owner",
            )
        )
