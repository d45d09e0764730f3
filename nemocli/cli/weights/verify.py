"""`nemocli weights verify`: read it all, name what is bad, and fetch just that."""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from nemocli.cli.event_loop import run_async
from nemocli.cli.weights.progress import ShownPull
from nemocli.cli.weights.pull import hold
from nemocli.cli.weights.session import Desk, Manners
from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.value_class import value_class
from nemocli.io.threads import DaemonThreads
from nemocli.io.weights.find import Place, find
from nemocli.io.weights.folder import NamedFiles
from nemocli.weights import journal as journals
from nemocli.weights.digest import Count
from nemocli.weights.journal import Verified
from nemocli.weights.listing import blobs_of, check_names
from nemocli.weights.manifest import Manifest, ManifestEntry, manifest_json, read_manifest
from nemocli.weights.pull.options import PullWorld
from nemocli.weights.pull.pull import Pull, manifest_name
from nemocli.weights.repository import Listing
from nemocli.weights.verify import (
    Checked,
    check,
    parse_sample,
    receipt,
    require_entries,
    unknown_entries,
    verification_fault,
    verification_json,
)

if TYPE_CHECKING:
    from nemocli.cli.context import Setup


@value_class(frozen=True, slots=True)
class VerifyOptions:
    """What to verify and how, as typed."""

    target: str
    repair: bool = False
    sample: str | None = None
    jobs: int | None = None
    foreign: bool = False
    mirror: tuple[str, ...] = ()
    revision: str | None = None


def run_verify(setup: Setup, wish: VerifyOptions, progress: str, *, json: bool) -> None:
    """The command: exit 0 when all is well, or was made well; else 8."""
    desk = Desk(setup)
    place, manifest, entries = facts_at(desk, wish.target, wish.revision)
    shown = ShownPull(setup, progress)
    sample = parse_sample(wish.sample) if wish.sample else None
    try:
        with shown:
            checked, repaired = run_async(
                lambda: _verified(desk, wish, place, manifest, entries, sample, shown)
            )
    except (KeyboardInterrupt, asyncio.CancelledError) as stop:
        raise NemoError(Fault(FaultKind.INTERRUPTED, "interrupted")) from stop
    if json:
        setup.out.json(verification_json(checked, wish.target, repaired))
    else:
        for finding in checked.findings:
            setup.out.line(f"{finding.path}: {finding.said}")
        setup.err.dim(receipt(checked))
        if repaired:
            setup.err.dim(f"repaired: {', '.join(repaired)}")
    if not checked.good:
        raise NemoError(verification_fault(checked, wish.target))


def facts_at(
    desk: Desk, target: str, revision: str | None = None
) -> tuple[Place, Manifest | None, tuple[ManifestEntry, ...]]:
    """What lies there, its manifest if it has one, and what every file should be."""
    place = find(target, desk.cache, _repo(desk, target), revision)
    if place.manifest is not None:
        manifest = read_manifest(place.manifest, place.where)
        return place, manifest, manifest.entries
    entries = unknown_entries(place.listing.files if place.listing is not None else ())
    require_entries(entries, target)
    return place, None, entries


def _repo(desk: Desk, target: str) -> str | None:
    from nemocli.weights.names import resolve_repo

    try:
        return resolve_repo(desk.catalogue, target, None).repo
    except NemoError:
        return None  # then it can only be a folder


async def _verified(
    desk: Desk,
    wish: VerifyOptions,
    place: Place,
    manifest: Manifest | None,
    entries: tuple[ManifestEntry, ...],
    sample: float | None,
    shown: ShownPull,
) -> tuple[Checked, list[str]]:
    checked = await _check(desk, wish, place, entries, sample)
    bad = [f.path for f in checked.findings if f.problem != "foreign"]
    if not wish.repair or not bad:
        return checked, []
    for finding in checked.findings:
        shown.tell(f"{finding.path} {finding.said}")
    listing = place.listing if manifest is None else manifest.listing
    if listing is None:
        return checked, []
    await _repair(desk, wish, place, manifest, listing, bad, shown)
    again = [e for e in entries if e.file.path in bad]
    after = await _check(desk, wish, place, tuple(again), None, foreign=False)
    kept = [f for f in checked.findings if f.problem == "foreign"]
    return replace(checked, findings=(*after.findings, *kept)), bad


async def _check(
    desk: Desk,
    wish: VerifyOptions,
    place: Place,
    entries: tuple[ManifestEntry, ...],
    sample: float | None,
    *,
    foreign: bool = True,
) -> Checked:
    checked = await check(
        entries,
        NamedFiles(place.files),
        DaemonThreads(),
        desk.clock.monotonic,
        jobs=wish.jobs or os.cpu_count() or 1,
        sample=sample,
        seen=Count(),
    )
    if wish.foreign or not foreign:
        findings = tuple(f for f in checked.findings if f.problem != "foreign")
        return replace(checked, findings=findings)
    return checked


async def _repair(
    desk: Desk,
    wish: VerifyOptions,
    place: Place,
    manifest: Manifest | None,
    listing: Listing,
    bad: list[str],
    shown: ShownPull,
) -> None:
    """Pull just the bad files again: their good segments are taken over from the disk."""
    store = place.store
    if listing.repo == "unknown/unknown":
        message = f"it is not known which repository {place.files} came from"
        hint = "pull it again with the same --local-dir: what is good is taken over"
        raise NemoError(Fault(FaultKind.CONFIG, message, hint, sent=False))
    async with desk.hub() as hub:
        whole = await hub.listing(listing.repo, listing.commit)
    whole = replace(whole, revision=listing.revision)
    _check_agrees(listing, whole)
    files = tuple(f for f in listing.files if f.path in bad)
    check_names(files, own_folder=True)
    part = replace(whole, files=files)
    world = PullWorld(store, DaemonThreads(), desk.clock, desk.connect, shown.progress, shown.tell)
    terms = desk.terms(Manners(mirror=wish.mirror))
    with ExitStack() as held:
        await hold(store, held, shown)
        if manifest is not None and store.read_state(manifest_name(listing.commit)) is None:
            store.write_state(manifest_name(listing.commit), manifest_json(manifest))
        _distrust(place, part)
        await Pull(whole, part, desk.sources(wish.mirror), world, terms).run()


def _distrust(place: Place, part: Listing) -> None:
    """What was found bad is not believed because of an older note."""
    store = place.store
    store.state.make()
    journal = journals.read(store.journal())
    seats = {seat for blob in blobs_of(part.files) for seat in store.seats(blob)}
    kept: dict[str, Verified] = {s: v for s, v in journal.verified.items() if s not in seats}
    journal.verified.clear()
    journal.verified.update(kept)
    store.rewrite_journal(journals.journal_bytes(journal))


def _check_agrees(listing: Listing, whole: Listing) -> None:
    """A manifest that was changed does not decide what a repair brings."""
    known = {f.path: f for f in whole.files}
    for file in listing.files:
        other = known.get(file.path)
        if other is None or (other.size, other.etag) != (file.size, file.etag):
            raise NemoError(
                Fault(
                    FaultKind.CORRUPT,
                    f"the manifest and {whole.endpoint} disagree about {file.path}",
                    "the manifest was changed; pull the repository again",
                    retry=False,
                )
            )
