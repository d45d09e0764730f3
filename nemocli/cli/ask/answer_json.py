"""`nemocli.answer/1` and the events of `--jsonl`: fields are only ever added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nemocli.core.events import (
    Citation,
    Event,
    Finished,
    Fold,
    Metered,
    Reasoning,
    Retrying,
    Started,
    Text,
    ToolCallPart,
)
from nemocli.core.faults import Fault, FaultKind
from nemocli.core.money import usd_text
from nemocli.core.usage import Usage, add
from nemocli.core.values import Json

if TYPE_CHECKING:
    from nemocli.core.plan import Plan
    from nemocli.core.ports import Entry
    from nemocli.core.request import Request
    from nemocli.engine.run import Answer

SCHEMA = "nemocli.answer/1"

Status = Literal["complete", "truncated", "interrupted", "error"]

_CUT_SHORT = frozenset({FaultKind.TRUNCATED, FaultKind.CUT, FaultKind.BUDGET})


def answer_json(answer: Answer, plan: Plan, request: Request, total_s: float) -> dict[str, Json]:
    """The whole answer. Money is a decimal string in USD, or null where it is not known."""
    fold, last = answer.fold, answer.last
    return {
        "schema": SCHEMA,
        "id": plan.run_id,
        "text": fold.text,
        "reasoning": fold.reasoning,
        "tool_calls": [
            {"id": c.call_id, "name": c.name, "arguments": c.arguments} for c in fold.tool_calls
        ],
        "citations": [{"url": c.url, "title": c.title} for c in fold.citations],
        "status": status_of(answer),
        "finish_reason": fold.end.reason if isinstance(fold.end, Finished) else None,
        "finish_reason_raw": _raw_reason(fold),
        "warnings": _warnings(answer),
        "provider": answer.target.provider.name,
        "upstream": last.upstream if last is not None else None,
        "model": answer.target.name,
        "requested_model": request.model,
        "served_model": fold.started.model,
        "usage": _usage(answer.entries),
        "cost": _cost(answer.entries),
        "timing": {
            "ttft_s": _seconds(last.ttft_s) if last is not None else None,
            "total_s": _seconds(total_s),
        },
        "attempts": [_attempt(entry) for entry in answer.entries],
        "session": plan.session,
    }


def _raw_reason(fold: Fold) -> str | None:
    """The server's own word for the end."""
    return fold.end.raw or fold.end.reason if isinstance(fold.end, Finished) else None


def _warnings(answer: Answer) -> list[Json]:
    """What is wrong with an answer that stands: codes for the server's faults, none for ours."""
    end = answer.fold.end
    coded = {w.message: w.code for w in end.warnings} if isinstance(end, Finished) else {}
    return [{"code": coded.get(line), "message": line} for line in answer.warnings]


def status_of(answer: Answer) -> Status:
    """How the answer ended."""
    fault = answer.fault
    if fault is None:
        return "complete"
    if fault.kind is FaultKind.INTERRUPTED:
        return "interrupted"
    cut = fault.kind in _CUT_SHORT or (answer.fold.text_chars and not _ended(answer))
    return "truncated" if cut else "error"


def _ended(answer: Answer) -> bool:
    return isinstance(answer.fold.end, Finished)


def _usage(entries: list[Entry]) -> dict[str, Json]:
    total = Usage()
    for entry in entries:
        total = add(total, entry.usage)
    return {
        "input_tokens": total.input_tokens,
        "cached_input_tokens": total.cached_input_tokens,
        "cache_write_tokens": total.cache_write_tokens,
        "output_tokens": total.output_tokens,
        "reasoning_tokens": total.reasoning_tokens,
        "source": total.source,
    }


def _cost(entries: list[Entry]) -> dict[str, Json]:
    """Every attempt is spend; one of unknown cost makes the sum unknown."""
    if not entries:
        return {"usd": None, "list_usd": None, "source": "unknown", "price_id": None}
    sums = [e.cost.pico for e in entries]
    known = [s for s in sums if s is not None]
    lists = [e.cost.list_pico if e.cost.list_pico is not None else e.cost.pico for e in entries]
    listed = [s for s in lists if s is not None]
    last = entries[-1].cost
    whole = len(known) == len(sums)
    return {
        "usd": usd_text(sum(known)) if whole else None,
        "list_usd": usd_text(sum(listed)) if last.list_pico is not None else None,
        "source": last.source if whole else "unknown",
        "price_id": last.price_id,
    }


def _attempt(entry: Entry) -> dict[str, Json]:
    return {
        "provider": entry.provider,
        "status": entry.status,
        "http_status": entry.http_status,
        "error": _error(entry.fault),
    }


def _error(fault: Fault | None) -> Json:
    return None if fault is None else {"code": str(fault.kind), "message": fault.message}


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def event_json(event: Event) -> dict[str, Json] | None:  # noqa: PLR0911 - one line a kind
    """An event as a line; None for the ends, which the line `done` or `error` tells."""
    match event:
        case Text(text):
            return {"type": "text", "text": text}
        case Reasoning(text):
            return {"type": "reasoning", "text": text}
        case Started(reply_id, model, upstream):
            return {"type": "started", "reply_id": reply_id, "model": model, "upstream": upstream}
        case ToolCallPart(index, call_id, name, arguments):
            said: dict[str, Json] = {"index": index, "id": call_id, "name": name}
            return {"type": "tool_call", **said, "arguments": arguments}
        case Citation(url, title):
            return {"type": "citation", "url": url, "title": title}
        case Metered(usage):
            return {
                "type": "usage",
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "reasoning_tokens": usage.reasoning_tokens,
            }
        case Retrying(fault, after_s, provider):
            return {
                "type": "retrying",
                "error": _error(fault),
                "after_s": after_s,
                "provider": provider,
            }
        case _:
            return None
