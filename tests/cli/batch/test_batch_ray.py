"""`--engine ray`: the same rows and bytes, one limit over all actors, one of them killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.cli.batch.test_batch_kill import write_many
from tests.run import Home, argv
from tests.servers.quick import Quick

pytest.importorskip("ray", reason="the ray extra is not installed")
pytestmark = pytest.mark.slow

LINE = ("batch", "run", "in.jsonl", "-o", "out.jsonl", "-p", "stub", "-m", "x/anything")
RAY = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}


def answers(path: Path) -> dict[int, object]:
    """Bodies by ordinal: what has to be the same whoever asked."""
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    found = {line["x_nemocli"]["ordinal"]: line["response"]["body"] for line in lines}
    assert len(found) == len(lines)
    return found


def actors_of(pid: int) -> list[int]:
    """Processes of this run that carry out shares."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"ray::_Worker" in words:
                found.append(int(entry.name))
    return found


def ray_run(home: Home, *args: str) -> subprocess.Popen[str]:
    line = argv(*LINE, "--engine", "ray", "--actors", "2", *args)
    return subprocess.Popen(
        line,
        env={**home.environment(), **RAY},
        cwd=home.cwd,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_actors_do_what_one_process_does(home: Home, tmp_path: Path) -> None:
    write_many(home.cwd / "in.jsonl", 3_000)
    with Quick(latency_s=0.005) as server:
        home.provider("stub", server.url)
        with ray_run(home, "--order", "input") as run:
            _, err = run.communicate(timeout=240)
        assert run.returncode == 0, err
        assert server.seen()["asked"] == 3_000
        alone = Home(tmp_path / "alone", dict(home.env))
        alone.provider("stub", server.url)
        write_many(alone.cwd / "in.jsonl", 3_000)
        subprocess.run(argv(*LINE), env=alone.environment(), cwd=alone.cwd, check=True)
    assert answers(home.cwd / "out.jsonl") == answers(alone.cwd / "out.jsonl")
    assert list(answers(home.cwd / "out.jsonl")) == list(range(3_000))
    assert len(home.attempts()) == 3_000
    assert not list(home.cwd.glob("out.*-of-*"))
    done = subprocess.run(
        argv(*LINE),
        env=home.environment(),
        cwd=home.cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "3,000 rows were already done" in done.stderr


def test_an_actor_that_is_killed_loses_nothing(home: Home) -> None:
    write_many(home.cwd / "in.jsonl", 4_000)
    log = home.root / "seen.log"
    with Quick(latency_s=0.02, log=log) as server:
        home.provider("stub", server.url)
        with ray_run(home, "-j", "32") as run:
            end = time.monotonic() + 60
            while server.seen()["asked"] < 800 and time.monotonic() < end:
                time.sleep(0.05)
            os.kill(actors_of(run.pid)[0], signal.SIGKILL)
            _, err = run.communicate(timeout=240)
        assert run.returncode == 0, err
        assert "died; another goes on with it" in err
        asked = server.seen()["asked"]
        assert server.seen()["most_at_once"] <= 2 * 32
    assert sorted(answers(home.cwd / "out.jsonl")) == list(range(4_000))
    assert 4_000 <= asked <= 4_000 + 32
    rows = home.attempts()
    assert asked <= len(rows) <= asked + 1
    assert Counter(row["status"] for row in rows)["ok"] == 4_000


def test_one_limit_holds_over_all_actors(home: Home) -> None:
    write_many(home.cwd / "in.jsonl", 400)
    with Quick(latency_s=0.02) as server:
        home.provider("stub", server.url)
        with ray_run(home, "--rpm", "1800", "-j", "8") as run:
            end = time.monotonic() + 60
            while server.seen()["asked"] < 1 and time.monotonic() < end:
                time.sleep(0.02)
            began = time.monotonic()
            _, err = run.communicate(timeout=240)
        took = time.monotonic() - began
        assert run.returncode == 0, err
        assert server.seen()["most_at_once"] <= 8
        assert took >= 400 / 30 / 5  # 13 s at the limit, 1 s without one


def test_one_cap_holds_over_all_actors(home: Home) -> None:
    write_many(home.cwd / "in.jsonl", 3_000)
    with Quick(latency_s=0.01) as server:
        price = {"model": "x/anything", "valid_from": "2026-01-01", "input": 0.3, "output": 0.3}
        home.provider("stub", server.url, prices=[price])
        with ray_run(home, "--max-tokens", "500", "--max-cost", "0.1") as run:
            _, err = run.communicate(timeout=240)
        assert run.returncode == 9, err
    spent = sum(row["cost_pico"] for row in home.attempts())
    assert 0.95 * 0.1e12 <= spent <= 0.1e12
