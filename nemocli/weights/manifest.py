"""What a pulled repository is, in a file that travels with it and is checked without a network."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace

from nemocli.core.faults import NemoError, config_error
from nemocli.core.value_class import value_class
from nemocli.weights.hub_layout import check_repo
from nemocli.weights.repository import Listing, RemoteFile, check_path
from nemocli.weights.segments import SEGMENT, segment_count

SCHEMA = "nemocli.weights-manifest/1"
FILE = "nemocli-manifest.json"
"""Its name beside exported files."""

_HEX = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@value_class(frozen=True, slots=True)
class ManifestEntry:
    """One file. `sha256` is that of its bytes, also for a file git knows by sha1; `sums` are marks,
    at each segment's end the beginning of the SHA-256 up to there; empty when unknown."""

    file: RemoteFile
    sha256: str
    sums: tuple[str, ...] = ()


@value_class(frozen=True, slots=True)
class Manifest:
    """A repository's files at one commit, as they were verified."""

    repo: str
    endpoint: str
    revision: str
    commit: str
    tool: str
    created: str
    entries: tuple[ManifestEntry, ...]
    licence: str | None = None

    @property
    def listing(self) -> Listing:
        """The files as the Hub listed them."""
        files = tuple(entry.file for entry in self.entries)
        return Listing(
            self.repo, self.endpoint, self.revision, self.commit, files, licence=self.licence
        )

    @property
    def by_path(self) -> Mapping[str, ManifestEntry]:
        """Entries by path."""
        return {entry.file.path: entry for entry in self.entries}

    def with_also(self, older: Manifest | None) -> Manifest:
        """Together with what an earlier pull of the same commit brought."""
        if older is None or older.commit != self.commit or older.repo != self.repo:
            return self
        entries = {**older.by_path, **self.by_path}
        return replace(self, entries=tuple(entries[path] for path in sorted(entries)))


def manifest_json(manifest: Manifest) -> str:
    """The file's text. Fields are only ever added."""
    said = {
        "schema": SCHEMA,
        "tool": manifest.tool,
        "created": manifest.created,
        "repo": manifest.repo,
        "endpoint": manifest.endpoint,
        "revision": manifest.revision,
        "commit": manifest.commit,
        "licence": manifest.licence,
        "segment_bytes": SEGMENT,
        "files": [
            {
                "path": entry.file.path,
                "size": entry.file.size,
                "sha256": entry.sha256,
                "git_oid": entry.file.oid,
                "lfs": entry.file.sha256 is not None,
                **({} if entry.file.xet is None else {"xet": entry.file.xet}),
                "segments": list(entry.sums),
            }
            for entry in manifest.entries
        ],
    }
    return json.dumps(said, indent=1, ensure_ascii=False) + "\n"


def read_manifest(text: str, where: str) -> Manifest:
    """The reverse. Raises a config fault naming the file for anything that is not a manifest, or
    names a path outside its folder."""
    try:
        said = json.loads(text)
        if said["schema"] != SCHEMA:
            raise config_error(f"{where}: {said['schema']!r} is not {SCHEMA}", "upgrade nemocli")
        known = said.get("segment_bytes") == SEGMENT
        _check_names(said)
        entries = tuple(_entry(row, known) for row in said["files"])
        return Manifest(
            str(said["repo"]),
            str(said["endpoint"]),
            str(said["revision"]),
            str(said["commit"]),
            str(said["tool"]),
            str(said["created"]),
            entries,
            said.get("licence"),
        )
    except NemoError:
        raise
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise config_error(f"{where} is no manifest of weights ({error!r:.80})") from error


def _check_names(said: Mapping[str, object]) -> None:
    """What becomes part of a path must be what it says it is."""
    check_repo(str(said["repo"]))
    check_path(str(said["revision"]))
    if not _COMMIT.fullmatch(str(said["commit"])):
        raise ValueError("commit")


def _entry(row: Mapping[str, object], segments_known: bool) -> ManifestEntry:
    path, size, sha256 = row["path"], row["size"], row["sha256"]
    sums = row.get("segments") or []
    if not isinstance(path, str) or not isinstance(size, int) or not isinstance(sha256, str):
        raise TypeError("path, size and sha256")
    if size < 0 or not _HEX.fullmatch(sha256) or not isinstance(sums, list):
        raise ValueError(f"size or sha256 of {path}")
    check_path(path)
    if not _COMMIT.fullmatch(str(row["git_oid"])):
        raise ValueError(f"git_oid of {path}")
    xet = row.get("xet")
    file = RemoteFile(
        path,
        size,
        str(row["git_oid"]),
        sha256 if row["lfs"] else None,
        xet if isinstance(xet, str) else None,
    )
    usable = segments_known and len(sums) == segment_count(size)
    return ManifestEntry(file, sha256, tuple(str(s) for s in sums) if usable else ())
