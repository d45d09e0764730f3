"""The ledger's tables, as numbered migrations: a statement here is added, never edited."""

from __future__ import annotations

from nemocli.io.ledger.schema_v2 import SECOND
from nemocli.io.sqlite import Migration

_ATTEMPTS = """
CREATE TABLE attempts (
    attempt_id          TEXT PRIMARY KEY NOT NULL,
    run_id              TEXT NOT NULL,
    attempt             INTEGER NOT NULL,
    at                  TEXT NOT NULL,     -- UTC, ISO 8601 with microseconds
    at_us               INTEGER NOT NULL,  -- the same, microseconds since 1970
    command             TEXT NOT NULL,
    provider            TEXT NOT NULL,
    upstream            TEXT,
    model               TEXT NOT NULL,
    requested_model     TEXT NOT NULL,
    served_model        TEXT,
    reply_id            TEXT,
    request_id          TEXT,
    status              TEXT NOT NULL,
    finish_reason       TEXT,
    http_status         INTEGER,
    fault_kind          TEXT,
    fault_message       TEXT,
    input_tokens        INTEGER,           -- with both cache classes inside; NULL is unknown
    cached_input_tokens INTEGER,
    cache_write_tokens  INTEGER,
    output_tokens       INTEGER,           -- with reasoning inside
    reasoning_tokens    INTEGER,
    usage_source        TEXT NOT NULL,
    cost_pico           INTEGER,           -- 10^-12 US dollars; NULL is unknown, never zero
    cost_source         TEXT NOT NULL,
    price_id            TEXT,
    list_pico           INTEGER,
    list_price_id       TEXT,
    ttft_s              REAL,
    total_s             REAL,
    tags                TEXT NOT NULL DEFAULT '[]',
    project             TEXT,
    session             TEXT
)
"""

_SETTLEMENTS = """
CREATE TABLE settlements (
    id                  INTEGER PRIMARY KEY,
    attempt_id          TEXT NOT NULL REFERENCES attempts (attempt_id),
    at                  TEXT NOT NULL,
    at_us               INTEGER NOT NULL,
    cost_pico           INTEGER NOT NULL,
    input_tokens        INTEGER,
    cached_input_tokens INTEGER,
    cache_write_tokens  INTEGER,
    output_tokens       INTEGER,
    reasoning_tokens    INTEGER,
    usage_source        TEXT,              -- NULL where the seller said nothing about tokens
    upstream            TEXT
)
"""

_RESERVATIONS = """
CREATE TABLE reservations (
    attempt_id TEXT PRIMARY KEY NOT NULL,
    at_us      INTEGER NOT NULL,
    pid        INTEGER NOT NULL,
    birth      TEXT,                       -- boot, pid namespace and start of that process
    provider   TEXT NOT NULL,
    model      TEXT NOT NULL,
    pico       INTEGER
)
"""

_TOKENS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "usage_source",
)

_CALLS = f"""
CREATE VIEW calls AS
SELECT a.attempt_id, a.run_id, a.attempt, a.at, a.at_us, a.command, a.provider,
       COALESCE(s.upstream, a.upstream) AS upstream,
       a.model, a.requested_model, a.served_model, a.reply_id, a.request_id, a.status,
       a.finish_reason, a.http_status, a.fault_kind, a.fault_message,
       {
    ", ".join(f"CASE WHEN s.usage_source IS NULL THEN a.{t} ELSE s.{t} END AS {t}" for t in _TOKENS)
},
       CASE WHEN s.id IS NULL THEN a.cost_pico ELSE s.cost_pico END AS cost_pico,
       CASE WHEN s.id IS NULL THEN a.cost_source ELSE 'reconciled' END AS cost_source,
       a.price_id, a.list_pico, a.list_price_id, a.ttft_s, a.total_s, a.tags, a.project, a.session,
       a.cost_pico AS booked_cost_pico, a.cost_source AS booked_cost_source,
       s.at_us AS settled_at_us
FROM attempts AS a
LEFT JOIN settlements AS s ON s.id = (
    SELECT l.id FROM settlements AS l WHERE l.attempt_id = a.attempt_id
    ORDER BY l.at_us DESC, l.id DESC LIMIT 1
)
"""  # noqa: S608 - the names are the ones above

_APPEND_ONLY = tuple(
    f"CREATE TRIGGER {table}_{verb.lower()} BEFORE {verb} ON {table} "
    f"BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: {table} keeps its rows'); END"
    for table in ("attempts", "settlements")
    for verb in ("UPDATE", "DELETE")
)

# INSERT OR REPLACE deletes without asking the trigger on DELETE; this one it must ask.
_ONCE = """
CREATE TRIGGER attempts_once BEFORE INSERT ON attempts
WHEN EXISTS (SELECT 1 FROM attempts WHERE attempt_id = NEW.attempt_id)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: this attempt is in it'); END
"""
_SETTLED_ONCE = """
CREATE TRIGGER settlements_once BEFORE INSERT ON settlements
WHEN EXISTS (SELECT 1 FROM settlements WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: this settlement is in it'); END
"""

MIGRATIONS: tuple[Migration, ...] = (
    (
        _ATTEMPTS,
        "CREATE INDEX attempts_by_time ON attempts (at_us)",
        _SETTLEMENTS,
        "CREATE INDEX settlements_by_attempt ON settlements (attempt_id, at_us)",
        _RESERVATIONS,
        _CALLS,
        *_APPEND_ONLY,
        _ONCE,
        _SETTLED_ONCE,
    ),
    SECOND,
)
