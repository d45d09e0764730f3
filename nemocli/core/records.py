"""Records of an input, how they ended, and the attempts in between as JSON.

An output line carries its attempts whole, so that the ledger can be brought up to date from it
after a kill: what is booked in the first place is read from the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast

from nemocli.core.faults import Fault, FaultKind
from nemocli.core.money import Cost, Pico, pico_from_usd, usd_text
from nemocli.core.ports import Entry
from nemocli.core.usage import Usage
from nemocli.core.value_class import value_class
from nemocli.core.values import Json, amount

DONE, FAILED, BAD = 1, 2, 3
"""How a record ended: answered, given up, or never a question."""


@value_class(frozen=True, slots=True)
class Record:
    """One record as it was read. `line` is its text where it is JSON, `values` its columns where
    they were told apart, `problem` what kept it from being read (a stable code and a line); `raw`
    8 bytes that change with it, `at` the input's bytes up to its end."""

    ordinal: int
    where: str
    raw: bytes
    at: int
    line: bytes | None = None
    values: Mapping[str, Json] | None = None
    problem: tuple[str, str] | None = None


@value_class(frozen=True, slots=True)
class SettledRecord:
    """What an index keeps of a record that is over, and its attempts."""

    ordinal: int
    raw: bytes
    key: bytes
    state: int
    entries: tuple[Entry, ...]


@value_class(frozen=True, slots=True)
class Begun:
    """An attempt about to be made: what its reservation says, and its row's ordinal and length."""

    attempt_id: str
    at: datetime
    provider: str
    model: str
    pico: int | None
    ordinal: int
    chars: int

    def __reduce__(self) -> tuple[type[Begun], tuple[object, ...]]:
        """Pickled by its fields in their order: a million of them go to another process."""
        return Begun, (
            self.attempt_id,
            self.at,
            self.provider,
            self.model,
            self.pico,
            self.ordinal,
            self.chars,
        )


@value_class(frozen=True, slots=True)
class WrittenLines:
    """What is written at once: lines of answers and of failures, attempts of rows that go on, and
    attempts about to be made. `order`: rows as they were taken up, each with whether it is over
    already; only where the output keeps the order of the input. `dropped`: attempts that were
    never made. `packed`: answers whose lines are still to be made, before those of `done`."""

    done: tuple[bytes, ...] = ()
    failed: tuple[bytes, ...] = ()
    attempts: tuple[bytes, ...] = ()
    begun: tuple[Begun, ...] = ()
    order: tuple[tuple[int, bool], ...] = ()
    dropped: tuple[str, ...] = ()
    packed: tuple[bytes, ...] = ()


Reader = Callable[[bytes], SettledRecord]
"""An output line back to what it settled. Raises ValueError for a line that is none of ours."""


def usage_json(usage: Usage) -> dict[str, Json]:
    """Counts of tokens, and who counted."""
    return {
        "input_tokens": usage.input_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "source": usage.source,
    }


def cost_json(cost: Cost) -> dict[str, Json]:
    """A cost and how it is known; amounts are decimal strings in USD."""
    return {
        "usd": usd_text(cost.pico),
        "source": cost.source,
        "price_id": cost.price_id,
        "list_usd": usd_text(cost.list_pico),
        "list_price_id": cost.list_price_id,
        "flags": cost.flags,
    }


def attempt_json(entry: Entry) -> dict[str, Json]:
    """One attempt in an output line: `attempts` of `x_nemocli`. Money as decimal strings."""
    fault = entry.fault
    said: dict[str, Json] = {
        "id": entry.attempt_id,
        "n": entry.attempt,
        "at": entry.at.isoformat(),
        "provider": entry.provider,
        "model": entry.model,
        "requested_model": entry.requested_model,
        "status": entry.status,
        "http_status": entry.http_status,
        "usage": usage_json(entry.usage),
        "cost": cost_json(entry.cost),
        "upstream": entry.upstream,
        "served_model": entry.served_model,
        "reply_id": entry.reply_id,
        "request_id": entry.request_id,
        "finish_reason": entry.finish_reason,
        "total_s": None if entry.total_s is None else round(entry.total_s, 4),
    }
    if entry.ttft_s is not None:
        said["ttft_s"] = round(entry.ttft_s, 4)
    if fault is not None:
        said["error"] = {"code": str(fault.kind), "message": fault.message}
    return said


def entry_from(said: Mapping[str, Any], about: Mapping[str, Any]) -> Entry:
    """The attempt back; `about` is what a job's attempts have in common (`run`, `command`, `tags`,
    `project`). Raises ValueError for anything else."""
    try:
        usage, cost, error = said["usage"], said["cost"], said.get("error")
        return Entry(
            attempt_id=said["id"],
            run_id=about["run"],
            attempt=said["n"],
            at=datetime.fromisoformat(said["at"]),
            command=about["command"],
            provider=said["provider"],
            model=said["model"],
            requested_model=said["requested_model"],
            status=said["status"],
            usage=Usage(**usage),
            cost=Cost(
                _pico(cost["usd"]),
                cost["source"],
                cost["price_id"],
                _pico(cost["list_usd"]),
                cost["list_price_id"],
                tuple(cost["flags"]),
            ),
            served_model=said["served_model"],
            upstream=said["upstream"],
            reply_id=said["reply_id"],
            finish_reason=said["finish_reason"],
            fault=None
            if error is None
            else Fault(FaultKind(error["code"]), error["message"], provider=said["provider"]),
            http_status=said["http_status"],
            ttft_s=said.get("ttft_s"),
            total_s=said["total_s"],
            tags=tuple(about.get("tags") or ()),
            project=about.get("project"),
            request_id=said["request_id"],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an attempt: {error}") from error


def _pico(usd: object) -> Pico | None:
    if usd is None:
        return None
    sum_ = amount(cast(Json, usd))
    if sum_ is None:
        raise ValueError(f"not an amount: {usd!r}")
    return pico_from_usd(sum_)
