"""Conversations on the disk: every turn as it happens, and nobody in anybody's way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemocli.chat.session import Session, Turn
from nemocli.core.faults import NemoError
from nemocli.core.request import ToolCall
from nemocli.core.usage import Usage
from nemocli.io.sessions.store import SqliteSessions
from tests.run import ROOT

AT = datetime(2026, 11, 28, 1, 2, 3, 4, tzinfo=UTC)


def session(number: int = 1, **more) -> Session:
    return Session(f"01m{number:023}", AT, AT, **more)


def turn(number: int, role: str = "user", text: str = "hello", **more) -> Turn:
    return Turn(f"t{number}", role, text, AT, **more)


@pytest.fixture
def store(tmp_path: Path):
    made = SqliteSessions(tmp_path / "data" / "sessions.db")
    yield made
    made.close()


def test_what_is_kept_comes_back(store: SqliteSessions) -> None:
    whole = turn(
        2, "assistant", "Hi \ud800 ü", status="complete", reasoning="why", provider="a", model="m",
        details=({"x": 1},), tool_calls=(ToolCall("c", "f", "{}"),),
        usage=Usage(3, output_tokens=4), cost_pico=5, cost_source="reported",
        finish_reason="stop", attempts=("x",),
    )  # fmt: skip
    store.begin(session(name="plans", system="be brief", tags=("a", "b")))
    store.keep(session().session_id, turn(1))
    store.keep(session().session_id, whole)
    found = store.load(session().session_id)
    assert found.turns == (turn(1), replace(whole, text="Hi ? ü"))
    assert (found.name, found.system, found.tags) == ("plans", "be brief", ("a", "b"))
    assert (found.provider, found.model, found.status, found.cost_pico) == ("a", "m", "complete", 5)


def test_a_turn_grows_in_its_place(store: SqliteSessions) -> None:
    store.begin(session())
    store.keep(session().session_id, turn(1, "assistant", "He", status="running"))
    assert store.load(session().session_id).turns[0].status == "running", "its process lives"
    store.keep(session().session_id, turn(1, "assistant", "Hello", status="complete"))
    [only] = store.load(session().session_id).turns
    assert (only.text, only.status) == ("Hello", "complete")


def test_what_is_undone_is_out_of_it_and_found_no_more_there(store: SqliteSessions) -> None:
    store.begin(session())
    for number in range(3):
        store.keep(session().session_id, turn(number))
    store.undo(session().session_id, ["t1", "t2"])
    assert [t.turn_id for t in store.load(session().session_id).turns] == ["t0"]


def test_what_was_taken_back_was_paid_all_the_same(store: SqliteSessions) -> None:
    def paid(number: int, pico: int | None, *attempts: str) -> Turn:
        return turn(number, "assistant", cost_pico=pico, attempts=attempts)

    key = session().session_id
    store.begin(session())
    for each in (turn(0), paid(1, 100, "a"), paid(2, 20, "b"), paid(3, 20, "b"), paid(4, 3, "c")):
        store.keep(key, each)
    store.undo(key, ["t1", "t2"])
    found = store.load(key)
    assert (found.undone_pico, found.cost_pico) == (100, 123), "b stands there again"
    store.undo(key, ["t3"])
    assert (store.load(key).undone_pico, store.load(key).cost_pico) == (120, 123)
    store.keep(key, paid(5, None, "d"))
    store.undo(key, ["t5"])
    assert store.load(key).undone_pico is None
    assert store.load(key).cost_pico is None


def test_names_prefixes_and_last(store: SqliteSessions) -> None:
    for number in (1, 2):
        store.begin(session(number, name=f"n{number}"))
    store.keep(session(1).session_id, turn(1))
    assert store.resolve("last") == session(1).session_id
    assert store.resolve("n2") == session(2).session_id
    assert store.resolve(session(2).session_id) == session(2).session_id
    assert store.resolve(session(1).session_id[:-1] + "1") == session(1).session_id
    for name in ("", "zz", "%", "01m"):
        with pytest.raises(NemoError):
            store.resolve(name)
    with pytest.raises(NemoError, match="another conversation is called 'n1'"):
        store.begin(session(3, name="n1"))
    with pytest.raises(NemoError, match="another"):
        store.change(replace(session(2), name="n1"))


def test_words_are_found_wherever_they_stand(store: SqliteSessions) -> None:
    store.begin(session())
    store.keep(session().session_id, turn(1, text="a mixture of experts"))
    store.keep(session().session_id, turn(2, "assistant", "it routes tokens", status="running"))
    store.keep(session().session_id, turn(2, "assistant", "it routes tokens to experts"))
    assert [f.turn_id for f in store.search("expert")] == ["t1", "t2"]
    assert [f.turn_id for f in store.search("tokens exp")] == ["t2"]
    assert store.search('"') == store.search("") == store.search("NOT NEAR(") == []
    assert "«experts»" in store.search("experts")[0].excerpt


def test_what_is_removed_is_gone_from_the_disk(store: SqliteSessions, tmp_path: Path) -> None:
    store.begin(session())
    store.keep(session().session_id, turn(1, text="a very secret plan"))
    store.remove([session().session_id])
    store.close()
    assert store.search("secret") == []
    left = b"".join(p.read_bytes() for p in (tmp_path / "data").iterdir())
    store.close()
    assert b"very secret plan" not in left


def test_the_file_is_private(store: SqliteSessions, tmp_path: Path) -> None:
    store.begin(session())
    assert (tmp_path / "data" / "sessions.db").stat().st_mode & 0o077 == 0


def test_nothing_is_made_by_looking(store: SqliteSessions, tmp_path: Path) -> None:
    assert store.page() == store.search("x") == []
    with pytest.raises(NemoError, match="no conversation is kept"):
        store.resolve("last")
    assert not (tmp_path / "data").exists()


WRITER = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from nemocli.chat.session import Session, Turn
from nemocli.io.sessions.store import SqliteSessions
store = SqliteSessions(Path(sys.argv[1]))
now = datetime.now(UTC)
store.begin(Session(sys.argv[2], now, now))
for n in range(10_000):
    store.keep(sys.argv[2], Turn(f"{sys.argv[2]}-{n}", "assistant", "x" * n, now, "running"))
    store.keep(sys.argv[2], Turn(f"{sys.argv[2]}-{n}", "assistant", "x" * n, now, "complete"))
    print(n, flush=True)
"""


def killed(path: Path, name: str, at: int) -> int:
    """A writer killed at a turn; how many turns it had said were kept."""
    line = [sys.executable, "-c", WRITER, str(path), name]
    process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    kept = -1
    for said in process.stdout:
        kept = int(said)
        if kept >= at:
            os.kill(process.pid, signal.SIGKILL)
            break
    process.wait()
    process.stdout.close()
    return kept


def test_a_kill_loses_no_turn_that_was_complete(store: SqliteSessions, tmp_path: Path) -> None:
    path = tmp_path / "data" / "sessions.db"
    for number in range(3):
        kept = killed(path, f"k{number}", 5 + 7 * number)
        found = store.load(f"k{number}")
        assert [t.status for t in found.turns[: kept + 1]] == ["complete"] * (kept + 1)
        assert all(t.status in ("complete", "interrupted") for t in found.turns)


def test_two_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = tmp_path / "data" / "sessions.db"
    line = [sys.executable, "-c", WRITER.replace("10_000", "150"), str(path)]
    began = time.monotonic()
    writers = [
        subprocess.Popen([*line, f"w{n}"], cwd=ROOT, stdout=subprocess.DEVNULL) for n in (1, 2)
    ]
    assert [w.wait(60) for w in writers] == [0, 0]
    assert time.monotonic() - began < 60
    store = SqliteSessions(path)
    assert [len(store.load(f"w{n}").turns) for n in (1, 2)] == [150, 150]
    store.close()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["keep", "undo", "grow"]), st.integers(0, 5)), max_size=25)
)
def test_the_store_is_what_a_list_would_be(tmp_path_factory, steps: list[tuple[str, int]]) -> None:
    store = SqliteSessions(tmp_path_factory.mktemp("s") / "s.db")
    store.begin(session())
    model: dict[str, str] = {}
    gone: set[str] = set()
    for number, (what, which) in enumerate(steps):
        name = f"t{which}"
        if what == "undo":
            store.undo(session().session_id, [name])
            gone |= {name} & set(model)
        else:
            store.keep(session().session_id, turn(which, text=f"text {number}"))
            model[name] = f"text {number}"
    found = [(t.turn_id, t.text) for t in store.load(session().session_id).turns]
    assert found == [(k, v) for k, v in model.items() if k not in gone]
    store.close()
