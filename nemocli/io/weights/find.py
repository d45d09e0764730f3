"""Weights that are on this machine already, whoever brought them, and what is known of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from nemocli.core.faults import NemoError, config_error
from nemocli.core.value_class import value_class
from nemocli.io.files import read_text
from nemocli.io.weights.part import disk_error
from nemocli.io.weights.store import CacheStore, FolderStore
from nemocli.weights import hub_layout as layout
from nemocli.weights.repository import NO_COMMIT, Listing, RemoteFile, check_path

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHORT = re.compile(r"[0-9a-f]{7,39}")
_SHA256 = re.compile(r"[0-9a-f]{64}")

MANIFEST = "nemocli-manifest.json"


@value_class(frozen=True, slots=True)
class Place:
    """A repository on a disk. `manifest` is its text where there is one, `listing` what can be
    known without; `files` is the folder in which its files have their names."""

    store: CacheStore | FolderStore
    files: Path
    manifest: str | None
    where: str
    listing: Listing | None


def find(text: str, cache: Path, repo: str | None, revision: str | None = None) -> Place:
    """What a path or (`repo`) a repository in the cache is, at a revision: `main`, or the only one
    there is, where none is named. Raises a config fault when it is nothing of the kind."""
    path = Path(text).expanduser()
    if path.is_dir():
        found = _folder(path.absolute())
        if found is None:
            raise config_error(
                f"{path} holds no weights that anything is known of",
                "a pull, an export or huggingface_hub leaves notes; name the folder they are in",
            )
        return found
    if repo is not None:
        store = CacheStore(cache, repo)
        commit = _commit_of(store, revision or "main")
        if commit is None and revision is None:
            commit = _only_commit(store)
        known = commits(store)
        if commit is not None and any(name == commit for name, _ in known):
            return _cached(store, repo, commit)
        if known:
            names = ", ".join(" ".join([name[:12], *refs]) for name, refs in known)
            which = "several revisions" if revision is None else f"no revision {revision!r}"
            raise config_error(
                f"{cache} has {which} of {repo}: {names}",
                "name one with `--revision` (a branch, a tag or a commit)",
            )
        raise config_error(f"{repo} is not in {cache}", f"`nemocli weights pull {repo}` fetches it")
    raise config_error(f"no folder {path}", "name a folder with weights, or ORG/NAME")


def recall_listing(
    store: CacheStore | FolderStore, repo: str, endpoint: str, revision: str
) -> Listing | None:
    """A revision's files as an earlier run listed them."""
    commit = _commit_of(store, revision)
    if commit is None:
        return None
    files = _tree(store, commit)
    return None if files is None else Listing(repo, endpoint, revision, commit, files)


def repos_in_cache(cache: Path) -> Iterator[tuple[str, CacheStore]]:
    """Every model in the cache."""
    if not cache.is_dir():
        return
    for folder in sorted(cache.iterdir()):
        repo = layout.repo_of_folder(folder.name)
        if repo is not None and folder.is_dir():
            yield repo, CacheStore(cache, repo)


def commits(store: CacheStore) -> list[tuple[str, list[str]]]:
    """The snapshots of a repository, and the revisions that mean each."""
    refs: dict[str, list[str]] = {}
    folder = store.root / "refs"
    for ref in sorted(folder.rglob("*")) if folder.is_dir() else []:
        if ref.is_file():
            name = ref.relative_to(folder).as_posix()
            refs.setdefault((read_text(ref) or "").strip(), []).append(name)
    snapshots = store.root / "snapshots"
    names = sorted(p.name for p in snapshots.iterdir()) if snapshots.is_dir() else []
    return [(name, refs.get(name, [])) for name in names if _COMMIT.fullmatch(name)]


def _folder(path: Path) -> Place | None:
    snapshot = path.parent.name == "snapshots" and _COMMIT.fullmatch(path.name)
    if snapshot and (repo := layout.repo_of_folder(path.parent.parent.name)):
        return _cached(CacheStore(path.parent.parent.parent, repo), repo, path.name)
    if (path / "snapshots").is_dir() and (repo := layout.repo_of_folder(path.name)):
        store = CacheStore(path.parent, repo)
        commit = _commit_of(store, "main") or _only_commit(store)
        return None if commit is None else _cached(store, repo, commit)
    folder = FolderStore(path)
    exported = path / MANIFEST
    if exported.is_file():
        return Place(folder, path, read_text(exported), str(exported), None)
    own = _newest(folder.state.path, "manifest-*.json")
    if own is not None:
        return Place(folder, path, read_text(own), str(own), None)
    noted = _noted(path)
    return None if noted is None else Place(folder, path, None, str(path), noted)


def _cached(store: CacheStore, repo: str, commit: str) -> Place:
    files = store.root / "snapshots" / commit
    own = store.state.path / f"manifest-{commit}.json"
    text = read_text(own) if own.is_file() else None
    rows = _tree(store, commit) or _linked(files)
    listing = None if rows is None else Listing(repo, layout.HUB, commit, commit, rows)
    if rows is not None and text is None:
        present = tuple(row for row in rows if (files / row.path).is_symlink())
        listing = Listing(repo, layout.HUB, commit, commit, present or rows)
    return Place(store, files, text, str(own if text else files), listing)


def _commit_of(store: CacheStore | FolderStore, revision: str) -> str | None:
    if _COMMIT.fullmatch(revision):
        return revision
    if isinstance(store, CacheStore) and _SHORT.fullmatch(revision):
        begun = [name for name, _ in commits(store) if name.startswith(revision)]
        if len(begun) == 1:
            return begun[0]
    if isinstance(store, FolderStore):
        known = _newest(store.root / layout.LOCAL_META / "trees", "*.json")
        return known.stem if known is not None and _COMMIT.fullmatch(known.stem) else None
    try:
        check_path(revision)
    except NemoError:
        return None
    ref = store.root / "refs" / revision
    commit = (read_text(ref) or "").strip() if ref.is_file() else ""
    return commit if _COMMIT.fullmatch(commit) else None


def _only_commit(store: CacheStore) -> str | None:
    found = commits(store)
    return found[0][0] if len(found) == 1 else None


def _tree(store: CacheStore | FolderStore, commit: str) -> tuple[RemoteFile, ...] | None:
    """The list of a commit's files; a name that leads out of its folder makes it worthless."""
    local = isinstance(store, FolderStore)
    folder = store.root / layout.LOCAL_META if local else store.root
    file = folder / "trees" / f"{commit}.json"
    rows = layout.read_tree_file(read_text(file) or "") if file.is_file() else None
    for row in rows or ():
        check_path(row.path)
    return rows


def _linked(snapshot: Path) -> tuple[RemoteFile, ...] | None:
    """A snapshot without a list: each link names its content's digest."""
    rows = []
    for link in sorted(snapshot.rglob("*")):
        if link.is_symlink() and link.exists():
            row = _row(link.relative_to(snapshot).as_posix(), link.readlink().name, link)
            if row is not None:
                rows.append(row)
    return tuple(rows) or None


def _noted(folder: Path) -> Listing | None:
    """A plain folder of huggingface_hub's: a note beside each file has its digest."""
    notes = folder / layout.LOCAL_META / "download"
    rows, commit = [], NO_COMMIT
    for note in sorted(notes.rglob("*.metadata")) if notes.is_dir() else []:
        path = note.relative_to(notes).as_posix().removesuffix(".metadata")
        said = (read_text(note) or "").split()
        if len(said) > 1 and (row := _row(path, said[1], folder / path)) is not None:
            commit = said[0] if _COMMIT.fullmatch(said[0]) else commit
            rows.append(row)
    return Listing("unknown/unknown", layout.HUB, commit, commit, tuple(rows)) if rows else None


def _row(path: str, etag: str, file: Path) -> RemoteFile | None:
    if not file.is_file():
        return None
    size = file.stat().st_size
    if _SHA256.fullmatch(etag):
        return RemoteFile(path, size, NO_COMMIT, etag)
    return RemoteFile(path, size, etag) if _COMMIT.fullmatch(etag) else None


def _newest(folder: Path, pattern: str) -> Path | None:
    found = [p for p in folder.glob(pattern) if p.is_file()] if folder.is_dir() else []
    return max(found, key=lambda p: p.stat().st_mtime, default=None)


def size_and_sum(file: Path, *, read: bool) -> tuple[int | None, str | None]:
    """A file's bytes and, when it is read, its SHA-256; None for what is not there."""
    try:
        if not read:
            return file.stat().st_size, None
        with file.open("rb") as source:
            digest = hashlib.file_digest(source, "sha256").hexdigest()
            return source.tell(), digest
    except FileNotFoundError:
        return None, None
    except OSError as error:
        raise disk_error("cannot read", file, error) from error
