"""kill -9 at any moment: every row once in the output, every call the server saw in the ledger."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.run import Home, argv
from tests.servers.quick import Quick

AT_ONCE = 64


def write_many(path: Path, count: int) -> None:
    with path.open("w") as file:
        for n in range(count):
            body = {
                "model": "x/anything",
                "messages": [{"role": "user", "content": f"{n} " + "w " * 60}],
                "user": f"u{n}",
            }
            row = {"custom_id": f"c{n}", "method": "POST", "url": "/v1/chat/completions"}
            file.write(json.dumps({**row, "body": body}) + "\n")


def killed_and_finished(home: Home, count: int, kills: int, *args: str) -> tuple[int, Path]:
    """Run a job that is killed so many times, at random, and then to its end; calls the server saw,
    and where it wrote them down."""
    chance = random.Random(7)
    log = home.root / "seen.log"
    write_many(home.cwd / "in.jsonl", count)
    with Quick(latency_s=0.01, log=log) as server:
        home.provider("stub", server.url)
        line = argv("batch", "run", "in.jsonl", "-o", "out.jsonl", "-p", "stub", "-m", "x/anything")
        line += ["-j", str(AT_ONCE), *args]
        env = home.environment()
        for _ in range(kills):
            with subprocess.Popen(
                line, env=env, cwd=home.cwd, stderr=subprocess.DEVNULL, start_new_session=True
            ) as run:
                time.sleep(0.5 + chance.random() * 0.8)
                if chance.random() < 0.5:
                    os.killpg(run.pid, signal.SIGKILL)
                else:  # its writer finishes what it was given
                    run.kill()
        done = subprocess.run(
            line, check=False, env=env, cwd=home.cwd, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        time.sleep(0.2)
        return server.seen()["asked"], log


def check(home: Home, count: int, kills: int, asked: int, log: Path) -> list[int]:
    """The bars; the ordinals of the output as they stand."""
    with (home.cwd / "out.jsonl").open("rb") as file:
        lines = [json.loads(line) for line in file]
    ordinals = [line["x_nemocli"]["ordinal"] for line in lines]
    assert sorted(ordinals) == list(range(count))
    rows = home.attempts()
    # Calls are on record, by the group, before their first byte leaves: a kill in between lists
    # as many too many as were about to leave. Rows of the output are paid for once.
    assert asked <= len(rows) <= asked + kills * AT_ONCE
    assert asked - count <= kills * AT_ONCE
    told = Counter(log.read_text().split())
    assert sum(told.values()) == asked
    statuses = Counter(row["status"] for row in rows)
    assert (statuses["ok"], statuses["aborted"]) == (count, len(rows) - count)
    booked = {row["attempt_id"] for row in rows}
    assert {a["id"] for line in lines for a in line["x_nemocli"]["attempts"]} <= booked
    with contextlib.closing(sqlite3.connect(home.folder / "data" / "ledger.db")) as book:
        assert book.execute("SELECT count(*) FROM reservations").fetchone() == (0,)
        assert book.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return ordinals


@pytest.mark.parametrize("order", ["completion", pytest.param("input", marks=pytest.mark.slow)])
def test_a_job_that_is_killed_is_finished_and_paid_once(home: Home, order: str) -> None:
    asked, log = killed_and_finished(home, 6_000, 3, "--order", order)
    ordinals = check(home, 6_000, 3, asked, log)
    if order == "input":
        assert ordinals == list(range(6_000))


@pytest.mark.slow
def test_ten_kills_in_a_hundred_thousand_rows(home: Home) -> None:
    asked, log = killed_and_finished(home, 100_000, 10)
    check(home, 100_000, 10, asked, log)


def test_a_cap_at_256_at_once_is_used_and_never_passed(home: Home) -> None:
    write_many(home.cwd / "in.jsonl", 4_000)
    with Quick(latency_s=0.02) as server:
        price = {"model": "x/anything", "valid_from": "2026-01-01", "input": 0.3, "output": 0.3}
        home.provider("stub", server.url, prices=[price])
        line = argv("batch", "run", "in.jsonl", "-o", "out.jsonl", "-p", "stub", "-m", "x/anything")
        line += ["-j", "256", "--max-tokens", "500", "--max-cost", "0.2"]
        done = subprocess.run(
            line, check=False, env=home.environment(), cwd=home.cwd, capture_output=True, text=True
        )
        assert done.returncode == 9, done.stderr
        assert server.seen()["most_at_once"] > 100
    spent = sum(row["cost_pico"] for row in home.attempts())
    assert 0.95 * 0.2e12 <= spent <= 0.2e12
