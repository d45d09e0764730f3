"""The ledger at a million calls: writing, sums, budgets, a line for prompts.

    python -m tests.bench.ledger [--rows 1000000] [--folder FOLDER]

Limits are SQLite's own in the same run (the same rows into a bare table, no rollups, no triggers,
no budget) and a bare Python process. Nothing fails here.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nemocli.core.budget import Budget
from nemocli.core.money import Cost, Pico
from nemocli.core.ports import Entry, Reservation
from nemocli.core.usage import Usage
from nemocli.io.ledger.ledger import SqliteLedger
from nemocli.io.ledger.rows import insert_attempt
from nemocli.io.ledger.schema import MIGRATIONS

ROOT = Path(__file__).parents[2]
GROUP = 500
SINGLE = 5000


def calls(count: int, first: datetime, step: timedelta) -> Iterator[Entry]:
    """Calls of a busy user: five paths, three projects, some failures."""
    chance = random.Random(1)
    for number in range(count):
        pico = Pico(chance.randrange(10**10))
        yield Entry(
            attempt_id=f"{number:012}",
            run_id=f"r{number // 10:010}",
            attempt=1,
            at=first + step * number,
            command="batch",
            provider=chance.choice(["nvidia", "openrouter", "openrouter", "perplexity", "nim"]),
            model="nemotron-3-ultra",
            requested_model="nemotron-3-ultra",
            status="ok" if chance.random() < 0.97 else "error",
            usage=Usage(1000, 200, 0, 500, 100),
            cost=Cost(pico, "table", "openrouter/nemotron-3-ultra@2026-10-19"),
            project=chance.choice(["/src/agent", "/src/site", None]),
            tags=("nightly",),
        )


def rate(count: int, work: Callable[[], object]) -> float:
    """Rows per second."""
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def milliseconds(work: Callable[[], object], times: int = 9) -> float:
    """The median of several."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


def bare(folder: Path, entries: list[Entry], group: int) -> float:
    """The same rows into the attempts table alone."""
    book = sqlite3.connect(folder / f"bare{group}.db", isolation_level=None)
    book.execute("PRAGMA journal_mode = WAL")
    book.execute("PRAGMA synchronous = NORMAL")
    book.execute(MIGRATIONS[0][0])
    book.execute("ALTER TABLE attempts ADD COLUMN cost_flags TEXT")

    def work() -> None:
        for begin in range(0, len(entries), group):
            book.execute("BEGIN IMMEDIATE")
            for entry in entries[begin : begin + group]:
                book.execute(*insert_attempt(entry))
            book.execute("COMMIT")

    found = rate(len(entries), work)
    book.close()
    return found


def in_groups(ledger: SqliteLedger, entries: Iterator[Entry]) -> None:
    """Book them, so many at a time."""
    group: list[Entry] = []
    for entry in entries:
        group.append(entry)
        if len(group) == GROUP:
            ledger.enter_all(group)
            group = []
    ledger.enter_all(group)


def processes(folder: Path, ledger: SqliteLedger) -> tuple[float, float]:
    """Seconds of `cost statusline`, and of a bare Python."""
    ledger.close()
    line = [sys.executable, "-m", "nemocli", "cost", "statusline"]
    env = {"NEMOCLI_HOME": str(folder), "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", "PATH": ""}

    def run(args: list[str]) -> Callable[[], object]:
        return lambda: subprocess.run(args, env=env, check=True, capture_output=True)

    ours, python = run(line), run([sys.executable, "-c", "pass"])
    ours()
    pairs = [(milliseconds(ours, 1), milliseconds(python, 1)) for _ in range(15)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; a temporary one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        ledger = SqliteLedger(folder / "data" / "ledger.db")
        end = datetime.now(UTC)
        step = timedelta(days=90) / given.rows
        grouped = rate(
            given.rows, lambda: in_groups(ledger, calls(given.rows, end - step * given.rows, step))
        )
        more = list(calls(SINGLE, end, timedelta(microseconds=1)))
        singles = [Entry(**{**_fields(e), "attempt_id": f"s{e.attempt_id}"}) for e in more]
        single = rate(SINGLE, lambda: [ledger.enter(e) for e in singles])
        sample = more * 4
        sample = [Entry(**{**_fields(e), "attempt_id": f"b{n}"}) for n, e in enumerate(sample)]
        bare_grouped, bare_single = bare(folder, sample, GROUP), bare(folder, sample[:SINGLE], 1)
        print(f"{given.rows} rows over 90 days, {_megabytes(ledger.path)} MB")
        print("| writing | rows/s | bare SQLite | ratio |\n|---|---|---|---|")
        for what, ours, limit in (
            (f"{GROUP} in a transaction", grouped, bare_grouped),
            ("one by one", single, bare_single),
        ):
            print(f"| {what} | {ours:,.0f} | {limit:,.0f} | {ours / limit:.2f} |")
        ledger.set_budget(Budget("month", "month", 10**18), end)
        ask = Reservation("x", end, "openrouter", "nemotron-3-ultra", Pico(1))
        since = end - timedelta(days=30, minutes=7)
        print("| reading | ms |\n|---|---|")
        for what, work in (
            ("summary of everything", ledger.totals),
            ("summary of 30 days", lambda: ledger.totals(since)),
            ("90 days of UTC", lambda: ledger.totals(by=("day",))),
            ("budget check", lambda: ledger.room(ask)),
        ):
            print(f"| {what} | {milliseconds(work):.3f} |")
        line, python = processes(folder, ledger)
        print(f"cost statusline: {line:.0f} ms, {line / python:.1f}x bare Python")


def _fields(entry: Entry) -> dict[str, object]:
    return {name: getattr(entry, name) for name in Entry.__slots__}


def _megabytes(path: Path) -> int:
    return path.stat().st_size // 10**6


if __name__ == "__main__":
    main()
