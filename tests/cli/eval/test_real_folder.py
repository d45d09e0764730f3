"""Tasks on real files: only where their folder is named, each attempt in a folder of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nemocli.eval.task import Task
from nemocli.io.eval.suite import load_suite
from tests.cli.batch.batch_case import Each
from tests.run import Home, run
from tests.servers.answer import Answer
from tests.servers.channel import Request
from tests.servers.stub import Stub

ARMS = ("--arm", "new=new:x/m", "--arm", "old=old:x/m")


def player(tasks: dict[str, Task], *, lazy: bool = False) -> Each:
    """Plays the gold path by how far the conversation is; the lazy one never runs the tests."""

    def answer(request: Request) -> Answer:
        messages: list[dict[str, Any]] = request.json["messages"]
        users = [i for i, m in enumerate(messages) if m["role"] == "user"]
        task = tasks[messages[users[0]]["content"]]
        said = [t.user for t in task.turns]
        turn = max(
            said.index(messages[i]["content"]) for i in users if messages[i]["content"] in said
        )
        done = sum(m["role"] == "tool" for m in messages[users[-1] :])
        due = [g for g in task.gold if g.turn == turn + 1 and not (lazy and g.name == "run_tests")]
        if done < len(due):
            call = due[done]
            return Answer("", tool_calls=((call.name, json.dumps(dict(call.args))),), cost=0.001)
        words = "; ".join(p.expect_any[0] for p in task.turns[turn].probes)
        return Answer(words or "Done.", cost=0.001)

    return Each(answer)


def suite(home: Home) -> tuple[Path, dict[str, Task]]:
    assert run("eval", "init", "e", "--from", "coding", home=home).code == 0
    folder = home.cwd / "e"
    return folder, {t.turns[0].user: t for t in load_suite(folder, trusted=True).tasks}


def test_nothing_of_a_strangers_suite_runs_until_its_folder_is_named(home: Home) -> None:
    suite(home)
    for line in (("lint", "e"), ("run", "e", *ARMS), ("lint", "e", "--trust", "elsewhere")):
        done = run("eval", *line, home=home)
        assert (done.code, "run_tests would run on this machine" in done.err) == (3, True)
        assert "--trust" in done.err


@pytest.mark.slow
def test_an_arm_that_runs_its_tests_beats_one_that_says_it_did(home: Home) -> None:
    _, tasks = suite(home)
    with Stub(player(tasks)) as new, Stub(player(tasks, lazy=True)) as old:
        home.provider("new", new.url)
        home.provider("old", old.url)
        line = ("eval", "run", "e", *ARMS, "--epochs", "2", "-j", "4", "--trust", "e", "--json")
        done = run(*line, home=home, timeout=120)
        assert done.code == 0, done.err
        assert done.json()["classes"] == {"new": {"success": 4}, "old": {"fail.model": 4}}
        asked = len(new.asked()) + len(old.asked())
        shown = run("eval", "show", "e", "new/coding-two-bugs.1", "--json", home=home).text
        assert "Ran 3 tests" in shown
        assert "nemocli-eval-" not in shown
        again = run("eval", "regrade", "e", "--json", home=home)
        assert again.json()["changed"] == []
        assert len(new.asked()) + len(old.asked()) == asked
