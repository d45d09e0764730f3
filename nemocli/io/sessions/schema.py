"""The tables of conversations, as numbered migrations: a statement is added, never edited."""

from __future__ import annotations

from nemocli.io.sqlite import Migration

_SESSIONS = """
CREATE TABLE sessions (
    session_id   TEXT PRIMARY KEY NOT NULL,
    name         TEXT UNIQUE,
    created_at   TEXT NOT NULL,             -- UTC, ISO 8601
    updated_at   TEXT NOT NULL,
    provider     TEXT,
    model        TEXT,
    system       TEXT,
    project      TEXT,
    forked_from  TEXT,
    tags         TEXT NOT NULL DEFAULT '[]'
)
"""

_TURNS = """
CREATE TABLE turns (
    id            INTEGER PRIMARY KEY,
    turn_id       TEXT NOT NULL UNIQUE,
    session_id    TEXT NOT NULL REFERENCES sessions (session_id) ON DELETE CASCADE,
    role          TEXT NOT NULL,
    text          TEXT NOT NULL,
    reasoning     TEXT,
    details       TEXT NOT NULL DEFAULT '[]',
    tool_calls    TEXT NOT NULL DEFAULT '[]',
    tool_call_id  TEXT,
    status        TEXT NOT NULL,
    finish_reason TEXT,
    provider      TEXT,
    model         TEXT,
    usage         TEXT,
    cost_pico     INTEGER,                  -- 10^-12 US dollars; NULL is unknown
    cost_source   TEXT,
    attempts      TEXT NOT NULL DEFAULT '[]',
    at            TEXT NOT NULL,
    undone_at     TEXT,                     -- NULL: part of the conversation
    owner         TEXT                      -- process that writes a running turn: pid and birth
)
"""

MIGRATIONS: tuple[Migration, ...] = (
    (
        _SESSIONS,
        _TURNS,
        "CREATE INDEX turns_of_session ON turns (session_id, id)",
        "CREATE INDEX sessions_by_time ON sessions (updated_at)",
        "CREATE VIRTUAL TABLE words USING fts5 (text, content='turns', content_rowid='id')",
        "CREATE TRIGGER words_added AFTER INSERT ON turns BEGIN"
        " INSERT INTO words (rowid, text) VALUES (new.id, new.text); END",
        "CREATE TRIGGER words_gone AFTER DELETE ON turns BEGIN"
        " INSERT INTO words (words, rowid, text) VALUES ('delete', old.id, old.text); END",
        "CREATE TRIGGER words_changed AFTER UPDATE OF text ON turns BEGIN"
        " INSERT INTO words (words, rowid, text) VALUES ('delete', old.id, old.text);"
        " INSERT INTO words (rowid, text) VALUES (new.id, new.text); END",
    ),
)
