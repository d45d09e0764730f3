"""`eval record`: an agent of one's own as attempts, compared as any others."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.serve.test_launch import planted
from tests.run import Home, run
from tests.servers.answer import Answer
from tests.servers.behaviours import Drip, Status
from tests.servers.stub import Stub

AGENT = """
import json, os, sys, urllib.request
url, key = os.environ["OPENAI_BASE_URL"] + "/chat/completions", os.environ["OPENAI_API_KEY"]

def ask(messages, **more):
    body = json.dumps({"model": "m", "messages": messages, **more}).encode()
    request = urllib.request.Request(url, body, {"authorization": "Bearer " + key})
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)["choices"][0]["message"]

tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
ask([{"role": "user", "content": "a title"}])
turns = [{"role": "user", "content": "do it"}]
for _ in range(5):
    said = ask(turns, tools=tools)
    keep = {k: v for k, v in said.items() if k in ("content", "tool_calls")}
    turns.append({"role": "assistant", **keep})
    if not said.get("tool_calls"):
        break
    for call in said["tool_calls"]:
        turns.append({"role": "tool", "tool_call_id": call["id"], "content": "42"})
open("answer.txt", "w").write(said["content"])
sys.exit(int(os.environ.get("ENDS", "0")))
"""


@pytest.fixture
def stub(home: Home) -> Iterator[Stub]:
    with Stub(Answer("x")) as made:
        home.provider("new", made.url, default_model="m")
        home.provider("old", made.url, default_model="m")
        yield made


def attempt(
    home: Home, env: dict[str, str], arm: str, *more: str, **ends: str
) -> dict[str, object]:
    line = ("eval", "record", "e", "--arm", arm, "--task", "greet", "-p", arm, *more, "--json")
    done = run(*line, "--", "agent", home=home, env={**env, **ends}, timeout=60)
    assert done.code == 0, done.err
    found: dict[str, object] = done.json()
    return found


def test_attempts_are_counted_graded_and_compared(home: Home, stub: Stub, tmp_path: Path) -> None:
    env = planted(tmp_path / "bin", "agent", AGENT)
    look = Answer("", tool_calls=(("look", "{}"),), cost=0.01)
    check = ("--check", "grep -q Hello answer.txt")
    for _ in range(3):
        stub.script(Answer("Title", cost=0.001), look, Answer("Hello.", cost=0.02))
        good = attempt(home, env, "new", *check)
        stub.script(Answer("Title", cost=0.001), look, look, Answer("Bye.", cost=0.02))
        bad = attempt(home, env, "old", *check)
    assert (good["class"], good["attempt"]) == ("success", "new/greet.3")
    assert (good["model_turns"], good["side_calls"], good["tool_calls"]) == (2, 1, 1)
    assert (good["cost_usd"], bad["cost_usd"]) == ("0.031", "0.041")
    assert (bad["class"], bad["why"]) == ("fail.model", "the check ended with 1")
    assert good["run"] == bad["run"]
    assert "probes and coherence" in str(good["unknown"])
    shown = run("eval", "show", "e", "new/greet.1", "--json", home=home).json()["events"]
    assert [e["type"] for e in shown] == ["begin", "side", "user", "model", "tool", "model", "end"]
    assert shown[4]["result"] == "42"
    verdict = run("eval", "decide", "e", "--json", home=home)
    assert verdict.json()["success"]["candidate"] == 1.0
    report = run("eval", "report", "e", home=home)
    assert report.code == 0, report.err
    assert "greet" in report.text
    assert run("eval", "export", "e", "-o", "logs", home=home).code == 0
    logs = sorted((home.cwd / "logs").iterdir())
    assert [f.stem.rpartition("_")[2] for f in logs] == ["new", "old"]
    assert run("eval", "export", "e", "-o", "nel", "--to", "nel", home=home).code == 0
    for arm, reward in (("new", 1.0), ("old", 0.0)):
        text = (home.cwd / "nel" / arm / "results.jsonl").read_text()
        rows = [json.loads(line) for line in text.splitlines()]
        assert {(row["problem_idx"], row["reward"]) for row in rows} == {(0, reward)}
    for arm, log in (("before", logs[1]), ("now", logs[0])):
        done = run("eval", "import", "other", str(log), "--arm", arm, home=home)
        assert done.code == 0, done.err
    found = run("eval", "decide", "other", "--json", home=home).json()
    assert found["success"]["candidate"] == 0.0
    logs[0].write_text('{"version": 1}')
    broken = run("eval", "import", "other", str(logs[0]), "--arm", "x", home=home)
    assert (broken.code, "version 2" in broken.err) == (3, True)
    rows = home.attempts()
    assert {row["command"] for row in rows} == {"eval record"}
    assert "arm:new" in rows[0]["tags"]


@pytest.mark.slow
def test_how_an_agent_can_end(home: Home, stub: Stub, tmp_path: Path) -> None:
    env = planted(tmp_path / "bin", "agent", AGENT)
    stub.script(Answer("Hello.", cost=0.01))
    assert attempt(home, env, "new")["class"] == "success"
    assert attempt(home, env, "new", ENDS="3")["why"] == "the agent ended with 3"
    stub.script(Status(500, {"error": {"message": "no"}}))
    assert attempt(home, env, "new")["class"] == "infra"
    silent = planted(tmp_path / "silent", "agent", "pass")
    assert attempt(home, silent, "new")["class"] == "harness"
    stub.script(Drip(every_s=0.5))
    late = attempt(home, env, "new", "--timeout", "2", "--new")
    assert (late["class"], late["why"]) == ("fail.limit", "time")
    assert late["attempt"] == "new/greet.1"
    mark = tmp_path / "alive"
    child = f"import time, pathlib\nwhile 1: pathlib.Path({str(mark)!r}).touch(); time.sleep(0.05)"
    parent = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]);"
    busy = planted(tmp_path / "busy", "agent", f"{parent} time.sleep(600)")
    assert attempt(home, busy, "new", "--timeout", "2")["class"] == "harness"
    time.sleep(0.3)
    mark.unlink()
    time.sleep(0.3)
    assert not mark.exists()


def test_what_is_wrong_is_said_before_anything_runs(home: Home, stub: Stub) -> None:
    line = ("eval", "record", "e", "--task", "t", "-p", "new")
    assert run(*line, "--arm", "../x", "--", "env", home=home).code == 2
    assert run(*line, "--arm", "a", "--", "no-such-agent", home=home).code == 2
    assert stub.requests == []
    assert not json.dumps(home.attempts()).count("attempt_id")
