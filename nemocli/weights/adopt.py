"""Contents taken over from elsewhere on this machine: only what has the right digest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.weights.concurrency import abreast
from nemocli.weights.digest import CHUNK, Count, StopFlag, Whole, read_whole
from nemocli.weights.journal import Journal, Verified
from nemocli.weights.manifest import ManifestEntry
from nemocli.weights.ports import Part, Store, Threads
from nemocli.weights.repository import Blob
from nemocli.weights.survey import survey
from nemocli.weights.verify import Folder, blob_of

Take = Callable[[Blob], bool]
"""Bring a content into its part, from wherever it is; False when it is nowhere. Blocks."""


@dataclass(slots=True)
class Adopted:
    """What came: entries with their marks, and the files that were not what they should be."""

    entries: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    bad: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    taken: int = 0


async def adopt(
    blobs: Sequence[Blob],
    store: Store,
    take: Take,
    threads: Threads,
    journal: Journal,
    *,
    jobs: int,
    seen: Count,
) -> Adopted:
    """Take over what the store lacks. The journal is told what was verified; a content with the
    wrong digest is dropped and named."""
    found = survey(blobs, store, journal)
    queue = [f.blob for f in found.found if f.lacking]
    done, stop = Adopted(), StopFlag()

    def one(blob: Blob) -> None:
        if not take(blob):
            done.absent.append(blob.path)
            return
        part = store.part(blob)
        try:
            reading = read_whole(part, blob, stop, seen)
            if reading.good:
                part.sync()
        finally:
            part.close()
        if not reading.good:
            store.drop_part(blob)
            done.bad.append(blob.path)
            return
        store.publish(blob)
        done.taken += blob.size
        done.entries[blob.name] = (reading.sha256, reading.sums)
        for seat in store.seats(blob):
            stamp = store.stamp(seat)
            if stamp is not None:
                journal.verified[seat] = Verified(blob.name, stamp)

    async def worker() -> None:
        while queue:
            blob = queue.pop()
            await threads.run(partial(one, blob), stop.set)

    try:
        await abreast(worker() for _ in range(max(1, min(jobs, len(queue)))))
    finally:
        stop.set()
    return done


def adoption_fault(done: Adopted, where: str) -> NemoError | None:
    """The failure that files of the wrong content are; None when there were none."""
    if not done.bad:
        return None
    paths = ", ".join(sorted(done.bad)[:3])
    return NemoError(
        Fault(
            FaultKind.CORRUPT,
            f"{len(done.bad)} files in {where} are not what they should be: {paths}",
            "export them again from a place that `nemocli weights verify` finds good",
            retry=False,
            sent=False,
        )
    )


def with_sums(entries: Sequence[ManifestEntry], done: Adopted) -> tuple[ManifestEntry, ...]:
    """Entries with the digests and marks that were read on the way."""
    return tuple(
        ManifestEntry(e.file, *done.entries[e.file.etag]) if e.file.etag in done.entries else e
        for e in entries
    )


def complete_sums(entries: Sequence[ManifestEntry], folder: Folder) -> tuple[ManifestEntry, ...]:
    """With the SHA-256 of files of which only git's own digest was known; they are small."""
    return tuple(e if e.sha256 else _completed(e, folder) for e in entries)


def _completed(entry: ManifestEntry, folder: Folder) -> ManifestEntry:
    part = folder.open(entry.file.path)
    try:
        reading = read_whole(part, blob_of(entry), StopFlag(), Count())
    finally:
        part.close()
    return ManifestEntry(entry.file, reading.sha256, reading.sums)


def copy_checked(source: Part, entry: ManifestEntry, write: Callable[[memoryview], None]) -> None:
    """Read a file once, for a copy and for its digest. Raises NemoError when it is not what it
    should be; what was written by then is worthless."""
    whole, view = Whole(blob_of(entry)), memoryview(bytearray(CHUNK))
    at, size = 0, entry.file.size
    while at < size:
        got = source.read(view[: min(CHUNK, size - at)], at)
        if not got:
            break
        whole.update(view[:got])
        write(view[:got])
        at += got
    if at < size or not whole.matches():
        raise NemoError(
            Fault(
                FaultKind.CORRUPT,
                f"{entry.file.path} is not what it should be",
                "`nemocli weights verify --repair` mends it",
                retry=False,
                sent=False,
            )
        )
