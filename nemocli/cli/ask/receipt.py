"""One line after an answer: who, what, how long, how much, and how that is known."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from nemocli.core.events import Retrying
from nemocli.core.money import usd_from_pico, usd_short
from nemocli.core.quantities import count_of
from nemocli.core.text import one_line
from nemocli.core.usage import Usage, add

if TYPE_CHECKING:
    from nemocli.core.faults import Fault
    from nemocli.core.ports import Entry
    from nemocli.engine.run import Answer

LONGEST_NAME = 60


def receipt(answer: Answer, total_s: float) -> str:
    """`openrouter via NVIDIA · model · 10 in, 5 out · 0.21 s to first token, 1.4 s · $0.0012
    (reported)`. Seconds and US dollars."""
    last = answer.last
    parts = [_who(answer, last)]
    if last is not None:
        parts.append(one_line(last.served_model or answer.target.model, LONGEST_NAME))
        parts.append(_tokens(_used(answer)))
        parts.append(_times(last, total_s))
        parts.append(_money(answer))
    before = answer.entries[:-1]
    if failed := [_failed(e, e.fault) for e in before if e.fault is not None]:
        parts.append("after " + ", ".join(failed))
    if again := len(before) - len(failed):
        parts.append(count_of(again, "schema retry", "schema retries"))
    return " · ".join(p for p in parts if p)


def retry_line(event: Retrying) -> str:
    """What failed and what happens next."""
    fault = event.fault
    who = f"{fault.provider}: " if fault.provider and fault.provider not in fault.message else ""
    wait = f" in {event.after_s:.0f} s" if event.after_s >= 1 else ""
    asked = "asking again" if event.provider == fault.provider else f"asking {event.provider}"
    return one_line(f"{who}{fault.message}; {asked}{wait}", 400)


def usd(pico: int) -> str:
    """`$0.000123`: three significant digits below a cent, cents and more as people write them."""
    amount = usd_from_pico(pico)
    if pico == 0 or abs(amount) >= Decimal("0.01"):
        return usd_short(pico)
    places = 2 - amount.adjusted()
    return f"${amount.quantize(Decimal(1).scaleb(-places)).normalize():f}"


def _who(answer: Answer, last: Entry | None) -> str:
    name = answer.target.provider.name
    upstream = one_line(last.upstream, LONGEST_NAME) if last is not None and last.upstream else ""
    return f"{name} via {upstream}" if upstream else name


def _used(answer: Answer) -> Usage:
    total = Usage()
    for entry in answer.entries:
        total = add(total, entry.usage)
    return total


def _tokens(usage: Usage) -> str:
    if usage.input_tokens is None and usage.output_tokens is None:
        return "tokens unknown"
    known = [
        f"{_count(usage.input_tokens)} in" + _of(usage.cached_input_tokens, "cached"),
        f"{_count(usage.output_tokens)} out" + _of(usage.reasoning_tokens, "reasoning"),
    ]
    return ", ".join(known) + (" (estimated)" if usage.source == "estimated" else "")


def _count(n: int | None) -> str:
    return "?" if n is None else f"{n:,}"


def _of(part: int | None, what: str) -> str:
    return f" ({part:,} {what})" if part else ""


def _times(last: Entry, total_s: float) -> str:
    total = f"{total_s:.1f} s" if total_s >= 1 else f"{total_s:.2f} s"
    return total if last.ttft_s is None else f"{last.ttft_s:.2f} s to first token, {total}"


def _money(answer: Answer) -> str:
    known = [e.cost.pico for e in answer.entries if e.cost.pico is not None]
    unknown = len(answer.entries) - len(known)
    last = answer.entries[-1].cost
    if not known or (unknown and not sum(known)):
        return "cost unknown"
    said = f"{usd(sum(known))} ({last.source})"
    if unknown:
        said = f"at least {usd(sum(known))} ({unknown} of {len(answer.entries)} calls unknown)"
    if not sum(known) and last.list_pico:
        said += f", list {usd(last.list_pico)}"
    return said


def _failed(entry: Entry, fault: Fault) -> str:
    status = f" {fault.status}" if fault.status is not None else ""
    return f"{entry.provider} {str(fault.kind).replace('_', ' ')}{status}"
