"""`nemocli weights plan`: two requests, a look at the disk, a short probe, and the hardware."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from nemocli.cli.event_loop import run_async
from nemocli.cli.weights.session import Desk
from nemocli.core.card import ModelCard, Weights
from nemocli.core.faults import FaultKind, NemoError
from nemocli.core.fit import Gpus, fits, parse_gpus
from nemocli.io.threads import DaemonThreads
from nemocli.io.weights.gpus import detect_gpus
from nemocli.weights import journal as journals
from nemocli.weights.hub_layout import repo_folder
from nemocli.weights.listing import blobs_of, check_names, select_files
from nemocli.weights.plan import (
    Copy,
    PullPlan,
    SpeedProbe,
    plan_json,
    plan_lines,
    verdict_json,
    verdict_lines,
)
from nemocli.weights.ports import Ask
from nemocli.weights.pull.file_response import read_opening
from nemocli.weights.survey import survey

if TYPE_CHECKING:
    from nemocli.cli.context import Setup
    from nemocli.cli.weights.pull import PullOptions
    from nemocli.io.weights.store import CacheStore, FolderStore
    from nemocli.weights.names import Meant
    from nemocli.weights.repository import Blob, Listing
    from nemocli.weights.survey import Survey

UNREACHABLE = frozenset(
    {FaultKind.NETWORK, FaultKind.REFUSED, FaultKind.TLS, FaultKind.TIMEOUT, FaultKind.OFFLINE}
)
AS_IT_IS = "as it is"
"""The precision of a repository no card knows."""
PROBE_S = 1.5
PROBE_BYTES = 32 * 1024 * 1024


def run_plan(
    setup: Setup,
    named: Meant,
    wish: PullOptions,
    gpus: str | None,
    only: str | None,
    *,
    probe: bool,
    json: bool,
) -> None:
    """The command. `only` is the one precision that is judged, None: all the card has."""
    desk = Desk(setup)
    machine = parse_gpus(gpus) if gpus else _machine()
    try:
        plan = run_async(lambda: _planned(desk, named, wish, machine, only, probe=probe))
    except NemoError as error:
        if error.fault.kind in UNREACHABLE and machine is not None and named.card is not None:
            _say_verdict(setup, named.card, machine, only, json=json)
        raise
    if json:
        setup.out.json(plan_json(plan))
        return
    setup.out.lines(plan_lines(plan))


def _say_verdict(
    setup: Setup, card: ModelCard, machine: Gpus, only: str | None, *, json: bool
) -> None:
    """Whether it fits, which needs no network: the card has the sizes."""
    verdicts = fits(card, machine, only, None)
    if json:
        setup.out.json(verdict_json(card.name, machine, verdicts))
        return
    setup.out.lines(verdict_lines(card.name, machine, verdicts))


async def _planned(
    desk: Desk, named: Meant, wish: PullOptions, gpus: Gpus | None, only: str | None, *, probe: bool
) -> PullPlan:
    store = desk.store(wish.repo, wish.local_dir)
    whole, requests = await _listing(desk, wish, store)
    check_names(whole.files, own_folder=wish.local_dir is not None)
    listing = select_files(whole, wish.include, wish.exclude)
    blobs = blobs_of(listing.files)
    found = survey(blobs, store, journals.read(store.journal()))
    tried = None
    shut = listing.gated and desk.token is None
    if probe and found.to_fetch and not desk.offline and not shut:
        tried = await _probe(desk, listing, blobs)
    card = named.card or _unlisted(named.repo)
    judged = only if named.card is not None else AS_IT_IS
    verdicts = () if gpus is None else fits(card, gpus, judged, whole.size)
    return PullPlan(
        listing,
        store.folder,
        found,
        store.space(),
        sum(store.part_bytes(f.blob) for f in found.found if f.lacking),
        requests,
        tried,
        _copies(desk, wish, found, store),
        gpus,
        verdicts,
    )


async def _listing(
    desk: Desk, wish: PullOptions, store: CacheStore | FolderStore
) -> tuple[Listing, int]:
    if desk.offline:
        return await desk.listing(wish.repo, wish.revision, store), 0
    async with desk.hub() as hub:
        listing = await hub.listing(wish.repo, wish.revision)
        return listing, hub.requests


async def _probe(desk: Desk, listing: Listing, blobs: tuple[Blob, ...]) -> SpeedProbe:
    """One stream for a moment: several together are usually faster, so this is the slow guess."""
    blob = max(blobs, key=lambda b: b.size)
    source = desk.sources(())[-1]
    connections = desk.connect()

    def look() -> SpeedProbe:
        view = memoryview(bytearray(1 << 18))
        try:
            end = min(blob.size, PROBE_BYTES)
            ask = Ask(source.url(listing, blob), 0, end if end < blob.size else None, source.token)
            body = connections.get(ask)
            now = desk.clock.now()
            said = b"" if body.hops[-1].status in (200, 206) else body.text()
            read_opening(body.hops, blob, listing, start=0, now=now, said=said)
            began, got = time.monotonic(), 0
            while time.monotonic() - began < PROBE_S and got < end:
                count = body.readinto(view)
                if not count:
                    break
                got += count
            took = time.monotonic() - began
        except NemoError as error:
            return SpeedProbe(None, error.fault.message)
        finally:
            connections.close()
        return SpeedProbe(got / max(took, 1e-6), "one stream, measured now")

    return await DaemonThreads().run(look, connections.abort)


def _copies(
    desk: Desk, wish: PullOptions, found: Survey, store: CacheStore | FolderStore
) -> tuple[Copy, ...]:
    """The same contents in the shared cache, or in that of a NIM on this machine."""
    env = desk.setup.env
    roots = [desk.cache] + [
        Path(cache).expanduser() / sub
        for name in ("NIM_CACHE_PATH", "LOCAL_NIM_CACHE")
        if (cache := env.get(name))
        for sub in ("hub", "huggingface/hub", "ngc/hub")
    ]
    lacking = [f.blob for f in found.found if f.lacking]
    copies = []
    for root in dict.fromkeys(roots):
        folder = root / repo_folder(wish.repo)
        if folder == store.root or not lacking:
            continue
        there = [b for b in lacking if _same_size(folder / "blobs" / b.name, b.size)]
        if there:
            copies.append(Copy(str(folder), len(there), sum(b.size for b in there)))
    return tuple(copies)


def _unlisted(repo: str) -> ModelCard:
    """What can be judged by size alone."""
    return ModelCard(repo, repo, weights=(Weights(repo, AS_IT_IS),))


def _same_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _machine() -> Gpus | None:
    """What is in this machine; the most numerous kind."""
    found = detect_gpus()
    if not found:
        return None
    kind, count, memory = found[0]
    return Gpus(kind, count, memory, detected=True)
