"""`chat --compare` in a real terminal: one line, two paths, each with its own history."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.chat.test_chat import left, ready, say
from tests.run import Home, run
from tests.screen import Terminal
from tests.servers.answer import Answer
from tests.servers.behaviours import Status
from tests.servers.stub import Stub

CHAT = ("chat", "--compare", "-p", "one", "-p", "two", "-m", "x/anything")


@pytest.fixture
def both(home: Home) -> Iterator[tuple[Stub, Stub]]:
    with Stub(Answer("First says yes.", cost=0.5)) as one, Stub(Answer("Second says no.")) as two:
        home.provider("one", one.url)
        home.provider("two", two.url)
        yield one, two


def roles(stub: Stub) -> list[str]:
    return [m["content"] for m in stub.asked()[-1].json["messages"]]


def test_two_answers_stand_beside_one_another_and_one_is_kept(
    home: Home, both: tuple[Stub, Stub]
) -> None:
    one, two = both
    with Terminal(*CHAT, home=home, columns=120) as terminal:
        ready(terminal)
        say(terminal, "hello", "Second says no.")
        terminal.until("to first token")
        row = next(line for line in terminal.lines() if "First says yes." in line)
        assert "Second says no." in row
        assert any("one | two" in line for line in terminal.lines())
        say(terminal, "/model other", "does not go with --compare")
        say(terminal, "again", lambda: len(two.asked()) == 2 and len(one.asked()) == 2)
        terminal.settle(0.3)
        say(terminal, "/keep three", "nobody here is called that")
        say(terminal, "/keep two", "from here on: two")
        say(terminal, "alone", lambda: len(two.asked()) == 3)
        terminal.settle(0.3)
        assert left(terminal) == 0
    assert len(one.asked()) == 2
    assert roles(one) == ["hello", "First says yes.", "again"]
    answer = "Second says no."
    assert roles(two) == ["hello", answer, "again", answer, "alone"]
    kept = run("sessions", "ls", "--json", home=home).json()["sessions"]
    assert len(kept) == 2
    assert all("compare" in s["tags"] for s in kept)


@pytest.mark.slow
def test_one_that_fails_does_not_take_the_other_with_it(
    home: Home, both: tuple[Stub, Stub]
) -> None:
    both[0].script(Status(401))
    with Terminal(*CHAT, home=home, columns=60) as terminal:
        ready(terminal)
        say(terminal, "hello", "Second says no.")
        terminal.until("failed: one answered 401")
        assert left(terminal) == 0


@pytest.mark.slow
def test_ctrl_c_stops_all_and_keeps_what_came(home: Home, both: tuple[Stub, Stub]) -> None:
    for stub in both:
        stub.script(Answer("slow " * 200, gap_s=0.1))
    with Terminal(*CHAT, home=home, columns=120) as terminal:
        ready(terminal)
        say(terminal, "hello", "slow slow")
        terminal.type("\x03")
        terminal.until("stopped")
        terminal.settle(0.3)
        assert left(terminal) == 0
    kept = run("sessions", "ls", "--json", home=home).json()["sessions"]
    for session in kept:
        turns = run("sessions", "show", session["id"], "--json", home=home).json()["turns"]
        assert turns[-1]["status"] == "interrupted"
        assert "slow" in turns[-1]["text"]


@pytest.mark.slow
def test_what_it_needs(home: Home, both: tuple[Stub, Stub]) -> None:
    for more in (("-p", "one"), (*CHAT[2:], "-c")):
        with Terminal("chat", "--compare", "-m", "x/anything", *more, home=home) as terminal:
            assert terminal.end() == 2
