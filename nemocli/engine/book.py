"""What an attempt becomes in the ledger: its tokens, its cost and how both are known."""

from __future__ import annotations

from datetime import date, datetime
from typing import Protocol

from nemocli.core.events import Failed, Finished, Fold
from nemocli.core.faults import Fault, FaultKind
from nemocli.core.money import NOTHING, Cost, Price, cost_of
from nemocli.core.outcome import shortfall
from nemocli.core.plan import Plan, Target
from nemocli.core.ports import Entry, EntryStatus
from nemocli.core.usage import Usage, estimate
from nemocli.core.value_class import value_class


@value_class(frozen=True, slots=True)
class AttemptId:
    """One attempt: its unique id, its number in the run from 1, and when it began (UTC)."""

    id: str
    number: int
    at: datetime


@value_class(frozen=True, slots=True)
class Times:
    """How long an attempt took, in seconds; `ttft_s` None when no token came."""

    ttft_s: float | None
    total_s: float


class RequestFacts(Protocol):
    """What a row of the ledger says of a request: the model as it was typed, and for estimates the
    length of the input in characters and how many answers were asked for."""

    @property
    def model(self) -> str: ...
    @property
    def chars(self) -> int: ...
    @property
    def answers(self) -> int: ...


def entry_for(
    plan: Plan,
    target: Target,
    request: RequestFacts,
    fold: Fold,
    *,
    attempt: AttemptId,
    times: Times,
    begun: bool = True,
) -> Entry:
    """The row of one attempt, whether it ended or was abandoned. `begun` False: not even the call
    was begun (no key, no server, interrupted before), so that nothing can have been billed."""
    usage = usage_of(request, fold) if begun else Usage()
    fault = shortfall(fold, target.provider.name)
    return Entry(
        attempt_id=attempt.id,
        run_id=plan.run_id,
        attempt=attempt.number,
        at=attempt.at,
        command=plan.command,
        provider=target.provider.name,
        model=target.name,
        requested_model=request.model,
        status=_status(fold, fault),
        usage=usage,
        cost=_cost(target, fold, usage, attempt.at.date()) if begun else NOTHING,
        served_model=fold.started.model,
        upstream=fold.started.upstream,
        reply_id=fold.started.reply_id,
        finish_reason=fold.end.reason if isinstance(fold.end, Finished) else None,
        fault=fault,
        http_status=_http_status(fold),
        ttft_s=times.ttft_s,
        total_s=times.total_s,
        tags=plan.tags,
        project=plan.project,
        session=plan.session,
        request_id=fold.started.request_id or (fault.request_id if fault else None),
    )


def usage_of(request: RequestFacts, fold: Fold) -> Usage:
    """What the server counted; else, where tokens must have been made, our marked estimate."""
    if fold.metered is not None and fold.metered.usage.known:
        return fold.metered.usage
    if is_turned_away(fold):
        return Usage()
    if fold.end is None or fold.shown or isinstance(fold.end, Finished):
        answers = request.answers  # only the first of several is in the fold
        return estimate(request.chars, fold.text_chars * answers, fold.reasoning_chars * answers)
    return Usage()


def is_turned_away(fold: Fold) -> bool:
    """Whether the attempt ended before anyone could have billed it.

    An HTTP error status is an answer instead of a reply, and sellers do not bill those; a
    connection that was never made cannot be billed. A timeout or a reset after sending can.
    """
    fault = fold.end.fault if isinstance(fold.end, Failed) else None
    if fault is None or fold.shown or fold.metered is not None:
        return False
    return not fault.sent or (fault.status is not None and fault.status >= 300)


def _cost(target: Target, fold: Fold, usage: Usage, day: date) -> Cost:
    if is_turned_away(fold):
        return NOTHING
    reported = fold.metered.reported_usd if fold.metered is not None else None
    price, listed = _prices(target, day)
    cost = cost_of(usage, price, reported, listed)
    if target.free and reported is None:
        return Cost(NOTHING.pico, "free", cost.price_id, cost.list_pico, cost.list_price_id)
    return cost


_found: dict[int, tuple[Target, date, Price | None, Price | None]] = {}
_MOST_FOUND = 64


def _prices(target: Target, day: date) -> tuple[Price | None, Price | None]:
    """The price that holds on a day, and the list price where that costs nothing. Those of a target
    are found once a day: a million rows have one."""
    kept = _found.get(id(target))
    if kept is not None and kept[0] is target and kept[1] == day:
        return kept[2], kept[3]
    price = target.price(day)
    unpaid = target.free or (price is not None and price.free)
    listed = target.list_price(day) if unpaid else None
    if len(_found) >= _MOST_FOUND:
        _found.clear()
    _found[id(target)] = target, day, price, listed
    return price, listed


def _status(fold: Fold, fault: Fault | None) -> EntryStatus:
    if fold.end is None:
        return "aborted"
    if fault is None:
        return "ok"
    if fault.kind is FaultKind.TRUNCATED:
        return "truncated"
    cut = fault.kind is FaultKind.CUT or (isinstance(fold.end, Failed) and fold.shown)
    return "cut" if cut else "error"


def _http_status(fold: Fold) -> int | None:
    """The status line's own; an error inside a good status was still sent with a 200."""
    if fold.answered:
        return 200
    return fold.end.fault.status if isinstance(fold.end, Failed) else None
