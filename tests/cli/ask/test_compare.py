"""`ask --compare`: several paths at once, on a wide screen, on a narrow one and for programs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.run import Home, run, run_pty
from tests.servers.answer import Answer
from tests.servers.behaviours import Status
from tests.servers.stub import Stub

LINE = ("ask", "--compare", "-p", "one", "-p", "two", "-m", "x/anything")


@pytest.fixture
def both(home: Home) -> Iterator[tuple[Stub, Stub]]:
    with Stub(Answer("The first says yes.", cost=0.5)) as one, Stub(Answer("No 日本語.")) as two:
        home.provider("one", one.url)
        home.provider("two", two.url)
        yield one, two


def test_answers_for_programs(home: Home, both: tuple[Stub, Stub]) -> None:
    done = run(*LINE, "--json", "hi", home=home)
    assert done.code == 0, done.err
    said = done.json()
    assert said["schema"] == "nemocli.compare/1"
    assert [a["provider"] for a in said["answers"]] == ["one", "two"]
    assert [a["text"] for a in said["answers"]] == ["The first says yes.", "No 日本語."]
    assert [len(stub.asked()) for stub in both] == [1, 1]
    assert len(home.attempts()) == 2


def test_columns_where_there_is_room_and_one_below_another_where_not(
    home: Home, both: tuple[Stub, Stub]
) -> None:
    wide = run_pty(*LINE, "hi", home=home, size=(30, 120)).seen.decode()
    rows = [line for line in wide.splitlines() if "first says yes" in line]
    assert "No 日本語" in rows[-1]  # the ones before it were drawn while the other was awaited
    narrow = run_pty(*LINE, "hi", home=home, size=(30, 60)).seen.decode()
    row = next(line for line in narrow.splitlines() if "first says yes" in line)
    assert "No" not in row
    assert "## two" in narrow
    assert run(*LINE, "hi", home=home).text.count("to first token") == 2


def test_one_that_fails_does_not_take_the_other_with_it(
    home: Home, both: tuple[Stub, Stub]
) -> None:
    both[0].script(Status(401))
    done = run(*LINE, "hi", home=home)
    assert done.code == 4
    assert "failed: one answered 401" in done.text
    assert "No 日本語" in done.text


def test_what_it_needs_and_what_it_does_not_take(home: Home, both: tuple[Stub, Stub]) -> None:
    assert run("ask", "--compare", "-p", "one", "-m", "x/anything", "hi", home=home).code == 2
    assert run(*LINE, "--jsonl", "hi", home=home).code == 2
    assert all(stub.requests == [] for stub in both)
