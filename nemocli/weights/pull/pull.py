"""A pull from beginning to end: survey, check, reserve, fetch, publish, write down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import TypeVar

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.value_class import value_class
from nemocli.weights import journal as journals
from nemocli.weights.concurrency import abreast
from nemocli.weights.digest import SUM_CHARS, Count, Reading, StopFlag, Stopped, read_whole
from nemocli.weights.hub import Source
from nemocli.weights.journal import Journal, Verified
from nemocli.weights.listing import blobs_of, collisions
from nemocli.weights.manifest import Manifest, ManifestEntry, manifest_json, read_manifest
from nemocli.weights.progress import Doing, Phase, Progress, Rate, progress_json
from nemocli.weights.pull.assembly import BlobWork
from nemocli.weights.pull.bulk import InBulk
from nemocli.weights.pull.fetch import Fetching
from nemocli.weights.pull.options import PullTerms, PullWorld
from nemocli.weights.repository import Blob, Listing
from nemocli.weights.segments import all_of
from nemocli.weights.space import Need, check_room
from nemocli.weights.survey import Survey, survey

T = TypeVar("T")

TICK_S = 0.2
STATUS_S = 1.0
STATUS = "status.json"


@value_class(frozen=True, slots=True)
class Report:
    """What a pull came to. Bytes: `fetched` over the wire, `present` were here and are good,
    `resumed` of an earlier run's parts."""

    repo: str
    commit: str
    path: str
    files: int
    size: int
    fetched: int
    present: int
    resumed: int
    seconds: float
    requests: int
    retries: int
    refetched_files: int


class Pull:
    """One run over one repository. `whole` is all of the commit, `listing` the files wanted."""

    def __init__(
        self,
        whole: Listing,
        listing: Listing,
        sources: Sequence[Source],
        world: PullWorld,
        terms: PullTerms,
    ) -> None:
        self._whole = whole
        self._listing = listing
        self._blobs = blobs_of(listing.files)
        self._sources = sources
        self._world = world
        self._terms = terms
        self._began = world.clock.monotonic()
        self._phase: Phase = "checking"
        self._note: str | None = None
        self._journal = Journal()
        self._entries: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._present = 0
        self._present_files = 0
        self._checked = Count()
        self._rate = Rate()
        self._fetching: Fetching | None = None
        self._in_bulk: InBulk | None = None
        self._stop = StopFlag()
        self._next_status = 0.0

    async def run(self) -> Report:
        """Do it. The lock is held by the caller. Raises NemoError; what was fetched is kept."""
        store = self._world.store
        ticking = asyncio.create_task(self._tick())
        try:
            store.check_case(collisions(self._listing.files))
            store.begin()
            self._journal = journals.read(store.journal())
            self._remember_manifest()
            found = survey(self._blobs, store, self._journal)
            lacking = await self._check(found)
            store.rewrite_journal(journals.journal_bytes(self._journal))
            await self._reserve(lacking)
            await self._fetch(lacking)
            self._phase = "finishing"
            path = await self._run(self._finish)
        finally:
            self._stop.set()
            ticking.cancel()
        self._phase = "done"
        self._show(self._world.clock.monotonic(), final=True)
        return self._report(path)

    def already(self, place: str | None) -> Report | None:
        """The report of a pull with nothing to do: all is here and was verified, at its `place`.
        Takes no lock and writes nothing, so that a folder others own or nobody may write serves."""
        store = self._world.store
        if place is None or self._terms.recheck:
            return None
        try:
            self._journal = journals.read(store.journal())
            self._remember_manifest()
            found = survey(self._blobs, store, self._journal)
        except NemoError:
            return None
        if any(f.lacking or f.unsure or f.blob.name not in self._entries for f in found.found):
            return None
        self._present = found.present
        return self._report(place)

    # what is here

    def _remember_manifest(self) -> None:
        """Marks of files that an earlier pull finished: with them a damaged one is mended."""
        for blob in self._blobs:
            sums = all_of(self._journal.claims.get(blob.name, {}), blob.size)
            marked = sums is not None and all(len(s) == SUM_CHARS for s in sums)
            if sums is not None and marked and blob.sha256 is not None:
                self._entries[blob.name] = (blob.sha256, sums)
        text = self._world.store.read_state(manifest_name(self._listing.commit))
        if text is None:
            return
        try:
            known = read_manifest(text, "the manifest")
        except NemoError:
            return  # torn or from elsewhere: it is written anew at the end
        for entry in known.entries:
            self._entries[entry.file.etag] = (entry.sha256, entry.sums)

    async def _check(self, found: Survey) -> list[Blob]:
        """Read the files nobody here has verified, several at once; the contents still lacking."""
        queue = [
            (f.blob, seat, seat in f.unsure)
            for f in found.found
            for seat in (*f.good, *f.unsure)
            if seat in f.unsure or self._terms.recheck or f.blob.name not in self._entries
        ]
        lacking = {f.blob.name for f in found.found if f.lacking}
        self._present = sum(f.blob.size for f in found.found if f.blob.name not in lacking)
        self._present_files = len(found.found) - len(lacking)

        async def one() -> None:
            while queue:
                blob, seat, _ = queue.pop()
                if not await self._check_seat(blob, seat):
                    if blob.name not in lacking:
                        self._present -= blob.size
                        self._present_files -= 1
                    lacking.add(blob.name)

        await abreast(one() for _ in range(min(len(queue), self._terms.workers)))
        return [f.blob for f in found.found if f.blob.name in lacking]

    async def _check_seat(self, blob: Blob, seat: str) -> bool:
        store = self._world.store

        def read() -> Reading:
            file = store.open_seat(seat)
            try:
                return read_whole(file, blob, self._stop, self._checked)
            finally:
                file.close()

        before = store.stamp(seat)
        reading = await self._run(read)
        if reading.good and before is not None:
            self._journal.verified[seat] = Verified(blob.name, before)
            self._entries[blob.name] = (reading.sha256, reading.sums)
            return True
        self._journal.verified.pop(seat, None)
        sums = self._entries.get(blob.name, ("", ()))[1]
        if sums:
            first = reading.first_bad(sums)
            self._world.tell(f"{seat} is damaged from segment {first} of {len(sums)}: repairing it")
            store.withdraw(seat, blob)
            self._journal.claims[blob.name] = dict(enumerate(sums))
        else:
            self._world.tell(f"{seat} is not what {self._listing.repo} has: fetching it")
        return False

    # room and bytes

    async def _reserve(self, lacking: Sequence[Blob]) -> None:
        self._phase = "reserving"
        store = self._world.store
        seats = sum(len(store.seats(b)) for b in lacking)
        copies = sum(b.size * (len(store.seats(b)) - 1) for b in lacking)
        held = sum(store.part_bytes(b) for b in lacking)
        need = Need(max(0, sum(b.size for b in lacking) + copies - held), seats)
        if self._terms.reserve:
            check_room(need, store.space(), store.folder)
            await self._run(lambda: store.reserve(lacking))

    async def _fetch(self, lacking: Sequence[Blob]) -> None:
        if not lacking:
            return
        if not self._sources:
            raise NemoError(offline_fault(self._listing, lacking))
        if self._world.bulk is not None:
            self._phase = "fetching"
            self._in_bulk = InBulk(self._world.bulk, self._world, self._placed)
            lacking = await self._in_bulk.run(lacking, self._journal.claims, self._stop)
        if not lacking:
            return
        self._fetching = Fetching(
            self._listing, self._sources, self._world, self._terms, self._published
        )
        self._phase = "fetching"
        self._look_at_window()
        await self._fetching.run(lacking, self._journal.claims)

    def _published(self, work: BlobWork) -> None:
        self._placed(work.blob, work)

    def _placed(self, blob: Blob, read: BlobWork | Reading) -> None:
        """In a worker's thread: a file has its place; remember it as it is."""
        store = self._world.store
        self._entries[blob.name] = (read.sha256, read.sums)
        for seat in store.seats(blob):
            stamp = store.stamp(seat)
            if stamp is not None:
                self._journal.verified[seat] = Verified(blob.name, stamp)
                store.note(journals.verification_line(seat, blob.name, stamp))

    def _finish(self) -> str:
        store = self._world.store
        gone = [b for b in self._blobs if any(store.stamp(s) is None for s in store.seats(b))]
        if gone:
            raise NemoError(
                Fault(
                    FaultKind.CORRUPT,
                    f"{gone[0].path} vanished from {store.folder} while the pull was running",
                    "something else removes files there; run the command again",
                )
            )
        path = store.finish(self._whole, self._listing)
        name = manifest_name(self._listing.commit)
        before = store.read_state(name)
        older = None
        if before is not None:
            try:
                older = read_manifest(before, name)
            except NemoError:
                older = None
        store.write_state(name, manifest_json(self.manifest().with_also(older)))
        # The manifest has the marks now; the journal keeps what files looked like.
        names = {blob.name for blob in self._blobs}
        left = {n: c for n, c in self._journal.claims.items() if n not in names}
        store.rewrite_journal(journals.journal_bytes(Journal(left, self._journal.verified)))
        return path

    def manifest(self) -> Manifest:
        """What is here, as it was verified."""
        listing = self._listing
        entries = tuple(
            ManifestEntry(file, *self._entries[file.etag])
            for file in sorted(listing.files, key=lambda f: f.path)
        )
        now = self._world.clock.now().isoformat(timespec="seconds")
        return Manifest(
            listing.repo,
            listing.endpoint,
            listing.revision,
            listing.commit,
            self._terms.tool,
            now,
            entries,
            listing.licence,
        )

    # beside it

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await self._world.threads.run(work, self._stop.set)
        except Stopped as stopped:
            raise asyncio.CancelledError from stopped

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            now = self._world.clock.monotonic()
            if self._fetching is not None:
                self._look_at_window()
                self._fetching.look(now)
            self._show(now)

    def _look_at_window(self) -> None:
        window, fetching = self._terms.window, self._fetching
        if window is None or fetching is None:
            return
        wait = window.wait_s(self._world.clock.now().astimezone())
        if wait:
            fetching.pause()
            self._phase, self._note = "paused", f"until the window opens in {wait / 60:.0f} min"
        else:
            fetching.resume()
            self._phase, self._note = "fetching", None

    def _show(self, now: float, *, final: bool = False) -> None:
        progress = self._progress(now)
        self._world.observe(progress)
        if final or now >= self._next_status:
            self._next_status = now + STATUS_S
            at = self._world.clock.now().isoformat(timespec="seconds")
            said = {
                **progress_json(progress),
                "repo": self._listing.repo,
                "commit": self._listing.commit,
                "at": at,
            }
            self._world.store.write_state(STATUS, json.dumps(said))

    def _progress(self, now: float) -> Progress:
        fetching = self._fetching
        doing: list[Doing] = []
        done, files_done, fetched, retries = self._present, self._present_files, 0, 0
        if self._in_bulk is not None:
            fetched = self._in_bulk.moved
            files_done += len(self._in_bulk.good)
            # Until it has been read, what came counts as it came.
            done += fetched if fetching is None else sum(b.size for b in self._in_bulk.good)
        if fetching is not None:
            finished = {blob.name for blob in fetching.tally.done}
            for name, work in list(fetching.works.items()):
                written = work.blob.size if name in finished else work.written
                done += written
                if name not in finished:
                    doing.append(Doing(work.blob.path, written, work.blob.size))
            files_done += len(finished)
            fetched += fetching.fetched
            retries = fetching.tally.retries
        moved = self._checked.bytes if self._phase == "checking" else fetched
        return Progress(
            self._phase,
            sum(blob.size for blob in self._blobs),
            done,
            fetched,
            len(self._blobs),
            files_done,
            self._rate.at(now, moved),
            tuple(doing),
            retries,
            self._note,
        )

    def _report(self, path: str) -> Report:
        fetching, listing = self._fetching, self._listing
        tally = fetching.tally if fetching is not None else None
        return Report(
            listing.repo,
            listing.commit,
            path,
            len(listing.files),
            listing.size,
            (fetching.fetched if fetching is not None else 0)
            + (self._in_bulk.moved if self._in_bulk is not None else 0),
            self._present,
            fetching.resumed if fetching is not None else 0,
            self._world.clock.monotonic() - self._began,
            tally.requests if tally is not None else 0,
            tally.retries if tally is not None else 0,
            tally.restarts if tally is not None else 0,
        )


def manifest_name(commit: str) -> str:
    """The manifest of a commit, in the state folder."""
    return f"manifest-{commit}.json"


def offline_fault(listing: Listing, lacking: Sequence[Blob]) -> Fault:
    """Files are lacking, and nobody may be asked."""
    size = sum(blob.size for blob in lacking)
    return Fault(
        FaultKind.OFFLINE,
        f"{len(lacking)} files of {listing.repo} ({size} bytes) are not here, and this run is"
        " offline",
        "run it once without --offline and HF_HUB_OFFLINE",
        sent=False,
    )
