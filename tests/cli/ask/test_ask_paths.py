"""Several providers for one question, each with its own key and a line in the ledger."""

from __future__ import annotations

import re

from tests.run import KEY, Home, run
from tests.servers.answer import Answer
from tests.servers.behaviours import Cut, Status
from tests.servers.stub import Stub


def test_the_next_provider_answers_with_its_own_key(home: Home) -> None:
    with Stub(Status(401)) as first, Stub(Answer("From b")) as second:
        home.provider("a", first.url, key=KEY + "-a")
        home.provider("b", second.url, key=KEY + "-b")
        done = run("ask", "-p", "a", "-p", "b", "-m", "x/anything", "--json", "hi", home=home)
    assert done.code == 0, done.err
    answer = done.json()
    assert (answer["text"], answer["provider"]) == ("From b", "b")
    assert [(a["provider"], a["status"]) for a in answer["attempts"]] == [
        ("a", "error"),
        ("b", "ok"),
    ]
    assert {r.headers["authorization"] for r in first.asked()} == {f"Bearer {KEY}-a"}
    assert {r.headers["authorization"] for r in second.asked()} == {f"Bearer {KEY}-b"}
    assert [(r["provider"], r["status"]) for r in home.attempts()] == [("a", "error"), ("b", "ok")]


def test_nobody_else_is_asked_once_words_were_shown(home: Home) -> None:
    with Stub(Cut(after_events=3)) as first, Stub(Answer("From b")) as second:
        home.provider("a", first.url)
        home.provider("b", second.url)
        done = run("ask", "-p", "a", "-p", "b", "-m", "x/anything", "hi", home=home)
    assert (done.code, done.out) == (8, b"Hello, w\n")
    assert second.requests == []


def test_the_receipt_names_who_failed_first(home: Home) -> None:
    with Stub(Status(429)) as first, Stub(Answer("From b")) as second:
        home.provider("a", first.url)
        home.provider("b", second.url)
        done = run("ask", "-p", "a", "-p", "b", "-m", "x/anything", "hi", home=home)
    assert (done.code, done.out) == (0, b"From b\n")
    assert len(first.asked()) == 1, "with another path left, a rate limit is not waited for"
    assert re.search(r"\ba\b.*429|429.*\ba\b", done.err, re.DOTALL)


def test_offline_never_leaves_this_machine(home: Home) -> None:
    with Stub(Answer()) as stub:
        home.provider("near", stub.url)
        near = run("--offline", "ask", "-p", "near", "-m", "x/anything", "hi", home=home)
    assert near.code == 0, near.err
    home.provider("far", "https://far.invalid/v1")
    far = run("--offline", "ask", "-p", "far", "-m", "x/anything", "--json", "hi", home=home)
    assert (far.code, far.error()["code"]) == (7, "offline")
