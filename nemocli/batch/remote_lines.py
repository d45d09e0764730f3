"""The answers of a batch as output lines, and what they cost as rows of the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from nemocli.batch.lines import Told, answer_line, failure_line
from nemocli.batch.options import Question
from nemocli.batch.rows import Row
from nemocli.core.events import Finished, Fold, Metered, Started
from nemocli.core.plan import Plan, Target
from nemocli.core.ports import Entry
from nemocli.core.request import Request, answers_in
from nemocli.core.value_class import value_class
from nemocli.core.values import Json, JsonObject
from nemocli.engine.book import AttemptId, Times, entry_for
from nemocli.wire.batches import Handed, Item
from nemocli.wire.bulk import dumps
from nemocli.wire.dialect import dialect_named
from nemocli.wire.meter import UsageMeter


@value_class(frozen=True, slots=True)
class HandedOver:
    """What is kept of a row that was handed over, to know its answer again."""

    name: str
    row: Row

    def json(self, mark: str) -> dict[str, Json]:
        """As a line; `mark` is its batch."""
        row = self.row
        return {
            "batch": mark,
            "name": self.name,
            "ordinal": row.ordinal,
            "where": row.where,
            "custom_id": row.custom_id,
            "kind": row.kind,
            "raw": row.raw.hex(),
            "key": row.key.hex(),
            "chars": row.chars,
        }


def handover_from(said: Mapping[str, Any]) -> HandedOver:
    """The line back. Raises ValueError, KeyError."""
    return HandedOver(
        str(said["name"]),
        Row(
            int(said["ordinal"]),
            str(said["where"]),
            str(said["custom_id"]),
            True,
            said["kind"],
            {},
            bytes.fromhex(said["raw"]),
            bytes.fromhex(said["key"]),
            int(said["chars"]),
        ),
    )


@value_class(frozen=True, slots=True)
class Whose:
    """A batch: its provider's object, who asked for it in which run, when, and under what mark."""

    target: Target
    batch: Handed
    told: Told
    at: datetime
    mark: str

    @property
    def plan(self) -> Plan:
        """As the ledger's rows want it."""
        told = self.told
        return Plan(
            (self.target,),
            run_id=told.run_id,
            command=told.command,
            tags=told.tags,
            project=told.project,
        )


@value_class(frozen=True, slots=True)
class Fetched:
    """Lines of a batch that is over: of answers and of failures; and the attempts they cost that
    are in no line."""

    done: tuple[bytes, ...]
    failed: tuple[bytes, ...]
    entries: tuple[Entry, ...]


def results_from(
    whose: Whose, said: JsonObject, items: Sequence[Item], asked: Mapping[str, HandedOver]
) -> Fetched:
    """What a batch came to; `said` is its object whole, `asked` its rows by name. The cost is one
    sum for all rows where the provider says no more; else each row has its own attempt."""
    metered, told, batch = (
        UsageMeter(whose.target.provider.usage).read(said),
        whose.told,
        whose.batch,
    )
    entries = () if metered is None else (_whole(whose, metered),)
    done, failed, seen = list[bytes](), list[bytes](), set[str]()
    for item in items:
        one = asked.get(item.custom_id)
        if one is None or item.custom_id in seen:
            continue
        seen.add(item.custom_id)
        own = list(_own(whose, item, one)) if metered is None else []
        more = _more(whose, len(asked), item, as_one=metered is not None)
        body = dumps(item.body) if item.body is not None else b""
        if item.error is None and body and (item.status or 200) < 300:
            done.append(answer_line(one.row, body, own, told, status="ok", more=more))
        else:
            code, message = item.error or ("batch_failed", f"HTTP {item.status} in the batch")
            failed.append(failure_line(one.row, code, message, own, told, body=body, more=more))
    for name, one in asked.items():
        if name not in seen:
            message = batch.error or f"the batch is {batch.status}, with no answer to this row"
            more = _more(whose, len(asked), None, as_one=metered is not None)
            code = f"batch_{batch.status}"
            failed.append(failure_line(one.row, code, message, (), told, more=more))
    return Fetched(tuple(done), tuple(failed), entries)


def _more(whose: Whose, rows: int, item: Item | None, *, as_one: bool) -> dict[str, Json]:
    said: dict[str, Json] = {
        "provider": whose.target.provider.name,
        "remote": {"batch": whose.batch.id, "rows": rows},
    }
    if as_one:  # its part of the sum is nobody's to say
        said["cost"] = {"usd": None, "source": "unknown", "price_id": None}
    if item is not None and item.body is not None:
        model = item.body.get("model")
        said["served_model"] = model if isinstance(model, str) else None
    return said


def _whole(whose: Whose, metered: Metered) -> Entry:
    """The batch as one row of the ledger."""
    target, fold = whose.target, Fold()
    for event in (Started(whose.batch.id, target.model), metered, Finished("stop")):
        fold.add(event)
    attempt = AttemptId(whose.mark, 1, whose.at)
    question = Question(target.name, 0)
    times = Times(None, 0.0)
    entry = entry_for(whose.plan, target, question, fold, attempt=attempt, times=times)
    return replace(entry, status="ok", fault=None, total_s=None, http_status=200)


def _own(whose: Whose, item: Item, asked: HandedOver) -> Iterator[Entry]:
    """A row's own attempt, from its own counts."""
    if item.body is None:
        return
    target, fold = whose.target, Fold()
    request = Request(target.model, (), stream=False)
    decoder = dialect_named(target.provider.dialect).decoder(target, request)
    for event in decoder.whole(dumps(item.body)):
        fold.add(event)
    attempt = AttemptId(f"{whose.mark}-{asked.row.ordinal + 1}", 1, whose.at)
    question = Question(target.name, asked.row.chars, answers_in(asked.row.body))
    times = Times(None, 0.0)
    entry = entry_for(whose.plan, target, question, fold, attempt=attempt, times=times)
    yield replace(entry, total_s=None)
