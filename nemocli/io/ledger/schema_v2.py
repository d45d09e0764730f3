"""The ledger's second version: rollups, budgets, leases of GPUs, valuations, what was pruned."""

from __future__ import annotations

from nemocli.io.ledger.sums import NAMES, SUMS, move_statement
from nemocli.io.sqlite import Migration

_COLUMNS = (
    "ALTER TABLE attempts ADD COLUMN cost_flags TEXT NOT NULL DEFAULT ''",  # space between several
    "ALTER TABLE settlements ADD COLUMN source TEXT NOT NULL DEFAULT 'reconciled'",
    "ALTER TABLE reservations ADD COLUMN run_id TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE reservations ADD COLUMN command TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE reservations ADD COLUMN project TEXT",
    "ALTER TABLE reservations ADD COLUMN tags TEXT NOT NULL DEFAULT '[]'",
)

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
       CASE WHEN s.id IS NULL THEN a.cost_source ELSE s.source END AS cost_source,
       a.price_id, a.list_pico, a.list_price_id, a.ttft_s, a.total_s, a.tags, a.project, a.session,
       a.cost_pico AS booked_cost_pico, a.cost_source AS booked_cost_source,
       s.at_us AS settled_at_us, a.cost_flags
FROM attempts AS a
LEFT JOIN settlements AS s ON s.id = (
    SELECT l.id FROM settlements AS l WHERE l.attempt_id = a.attempt_id
    ORDER BY l.at_us DESC, l.id DESC LIMIT 1
)
"""  # noqa: S608 - the names are the ones above

_ROLLUPS = f"""
CREATE TABLE rollups (
    span        INTEGER NOT NULL,   -- seconds: a quarter of an hour, or a day of UTC
    start       INTEGER NOT NULL,   -- seconds since 1970
    {", ".join(f"{name} TEXT NOT NULL" for name in NAMES)},
    {", ".join(f"{name} INTEGER NOT NULL" for name in SUMS)},
    PRIMARY KEY (span, start, {", ".join(NAMES)})
) WITHOUT ROWID
"""

_SPANS = f"(SELECT 900 AS span UNION ALL SELECT {86_400})"
_ONE = f"calls, {_SPANS} WHERE attempt_id = NEW.attempt_id"

ROLLING = (
    f"CREATE TRIGGER attempts_rolled AFTER INSERT ON attempts BEGIN {move_statement(_ONE, 1)}; END",
    f"CREATE TRIGGER settlements_unrolled BEFORE INSERT ON settlements "
    f"BEGIN {move_statement(_ONE, -1)}; END",
    f"CREATE TRIGGER settlements_rolled AFTER INSERT ON settlements "
    f"BEGIN {move_statement(_ONE, 1)}; END",
)

_BUDGETS = """
CREATE TABLE budgets (
    id        INTEGER PRIMARY KEY,
    name      TEXT UNIQUE NOT NULL,
    per       TEXT NOT NULL,             -- run, day, week, month or total
    pico      INTEGER NOT NULL,
    warn      INTEGER NOT NULL,          -- per cent of it from which on there is a warning
    hard      INTEGER NOT NULL,          -- whether a call that does not fit is refused
    zone      TEXT NOT NULL,             -- an IANA name; '' is the machine's own
    provider  TEXT, project TEXT, tag TEXT,
    at_us     INTEGER NOT NULL
)
"""

_CHARGES = """
CREATE TABLE charges (
    attempt_id TEXT NOT NULL,
    budget_id  INTEGER NOT NULL REFERENCES budgets (id) ON DELETE CASCADE,
    period     TEXT NOT NULL,
    pico       INTEGER NOT NULL,
    held       INTEGER NOT NULL,         -- 1 while the call is under way
    PRIMARY KEY (attempt_id, budget_id)
) WITHOUT ROWID
"""

_USE = """
CREATE TABLE budget_use (
    budget_id INTEGER NOT NULL REFERENCES budgets (id) ON DELETE CASCADE,
    period    TEXT NOT NULL,
    spent     INTEGER NOT NULL,
    held      INTEGER NOT NULL,
    PRIMARY KEY (budget_id, period)
) WITHOUT ROWID
"""


def _used(row: str, sign: str) -> str:
    return (
        "INSERT INTO budget_use (budget_id, period, spent, held) "  # noqa: S608
        f"VALUES ({row}.budget_id, {row}.period, "
        f"{sign}{row}.pico * (1 - {row}.held), {sign}{row}.pico * {row}.held) "
        "ON CONFLICT (budget_id, period) DO UPDATE SET "
        "spent = spent + excluded.spent, held = held + excluded.held"
    )


_COUNTING = (
    f"CREATE TRIGGER charges_made AFTER INSERT ON charges BEGIN {_used('NEW', '')}; END",
    f"CREATE TRIGGER charges_changed AFTER UPDATE ON charges "
    f"BEGIN {_used('OLD', '-')}; {_used('NEW', '')}; END",
)

_LEASES = """
CREATE TABLE leases (
    id            INTEGER PRIMARY KEY,
    name          TEXT UNIQUE NOT NULL,
    provider      TEXT NOT NULL,
    gpus          INTEGER NOT NULL,
    gpu           TEXT NOT NULL,
    pico_per_hour INTEGER NOT NULL,      -- of one GPU
    price_source  TEXT NOT NULL,
    start_us      INTEGER NOT NULL,
    stop_us       INTEGER,               -- NULL while it runs
    input_weight  INTEGER NOT NULL,
    output_weight INTEGER NOT NULL,
    pico          INTEGER,               -- the whole lease, once it has ended
    idle_pico     INTEGER                -- of it, what no call stood for
)
"""

_SHARES = """
CREATE TABLE lease_shares (
    lease_id   INTEGER NOT NULL REFERENCES leases (id),
    attempt_id TEXT NOT NULL,
    pico       INTEGER NOT NULL,         -- of the time in which calls were under way
    full_pico  INTEGER NOT NULL,         -- of the whole lease
    PRIMARY KEY (lease_id, attempt_id)
) WITHOUT ROWID
"""

_VALUATIONS = (
    """
CREATE TABLE valuations (
    id    INTEGER PRIMARY KEY,
    at_us INTEGER NOT NULL,
    as_of TEXT NOT NULL,                 -- the day whose prices hold
    note  TEXT NOT NULL
)
""",
    """
CREATE TABLE valued (
    valuation_id INTEGER NOT NULL REFERENCES valuations (id),
    attempt_id   TEXT NOT NULL,
    pico         INTEGER,                -- NULL: no price is known for that day
    price_id     TEXT,
    PRIMARY KEY (valuation_id, attempt_id)
) WITHOUT ROWID
""",
)

_PRUNED = """
CREATE TABLE pruned (
    at_us     INTEGER NOT NULL,
    before_us INTEGER NOT NULL,
    calls     INTEGER NOT NULL
)
"""

_KEPT = tuple(
    f"CREATE TRIGGER {table}_{verb.lower()} BEFORE {verb} ON {table} "
    f"BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: {table} keeps its rows'); END"
    for table in ("lease_shares", "valued", "valuations")
    for verb in ("UPDATE", "DELETE")
)

SECOND: Migration = (
    *_COLUMNS,
    "DROP VIEW calls",
    _CALLS,
    _ROLLUPS,
    move_statement(f"calls, {_SPANS} WHERE TRUE", 1),
    *ROLLING,
    "CREATE INDEX attempts_by_run ON attempts (run_id)",
    _BUDGETS,
    _CHARGES,
    _USE,
    *_COUNTING,
    _LEASES,
    _SHARES,
    *_VALUATIONS,
    _PRUNED,
    *_KEPT,
)
