"""A conversation for reading and for scripts: Markdown, and the shapes of `--json`."""

from __future__ import annotations

from nemocli.chat.session import Session, Turn
from nemocli.core.money import usd_text
from nemocli.core.values import Json

LISTING, ONE = "nemocli.sessions/1", "nemocli.session/1"
_WHO = {"user": "You", "assistant": "Model", "system": "System", "tool": "Tool"}


def session_row(session: Session) -> dict[str, Json]:
    """A conversation in a listing. `cost_usd` is a decimal string, null where it is not known."""
    return {
        "id": session.session_id,
        "name": session.name,
        "created_at": session.created_at.isoformat(),
        "updated_at": session.updated_at.isoformat(),
        "turns": len(session.turns),
        "status": session.status,
        "provider": session.provider,
        "model": session.model,
        "cost_usd": usd_text(session.cost_pico),
        "tags": list(session.tags),
    }


def session_json(session: Session) -> dict[str, Json]:
    """A whole conversation."""
    return {
        "schema": ONE,
        **{k: v for k, v in session_row(session).items() if k != "turns"},
        "system": session.system,
        "forked_from": session.forked_from,
        "turns": [turn_json(turn) for turn in session.turns],
    }


def turn_json(turn: Turn) -> dict[str, Json]:
    """One turn."""
    usage = turn.usage
    return {
        "id": turn.turn_id,
        "role": turn.role,
        "text": turn.text,
        "reasoning": turn.reasoning,
        "tool_calls": [
            {"id": c.call_id, "name": c.name, "arguments": c.arguments} for c in turn.tool_calls
        ],
        "tool_call_id": turn.tool_call_id,
        "status": turn.status,
        "finish_reason": turn.finish_reason,
        "provider": turn.provider,
        "model": turn.model,
        "usage": {
            "input_tokens": usage.input_tokens,
            "cached_input_tokens": usage.cached_input_tokens,
            "output_tokens": usage.output_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
            "source": usage.source,
        }
        if turn.role == "assistant"
        else None,
        "cost": {"usd": usd_text(turn.cost_pico), "source": turn.cost_source or "unknown"}
        if turn.role == "assistant"
        else None,
        "attempts": list(turn.attempts),
        "at": turn.at.isoformat(),
    }


def markdown(session: Session) -> str:
    """A document: a heading a turn, the text as it was written."""
    title = session.name or f"Conversation {session.session_id}"
    lines = [f"# {title}", "", f"{session.created_at:%Y-%m-%d %H:%M} UTC"]
    if session.system:
        lines += ["", "## System", "", session.system]
    for turn in session.turns:
        who = _WHO[turn.role]
        if turn.role == "assistant" and turn.model:
            who = f"{turn.model} ({turn.provider})"
        said = "" if turn.status == "complete" else f", {turn.status}"
        lines += ["", f"## {who}{said}", ""]
        lines += [f"> called `{c.name}` with `{c.arguments}`" for c in turn.tool_calls]
        lines.append(turn.text)
    return "\n".join(lines).rstrip() + "\n"
