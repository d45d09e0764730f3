"""A recording of an agent as an attempt of an evaluation: what can be known from the wire.

An agent is a black box. Its calls of the model are seen, and the results of its tools in what it
asks next; whether a tool changed something, and which retries made sense, is not. A call without
tools beside calls with them is a side call (a title, a summary): its money counts, its turn not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nemocli.core.events import Fold
from nemocli.serve.recording import RecordedExchange

UNKNOWN = (
    "user turns beyond the first",
    "retries R2 to R7",
    "probes and coherence",
    "collateral writes",
)
"""What the wire cannot tell."""


@dataclass(slots=True)
class SeenOnWire:
    """What a recording shows. Times in seconds, money in pico-USD (None: some of it is unknown)."""

    turns: int = 0
    side_calls: int = 0
    sent_again: int = 0
    tool_calls: int = 0
    invalid_calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_pico: int | None = 0
    ttft_s: tuple[float, ...] = ()
    last_fault: Mapping[str, Any] | None = None
    providers: tuple[str, ...] = ()
    events: list[dict[str, Any]] = field(default_factory=list)


def read_exchanges(recorded: Sequence[RecordedExchange]) -> SeenOnWire:
    """Everything that the exchanges of one attempt show, in order."""
    found = SeenOnWire()
    tooled = any(_tools(e) for e in recorded)
    failed: set[str] = set()
    known = 0
    for exchange in recorded:
        side = tooled and not _tools(exchange)
        if exchange.key in failed:
            found.sent_again += 1
            failed.discard(exchange.key)
        if not side:
            results = list(_results(exchange, known))
            found.events += results
            known = max(known, len(exchange.messages))
        _add(found, exchange, side=side)
        if exchange.fault is not None:
            failed.add(exchange.key)
    return found


def _add(found: SeenOnWire, exchange: RecordedExchange, *, side: bool) -> None:
    reply, fold = exchange.reply, Fold()
    for _, event in exchange.events():
        fold.add(event)
    usage = reply.get("usage") or {}
    found.input_tokens += usage.get("input_tokens") or 0
    found.cached_tokens += usage.get("cached_input_tokens") or 0
    found.output_tokens += usage.get("output_tokens") or 0
    found.reasoning_tokens += usage.get("reasoning_tokens") or 0
    cost = reply.get("cost_pico")
    found.cost_pico = None if cost is None or found.cost_pico is None else found.cost_pico + cost
    provider = reply.get("provider")
    if provider and provider not in found.providers:
        found.providers = (*found.providers, str(provider))
    fault = reply.get("fault")
    found.last_fault = fault if isinstance(fault, Mapping) else None
    if side:
        found.side_calls += 1
    elif fault is None and reply:
        found.turns += 1
        if reply.get("ttft_s") is not None:
            found.ttft_s = (*found.ttft_s, float(reply["ttft_s"]))
    calls = fold.tool_calls
    found.tool_calls += len(calls)
    found.invalid_calls += sum(call.parse() is None for call in calls)
    found.events.append(
        {
            "type": "side" if side else "model",
            "turn": 1,
            "text": fold.text,
            "reasoning": fold.reasoning or None,
            "calls": [[c.call_id, c.name, c.arguments] for c in calls],
            "finish": reply.get("finish"),
            "usage": usage or None,
            "cost_pico": cost,
            "ttft_s": reply.get("ttft_s"),
            "total_s": reply.get("seconds"),
            "attempts": reply.get("attempts") or [],
            "provider": provider,
            "fault": fault,
        }
    )


def _results(exchange: RecordedExchange, known: int) -> Iterator[dict[str, Any]]:
    """What tools gave back since the last call of the model; before the first, the user's words."""
    for message in exchange.messages[known:]:
        if message.role == "tool":
            yield {"type": "tool", "turn": 1, "name": "", "arguments": "", "result": message.text}
        elif message.role == "user":
            yield {"type": "user", "turn": 1, "text": message.text, "nudge": known > 0}


def _tools(exchange: RecordedExchange) -> bool:
    body = exchange.request.get("body")
    return isinstance(body, Mapping) and bool(body.get("tools"))


def describe(found: SeenOnWire) -> str:
    """What was seen, for people."""
    parts = [f"{found.turns} model turns", f"{found.tool_calls} tool calls"]
    if found.side_calls:
        parts.append(f"{found.side_calls} side calls")
    if found.sent_again:
        parts.append(f"{found.sent_again} sent again")
    return ", ".join(parts) + f"; not known from the wire: {', '.join(UNKNOWN)}"
