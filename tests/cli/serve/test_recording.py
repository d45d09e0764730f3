"""`--record` and `--replay` over real sockets, and with the agents themselves."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.serve.test_launch import AGENTS, installed, planted, worked
from tests.cli.serve.test_serve import HI, Client, started
from tests.run import KEY, Home, run
from tests.servers.answer import Answer
from tests.servers.behaviours import Cut, Status
from tests.servers.stub import Stub

__all__ = ["installed"]
WISHES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "m", "messages": HI},
    "/v1/responses": {"model": "m", "input": "hi"},
    "/v1/messages": {"model": "m", "max_tokens": 9, "messages": HI},
}


@pytest.fixture
def stub(home: Home) -> Iterator[Stub]:
    calls = (("look", '{"q": 1}'),)
    with Stub(Answer("Hello.", reasoning="Hm.", tool_calls=calls, cost=0.25)) as made:
        home.provider("stub", made.url, default_model="m")
        yield made


def told(client: Client, *, stream: bool) -> list[Any]:
    """What each dialect's client got, less what is made anew each time."""
    found = []
    for path, wish in WISHES.items():
        status, _, body = client.ask(path, {**wish, "stream": stream})
        assert status == 200, body
        text = body.decode()
        found.append(sorted({word for word in ("Hello.", "Hm.", "look") if word in text}))
    return found


def lines(home: Home, name: str = "mine") -> list[dict[str, Any]]:
    file = next(home.root.rglob(f"recordings/{name}/exchanges.jsonl"))
    assert file.stat().st_mode & 0o077 == 0
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_what_was_recorded_answers_again_without_a_provider(home: Home, stub: Stub) -> None:
    running, client = started(home, "-p", "stub", "--record", "mine", "--loop-guard", "0")
    with running:
        whole = told(client, stream=False)
        told(client, stream=True)
        stub.script(Status(429, {"error": {"message": "slow"}}, retry_after=77))
        assert client.chat(messages=[{"role": "user", "content": "again"}])[0] == 429
    asked = len(stub.requests)
    rows = lines(home)
    assert sum(row["type"] == "request" for row in rows) == 7
    replies = [row for row in rows if row["type"] == "reply"]
    assert [r["how"] for r in replies] == ["answered"] * 6 + ["failed"]
    assert replies[0]["usage"]["output_tokens"] > 0
    assert replies[0]["attempts"] == [home.attempts()[0]["attempt_id"]]
    other = Home(home.root / "other")
    folder = str(next(home.root.rglob("recordings/mine")))
    running, client = started(other, "--replay", folder)
    with running:
        assert told(client, stream=False) == whole
        assert told(client, stream=True) == whole
        assert client.chat(messages=[{"role": "user", "content": "again"}])[0] == 429
        status, headers, body = client.chat(messages=[{"role": "user", "content": "else"}])
        assert (status, headers["x-should-retry"]) == (400, "false")
        assert "not in the recording: the nearest one is exchange" in body["error"]["message"]
        assert json.loads(client.ask("/v1/models")[2])["data"][0]["id"] == "m"
    assert len(stub.requests) == asked
    assert other.attempts() == []


def test_no_secret_is_in_a_recording(home: Home, stub: Stub, tmp_path: Path) -> None:
    program = """
import json, os, urllib.request
token, mine = os.environ["OPENAI_API_KEY"], os.environ["MY_PASSWORD"]
words = [{"role": "user", "content": f"my token is {token} and my password {mine}"}]
body = json.dumps({"model": "m", "messages": words}).encode()
head = {"authorization": "Bearer " + token}
url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
urllib.request.urlopen(urllib.request.Request(url, body, head)).read()
print(token)
"""
    env = planted(tmp_path / "bin", "agent", program) | {"MY_PASSWORD": "hunter2hunter2"}
    done = run("launch", "-p", "stub", "--record", "mine", "--", "agent", home=home, env=env)
    assert done.code == 0, done.err
    assert "my token is *** and my password ***" in json.dumps(lines(home))
    (kept,) = run("sessions", "ls", "--json", home=home).json()["sessions"]
    assert set(kept["tags"]) == {"recorded", "recording:mine"}
    turns = run("sessions", "show", kept["id"], "--json", home=home).json()["turns"]
    assert [t["role"] for t in turns] == ["user", "assistant"]
    assert turns[1]["text"] == "Hello."
    for secret in (done.text.strip(), "hunter2hunter2", KEY):
        assert not [f for f in home.files_holding(secret) if "recordings" in str(f)]


def test_a_recording_cut_by_a_kill_is_played_as_far_as_it_goes(home: Home, stub: Stub) -> None:
    running, client = started(home, "-p", "stub", "--record", "mine")
    with running:
        assert client.chat()[0] == 200
        running.process.kill()
        running.process.wait(10)
    file = next(home.root.rglob("recordings/mine/exchanges.jsonl"))
    file.write_bytes(file.read_bytes() + b'{"type": "request", "id": "torn')
    running, client = started(home, "-p", "stub", "--record", "mine")
    with running:
        stub.script(Cut(after_events=2, clean=True))
        assert client.chat(messages=[{"role": "user", "content": "two"}])[0] == 502
    running, client = started(home, "--replay", "mine")
    with running:
        assert client.chat()[0] == 200
        assert client.chat(messages=[{"role": "user", "content": "two"}])[0] == 502
    first, _, rest = file.read_bytes().partition(b"\n")
    file.write_bytes(first + b"\n{nonsense}\n" + rest)
    done = run("serve", "--replay", "mine", home=home)
    assert (done.code, "exchanges.jsonl:2:" in done.err) == (3, True)


def test_what_cannot_be_is_said_first(home: Home, stub: Stub) -> None:
    absent = run("serve", "--replay", "nothing", home=home)
    assert (absent.code, "no recording is in" in absent.err) == (3, True)
    both = run("serve", "-p", "stub", "--replay", "a", "--record", "b", home=home)
    assert both.code == 2


@pytest.mark.slow
@pytest.mark.parametrize("agent", AGENTS)
def test_a_real_agent_replays_its_recording_twice_without_a_miss(
    agent: str, installed: Path, home: Home
) -> None:
    with Stub(Answer("x")) as stub:
        home.provider("stub", stub.url, default_model="nvidia/nemotron-3-ultra-550b-a55b")
        done = worked(agent, installed, home, stub, "--record", "mine")
        if done.code and not home.attempts():
            pytest.skip(f"{agent} does not start here: {done.err[-200:]}")
        asked = len(stub.requests)
        env = {"PATH": f"{installed}{os.pathsep}{os.environ['PATH']}", "IS_SANDBOX": "1",
               "HOME": str(home.root)}  # fmt: skip
        for _ in range(2):
            again = run("launch", agent, "--replay", "mine", "--", *AGENTS[agent][1], home=home,
                        env=env, timeout=120)  # fmt: skip
            assert again.code == 0, again.err
            assert "left the script" not in again.err
            assert "All done." in again.text
        assert len(stub.requests) == asked
