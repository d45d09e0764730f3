"""A batch that is told to stop: at once, whatever it waits for, with everything written down."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.bench.batch import write_rows
from tests.run import Done, Home, Running, argv, run, spawn
from tests.servers.quick import Quick
from tests.servers.raw import Peer, RawServer, response

RUN = ("batch", "run", "in.jsonl", "-o", "out.jsonl", "-p", "stub", "-m", "x/anything")


def cpu_s(pid: int) -> float:
    """User and system time of a process and of its ended children, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(n) for n in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def stopped(running: Running, number: int = signal.SIGINT) -> tuple[Done, float]:
    began = time.monotonic()
    running.process.send_signal(number)
    done = running.finish(30)
    return done, time.monotonic() - began


def assert_whole(home: Home) -> None:
    """Every line of the output is JSON, and what was called is booked, once."""
    out = home.cwd / "out.jsonl"
    for line in out.read_text().splitlines() if out.exists() else ():
        json.loads(line)
    ids = [row["attempt_id"] for row in home.attempts()]
    assert len(ids) == len(set(ids))


def rounds(home: Home, count: int, longest_s: float, number: int = signal.SIGINT) -> None:
    """One server that refuses everything, and that many runs stopped at random moments."""
    chance = random.Random(5)
    write_rows(home.cwd / "in.jsonl", 2_000, words=10)
    with Quick(limit="never:2") as server:
        home.provider("stub", server.url)
        for _ in range(count):
            with spawn(*RUN, home=home) as running:
                time.sleep(0.8 + chance.random() * longest_s)
                done, took = stopped(running, number)
            assert done.code == 130, done.err
            assert "interrupted" in done.err
            assert took < 5, f"{took:.2f} s; takes 0.2"
            assert_whole(home)


def test_ctrl_c_is_obeyed_while_a_server_refuses_everything(home: Home) -> None:
    rounds(home, 3, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_obeyed_at_any_moment(home: Home, number: int) -> None:
    rounds(home, 8, 9.0, number)


def test_waiting_costs_next_to_nothing(home: Home) -> None:
    write_rows(home.cwd / "in.jsonl", 2_000, words=10)
    with Quick(limit="never:2") as server:
        home.provider("stub", server.url)
        with spawn(*RUN, home=home) as running:
            time.sleep(2)
            before = cpu_s(running.process.pid)
            time.sleep(4)
            spent = cpu_s(running.process.pid) - before
            stopped(running)
        asked = server.seen()["asked"]
    assert spent < 1, f"{spent:.2f} s in 4 s; takes 0.05, and 3.6 when it spins"
    assert asked < 100


def test_ctrl_c_while_it_connects(home: Home) -> None:
    import socket

    write_rows(home.cwd / "in.jsonl", 10, words=10)
    with socket.socket() as full:  # a backlog that is full: further connections hang
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        home.provider("stub", f"http://127.0.0.1:{port}/v1")
        with spawn(*RUN, home=home) as running:
            time.sleep(1.5)
            done, took = stopped(running)
        for filler in fillers:
            filler.close()
    assert (done.code, took < 5) == (130, True), done.err


def test_ctrl_c_in_the_middle_of_a_reply(home: Home) -> None:
    async def half(peer: Peer) -> None:
        await peer.request()
        await peer.say(response(b'{"choices": [' + b" " * 500)[:-400])
        server.handler_spoke.set()
        await peer.gone()

    write_rows(home.cwd / "in.jsonl", 10, words=10)
    with RawServer(half) as server:
        home.provider("stub", server.url)
        with spawn(*RUN, home=home) as running:
            assert server.handler_spoke.wait(20)
            time.sleep(0.2)
            done, took = stopped(running)
    assert (done.code, took < 5) == (130, True), done.err
    assert {row["status"] for row in home.attempts()} == {"aborted"}


@pytest.mark.slow
def test_ctrl_c_while_the_disk_takes_its_time(home: Home, tmp_path: Path) -> None:
    """Every write to the disk takes 0.4 s here: a signal comes in the middle of one. It is obeyed
    as soon as that is over, and what was paid for is there."""
    strace, log = shutil.which("strace"), tmp_path / "calls"
    if strace is None:
        pytest.skip("strace is not installed")
    slow = [strace, "-D", "-f", "-qq", "-o", str(log), "-e", "trace=fsync,fdatasync", "-e",
            "inject=fsync,fdatasync:delay_enter=400000"]  # fmt: skip
    tried = subprocess.run([*slow, "true"], capture_output=True, timeout=20, check=False)
    if tried.returncode or tried.stderr:
        pytest.skip(f"nobody may be traced here: {tried.stderr!r}")
    line = [*slow, *argv(*RUN)]
    write_rows(home.cwd / "in.jsonl", 20_000, words=10)
    with Quick(latency_s=0.05) as server:
        home.provider("stub", server.url)
        with spawn(home=home, line=line) as running:
            out = home.cwd / "out.jsonl"
            end = time.monotonic() + 60
            while not (out.exists() and out.stat().st_size):
                assert time.monotonic() < end, running.process.poll()
                time.sleep(0.05)
            time.sleep(0.4)
            done, took = stopped(running)
        answered = server.seen()["good"]
    assert (done.code, took < 15) == (130, True), (took, done.err)
    assert_whole(home)
    booked = sum(row["status"] == "ok" for row in home.attempts())
    assert booked == len(out.read_text().splitlines())
    assert booked >= answered - 600, "calls under way may be lost, answers may not"
    assert run(*RUN, "--dry-run", home=home).code == 0


@pytest.mark.parametrize("command", ["estimate", "run"])
def test_ctrl_c_while_rows_are_counted(home: Home, command: str) -> None:
    pipe = home.cwd / "endless.jsonl"
    os.mkfifo(pipe)
    more = ("-o", "out.jsonl", "--dry-run") if command == "run" else ()
    home.provider("stub", "http://127.0.0.1:9/v1")
    with spawn("batch", command, "endless.jsonl", *more, "-p", "stub", home=home) as running:
        time.sleep(1.5)
        done, took = stopped(running)
    assert (done.code, took < 5) == (130, True), done.err


def test_ctrl_c_before_anything_began_is_said_too(home: Home) -> None:
    (home.cwd / "in.csv").write_text("prompt\n" + "row\n" * 200_000)
    home.provider("stub", "http://127.0.0.1:9/v1")
    said = []
    for wait in (0.25, 0.35, 0.45, 0.6):
        with spawn("batch", "estimate", "in.csv", "-p", "stub", "-m", "x/m", home=home) as running:
            time.sleep(wait)
            running.process.send_signal(signal.SIGINT)
            done = running.finish()
        if done.code == 130:
            said.append(done.err)
    assert all("interrupted" in err for err in said)
