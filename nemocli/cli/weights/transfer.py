"""`nemocli weights export` and `import`: across an air gap, verified on both sides."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from nemocli.cli.event_loop import run_async
from nemocli.cli.weights.progress import ShownPull
from nemocli.cli.weights.pull import hold
from nemocli.cli.weights.session import Desk, Manners
from nemocli.cli.weights.verify import facts_at
from nemocli.core.faults import Fault, FaultKind, NemoError, config_error
from nemocli.core.quantities import size_text
from nemocli.core.value_class import value_class
from nemocli.io.threads import DaemonThreads
from nemocli.io.weights.folder import NamedFiles
from nemocli.io.weights.store import CacheStore, FolderStore, copy_file, share_file
from nemocli.io.weights.transfer import (
    TarOut,
    copy_stream,
    new_file,
    stdin_bytes,
    stdout_bytes,
    stream_errors,
    tar_members,
    world_readable,
)
from nemocli.version import __version__
from nemocli.weights import journal as journals
from nemocli.weights.adopt import adopt, adoption_fault, complete_sums, copy_checked, with_sums
from nemocli.weights.digest import Count
from nemocli.weights.hub_layout import NIM_HUB
from nemocli.weights.listing import blobs_of, check_names
from nemocli.weights.manifest import FILE, Manifest, manifest_json, read_manifest
from nemocli.weights.pull.options import PullWorld
from nemocli.weights.pull.pull import Pull, manifest_name
from nemocli.weights.reports import report_json, report_line
from nemocli.weights.repository import Blob
from nemocli.weights.space import Need, check_room

if TYPE_CHECKING:
    from nemocli.cli.context import Setup
    from nemocli.core.values import Json
    from nemocli.weights.pull.pull import Report

T = TypeVar("T")

UNKNOWN = "unknown/unknown"


@value_class(frozen=True, slots=True)
class Carrying:
    """Where to, and whether a cheap second name will do instead of a copy."""

    local_dir: str | None = None
    copy: bool = False


def run_import(setup: Setup, source: str, wish: Carrying, *, json: bool) -> None:
    """Take a folder, a tar archive or another cache over, file by file and digest by digest."""
    desk, shown = Desk(setup), ShownPull(setup, "auto")
    path = Path(source).expanduser()
    if source == "-":
        report = _interruptible(lambda: _from_tar(desk, stdin_bytes(), source, wish, shown), shown)
    elif path.is_file():
        with path.open("rb") as stream:
            report = _interruptible(lambda: _from_tar(desk, stream, source, wish, shown), shown)
    else:
        report = _interruptible(lambda: _from_place(desk, source, wish, shown), shown)
    if json:
        setup.out.json(report_json(report))
        return
    setup.out.line(report.path)
    setup.err.dim(report_line(report))


@value_class(frozen=True, slots=True)
class Export:
    """What to carry where, as typed."""

    target: str
    dest: str
    as_nim: bool = False
    copy: bool = False
    revision: str | None = None


def run_export(setup: Setup, wish: Export, *, json: bool) -> None:
    """Carry what is verified into a folder, a tar stream, or a cache that NIM reads."""
    desk, shown, dest = Desk(setup), ShownPull(setup, "auto"), wish.dest
    files, manifest = _brought(desk, wish.target, wish.revision)
    path = Path(dest).expanduser().absolute()
    if dest == "-" or path.name.endswith(".tar"):
        _interruptible(lambda: _to_tar(files, manifest, None if dest == "-" else path), shown)
    elif wish.as_nim:
        carry = lambda: _to_nim(desk, files, manifest, path, shown, copy=wish.copy)  # noqa: E731
        _interruptible(carry, shown)
    else:
        _interruptible(lambda: _to_folder(files, manifest, path), shown)
    size = sum(e.file.size for e in manifest.entries)
    if json and dest != "-":
        said: dict[str, Json] = {
            "schema": "nemocli.weights-export/1",
            "repo": manifest.repo,
            "commit": manifest.commit,
            "path": str(path),
            "files": len(manifest.entries),
            "bytes": size,
        }
        setup.out.json(said)
    elif dest != "-":
        setup.out.line(str(path))
    setup.err.dim(f"{len(manifest.entries)} files, {size_text(size)}, every one verified")


def _brought(desk: Desk, target: str, revision: str | None = None) -> tuple[NamedFiles, Manifest]:
    """What lies at a target, and its manifest, made where others brought the files."""
    place, manifest, entries = facts_at(desk, target, revision)
    files, listing = NamedFiles(place.files), place.listing
    if manifest is None and listing is not None and listing.repo != UNKNOWN:
        manifest = Manifest(
            listing.repo,
            listing.endpoint,
            listing.revision,
            listing.commit,
            f"nemocli {__version__}",
            desk.clock.now().isoformat(timespec="seconds"),
            complete_sums(entries, files),
        )
    if manifest is None:
        raise config_error(
            f"it is not known which repository {target} is",
            "`nemocli weights pull ORG/NAME --local-dir` takes over what is good there",
        )
    return files, manifest


async def _to_tar(files: NamedFiles, manifest: Manifest, path: Path | None) -> None:
    def pour(stream: IO[bytes]) -> None:
        tar = TarOut(stream)
        tar.add_text(FILE, manifest_json(manifest))
        for entry in manifest.entries:
            with closing(files.open(entry.file.path)) as part:
                tar.add(entry.file.path, entry.file.size, partial(copy_checked, part, entry))
        tar.close()

    def run() -> None:
        if path is None:
            pour(stdout_bytes())
            return
        with stream_errors(str(path)), path.open("wb") as stream:
            pour(stream)

    await DaemonThreads().run(run, lambda: None)


async def _to_folder(files: NamedFiles, manifest: Manifest, folder: Path) -> None:
    def run() -> None:
        size = sum(e.file.size for e in manifest.entries)
        need = Need(size, len(manifest.entries))
        check_room(need, FolderStore(folder).space(), str(folder))
        for entry in manifest.entries:
            with (
                closing(files.open(entry.file.path)) as part,
                new_file(folder / entry.file.path) as write,
            ):
                copy_checked(part, entry, write)
        with new_file(folder / FILE) as write:
            write(memoryview(manifest_json(manifest).encode()))

    await DaemonThreads().run(run, lambda: None)


async def _to_nim(
    desk: Desk, files: NamedFiles, manifest: Manifest, root: Path, shown: ShownPull, *, copy: bool
) -> None:
    """`HF_HOME` inside NIM containers is `huggingface` in the cache that is mounted there."""
    store = CacheStore(root / NIM_HUB, manifest.repo)
    await _taken(desk, store, manifest, _from_folder(store, files, copy), shown)
    await DaemonThreads().run(lambda: world_readable(root), lambda: None)


def _interruptible(main: Callable[[], Coroutine[Any, Any, T]], shown: ShownPull) -> T:
    try:
        with shown:
            return run_async(main)
    except (KeyboardInterrupt, asyncio.CancelledError) as stop:
        fault = Fault(FaultKind.INTERRUPTED, "interrupted", "the same line again begins anew")
        raise NemoError(fault) from stop


async def _from_place(desk: Desk, source: str, wish: Carrying, shown: ShownPull) -> Report:
    files, manifest = _brought(desk, source)
    store = desk.store(manifest.repo, wish.local_dir)
    return await _taken(desk, store, manifest, _from_folder(store, files, wish.copy), shown)


def _from_folder(
    store: CacheStore | FolderStore, files: NamedFiles, copy: bool
) -> Callable[[Blob], bool]:
    def take(blob: Blob) -> bool:
        for path in blob.paths:
            source = files.root / path
            if files.size(path) == blob.size:
                target = store.where(blob)
                try:
                    if copy:
                        copy_file(source.resolve(), target)
                    else:
                        share_file(source.resolve(), target)
                except OSError as error:
                    raise config_error(f"cannot copy {source}: {error.strerror}") from error
                return True
        return False

    return take


async def _from_tar(
    desk: Desk, stream: IO[bytes], where: str, wish: Carrying, shown: ShownPull
) -> Report:
    """Members come in their order, so all are taken to their parts first."""
    with tar_members(stream, where) as members:
        name, _, data = next(members, ("", 0, stream))
        if name != FILE:
            raise config_error(f"{where} does not begin with {FILE}", "make it with `export`")
        manifest = read_manifest(data.read().decode("utf-8", "replace"), FILE)
        store = desk.store(manifest.repo, wish.local_dir)
        wanted = {e.file.path: e.file for e in manifest.entries}
        blobs = {p: b for b in blobs_of(f for f in wanted.values()) for p in b.paths}
        came: set[str] = set()
        check_names(manifest.listing.files, own_folder=wish.local_dir is not None)
        with ExitStack() as held:
            await hold(store, held, shown)
            store.begin()
            for name, size, data in members:
                if name in blobs and size == blobs[name].size and blobs[name].name not in came:
                    target = store.where(blobs[name])
                    await DaemonThreads().run(
                        partial(copy_stream, data, target, where), lambda: None
                    )
                    came.add(blobs[name].name)
    return await _taken(desk, store, manifest, lambda blob: blob.name in came, shown)


async def _taken(
    desk: Desk,
    store: CacheStore | FolderStore,
    manifest: Manifest,
    take: Callable[[Blob], bool],
    shown: ShownPull,
) -> Report:
    listing = manifest.listing
    check_names(listing.files, own_folder=isinstance(store, FolderStore))
    threads = DaemonThreads()
    with ExitStack() as held:
        await hold(store, held, shown)
        store.check_case(())
        store.begin()
        journal = journals.read(store.journal())
        jobs = os.cpu_count() or 1
        done = await adopt(
            blobs_of(listing.files), store, take, threads, journal, jobs=jobs, seen=Count()
        )
        store.rewrite_journal(journals.journal_bytes(journal))
        if (failure := adoption_fault(done, "what was brought")) is not None:
            raise failure
        whole = replace(manifest, entries=with_sums(manifest.entries, done))
        store.write_state(manifest_name(listing.commit), manifest_json(whole))
        world = PullWorld(store, threads, desk.clock, desk.connect, shown.progress, shown.tell)
        return await Pull(listing, listing, (), world, desk.terms(Manners())).run()
