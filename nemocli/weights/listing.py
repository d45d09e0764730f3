"""A repository at one commit, as the Hub lists it: every file with its size and digest."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.text import one_line
from nemocli.core.values import Json, JsonObject, count
from nemocli.weights.repository import Blob, Listing, RemoteFile, check_path

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_RESERVED = (".git/", ".cache/")
"""Folders that are not the repository's to write in a user's own folder."""


def read_info(data: Json, repo: str, endpoint: str, revision: str) -> Listing:
    """The answer of `GET /api/models/REPO/revision/REV` (huggingface_hub 2.4.0, 2026-11).
    Raises NemoError when it is not one."""
    if not isinstance(data, dict):
        raise _strange(endpoint, "no description of a repository")
    commit = data.get("sha")
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        raise _strange(endpoint, "a repository without a commit")
    card = data.get("cardData")
    licence = card.get("license") if isinstance(card, dict) else None
    return Listing(
        repo,
        endpoint,
        revision,
        commit,
        gated=data.get("gated") not in (None, False),
        licence=one_line(licence, 60) if isinstance(licence, str) else None,
    )


def read_tree(data: Json, endpoint: str) -> tuple[RemoteFile, ...]:
    """One page of `GET /api/models/REPO/tree/COMMIT?recursive=true`. Raises NemoError for a page
    that is not one, and for a path that would leave its folder."""
    if not isinstance(data, list):
        raise _strange(endpoint, "no list of files")
    rows = [row for row in data if isinstance(row, dict) and row.get("type") == "file"]
    return tuple(_file(row, endpoint) for row in rows)


def _file(row: JsonObject, endpoint: str) -> RemoteFile:
    path, size, oid = row.get("path"), count(row.get("size")), row.get("oid")
    if not isinstance(path, str) or size is None or not isinstance(oid, str):
        raise _strange(endpoint, "a file without path, size or id")
    lfs, sha256 = row.get("lfs"), None
    if isinstance(lfs, dict):
        sha256, large = lfs.get("oid"), count(lfs.get("size"))
        size = size if large is None else large
        if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
            raise _strange(endpoint, f"no sha256 for {one_line(path, 80)}")
    if not _COMMIT.fullmatch(oid):
        raise _strange(endpoint, f"no git id for {one_line(path, 80)}")
    check_path(path, whole=False)
    xet = row.get("xetHash")
    return RemoteFile(path, size, oid, sha256, xet if isinstance(xet, str) else None)


def check_names(files: Sequence[RemoteFile], *, own_folder: bool) -> None:
    """Refuse a listing whose names cannot all be files of one folder; with `own_folder` also one
    that writes where a user's tools look for theirs."""
    names = {file.path for file in files}
    if len(names) < len(files):
        raise _names("the same path twice")
    for name in names:
        check_path(name)
        parents = {p.as_posix() for p in PurePosixPath(name).parents}
        if both := parents & names:
            raise _names(f"{one_line(min(both), 80)} both as a file and as a folder")
        if own_folder and f"{name.casefold()}/".startswith(_RESERVED):
            raise _names(f"{one_line(name, 80)}, which is not a repository's to write")


def collisions(files: Iterable[RemoteFile]) -> tuple[tuple[str, str], ...]:
    """Pairs of paths that are one file where case, or the form of an accent, does not count."""
    found: dict[str, str] = {}
    pairs: list[tuple[str, str]] = []
    for file in files:
        folded = unicodedata.normalize("NFC", file.path).casefold()
        if folded in found:
            pairs.append((found[folded], file.path))
        found[folded] = file.path
    return tuple(pairs)


def select_files(listing: Listing, include: Sequence[str], exclude: Sequence[str]) -> Listing:
    """The files that match a pattern of `include` (all, if there is none) and none of `exclude`.

    Patterns are shell wildcards over the whole path; `*` crosses folders and `dir/` means all
    below, as in huggingface_hub. Raises NemoError when nothing is left.
    """
    wanted = [_pattern(p) for p in include]
    unwanted = [_pattern(p) for p in exclude]
    files = tuple(
        file
        for file in listing.files
        if (not wanted or any(fnmatchcase(file.path, p) for p in wanted))
        and not any(fnmatchcase(file.path, p) for p in unwanted)
    )
    if not files:
        message = f"no file of {listing.repo} is left after --include and --exclude"
        if not listing.files:
            message = f"{listing.repo} has no files"
        hint = "`nemocli weights plan REPO --json` lists the paths"
        raise NemoError(Fault(FaultKind.USAGE, message, hint, sent=False))
    return replace(listing, files=files)


def blobs_of(files: Iterable[RemoteFile]) -> tuple[Blob, ...]:
    """The contents behind the files, each once, in the order of the listing."""
    found: dict[str, Blob] = {}
    for file in files:
        known = found.get(file.etag)
        if known is None:
            blob = Blob(file.etag, file.size, file.sha256, (file.path,), file.xet)
        elif known.size != file.size:
            raise _names(f"{one_line(file.path, 80)} in two sizes under one digest")
        else:
            blob = replace(known, paths=(*known.paths, file.path))
        found[file.etag] = blob
    return tuple(found.values())


def _pattern(text: str) -> str:
    plain = text.replace("\\", "/")
    return plain + "*" if plain.endswith("/") else plain


def _strange(endpoint: str, what: str) -> NemoError:
    return NemoError(
        Fault(
            FaultKind.PROTOCOL,
            f"{one_line(endpoint, 80)} answered with {what}",
            "check HF_ENDPOINT, and whether a login page of the network stands in between",
        )
    )


def _names(what: str) -> NemoError:
    return NemoError(Fault(FaultKind.PROTOCOL, f"the repository lists {what}; nothing was written"))
