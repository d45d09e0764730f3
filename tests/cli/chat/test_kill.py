"""A hundred conversations, each killed at a moment of chance: what was complete is there."""

from __future__ import annotations

import contextlib
import random
import re
import signal
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from tests.cli.batch.batch_case import Each
from tests.cli.chat.test_chat import CHAT, ready
from tests.run import Home, run
from tests.screen import Terminal
from tests.servers.answer import Answer
from tests.servers.channel import Request
from tests.servers.stub import Stub

COUNT = 100
REPLY = "You said {} and I have heard it well."


def answer(request: Request) -> Answer:
    """Names its question, in pieces that take about a third of a second."""
    asked = request.json["messages"][-1]["content"]
    return Answer(REPLY.format(asked), gap_s=0.03, cost=0.0001)


def killed(home: Home, number: int) -> tuple[bool, bool]:
    """One conversation of two questions, killed somewhere in the second: whether the first answer
    was complete, and the second."""
    chance = random.Random(number)
    with Terminal(*CHAT, home=home) as terminal:
        ready(terminal)
        terminal.type(f"first-{number}\r")
        terminal.until("to first token", timeout=60)
        terminal.settle(0.1)
        terminal.type(f"second-{number}\r")
        time.sleep(chance.uniform(0, 0.9))
        with contextlib.suppress(OSError):
            terminal.settle(0.02)
        # The line below the prompt names the first token too; a receipt names its tokens in.
        second = len(re.findall(r"\d+ in, \d+ out", terminal.text())) > 1
        terminal.process.send_signal(signal.SIGKILL)
        terminal.process.wait(20)
    return True, second


@pytest.mark.slow
def test_every_complete_turn_survives_a_kill_and_the_file_is_whole(home: Home) -> None:
    with Stub(Each(answer)) as stub:
        home.provider("stub", stub.url)
        with ThreadPoolExecutor(4) as pool:
            ends = list(pool.map(lambda n: killed(home, n), range(COUNT)))
    file = home.folder / "data" / "sessions.db"
    db = sqlite3.connect(file)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    rows = db.execute("SELECT session_id, role, text, status FROM turns ORDER BY rowid").fetchall()
    db.close()
    talks: dict[str, list[tuple[str, str, str]]] = {}
    for session, *turn in rows:
        talks.setdefault(session, []).append(tuple(turn))
    by_first = {turns[0][1]: turns for turns in talks.values()}
    for number, (first, second) in enumerate(ends):
        turns = by_first[f"first-{number}"]
        whole = [
            question
            for (_, question, _), (role, text, status) in pairwise(turns)
            if role == "assistant" and status == "complete" and text == REPLY.format(question)
        ]
        assert len(whole) >= first + second, turns
    listed = run("sessions", "ls", "--json", "-n", "500", home=home)
    assert listed.code == 0, listed.err
    statuses = {status for *_, status in rows}
    assert statuses <= {"complete", "running", "interrupted", "truncated"}
    assert 0 < sum(second for _, second in ends) < COUNT, "the moments of chance were all alike"
