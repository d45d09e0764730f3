"""A model repository as the Hub lists it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from tests.servers.content import MIB, Content, Known, Virtual, git_sha1, sha256

Gate = Literal["auto", "manual"]
COMMIT = hashlib.sha1(b"first", usedforsecurity=False).hexdigest()
OTHER_COMMIT = hashlib.sha1(b"second", usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Entry:
    """One file. `lfs` ones are kept at the CDN and known by sha256, the others by git's sha1;
    `announced` is a sha256 (and `announced_size` a size) that the listing claims instead;
    `xet` is its name in a chunk store."""

    path: str
    content: Content
    lfs: bool = True
    announced: str | None = None
    announced_size: int | None = None
    xet: str | None = None

    @cached_property
    def sha256(self) -> str:
        return self.announced or sha256(self.content)

    @cached_property
    def oid(self) -> str:
        return git_sha1(Known(self._pointer()) if self.lfs else self.content)

    @property
    def size(self) -> int:
        return self.content.size if self.announced_size is None else self.announced_size

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.oid

    def _pointer(self) -> bytes:
        head = b"version https://git-lfs.github.com/spec/v1\n"
        return head + f"oid sha256:{self.sha256}\nsize {self.size}\n".encode()

    def listed(self) -> dict[str, Any]:
        """Its row in the tree."""
        row: dict[str, Any] = {
            "type": "file",
            "oid": self.oid,
            "size": self.size,
            "path": self.path,
        }
        if self.lfs:
            pointer = len(self._pointer())
            row["lfs"] = {"oid": self.sha256, "size": self.size, "pointerSize": pointer}
        if self.xet is not None:
            row["xetHash"] = self.xet
        return row


@dataclass
class Repo:
    """A repository at one commit. `gated` asks for a token that was let in, `private` hides it."""

    name: str
    entries: list[Entry]
    commit: str = COMMIT
    gated: Gate | None = None
    private: bool = False
    licence: str = "other"
    refs: Mapping[str, str] = field(default_factory=dict)

    def at(self, revision: str) -> str | None:
        """The commit a revision means."""
        if revision in ("main", self.commit):
            return self.commit
        return self.refs.get(revision)

    def entry(self, path: str) -> Entry | None:
        return next((e for e in self.entries if e.path == path), None)

    def directories(self) -> list[dict[str, Any]]:
        """Rows of the folders, which a recursive listing also has."""
        found = {p for e in self.entries for p in _parents(e.path)}
        blank = "0" * 40
        return [{"type": "directory", "oid": blank, "size": 0, "path": p} for p in sorted(found)]

    def info(self) -> dict[str, Any]:
        """What GET /api/models/NAME says."""
        return {
            "_id": "0" * 24,
            "id": self.name,
            "modelId": self.name,
            "sha": self.commit,
            "private": self.private,
            "gated": self.gated or False,
            "disabled": False,
            "tags": ["safetensors", f"license:{self.licence}"],
            "cardData": {"license": self.licence},
            "downloads": 0,
            "likes": 0,
            "lastModified": "2026-06-04T00:00:00.000Z",
            "siblings": [{"rfilename": e.path} for e in self.entries],
        }

    @property
    def size(self) -> int:
        return sum(e.size for e in self.entries)


def _parents(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: n + 1]) for n in range(len(parts)) if all(parts)]


def small(name: str = "acme/tiny", shards: int = 3, size: int = 2 * MIB + 12345) -> Repo:
    """Some shards and the small files around them: what most tests pull."""
    return Repo(
        name,
        [
            Entry("config.json", Known(b'{"model_type": "nemotron_h"}\n'), lfs=False),
            Entry("README.md", Known("# Tiny\n\nÜnicode, too.\n".encode()), lfs=False),
            *(
                Entry(f"model-{n:05}-of-{shards:05}.safetensors", Virtual(size + n, f"{name}/{n}"))
                for n in range(1, shards + 1)
            ),
            Entry("extra/tokenizer.model", Virtual(70_001, f"{name}/tokenizer")),
        ],
    )


def enormous(
    name: str = "nvidia/virtual-ultra-nvfp4", files: int = 114, total: int = 352_300_000_000
) -> Repo:
    """352.3 GB in 114 files, as the NVFP4 weights are, none of whose bytes exist."""
    shards = files - 4
    each = total // shards
    large = [
        Entry(f"model-{n:05}-of-{shards:05}.safetensors", Virtual(each, f"{name}/{n}"))
        for n in range(1, shards + 1)
    ]
    rest = [
        Entry("config.json", Known(b"{}\n"), lfs=False),
        Entry("README.md", Known(b"# Ultra\n"), lfs=False),
        Entry("tokenizer.json", Virtual(17_000_000, f"{name}/tokenizer")),
        Entry("model.safetensors.index.json", Virtual(9_000_000, f"{name}/index"), lfs=False),
    ]
    return Repo(name, rest + large)
