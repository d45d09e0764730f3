"""`nemocli weights pull`: wait for the others, pull, and say what it came to."""

from __future__ import annotations

import asyncio
import shlex
from contextlib import ExitStack
from typing import TYPE_CHECKING

from nemocli.cli.weights.progress import ShownPull
from nemocli.cli.weights.session import Desk, Manners
from nemocli.core.faults import Fault, FaultKind, NemoError, usage_error
from nemocli.core.value_class import value_class
from nemocli.io.threads import DaemonThreads
from nemocli.weights.listing import check_names, select_files
from nemocli.weights.pull.options import PullWorld
from nemocli.weights.pull.pull import Pull, Report

if TYPE_CHECKING:
    from nemocli.cli.context import Setup
    from nemocli.io.weights.store import CacheStore, FolderStore
    from nemocli.weights.repository import Listing

POLL_S = 0.2


@value_class(frozen=True, slots=True)
class PullOptions:
    """What to pull, as typed."""

    repo: str
    revision: str = "main"
    local_dir: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


async def pull(
    desk: Desk, wish: PullOptions, manners: Manners, shown: ShownPull, whole: Listing | None = None
) -> Report:
    """The whole of it. `whole` is a listing that is known already."""
    store = desk.store(wish.repo, wish.local_dir)
    terms = desk.terms(manners)
    if whole is None:
        whole = await desk.listing(wish.repo, wish.revision, store)
    listing = select_files(whole, wish.include, wish.exclude)
    check_names(listing.files, own_folder=wish.local_dir is not None)
    sources = () if desk.offline else desk.sources(manners.mirror)
    bulk = desk.bulk(manners.engine, whole)
    world = PullWorld(
        store, DaemonThreads(), desk.clock, desk.connect, shown.progress, shown.tell, bulk
    )
    done = Pull(whole, listing, sources, world, terms).already(store.complete_folder(listing))
    if done is not None:
        return done
    with ExitStack() as held:
        await hold(store, held, shown)
        return await Pull(whole, listing, sources, world, terms).run()


async def hold(store: CacheStore | FolderStore, held: ExitStack, shown: ShownPull) -> None:
    """The repository for ourselves, as soon as whoever has it is done."""
    said = False
    while True:
        with ExitStack() as attempt:
            owner = attempt.enter_context(store.lock())
            if owner is None:
                held.push(attempt.pop_all())
                return
        if not said:
            shown.tell(f"{owner} is pulling into {store.folder}: waiting for it")
            said = True
        await asyncio.sleep(POLL_S)


def run_pull(
    setup: Setup, wish: PullOptions, manners: Manners, progress: str, *, json: bool
) -> None:
    """The command. Ctrl-C keeps what came and says how to go on."""
    from nemocli.cli.event_loop import run_async
    from nemocli.weights.reports import report_json, report_line

    progress = {"lines": "line"}.get(progress, progress)  # its name before
    if progress not in ("auto", "bar", "line", "json", "none"):
        raise usage_error(f"--progress is auto, bar, line, json or none, not {progress!r}")
    desk = Desk(setup)
    shown = ShownPull(setup, progress)
    try:
        with shown:
            report = run_async(lambda: pull(desk, wish, manners, shown))
    except (KeyboardInterrupt, asyncio.CancelledError) as stop:
        raise NemoError(interruption(wish)) from stop
    if json:
        setup.out.json(report_json(report))
        return
    setup.out.line(report.path)
    setup.err.dim(report_line(report))


def interruption(wish: PullOptions) -> Fault:
    """What was kept, and the line that goes on."""
    line = ["nemocli", "weights", "pull", wish.repo]
    line += [] if wish.revision == "main" else ["--revision", wish.revision]
    line += [] if wish.local_dir is None else ["--local-dir", wish.local_dir]
    for flag, patterns in (("--include", wish.include), ("--exclude", wish.exclude)):
        for pattern in patterns:
            line += [flag, pattern]
    return Fault(
        FaultKind.INTERRUPTED,
        "interrupted; what was fetched is kept",
        f"`{shlex.join(line)}` goes on from here",
    )
