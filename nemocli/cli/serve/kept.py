"""Recorded exchanges as kept conversations, which `nemocli sessions` shows as any other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from nemocli.chat.session import Session, Turn
from nemocli.core.events import Fold
from nemocli.core.faults import NemoError
from nemocli.core.usage import Usage
from nemocli.io.clock import SystemClock

if TYPE_CHECKING:
    from nemocli.cli.context import Setup
    from nemocli.serve.recording import RecordedExchange


def keep_sessions(setup: Setup, name: str, recorded: Sequence[RecordedExchange]) -> int:
    """Keep a conversation for each session of a recording; how many. What cannot be kept is said:
    the recording itself is whole."""
    from nemocli.cli.sessions.show import store_of

    groups: dict[str, list[RecordedExchange]] = {}
    for exchange in recorded:
        session = exchange.request.get("session") or exchange.request.get("attempt") or ""
        groups.setdefault(str(session), []).append(exchange)
    store, kept = store_of(setup), 0
    try:
        for exchanges in groups.values():
            store.begin(_session(setup, name, exchanges))
            kept += 1
    except NemoError as error:
        setup.err.warn(f"the sessions of the recording were not kept: {error.fault.message}")
    finally:
        store.close()
    return kept


def _session(setup: Setup, name: str, exchanges: Sequence[RecordedExchange]) -> Session:
    """The conversation of the longest exchange: agents send all of it each time."""
    longest = max(exchanges, key=lambda e: len(e.messages))
    begun, ended = _at(exchanges[0]), _at(exchanges[-1])
    system = next((m.text for m in longest.messages if m.role == "system"), None)
    reply = longest.reply
    return Session(
        setup.clock.new_id(),
        begun,
        ended,
        system=system,
        provider=reply.get("provider"),
        model=reply.get("model"),
        project=setup.project,
        tags=("recorded", f"recording:{name}"),
        turns=tuple(_turns(setup.clock, longest)),
    )


def _turns(clock: SystemClock, exchange: RecordedExchange) -> Iterator[Turn]:
    at = _at(exchange)
    for message in exchange.messages:
        if message.role != "system":
            yield Turn(clock.new_id(), message.role, message.text, at)
    yield _reply_turn(clock.new_id(), at, exchange)


def _reply_turn(turn_id: str, at: datetime, exchange: RecordedExchange) -> Turn:
    reply, fold = exchange.reply, Fold()
    for _, event in exchange.events():
        fold.add(event)
    usage = reply.get("usage")
    return Turn(
        turn_id,
        "assistant",
        fold.text,
        at,
        "complete" if exchange.fault is None else "error",
        fold.reasoning or None,
        tool_calls=fold.tool_calls,
        provider=reply.get("provider"),
        model=reply.get("model"),
        usage=Usage(**usage) if usage else Usage(),
        cost_pico=reply.get("cost_pico"),
        finish_reason=reply.get("finish"),
        attempts=tuple(reply.get("attempts") or ()),
    )


def _at(exchange: RecordedExchange) -> datetime:
    return datetime.fromisoformat(str(exchange.request.get("at")))
