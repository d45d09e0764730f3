"""Lines of the output: the OpenAI Batch shape, and beside it all that is known of the row."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

from nemocli.batch.rows import Bad, Row
from nemocli.core.money import Cost, total_of, usd_text
from nemocli.core.ports import Entry
from nemocli.core.records import BAD, DONE, FAILED, SettledRecord, attempt_json, entry_from
from nemocli.core.usage import Usage
from nemocli.core.value_class import value_class
from nemocli.core.values import Json, JsonObject
from nemocli.wire.bulk import dumps, loads

SCHEMA = "nemocli.batch/1"
_ANSWERED = b',"error":null,"x_nemocli":'
_PACKED = struct.Struct("<II")
_CONTROL = bytes(range(32))


@value_class(frozen=True, slots=True)
class Told:
    """What the lines of one run have in common, besides its attempts."""

    run_id: str
    command: str = "batch"
    project: str | None = None
    tags: tuple[str, ...] = ()

    def about(self) -> dict[str, Json]:
        """As `entry_from` wants it."""
        return {
            "run": self.run_id,
            "command": self.command,
            "project": self.project,
            "tags": self.tags,
        }


def answer_line(
    row: Row,
    body: bytes,
    entries: Sequence[Entry],
    told: Told,
    *,
    status: str,
    more: JsonObject | None = None,
) -> bytes:
    """A row that was answered. `body` is one JSON document on one line. `entries` are all
    attempts; those before the last are in the ledger. `more` is added to `x_nemocli`."""
    last = entries[-1] if entries else None
    name = last.attempt_id if last is not None else row.key.hex()
    request_id = last.request_id if last is not None else None
    about = _about(row, entries, told, status)
    if more:
        about |= more
    return b"".join(
        (
            b'{"id":"batch_req_',
            name.encode(),
            b'","custom_id":',
            dumps(row.custom_id),
            b',"response":{"status_code":200,"request_id":',
            dumps(request_id),
            b',"body":',
            body,
            b'},"error":null,"x_nemocli":',
            dumps(about),
            b"}\n",
        )
    )


def pack_answer(row: Row, body: bytes, entry: Entry, told: bytes) -> bytes:
    """What `answer_line` says of a row that was answered at the first attempt, in a form that is
    made in a quarter of the time: whoever writes it to the disk makes the line of it. `told` are
    the `dumps` of what a run's lines have in common."""
    usage, cost = entry.usage, entry.cost
    head = dumps(
        (
            row.ordinal,
            row.where,
            row.custom_id,
            row.raw.hex(),
            row.key.hex(),
            entry.attempt_id,
            entry.attempt,
            entry.at,
            entry.provider,
            entry.model,
            entry.requested_model,
            (
                usage.input_tokens,
                usage.cached_input_tokens,
                usage.cache_write_tokens,
                usage.output_tokens,
                usage.reasoning_tokens,
                usage.source,
            ),
            (
                cost.pico,
                cost.source,
                cost.price_id,
                cost.list_pico,
                cost.list_price_id,
                cost.flags,
            ),
            entry.served_model,
            entry.upstream,
            entry.reply_id,
            entry.finish_reason,
            entry.http_status,
            None if entry.ttft_s is None else round(entry.ttft_s, 4),
            None if entry.total_s is None else round(entry.total_s, 4),
            entry.request_id,
        )
    )
    return b"".join((_PACKED.pack(len(head), len(told)), head, told, body))


def unpack_answer(packed: bytes) -> tuple[bytes, SettledRecord]:
    """The line, and what it settles. Raises ValueError for what `pack_answer` did not make."""
    try:
        size, more = _PACKED.unpack_from(packed)
        at = _PACKED.size + size
        said = cast(Any, loads(packed[_PACKED.size : at]))
        told = _told_of(packed[at : at + more])
        ordinal, where, custom_id, raw, key, attempt_id, number, began, provider, model = said[:10]
        (requested, usage, cost, served, upstream, reply_id, reason, status, ttft, total,
         request_id) = said[10:]  # fmt: skip
        pico, source, price_id, list_pico, list_price, flags = cost
        entry = Entry(
            attempt_id=attempt_id,
            run_id=told.run_id,
            attempt=number,
            at=datetime.fromisoformat(began),
            command=told.command,
            provider=provider,
            model=model,
            requested_model=requested,
            status="ok",
            usage=Usage(*usage),
            cost=Cost(pico, source, price_id, list_pico, list_price, tuple(flags)),
            served_model=served,
            upstream=upstream,
            reply_id=reply_id,
            finish_reason=reason,
            fault=None,
            http_status=status,
            ttft_s=ttft,
            total_s=total,
            tags=told.tags,
            project=told.project,
            request_id=request_id,
        )
        row = Row(ordinal, where, custom_id, True, "chat", {}, bytes.fromhex(raw),
                  bytes.fromhex(key), 0)  # fmt: skip
    except (TypeError, KeyError, struct.error) as why:
        raise ValueError(f"no answer of a batch: {why}") from why
    line = answer_line(row, packed[at + more :], (entry,), told, status="ok")
    return line, SettledRecord(ordinal, row.raw, row.key, DONE, (entry,))


@lru_cache(maxsize=8)
def _told_of(data: bytes) -> Told:
    said = cast(Any, loads(data))
    return Told(said["run"], said["command"], said["project"], tuple(said["tags"]))


def failure_line(
    row: Row | Bad,
    code: str,
    message: str,
    entries: Sequence[Entry],
    told: Told,
    *,
    body: bytes | None = None,
    more: JsonObject | None = None,
) -> bytes:
    """A row that was given up, or never was one; with what had come of an answer."""
    last = entries[-1] if entries else None
    response: Json = None
    if last is not None and last.http_status is not None:
        response = {
            "status_code": last.http_status,
            "request_id": last.request_id,
            "body": _document(body),
        }
    status = "bad_row" if isinstance(row, Bad) else "failed"
    said = {
        "id": f"batch_req_{last.attempt_id if last is not None else f'row_{row.ordinal + 1}'}",
        "custom_id": row.custom_id,
        "response": response,
        "error": {"code": code, "message": message},
        "x_nemocli": {**_about(row, entries, told, status), **(more or {})},
    }
    return dumps(said) + b"\n"


def attempt_line(entry: Entry, told: Told) -> bytes:
    """One attempt of a row that goes on."""
    return dumps({"about": told.about(), "attempt": attempt_json(entry)})


def attempt_of(line: bytes) -> Entry:
    """`attempt_line` back. Raises ValueError."""
    said = cast(Any, loads(line))
    return entry_from(said["attempt"], said["about"])


def settlement_of(line: bytes) -> SettledRecord:
    """What an output line settled. Raises ValueError for one that this program did not write."""
    try:
        about: Mapping[str, Any]
        at = line.rfind(_ANSWERED)
        if at > 0:  # nothing else of an answer's line has to be read
            about, error = cast(Any, loads(line[at + len(_ANSWERED) : -2])), None
        else:
            said = cast(Any, loads(line))
            about, error = said["x_nemocli"], said["error"]
        record, key = (bytes.fromhex(part) for part in about["key"].split(":"))
        if about["schema"] != SCHEMA or len(record) != 8 or len(key) != 8:
            raise ValueError("of another version")
        state = DONE if error is None else BAD if about["status"] == "bad_row" else FAILED
        entries = tuple(entry_from(a, about) for a in about["attempts"])
        return SettledRecord(int(about["ordinal"]), record, key, state, entries)
    except (KeyError, TypeError, AttributeError, RecursionError) as why:
        raise ValueError(f"no line of a batch: {why}") from why


def _about(row: Row | Bad, entries: Sequence[Entry], told: Told, status: str) -> dict[str, Json]:
    """`x_nemocli`. The last attempt's facts stand at the top; all attempts come whole."""
    key = row.key.hex() if isinstance(row, Row) else "00" * 8
    said: dict[str, Json] = {
        "schema": SCHEMA,
        "ordinal": row.ordinal,
        "key": f"{row.raw.hex()}:{key}",
        "where": row.where,
        "status": status,
        **told.about(),
    }
    attempts = [attempt_json(entry) for entry in entries]
    if entries:
        last = entries[-1]
        cost = total_of(entry.cost.pico for entry in entries)
        said["provider"] = last.provider
        said["upstream"] = last.upstream
        said["served_model"] = last.served_model
        said["cost"] = {
            "usd": usd_text(cost),
            "source": "unknown" if cost is None else last.cost.source,
            "price_id": last.cost.price_id,
        }
        said["timing"] = {"total_s": attempts[-1]["total_s"]}
    said["attempts"] = attempts
    return said


def on_one_line(body: bytes) -> bytes:
    """A JSON document without raw line ends, and without what JSON does not allow in it; kept as
    it came where it has neither."""
    if len(body.translate(None, _CONTROL)) == len(body):
        return body
    value = json.loads(body.decode("utf-8", "replace"), strict=False)
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def _document(body: bytes | None) -> Json:
    if not body:
        return None
    try:
        value: Json = json.loads(body, strict=False)
    except (ValueError, RecursionError):
        return body[:4000].decode("utf-8", "replace")
    return value
