"""Agents behind a gateway of their own: pointed at it, counted, and stopped when they loop."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.batch.batch_case import Each
from tests.cli.serve.test_serve import HI, started
from tests.run import KEY, Done, Home, run
from tests.servers.answer import Answer
from tests.servers.behaviours import Cut
from tests.servers.channel import Request
from tests.servers.stub import Stub

CODEX = """
import json, os, sys, urllib.request
settings = dict(a.split("=", 1) for a in sys.argv[1:] if "=" in a)
provider = settings["model_providers.nemocli"]
url = provider.split('base_url="')[1].split('"')[0] + "/responses"
body = json.dumps({"model": json.loads(settings["model"]), "input": "hi", "store": False,
                   "client_metadata": {"a": "b"}}).encode()
head = {"authorization": "Bearer " + os.environ["NEMOCLI_TOKEN"], "session-id": "s-1",
        "user-agent": "codex_exec/9"}
with urllib.request.urlopen(urllib.request.Request(url, body, head)) as reply:
    said = json.load(reply)["output"][-1]["content"][0]["text"]
keys = [n for n in os.environ if "STUB" in n]
print(said, os.path.basename(os.environ.get("CODEX_HOME", "none")), sys.argv[-1], keys)
"""


@pytest.fixture(scope="module")
def stub() -> Iterator[Stub]:
    with Stub(Answer("Hello.", cost=0.25)) as made:
        yield made


def planted(folder: Path, name: str, program: str) -> dict[str, str]:
    """An environment in which a program of that name is found first."""
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"#!{sys.executable}\n{textwrap.dedent(program)}")
    file.chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def test_an_agent_is_pointed_at_the_gateway_and_its_session_is_booked(
    home: Home, tmp_path: Path, stub: Stub
) -> None:
    home.provider("stub", stub.url, default_model="m")
    env = planted(tmp_path / "bin", "codex", CODEX) | {"NEMOCLI_KEY_STUB": KEY}
    done = run("launch", "codex", "-p", "stub", "--tag", "t", "--", "last", home=home, env=env)
    assert done.code == 0, done.err
    assert done.text == "Hello. codex last []\n"
    assert "codex: 1 call · " in done.err
    assert "· $0.25" in done.err
    assert "not carried: client_metadata" in done.err
    row = home.attempts()[-1]
    assert (row["session"], row["command"]) == ("s-1", "launch")
    folder = next(home.root.rglob("agents/codex"))
    assert folder.stat().st_mode & 0o077 == 0
    own = run("launch", "codex", "--own-settings", "-p", "stub", home=home, env=env)
    assert own.text.startswith("Hello. none ")


def test_what_is_not_there_is_said_with_the_way_to_get_it(home: Home, stub: Stub) -> None:
    home.provider("stub", stub.url, default_model="m")
    done = run("launch", "codex", "-p", "stub", home=home, env={"PATH": "/nowhere"})
    assert (done.code, "npm install -g @openai/codex" in done.err) == (2, True)
    listed = run("launch", "--json", home=home, env={"PATH": "/nowhere"}).json()
    assert listed["schema"] == "nemocli.agents/1"
    assert {a["name"] for a in listed["agents"]} >= {"codex", "claude", "opencode"}
    assert all(a["program"] is None for a in listed["agents"])


def test_without_a_key_no_agent_is_started(home: Home, tmp_path: Path) -> None:
    home.provider("locked", "https://llm.example.test/v1", key=None)
    env = planted(tmp_path / "bin", "codex", "open('started', 'w')")
    for line in (("launch", "codex", "-p", "locked"), ("serve", "-p", "locked")):
        done = run(*line, home=home, env=env)
        assert (done.code, "no key for locked" in done.err) == (4, True), done.err
    assert not (home.cwd / "started").exists()


def test_a_row_of_ones_own_and_a_broken_one(home: Home, tmp_path: Path, stub: Stub) -> None:
    home.provider("stub", stub.url, default_model="m")
    folder = home.folder / "profiles" / "agents"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(
        "schema: nemocli.agent/1\nname: mine\ntitle: Mine\nprogram: mine\ninstall: make it\n"
        "docs: none\nenv: {ADDRESS: '${base_url}'}\nargs: [[--model, '${model}']]\n"
    )
    (folder / "codex.yaml").write_text("schema: nemocli.agent/1\nname: codex\n")
    program = "import os, sys; print(os.environ['ADDRESS'][:17], sys.argv[1:])"
    env = planted(tmp_path / "bin", "mine", program)
    done = run("launch", "mine", "-p", "stub", "--", "x", home=home, env=env)
    assert done.text == "http://127.0.0.1: ['--model', 'm', 'x']\n"
    assert "mine: no calls" in done.err
    broken = run("launch", "codex", "-p", "stub", home=home, env=env)
    assert (broken.code, "codex.yaml" in broken.err) == (3, True)


def test_an_agent_that_loops_is_stopped_by_a_400(home: Home) -> None:
    with Stub(Cut(after_events=2, clean=True)) as stub:
        home.provider("stub", stub.url, default_model="m")
        running, client = started(home, "-p", "stub", "--loop-guard", "3")
        with running:
            seen = [client.chat()[0] for _ in range(5)]
            asked = len(stub.requests)
            assert seen == [502, 502, 502, 400, 400]
            stub.script(Answer("Hello."))
            status, headers, body = client.chat()
            assert (status, headers["x-should-retry"]) == (400, "false")
            assert body["error"]["code"] == "loop_detected"
            assert len(stub.requests) == asked
            call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            used = {"role": "assistant", "content": None, "tool_calls": [call]}
            turn = [used, {"role": "tool", "tool_call_id": "c", "content": "no"}]
            assert client.chat(messages=[*HI, *turn * 2])[0] == 200
            assert client.chat(messages=[*HI, *turn * 3])[0] == 400
            wish = {"max_tokens": 9, "messages": HI, "stream": True}
            path = "/a/attempt-7/v1/messages"
            own = {"x-nemocli-session": "mine"}
            assert client.ask(path, wish, **own)[0] == 200
    row = home.attempts()[-1]
    assert row["session"] == "mine"
    assert "attempt:attempt-7" in row["tags"]


AGENTS: dict[str, tuple[str, list[str], str, dict[str, Any]]] = {
    "codex": (
        "@openai/codex@0.171.0",
        ["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "do it"],
        "exec_command",
        {"cmd": "echo from-the-tool"},
    ),
    "claude": (
        "@anthropic-ai/claude-code@2.1.197",
        ["-p", "do it", "--dangerously-skip-permissions"],
        "Bash",
        {"command": "echo from-the-tool", "description": "look"},
    ),
    "opencode": (
        "opencode-ai@1.18.33",
        ["run", "do it"],
        "bash",
        {"command": "echo from-the-tool", "description": "look"},
    ),
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the agents themselves, where npm can fetch them."""
    if (npm := shutil.which("npm")) is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("agents")
    names = [package for package, *_ in AGENTS.values()]
    line = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), *names]
    try:
        done = subprocess.run(line, capture_output=True, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm took too long")
    if done.returncode:
        pytest.skip("npm cannot fetch them here")
    return folder / "node_modules" / ".bin"


def worked(agent: str, installed: Path, home: Home, stub: Stub, *more: str) -> Done:
    _, args, tool, arguments = AGENTS[agent]

    def answer(request: Request) -> Answer:
        """The tool first, where there are tools: side calls, such as for a title, have none."""
        body = request.json
        if body.get("tools") and body["messages"][-1]["role"] != "tool":
            return Answer("", reasoning="I look.", tool_calls=((tool, json.dumps(arguments)),))
        return Answer("All done.", reasoning="Now I know.")

    stub.script(Each(answer))
    env = {"PATH": f"{installed}{os.pathsep}{os.environ['PATH']}", "IS_SANDBOX": "1",
           "HOME": str(home.root)}  # fmt: skip
    line = ("launch", agent, "-p", "stub", *more, "--", *args)
    return run(*line, home=home, env=env, timeout=120)


@pytest.mark.slow
@pytest.mark.parametrize("agent", AGENTS)
def test_a_real_agent_finishes_a_task_with_a_tool(
    agent: str, installed: Path, home: Home, stub: Stub
) -> None:
    home.provider("stub", stub.url, default_model="nvidia/nemotron-3-ultra-550b-a55b")
    before = len(stub.requests)
    done = worked(agent, installed, home, stub)
    if done.code and not home.attempts():
        pytest.skip(f"{agent} does not start here: {done.err[-200:]}")
    assert done.code == 0, done.err
    assert "All done." in done.text
    asked = [json.dumps(r.json["messages"]) for r in stub.asked()[before:]]
    assert any("from-the-tool" in a and "I look." in a for a in asked)
    assert all(row["session"] for row in home.attempts())


@pytest.mark.slow
@pytest.mark.parametrize("agent", AGENTS)
def test_half_an_answer_is_no_success_of_a_real_agent(
    agent: str, installed: Path, home: Home
) -> None:
    """Through other gateways Codex and Claude Code end with exit 0 and half an answer."""
    with Stub(Cut(after_events=3, clean=True)) as stub:
        home.provider("stub", stub.url, default_model="m")
        env = {"PATH": f"{installed}{os.pathsep}{os.environ['PATH']}", "IS_SANDBOX": "1",
               "HOME": str(home.root)}  # fmt: skip
        args = AGENTS[agent][1]
        line = ["timeout", "40", sys.executable, "-m", "nemocli"]
        done = run(line=[*line, "launch", agent, "-p", "stub", "--", *args], home=home, env=env)
        if not home.attempts():
            pytest.skip(f"{agent} does not start here: {done.err[-200:]}")
        assert done.code != 0
        assert len(stub.requests) < 100
