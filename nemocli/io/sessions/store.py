"""Conversations in SQLite. Several programs may have the file open; each turn is one row, written
when it begins and again as it grows, so that a kill loses at most what came since.

A turn that runs names its process: where that is gone, the turn was interrupted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from nemocli.chat.ports import FoundTurn
from nemocli.chat.session import Session, Turn
from nemocli.core.faults import NemoError, usage_error
from nemocli.core.money import total_of
from nemocli.core.request import Role, ToolCall
from nemocli.core.usage import Usage
from nemocli.io.liveness import birth_of, has_ended
from nemocli.io.sessions.schema import MIGRATIONS
from nemocli.io.sqlite import Connection, Record, Refused, open_store, sqlite_errors, writing

LAST = "last"


class SqliteSessions:
    """Fills `chat.ports.Sessions`. The file is made by the first write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: Connection | None = None
        birth = birth_of(os.getpid())
        self._owner = json.dumps([os.getpid(), birth])

    @property
    def exists(self) -> bool:
        """Whether anything was ever kept."""
        return self._path.exists()

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _open(self) -> Iterator[Connection]:
        if self._connection is None:
            self._connection = open_store(self._path, MIGRATIONS)
        with sqlite_errors(self._path):
            yield self._connection

    # Written as it happens

    def begin(self, session: Session) -> None:
        """Keep a new conversation, and the turns it begins with. Raises NemoError (usage) for a
        name that another one has."""
        with self._open() as db:
            try:
                with writing(db):
                    db.execute(
                        "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                        (
                            session.session_id,
                            session.name,
                            session.created_at.isoformat(),
                            session.updated_at.isoformat(),
                            session.provider,
                            session.model,
                            session.system,
                            session.project,
                            session.forked_from,
                            json.dumps(session.tags),
                        ),
                    )
                    for turn in session.turns:
                        self._insert(db, session.session_id, turn)
            except Refused as error:
                raise _taken(session.name) from error

    def keep(self, session_id: str, turn: Turn) -> None:
        """Keep a turn, or what it has become."""
        with self._open() as db, writing(db):
            self._insert(db, session_id, turn)
            db.execute(
                "UPDATE sessions SET updated_at = ?, provider = coalesce(?, provider),"
                " model = coalesce(?, model) WHERE session_id = ?",
                (datetime.now(UTC).isoformat(), turn.provider, turn.model, session_id),
            )

    def _insert(self, db: Connection, session_id: str, turn: Turn) -> None:
        row = _row_of(turn)
        names = ", ".join(row)
        marks = ", ".join(f":{name}" for name in row)
        changes = ", ".join(f"{name} = :{name}" for name in row if name != "turn_id")
        owner = self._owner if turn.status == "running" else None
        db.execute(
            f"INSERT INTO turns (session_id, owner, {names}) VALUES (:session_id, :owner, {marks})"  # noqa: S608
            f" ON CONFLICT (turn_id) DO UPDATE SET owner = :owner, {changes}",
            {"session_id": session_id, "owner": owner, **row},
        )

    def undo(self, session_id: str, turns: Sequence[str]) -> None:
        """Take turns out of the conversation; they stay on the disk."""
        now = datetime.now(UTC).isoformat()
        with self._open() as db, writing(db):
            db.executemany(
                "UPDATE turns SET undone_at = ? WHERE session_id = ? AND turn_id = ?",
                [(now, session_id, turn) for turn in turns],
            )

    def change(self, session: Session) -> None:
        """Keep another name, system prompt, path or tags. Raises NemoError for a name taken."""
        with self._open() as db:
            try:
                with writing(db):
                    db.execute(
                        "UPDATE sessions SET name = ?, provider = ?, model = ?, system = ?,"
                        " tags = ? WHERE session_id = ?",
                        (
                            session.name,
                            session.provider,
                            session.model,
                            session.system,
                            json.dumps(session.tags),
                            session.session_id,
                        ),
                    )
            except Refused as error:
                raise _taken(session.name) from error

    def remove(self, session_ids: Sequence[str]) -> None:
        """Take conversations off the disk, and their words out of its free pages."""
        with self._open() as db:
            db.execute("PRAGMA secure_delete = ON")
            with writing(db):
                db.executemany(
                    "DELETE FROM sessions WHERE session_id = ?", [(each,) for each in session_ids]
                )
                db.execute("INSERT INTO words (words) VALUES ('optimize')")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    # Read

    def load(self, session_id: str) -> Session:
        """A whole conversation. Raises NemoError where there is none."""
        with self._open() as db:
            row = db.execute(
                "SELECT * FROM sessions WHERE session_id = ?", (session_id,)
            ).fetchone()
            if row is None:
                raise _none(session_id)
            turns = db.execute(
                "SELECT * FROM turns WHERE session_id = ? AND undone_at IS NULL ORDER BY id",
                (session_id,),
            ).fetchall()
            undone = db.execute(
                "SELECT role, attempts, cost_pico FROM turns"
                " WHERE session_id = ? AND undone_at IS NOT NULL ORDER BY id",
                (session_id,),
            ).fetchall()
        return _session(row, [_turn(each) for each in turns], _undone(undone, turns))

    def page(
        self, limit: int | None = None, tag: str | None = None, before: datetime | None = None
    ) -> list[Session]:
        """Conversations, newest first; of a tag, or last touched before a moment."""
        if not self.exists:
            return []
        with self._open() as db:
            rows = db.execute(
                "SELECT * FROM sessions WHERE (:before IS NULL OR updated_at < :before) AND"
                " (:tag IS NULL OR EXISTS (SELECT 1 FROM json_each(tags) WHERE value = :tag))"
                " ORDER BY updated_at DESC, session_id DESC LIMIT :most",
                {
                    "before": None if before is None else before.astimezone(UTC).isoformat(),
                    "tag": tag,
                    "most": -1 if limit is None else limit,
                },
            ).fetchall()
        return [self.load(row["session_id"]) for row in rows]

    def resolve(self, name: str) -> str:
        """The id that a name, a unique prefix of an id, or `last` means. Raises NemoError."""
        if not self.exists:
            raise usage_error("no conversation is kept here yet", "`nemocli chat` begins one")
        with self._open() as db:
            if name == LAST:
                row = db.execute(
                    "SELECT session_id FROM sessions ORDER BY updated_at DESC, session_id DESC"
                ).fetchone()
                if row is None:
                    raise usage_error("no conversation is kept here", "`nemocli chat` begins one")
                return str(row["session_id"])
            found = db.execute(
                "SELECT session_id FROM sessions WHERE name = ? OR session_id = ?", (name, name)
            ).fetchone()
            if found is not None:
                return str(found["session_id"])
            prefix = name.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
            rows = db.execute(
                "SELECT session_id FROM sessions WHERE session_id LIKE ? ESCAPE '\\' LIMIT 3",
                (prefix,),
            ).fetchall()
        if not name or not rows:
            raise _none(name)
        if len(rows) > 1:
            these = ", ".join(row["session_id"] for row in rows)
            raise usage_error(f"{name!r} begins several ids: {these}", "type one more letter of it")
        return str(rows[0]["session_id"])

    def search(self, words: str, limit: int = 50) -> list[FoundTurn]:
        """Turns that hold all the words, newest conversations first."""
        if not self.exists:
            return []
        asked = " ".join('"' + word.replace('"', '""') + '"*' for word in words.split())
        if not asked:
            return []
        with self._open() as db:
            rows = db.execute(
                "SELECT s.session_id, s.name, t.turn_id, t.role, t.at,"
                " snippet(words, 0, '«', '»', '…', 12) AS excerpt FROM words"
                " JOIN turns t ON t.id = words.rowid JOIN sessions s USING (session_id)"
                " WHERE words MATCH ? ORDER BY s.updated_at DESC, t.id LIMIT ?",
                (asked, limit),
            ).fetchall()
        return [
            FoundTurn(
                r["session_id"],
                r["name"],
                r["turn_id"],
                r["role"],
                datetime.fromisoformat(r["at"]),
                r["excerpt"],
            )
            for r in rows
        ]


def _row_of(turn: Turn) -> dict[str, object]:
    return {
        "turn_id": turn.turn_id,
        "role": turn.role,
        "text": turn.text.encode("utf-8", "replace").decode(),
        "reasoning": turn.reasoning and turn.reasoning.encode("utf-8", "replace").decode(),
        "details": json.dumps(turn.details, default=str),
        "tool_calls": json.dumps([[c.call_id, c.name, c.arguments] for c in turn.tool_calls]),
        "tool_call_id": turn.tool_call_id,
        "status": turn.status,
        "finish_reason": turn.finish_reason,
        "provider": turn.provider,
        "model": turn.model,
        "usage": json.dumps(asdict(turn.usage)),
        "cost_pico": turn.cost_pico,
        "cost_source": turn.cost_source,
        "attempts": json.dumps(turn.attempts),
        "at": turn.at.isoformat(),
    }


def _turn(row: Record) -> Turn:
    status = row["status"]
    if status == "running" and _is_gone(row["owner"]):
        status = "interrupted"
    calls = tuple(ToolCall(*map(str, each)) for each in json.loads(row["tool_calls"]))
    return Turn(
        row["turn_id"],
        cast(Role, row["role"]),
        row["text"],
        datetime.fromisoformat(row["at"]),
        status,
        row["reasoning"],
        tuple(json.loads(row["details"])),
        calls,
        row["tool_call_id"],
        row["provider"],
        row["model"],
        Usage(**json.loads(row["usage"] or "{}")),
        row["cost_pico"],
        row["cost_source"],
        row["finish_reason"],
        tuple(json.loads(row["attempts"])),
    )


def _undone(rows: list[Record], turns: list[Record]) -> int | None:
    """What taken back turns cost; those that stand in the conversation again count there."""
    seen = {turn["attempts"] for turn in turns}
    costs: list[int | None] = []
    for row in rows:
        if row["attempts"] == "[]":
            if row["role"] == "assistant":
                costs.append(row["cost_pico"])
        elif row["attempts"] not in seen:
            seen.add(row["attempts"])
            costs.append(row["cost_pico"])
    return total_of(costs)


def _is_gone(owner: str | None) -> bool:
    if owner is None:
        return True
    pid, birth = json.loads(owner)
    return bool(has_ended(int(pid), birth))


def _session(row: Record, turns: list[Turn], undone_pico: int | None) -> Session:
    given: dict[str, Any] = {name: row[name] for name in ("name", "provider", "model", "system")}
    return Session(
        row["session_id"],
        datetime.fromisoformat(row["created_at"]),
        datetime.fromisoformat(row["updated_at"]),
        project=row["project"],
        forked_from=row["forked_from"],
        tags=tuple(json.loads(row["tags"])),
        turns=tuple(turns),
        undone_pico=undone_pico,
        **given,
    )


def _none(name: str) -> NemoError:
    return usage_error(f"no conversation is called {name!r}", "`nemocli sessions ls` lists them")


def _taken(name: str | None) -> NemoError:
    return usage_error(f"another conversation is called {name!r}", "choose another name")
