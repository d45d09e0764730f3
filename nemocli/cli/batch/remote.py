"""`batch run --remote`: rows handed to a provider's own batches, looked at and fetched later."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import date, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from nemocli.batch.lines import Told, attempt_line, attempt_of, failure_line
from nemocli.batch.progress import Tally
from nemocli.batch.remote import Remote
from nemocli.batch.remote_lines import Fetched, HandedOver, Whose, handover_from, results_from
from nemocli.batch.request import Speller
from nemocli.batch.rows import Row, worst_case
from nemocli.batch.shard import MOST_TOLD
from nemocli.batch.source import Feed
from nemocli.cli.batch.plan import BatchPlan
from nemocli.cli.batch.wish import BatchOptions
from nemocli.cli.batch.work import words_of
from nemocli.cli.event_loop import run_async
from nemocli.core.faults import ExitCode, Fault, FaultKind, NemoError, config_error
from nemocli.core.money import UNKNOWN, usd_text
from nemocli.core.ports import Reservation, World
from nemocli.core.records import WrittenLines
from nemocli.core.value_class import value_class
from nemocli.engine.call import open_door
from nemocli.io.batch.job import BatchJob, StoredPast
from nemocli.io.batch.join import fingerprint_of
from nemocli.io.batch.lines import lines_in
from nemocli.io.batch.writer import About, Keeper

if TYPE_CHECKING:
    from nemocli.cli.context import Setup
    from nemocli.core.plan import Target
    from nemocli.core.values import Json, JsonObject

T = TypeVar("T")

POLL_S = 30.0
ITEM_BYTES = 96
"""Of an item beside its body."""


def submit(setup: Setup, wish: BatchOptions, plan: BatchPlan, job: BatchJob) -> int:
    """Hand over every row that is not over, or fetch what was handed over before."""
    _check(setup, wish, plan)
    facts: dict[str, Any] = job.remote() or {"schema": "nemocli.batch_remote/1", "chunks": []}
    facts |= _who(plan)
    if any(not chunk["fetched"] for chunk in facts["chunks"]):
        fetch_remote(setup, job)
        if any(not c["fetched"] for c in (job.remote() or facts)["chunks"]):
            setup.err.dim(f"still there: `nemocli batch status {job.out}` looks again")
            return ExitCode.OK
        facts = job.remote() or facts
    tally = Tally(size=plan.inputs.size)
    run_async(lambda: _hand_over(setup, plan, job, facts, tally))
    count = sum(c["rows"] for c in facts["chunks"] if not c["fetched"])
    if wish.json:
        setup.out.json(
            {"schema": "nemocli.batch_run/1", "out": str(job.out), "remote": facts["chunks"]}
        )
    elif count:
        number = sum(not c["fetched"] for c in facts["chunks"])
        what = "1 batch" if number == 1 else f"{number:,} batches"
        setup.err.dim(
            f"{count:,} rows are with {plan.terms.targets[0].provider.name} in {what}, to be"
            f" answered within a day; `nemocli batch status {job.out}` looks,"
            f" `nemocli batch show {job.out}` fetches"
        )
    else:
        setup.err.dim("every row is over")
    return ExitCode.BATCH_FAILURES if tally.bad or job.failures() else ExitCode.OK


def _check(setup: Setup, wish: BatchOptions, plan: BatchPlan) -> None:
    if len(plan.terms.targets) > 1:
        raise config_error("`--remote` takes one provider", "name it with one `-p`")
    if wish.schema is not None or wish.engine != "local" or wish.cache or wish.dedupe:
        raise config_error(
            "`--remote` hands rows over as they are",
            "leave `--schema`, `--cache`, `--dedupe` and `--engine` out",
        )


def _who(plan: BatchPlan) -> dict[str, Json]:
    target, told = plan.terms.targets[0], plan.terms.told
    return {"provider": target.provider.name, "model": target.model, "told": told.about()}


async def _hand_over(
    setup: Setup, plan: BatchPlan, job: BatchJob, facts: dict[str, Any], tally: Tally
) -> None:
    """One batch after the other; each is written down before it is sent."""
    from nemocli.cli.world import world_of

    fingerprint = plan.terms.spec.fingerprint
    keeper = _keeper(setup, job, fingerprint, plan.terms.told)
    past = StoredPast(fingerprint, job.folder)
    try:
        async with world_of(setup) as world:
            door = await open_door(plan.terms.targets[0], world)
            remote = Remote(door, world)
            speller = Speller(door, plan.terms.spec, door.target.provider.timeouts)
            feed = Feed(
                plan.inputs,
                plan.terms.spec,
                past,
                tally,
                jinja=plan.jinja,
                context=plan.context,
                warn=setup.err.warn,
            )
            money = _Money(plan, door.target, setup.clock.now().date())
            async for chunk in _chunks(setup, plan, feed, remote, speller, keeper, tally):
                money.promise([asked.row for asked, _ in chunk])
                await _send(setup, plan, job, facts, remote, world, chunk)
    finally:
        past.close()
        keeper.close()


async def _chunks(
    setup: Setup,
    plan: BatchPlan,
    feed: Feed,
    remote: Remote,
    speller: Speller,
    keeper: Keeper,
    tally: Tally,
) -> AsyncIterator[list[tuple[HandedOver, JsonObject]]]:
    """Rows in batches that the provider takes; bad ones are set aside."""
    chunk: list[tuple[HandedOver, JsonObject]] = []
    size, told = 0, plan.terms.told
    model = remote.door.target.model
    async for item in feed:
        if isinstance(item, int):
            continue
        bad: tuple[str, str] | None = None
        if isinstance(item, Row):
            other = plan.terms.named(remote.door.target, item.model) if item.model else None
            if other is not None and other.model != model:
                bad = "mixed_model", f"a batch has one model, {model}; this row wants {item.model}"
            else:
                name, body = remote.spell(item, speller)
                length = len(json.dumps(body)) + ITEM_BYTES
                if chunk and (
                    len(chunk) >= remote.wire.most_rows or size + length > remote.wire.most_bytes
                ):
                    yield chunk
                    chunk, size = [], 0
                chunk.append((HandedOver(name, item), body))
                size += length
        else:
            bad = item.code, item.message
        if bad is not None:
            tally.bad += 1
            if tally.bad <= MOST_TOLD:
                setup.err.warn(f"{item.where}: {bad[1]}")
            keeper.commit(WrittenLines(failed=(failure_line(item, *bad, (), told),)))
    if chunk:
        yield chunk


class _Money:
    """`--max-cost` over all that is handed over; the list price bounds what is half of it."""

    def __init__(self, plan: BatchPlan, target: Target, day: date) -> None:
        self._left = plan.cap
        self._target = target
        self._day = day

    def promise(self, rows: list[Row]) -> None:
        """Raises NemoError (budget) where the rows may cost more than is left."""
        if self._left is None or self._target.free:
            return
        worst = sum(worst_case(row, self._target, self._day) for row in rows)
        if worst > self._left:
            raise NemoError(
                Fault(
                    FaultKind.BUDGET,
                    f"the next batch may cost {usd_text(worst)} USD, and {usd_text(self._left)} USD"
                    " of `--max-cost` is left",
                    "raise it, or bound answers with `--max-tokens`",
                    sent=False,
                )
            )
        self._left -= worst


async def _send(
    setup: Setup,
    plan: BatchPlan,
    job: BatchJob,
    facts: dict[str, Any],
    remote: Remote,
    world: World,
    chunk: list[tuple[HandedOver, JsonObject]],
) -> None:
    clock, target, told = setup.clock, remote.door.target, plan.terms.told
    mark, now = clock.new_id(), clock.now()
    entry: dict[str, Any] = {
        "mark": mark,
        "id": None,
        "rows": len(chunk),
        "state": "sending",
        "counts": None,
        "at": now.isoformat(),
        "fetched": False,
    }
    job.note_items([asked.json(mark) for asked, _ in chunk])
    facts["chunks"].append(entry)
    job.remember_remote(facts)
    reserved = Reservation(
        mark,
        now,
        target.provider.name,
        target.name,
        None,
        told.run_id,
        told.command,
        told.project,
        told.tags,
    )
    for line in setup.ledger.reserve(reserved):
        setup.err.warn(line)
    try:
        batch = await remote.hand_over([(asked.name, body) for asked, body in chunk], mark)
    except NemoError as error:
        if not error.fault.sent or error.fault.status is not None:
            facts["chunks"].remove(entry)  # it surely did not arrive
            job.remember_remote(facts)
        raise
    finally:
        setup.ledger.group((), (), [mark])  # it is booked when it is fetched
    entry |= {"id": batch.id, "state": batch.status}
    job.remember_remote(facts)


# Looking and fetching


@value_class(frozen=True, slots=True)
class _Open:
    remote: Remote
    target: Target
    told: Told


def fetch_remote(setup: Setup, job: BatchJob, *, wait: bool = False, fetch: bool = True) -> None:
    """Look at what was handed over, and fetch what is over. Raises NemoError."""
    facts = job.remote()
    if facts is None or all(chunk["fetched"] for chunk in facts["chunks"]):
        return
    run_async(lambda: _brought(setup, job, facts, wait=wait, fetch=fetch))


async def _brought(
    setup: Setup, job: BatchJob, facts: dict[str, Any], *, wait: bool, fetch: bool
) -> None:
    async with _open(setup, facts) as door:
        while True:
            for chunk in [c for c in facts["chunks"] if not c["fetched"]]:
                if chunk["id"] is None:
                    await _find(job, facts, chunk, door.remote)
                    if chunk["id"] is None:
                        continue
                batch, said = await door.remote.look(chunk["id"])
                counts = {"completed": batch.completed, "failed": batch.failed}
                chunk |= {"state": batch.status, "counts": counts}
                job.remember_remote(facts)
                if batch.over and fetch:
                    items = await door.remote.items(batch)
                    asked = _asked(job, chunk["mark"])
                    at = datetime.fromisoformat(chunk["at"])
                    whose = Whose(door.target, batch, door.told, at, chunk["mark"])
                    found = results_from(whose, said, items, asked)
                    keeper = _keeper(setup, job, fingerprint_of(job.folder) or b"", door.told)
                    try:
                        _take(keeper, found, door.told)
                    finally:
                        keeper.close()
                    chunk["fetched"] = True
                    job.remember_remote(facts)
            if not wait or all(chunk["fetched"] for chunk in facts["chunks"]):
                return
            await asyncio.sleep(POLL_S)


def _take(keeper: Keeper, found: Fetched, told: Told) -> None:
    """Lines into the files, the money into the ledger, each once whatever was taken before."""
    keeper.recover()
    for lines in _groups((*found.done, *found.failed)):
        keeper.adopt(lines)
    keeper.book([attempt_of(attempt_line(entry, told)) for entry in found.entries])


def _groups(lines: tuple[bytes, ...]) -> Iterator[list[bytes]]:
    rest = iter(lines)
    while group := list(islice(rest, 512)):
        yield group


async def _find(
    job: BatchJob, facts: dict[str, Any], chunk: dict[str, Any], remote: Remote
) -> None:
    """A batch of which nobody knows whether it arrived: found there, or forgotten here."""
    known = {c["id"] for c in facts["chunks"] if c["id"]}
    at = datetime.fromisoformat(chunk["at"])
    found = await remote.find(chunk["mark"], chunk["rows"], at, known)
    if found is None:
        facts["chunks"].remove(chunk)
    else:
        chunk |= {"id": found.id, "state": found.status}
    job.remember_remote(facts)


@asynccontextmanager
async def _open(setup: Setup, facts: dict[str, Any]) -> AsyncIterator[_Open]:
    from nemocli.cli.world import world_of

    catalogue = setup.catalogue
    target = catalogue.target(catalogue.provider(facts["provider"]), facts["model"])
    about = facts["told"]
    told = Told(about["run"], about["command"], about["project"], tuple(about["tags"]))
    async with world_of(setup) as world:
        door = await open_door(target, world)
        yield _Open(Remote(door, world), door.target, told)


def _asked(job: BatchJob, mark: str) -> dict[str, HandedOver]:
    found = {}
    for line in lines_in(job.folder / "remote-items.jsonl"):
        said = json.loads(line)
        if said.get("batch") == mark:
            asked = handover_from(said)
            found[asked.name] = asked
    return found


def _keeper(setup: Setup, job: BatchJob, fingerprint: bytes, told: Told) -> Keeper:
    about = About(told.run_id, told.command, told.project, told.tags)
    words = words_of(lambda entry: UNKNOWN)
    return job.keeper(setup.paths.ledger, about, words, fingerprint, ordered=False)
