"""Kept conversations as tables, documents and JSON, and less of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nemocli.chat.transcript import LISTING, markdown, session_json, session_row
from nemocli.core.faults import usage_error
from nemocli.core.money import usd_short
from nemocli.core.text import one_line
from nemocli.io.sessions.store import SqliteSessions

if TYPE_CHECKING:
    from nemocli.chat.ports import FoundTurn
    from nemocli.chat.session import Session, Turn
    from nemocli.cli.context import Setup
    from nemocli.core.values import Json

FORMS = ("markdown", "json")
_WHO = {"user": "you", "assistant": "model", "system": "system", "tool": "tool"}


def store_of(setup: Setup) -> SqliteSessions:
    """Where this user's conversations are."""
    return SqliteSessions(setup.paths.sessions)


def show_list(setup: Setup, limit: int, tag: str | None, *, as_json: bool) -> None:
    """A line for each, newest first."""
    found = store_of(setup).page(limit, tag)
    if as_json:
        setup.out.json({"schema": LISTING, "sessions": [session_row(s) for s in found]})
        return
    if not found:
        setup.err.dim("no conversations yet: `nemocli chat` begins one")
        return
    cells = [
        (
            session.session_id[:10],
            one_line(session.name or "", 24),
            f"{session.updated_at:%Y-%m-%d %H:%M}",
            str(len(session.turns)),
            session.status,
            one_line(session.model or "", 30),
            "?" if session.cost_pico is None else usd_short(session.cost_pico),
            one_line(first_words(session), 60),
        )
        for session in found
    ]
    heads = ("ID", "NAME", "LAST (UTC)", "TURNS", "STATUS", "MODEL", "USD", "BEGINS WITH")
    setup.out.table(heads, cells)


def first_words(session: Session) -> str:
    """What was asked first."""
    return next((turn.text for turn in session.turns if turn.role == "user"), "")


def show_one(setup: Setup, name: str, *, as_json: bool) -> None:
    """Turn by turn."""
    store = store_of(setup)
    session = store.load(store.resolve(name))
    if as_json:
        setup.out.json(session_json(session))
        return
    for turn in session.turns:
        setup.err.dim(head_of(turn))
        for call in turn.tool_calls:
            setup.out.line(f"{call.name}({call.arguments})")
        setup.out.text(turn.text)
        setup.out.end_line()


def head_of(turn: Turn) -> str:
    """Who, when, by whom, at what cost, and how it ended where not well."""
    parts = [_WHO[turn.role], f"{turn.at:%Y-%m-%d %H:%M:%S} UTC"]
    if turn.role == "assistant":
        parts += [f"{turn.provider} · {turn.model}"]
        parts += ["cost unknown" if turn.cost_pico is None else usd_short(turn.cost_pico)]
    if turn.status != "complete":
        parts.append(turn.status)
    return " · ".join(parts)


def _found_json(found: FoundTurn) -> dict[str, Json]:
    return {
        "session": found.session_id,
        "name": found.name,
        "turn": found.turn_id,
        "role": found.role,
        "at": found.at.isoformat(),
        "excerpt": found.excerpt,
    }


def show_found(setup: Setup, words: str, limit: int, *, as_json: bool) -> None:
    """Where the words stand."""
    found = store_of(setup).search(words, limit)
    if as_json:
        rows = [_found_json(f) for f in found]
        setup.out.json({"schema": "nemocli.sessions_search/1", "found": rows})
        return
    if not found:
        setup.err.dim("no turn holds all of these words")
    for f in found:
        name = f.name or f.session_id[:10]
        setup.out.line(f"{name}  {f.at:%Y-%m-%d}  {_WHO[f.role]}: {one_line(f.excerpt, 200)}")


def export_one(setup: Setup, name: str, form: str, out: str | None) -> None:
    """A document, to stdout or into a private file."""
    form = {"md": "markdown"}.get(form, form)
    if form not in FORMS:
        raise usage_error(f"--to {form!r} is none", f"one of: {', '.join(FORMS)}")
    store = store_of(setup)
    session = store.load(store.resolve(name))
    if form == "json":
        from nemocli.cli.terminal.output import json_text

        text = json_text(session_json(session), indent=2) + "\n"
    else:
        text = markdown(session)
    if out is None or out == "-":
        setup.out.text(text)
        return
    from nemocli.io.files import write_private

    write_private(Path(out), text)
    setup.err.dim(f"{len(session.turns)} turns in {out}, readable by you only")


def tag_one(
    setup: Setup, name: str, tags: list[str], remove: list[str], called: str | None
) -> None:
    """Other tags, or another name."""
    store = store_of(setup)
    session = store.load(store.resolve(name))
    kept = [tag for tag in dict.fromkeys([*session.tags, *tags]) if tag not in remove]
    session = replace(session, tags=tuple(kept), name=called or session.name)
    store.change(session)
    setup.err.dim(f"{session.name or session.session_id}: {', '.join(kept) or 'no tags'}")


def remove(setup: Setup, names: list[str], *, yes: bool) -> None:
    """Off the disk, after a yes."""
    store = store_of(setup)
    gone = list(dict.fromkeys(store.resolve(name) for name in names))
    _confirm(setup, len(gone), yes=yes)
    store.remove(gone)
    setup.err.dim(f"{_conversations(len(gone))} removed; the ledger keeps what they cost")


def prune_old(setup: Setup, before: str, *, yes: bool) -> None:
    """Those that nobody touched since."""
    from nemocli.cli.cost.summary import moment

    at = moment(before, datetime.now(UTC), "--before")
    store = store_of(setup)
    old = [session.session_id for session in store.page(before=at)] if at is not None else []
    if not old:
        setup.err.dim("no conversation is that old")
        return
    _confirm(setup, len(old), yes=yes)
    store.remove(old)
    setup.err.dim(f"{_conversations(len(old))} removed; the ledger keeps what they cost")


def _conversations(count: int) -> str:
    return f"{count:,} conversation{'s' * (count != 1)}"


def _confirm(setup: Setup, count: int, *, yes: bool) -> None:
    if yes:
        return
    if not setup.may_ask:
        raise usage_error(f"{_conversations(count)} would go", "confirmation needed: add `--yes`")
    setup.err.ask(f"remove {_conversations(count)} for good? [y/N]")
    if input().strip().lower() not in ("y", "yes"):
        raise usage_error("nothing was removed")
