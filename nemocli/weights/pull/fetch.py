"""The workers of a pull: each takes files, then shares of files, until every byte is in place."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.provider import origin_of
from nemocli.weights.concurrency import abreast
from nemocli.weights.digest import StopFlag, Stopped
from nemocli.weights.hub import Source
from nemocli.weights.journal import Claims
from nemocli.weights.ports import Ask, Body, Connections
from nemocli.weights.pull.assembly import BlobWork
from nemocli.weights.pull.file_response import EXPIRED, host_of, read_opening
from nemocli.weights.pull.options import PullTerms, PullWorld
from nemocli.weights.pull.pace import Watchdog
from nemocli.weights.pull.retry import ENOUGH, again, of_one_file
from nemocli.weights.pull.stream import Streamer
from nemocli.weights.repository import Blob, Listing
from nemocli.weights.segments import SMALL, Board, Piece

NO_SUCH_RANGE = 416

FILES_A_HELPER = 4
"""Small files for each further stream: a new connection has to pay."""

MOST_RESTARTS = 1
"""A file whose bytes were not the announced ones is fetched so many times more."""


@dataclass(slots=True)
class FetchTally:
    """What a run did, for its report."""

    requests: int = 0
    retries: int = 0
    restarts: int = 0
    failed: list[Fault] = field(default_factory=list)
    done: list[Blob] = field(default_factory=list)


@dataclass(slots=True)
class _Track:
    """How a file is being had: which source, its address there, and what it called itself.
    `no_ranges`: refusals of a range in a row; after two the file is asked for from its start."""

    source: int
    located: str | None = None
    etags: dict[str, str] = field(default_factory=dict)
    no_ranges: int = 0


@dataclass(slots=True)
class _Worker:
    connections: Connections
    streamer: Streamer
    small: bool = False
    piece: Piece | None = None
    reason: str | None = None


class Fetching:
    """Fetches contents into a store. All methods are called in the event loop; the blocking halves
    run in `threads`, one for each worker."""

    def __init__(
        self,
        listing: Listing,
        sources: Sequence[Source],
        world: PullWorld,
        terms: PullTerms,
        published: Callable[[BlobWork], None],
    ) -> None:
        self._listing = listing
        self._sources = sources
        self._world = world
        self._terms = terms
        self._published = published
        self._watchdog = Watchdog(terms.stall_s)
        self._stop = StopFlag()
        self._board = Board(deque())
        self._claims: Mapping[str, Claims] = {}
        self._tracks: dict[str, _Track] = {}
        self._workers: list[_Worker] = []
        self._news = asyncio.Event()
        self._open = asyncio.Event()
        self._open.set()
        self.works: dict[str, BlobWork] = {}
        self.tally = FetchTally()

    @property
    def resumed(self) -> int:
        """Bytes of an earlier run that were found good."""
        return sum(work.resumed.bytes for work in self.works.values())

    @property
    def fetched(self) -> int:
        """Bytes off the wire."""
        return sum(w.streamer.meter.bytes for w in self._workers)

    async def run(self, blobs: Sequence[Blob], claims: Mapping[str, Claims]) -> None:
        """Fetch them all, the largest first. A file that is not what was announced fails alone, at
        the end; every other failure ends the run. Raises NemoError."""
        self._claims = claims
        self._board.queue.extend(sorted(blobs, key=lambda b: (b.name not in claims, -b.size)))
        mirrors = max(1, len(self._sources) - 1)
        self._tracks = {b.name: _Track(n % mirrors) for n, b in enumerate(blobs)}
        count = max(1, min(self._terms.workers, sum(1 + b.size // (1 << 26) for b in blobs)))
        small = sum(b.size <= SMALL for b in blobs)
        helpers = min(self._terms.helpers, small // FILES_A_HELPER)
        for number in range(count + helpers):
            streamer = Streamer(self._terms.pace, self._world.clock.monotonic, self._stop)
            worker = _Worker(self._world.connect(), streamer, small=number >= count)
            self._workers.append(worker)
        try:
            await abreast(self._work(worker) for worker in self._workers)
        finally:
            self._stop.set()
            for worker in self._workers:
                worker.connections.close()
            for work in self.works.values():
                work.part.close()
        if self.tally.failed:
            raise NemoError(self.tally.failed[0])

    def look(self, now: float) -> None:
        """End streams that are dead; called a few times a second."""
        streams = {
            n: w.streamer.meter.bytes
            for n, w in enumerate(self._workers)
            if w.piece is not None and not w.streamer.meter.waiting
        }
        for number, reason in self._watchdog.look(now, streams).items():
            self._workers[number].reason = reason
            self._workers[number].connections.abort()

    def pause(self) -> None:
        """No byte until `resume`."""
        if self._open.is_set():
            self._open.clear()
            for worker in self._workers:
                worker.reason = "paused"
                worker.connections.abort()

    def resume(self) -> None:
        """Bytes may flow again."""
        self._open.set()

    async def _work(self, worker: _Worker) -> None:
        while True:
            await self._open.wait()
            task = self._board.take(small=worker.small)
            if task is None:
                if self._board.idle:
                    self._wake()
                    return
                self._news.clear()
                await self._news.wait()
            elif isinstance(task, Blob):
                await self._begin(worker, task)
            else:
                await self._finish_piece(worker, task)

    def _wake(self) -> None:
        self._news.set()

    async def _in_thread(self, worker: _Worker, job: Callable[[], None]) -> None:
        def abort() -> None:
            self._stop.set()
            worker.connections.abort()

        try:
            await self._world.threads.run(job, abort)
        except Stopped as stopped:
            raise asyncio.CancelledError from stopped

    async def _begin(self, worker: _Worker, blob: Blob) -> None:
        """Open a file, and believe of an earlier run what the disk confirms."""
        known = self.works.get(blob.name)
        work = known or BlobWork(blob, self._world.store.part(blob), self._world.store.note)
        self.works[blob.name] = work
        claims = {} if known is not None else self._claims.get(blob.name, {})
        spans: list[tuple[int, int]] = []
        if claims or work.behind:
            await self._in_thread(worker, lambda: spans.extend(work.check(claims, self._stop)))
        else:  # nothing has to be read for it
            spans = work.check(claims, self._stop)
        self._board.open(blob, spans)
        self._wake()
        if work.complete:
            await self._close(worker, work)

    async def _finish_piece(self, worker: _Worker, piece: Piece) -> None:
        work = self.works[piece.blob.name]
        work.live.append(piece)
        worker.piece = piece
        try:
            while piece.at < piece.end and not work.failed:
                await self._open.wait()
                await self._try(worker, work, piece)
        except NemoError as error:
            if not of_one_file(error.fault):
                raise
            self._give_up(work, error.fault)
        finally:
            worker.piece = None
            if piece in work.live:
                work.live.remove(piece)
            self._board.finish(piece)
            self._wake()
        if work.failed:
            return
        await self._catch_up(worker, work)
        if work.complete and not work.closing:
            await self._close(worker, work)

    async def _catch_up(self, worker: _Worker, work: BlobWork) -> None:
        if not work.behind:
            return
        bad: list[tuple[int, int]] = []
        await self._in_thread(worker, lambda: bad.extend(work.catch_up(self._stop)))
        if bad:
            self._board.add(work.blob, bad)
            self._wake()

    async def _try(self, worker: _Worker, work: BlobWork, piece: Piece) -> None:
        track, before = self._tracks[piece.blob.name], piece.at
        worker.reason = None
        try:
            await self._in_thread(worker, lambda: self._get(worker, work, piece, track))
        except _Stale:
            return  # an address that was remembered is no promise: the next try asks for a new one
        except NemoError as error:
            fault = error.fault
            if worker.reason == "paused":
                return
            if fault.status == NO_SUCH_RANGE and track.no_ranges < 2:
                track.no_ranges += 1
                fault = replace(fault, retry=True)
            if worker.reason is not None:
                fault = Fault(FaultKind.TIMEOUT, f"{piece.blob.path}: {worker.reason}")
            piece.failures = 1 if piece.at - before >= ENOUGH else piece.failures + 1
            await self._recover(piece, track, fault)

    async def _recover(self, piece: Piece, track: _Track, fault: Fault) -> None:
        jitter = self._world.clock.jitter()
        count = len(self._sources)
        wait = again(fault, piece.failures, count, self._terms.patience, jitter)
        track.located = None
        if wait is None:
            raise NemoError(_about(fault, piece.blob.path))
        self.tally.retries += 1
        if wait.elsewhere:
            track.source = (track.source + 1) % count
        when = f" in {wait.after_s:.0f} s" if wait.after_s >= 1 else ""
        self._world.tell(f"{fault.message}; going on{when}")
        await self._world.clock.sleep(wait.after_s)

    def _give_up(self, work: BlobWork, fault: Fault) -> None:
        """One file cannot be had; what came of it is kept, and the others go on."""
        if not work.failed:
            work.failed = True
            self._board.drop(work.blob)
            self._world.tell(f"{fault.message}; the other files go on")
            self.tally.failed.append(fault)

    def _get(self, worker: _Worker, work: BlobWork, piece: Piece, track: _Track) -> None:
        """In a thread: ask for the rest of a stretch, and write it."""
        blob = piece.blob
        source = self._sources[track.source]
        located = track.located
        url = located or source.url(self._listing, blob)
        # At the endpoint's own origin a remembered address needs the token as any other does.
        token = source.token if located is None or _origin(url) == _origin(source.base) else None
        ranged = track.no_ranges < 2
        end = None if piece.end == blob.size or not ranged else piece.end
        self.tally.requests += 1
        body = worker.connections.get(Ask(url, piece.at if ranged else 0, end, token))
        whole = False
        try:
            now, said = self._world.clock.now(), self._said(body)
            if located is not None and body.hops[-1].status in EXPIRED:
                if track.located == located:
                    track.located = None
                raise _Stale
            opening = read_opening(
                body.hops, blob, self._listing, start=piece.at, now=now, said=said
            )
            self._same(track, opening.url, opening.etag, blob)
            if len(body.hops) > 1:
                track.located = opening.url
            if ranged:
                track.no_ranges = 0
            if piece.at and not opening.offset:
                self._board.whole_only.add(blob.name)
            asked = piece.end
            worker.streamer.carry(work, piece, body, opening.offset)
            whole = piece.at == asked and (end is not None or asked == blob.size)
        finally:
            body.close(reuse=whole)

    def _said(self, body: Body) -> bytes:
        return b"" if body.hops[-1].status in (200, 206) else body.text()

    def _same(self, track: _Track, url: str, etag: str | None, blob: Blob) -> None:
        """A strong ETag that changes between two answers of one host: two files under one name.
        Where the content's digest is known that is for the digest to say: nodes of one host have
        ETags of their own."""
        if etag is None or etag.startswith("W/"):
            return
        known = track.etags.setdefault(host_of(url), etag)
        if known != etag and blob.sha256 is not None:
            track.etags[host_of(url)] = etag
            self._world.tell(
                f"{blob.path} has another ETag now at {host_of(url)}; its digest decides"
            )
        elif known != etag:
            raise NemoError(
                Fault(
                    FaultKind.CORRUPT,
                    f"{blob.path} changed while it was being fetched: its ETag is another",
                    "run the command again to plan afresh",
                    retry=False,
                )
            )

    async def _close(self, worker: _Worker, work: BlobWork) -> None:
        """Every byte is written: read what the digest has not seen, judge, and publish."""
        work.closing = True
        blob = work.blob

        await self._catch_up(worker, work)
        if not work.complete:
            work.closing = False
            return

        def judge() -> None:
            if work.good():
                work.part.sync()
                work.part.close()
                self._world.store.publish(blob)
                self._published(work)

        await self._in_thread(worker, judge)
        if work.good():
            self.tally.done.append(blob)
            return
        self._again_or_fail(work)
        self._wake()

    def _again_or_fail(self, work: BlobWork) -> None:
        blob, track = work.blob, self._tracks[work.blob.name]
        if work.restarts < MOST_RESTARTS:
            self.tally.restarts += 1
            self._world.tell(f"{blob.path} arrived damaged (wrong digest): fetching it once more")
            track.source = (track.source + 1) % len(self._sources)
            track.located = None
            work.restart()
            self._board.queue.append(blob)
            return
        fault = Fault(
            FaultKind.CORRUPT,
            f"{blob.path} has not the digest that {host_of(self._listing.endpoint)} announces, each"
            f" of {work.restarts + 1} times it was fetched",
            "what was fetched is not kept; a proxy or disk may be at fault, or the repository",
            retry=False,
        )
        work.part.close()
        work.restart()
        self._world.store.drop_part(blob)
        self._world.tell(fault.message)
        self.tally.failed.append(fault)


class _Stale(Exception):
    """A remembered address was refused."""


def _origin(url: str) -> str:
    try:
        return origin_of(url)
    except ValueError:
        return ""


def _about(fault: Fault, path: str) -> Fault:
    """The fault, naming the file it happened to."""
    if path in fault.message:
        return fault
    return replace(fault, message=f"{path}: {fault.message}")
