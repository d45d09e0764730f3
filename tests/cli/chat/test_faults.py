"""Every fault of the matrix in the middle of one conversation: each is said, what came is kept as
what it was, and the next message is answered."""

from __future__ import annotations

import json
from itertools import groupby

import pytest

from tests.cli.ask.failure_rows import ROWS, Row
from tests.cli.chat.talking import CHAT, left, ready, say, turns
from tests.run import KEY, Home
from tests.screen import Terminal
from tests.servers.answer import Answer
from tests.servers.stub import Stub

pytestmark = pytest.mark.slow


def _kind(row: Row) -> str:
    """Rows that one chat can go through: the same provider's file and options."""
    return json.dumps([row.extends, dict(row.provider), row.args])


GROUPS = [
    list(rows)
    for _, rows in groupby(sorted(ROWS, key=lambda n: _kind(ROWS[n])), lambda n: _kind(ROWS[n]))
]


@pytest.mark.parametrize("names", GROUPS, ids=lambda names: names[0])
def test_a_conversation_outlives_every_fault(home: Home, server: Stub, names: list[str]) -> None:
    first = ROWS[names[0]]
    home.provider("stub", server.url, extends=first.extends, **first.provider)
    with Terminal(*CHAT, *first.args, home=home, rows=50, columns=160) as terminal:
        ready(terminal)
        for number, name in enumerate(names):
            said = terminal.text().count("nemocli: ")
            server.script(*ROWS[name].script)
            terminal.type(f"fault {number}\r")
            terminal.until(lambda said=said: terminal.text().count("nemocli: ") > said, timeout=40)
            ready(terminal)
            server.script(Answer(f"Fine {number}.", cost=0.0001))
            say(terminal, f"again {number}", f"Fine {number}.")
        assert "Traceback" not in terminal.text()
        assert left(terminal) == 0
    kept = turns(home)
    assert [t["text"] for t in kept if t["role"] == "user"] == [
        f"{word} {number}" for number in range(len(names)) for word in ("fault", "again")
    ]
    for number, name in enumerate(names):
        place = next(i for i, t in enumerate(kept) if t["text"] == f"fault {number}")
        row, answer = ROWS[name], kept[place + 1]
        assert answer["role"] == "assistant", name
        assert answer["status"] in {*row.status, "truncated", "interrupted", "error"}, name
        if row.partial:
            assert answer["text"] == row.partial, name
    assert home.files_holding(KEY) == []
    assert KEY not in terminal.text()
