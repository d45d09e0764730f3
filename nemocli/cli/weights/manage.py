"""`nemocli weights status`, `ls` and `rm`: what is here, and what is to go."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nemocli.cli.weights.session import Desk
from nemocli.core.faults import NemoError, config_error, usage_error
from nemocli.core.quantities import count_of, size_text
from nemocli.io.weights.find import commits, repos_in_cache
from nemocli.io.weights.store import CacheStore, FolderStore
from nemocli.weights.pull.pull import STATUS
from nemocli.weights.status import Status, read_status, status_json, status_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nemocli.cli.context import Setup
    from nemocli.core.values import Json


def run_status(setup: Setup, target: str | None, local_dir: str | None, *, json: bool) -> None:
    """One place, or every repository of the cache that a pull has touched."""
    desk = Desk(setup)
    if target is None and local_dir is None:
        stores = [s for _, s in repos_in_cache(desk.cache) if s.state.path.is_dir()]
        found = [_status(store) for store in stores]
        if json:
            setup.out.json([status_json(s) for s in found])
            return
        if not found:
            setup.err.dim(f"no pull has left anything in {desk.cache}")
    else:
        one = _status(_store(desk, target, local_dir))
        if json:
            setup.out.json(status_json(one))
            return
        found = [one]
    for status in found:
        setup.out.lines(status_lines(status))


def _store(desk: Desk, target: str | None, local_dir: str | None) -> CacheStore | FolderStore:
    if local_dir is not None:
        return FolderStore(Path(local_dir).expanduser().absolute())
    path = Path(target or "").expanduser()
    if path.is_dir():
        return FolderStore(path.absolute())
    from nemocli.weights.names import resolve_repo

    return CacheStore(desk.cache, resolve_repo(desk.catalogue, target or "", None).repo)


def _status(store: CacheStore | FolderStore) -> Status:
    status = read_status(store.folder, store.state.owner(), store.read_state(STATUS))
    if status.state != "complete":
        return status
    commit = status.said.get("commit")
    gone = missing_of(store, str(commit)) if commit else 0
    return replace(status, state="incomplete", missing=gone) if gone else status


def missing_of(store: CacheStore | FolderStore, commit: str) -> int:
    """How many contents of a manifest are not here, or not in their size: a look at names and
    sizes. 0 also where there is no manifest."""
    from nemocli.weights.listing import blobs_of
    from nemocli.weights.manifest import read_manifest
    from nemocli.weights.pull.pull import manifest_name

    text = store.read_state(manifest_name(commit))
    if text is None:
        return 0
    try:
        entries = read_manifest(text, "the manifest").entries
        stamps = [
            (blob, store.stamp(seat))
            for blob in blobs_of(entry.file for entry in entries)
            for seat in store.seats(blob)
        ]
    except NemoError:
        return 0
    return sum(stamp is None or stamp.size != blob.size for blob, stamp in stamps)


def run_ls(setup: Setup, *, json: bool) -> None:
    """Models in the cache."""
    desk = Desk(setup)
    found = [
        (row, store)
        for repo, store in repos_in_cache(desk.cache)
        if (row := _row_of(repo, store)) is not None
    ]
    rows = [row for row, _ in found]
    if json:
        setup.out.json({"schema": "nemocli.weights-ls/1", "cache": str(desk.cache), "repos": rows})
        return
    if not rows:
        setup.err.dim(f"no models in {desk.cache}")
    width = max((len(str(row["repo"])) for row in rows), default=0)
    for row, store in found:
        setup.out.line(f"{row['repo']!s:<{width}}  " + ", ".join(_said_of(row, store)))


def _row_of(repo: str, store: CacheStore) -> dict[str, Json] | None:
    """A repository in the cache; None for a pull that was refused."""
    known = commits(store)
    status = _status(store)
    held = sum(_held(p) for p in _files(store.root / "blobs"))
    unfinished = sum(_held(p) for p in _files(store.state.path / "parts"))
    if not (known or held or unfinished):
        return None
    return {
        "repo": repo,
        "path": str(store.root),
        "bytes": held,
        "bytes_unfinished": unfinished,
        "state": status.state if status.state != "nothing" else None,
        "verified": [c for c, _ in known if _verified(store, c)],
        "revisions": [{"commit": c, "refs": list(refs)} for c, refs in known],
    }


def _said_of(row: Mapping[str, Json], store: CacheStore) -> Iterator[str]:
    """Its size, and each commit with its state."""
    yield f"{size_text(_count(row['bytes'])):>10}"
    for commit, refs in commits(store):
        gone = missing_of(store, commit)
        mark = "verified" if _verified(store, commit) else "not verified here"
        mark = f"incomplete: {count_of(gone, 'file')} missing" if gone else mark
        yield f"{commit[:8]} {' '.join(refs)} ({mark})".replace("  ", " ")
    if _count(row["bytes_unfinished"]):
        yield f"{size_text(_count(row['bytes_unfinished']))} unfinished"


def run_rm(setup: Setup, repo: str, *, parts: bool, yes: bool) -> None:
    """A repository, or only what is unfinished of it, out of the cache."""
    desk = Desk(setup)
    store = CacheStore(desk.cache, repo)
    if not store.root.is_dir():
        raise config_error(f"{repo} is not in {desk.cache}", "`nemocli weights ls` lists what is")
    target = store.state.path / "parts" if parts else store.root
    size = sum(_held(p) for p in _files(target))
    if not yes:
        if not setup.may_ask:
            raise usage_error(f"{target} holds {size_text(size)}", "add --yes to remove it")
        setup.err.ask(f"Remove {target} ({size_text(size)})? [y/N]")
        if input().strip().lower() not in ("y", "yes"):
            raise usage_error("nothing was removed")
    with store.lock() as owner:
        if owner is not None:
            raise config_error(f"{owner} is pulling {repo}", "stop it first")
        try:
            shutil.rmtree(target)
        except OSError as error:
            raise config_error(f"cannot remove {target}: {error.strerror or error}") from error
    locks = desk.cache / ".locks" / store.root.name
    if not parts and locks.is_dir():
        shutil.rmtree(locks, ignore_errors=True)
    setup.err.dim(f"removed {size_text(size)}")


def _manifest(store: CacheStore, commit: str) -> Path:
    from nemocli.weights.pull.pull import manifest_name

    return store.state.path / manifest_name(commit)


def _verified(store: CacheStore, commit: str) -> bool:
    return _manifest(store, commit).is_file() and not missing_of(store, commit)


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()]


def _held(path: Path) -> int:
    try:
        found = path.stat()
    except OSError:
        return 0
    return min(found.st_size, getattr(found, "st_blocks", found.st_size) * 512 or found.st_size)


def _count(value: Json) -> int:
    return value if isinstance(value, int) else 0
