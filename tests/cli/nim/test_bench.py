"""`nim bench` against real sockets: what it asks, what it counts, and how it ends."""

from __future__ import annotations

import json
import signal
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.run import Home, run, spawn
from tests.servers.answer import Answer
from tests.servers.behaviours import Status
from tests.servers.stub import Stub

WORDS = Answer("one two three four five six seven eight", gap_s=0.01)


@pytest.fixture(scope="module")
def stub() -> Iterator[Stub]:
    with Stub(WORDS) as made:
        yield made


def test_every_load_is_measured_and_the_warm_up_is_not(home: Home, stub: Stub) -> None:
    home.provider("stub", stub.url, default_model="m")
    stub.script(WORDS)
    before = len(stub.asked())
    line = ("nim", "bench", "-p", "stub", "--sweep", "1,3", "--requests", "4", "--gpus", "2")
    done = run(*line, "--slo", "ttft=60000", "--json", home=home)
    assert done.code == 0, done.err
    found = done.json()
    assert found["schema"] == "nemocli.nim_bench/1"
    assert [p["concurrency"] for p in found["points"]] == [1, 3]
    assert [p["requests"] for p in found["points"]] == [4, 4]
    assert found["most_within_slo"] == 3
    for point in found["points"]:
        assert point["errors"] == 0
        assert 0 < point["ttft_ms"]["p50"] <= point["e2e_ms"]["p50"]
        assert point["per_gpu"] == pytest.approx(point["output_tokens_per_s"] / 2, abs=0.01)
        assert point["tokens"] == "reported"
    asked = stub.asked()[before:]
    assert len(asked) == 4 + 1 + 4 + 3
    prompts = [r.json["messages"][0]["content"][:18] for r in asked]
    assert len(set(prompts)) == len(prompts)
    assert len(home.attempts()) == len(asked)


def test_a_table_a_picture_and_the_failures_in_it(home: Home, stub: Stub, tmp_path: Path) -> None:
    home.provider("stub", stub.url, default_model="m")
    stub.script(WORDS, Status(500, {"error": {"message": "no"}}), WORDS)
    file, picture = tmp_path / "prompts.jsonl", tmp_path / "sweep.svg"
    file.write_text('{"prompt": "a"}\nplain words\n{"body": {"messages": [{"role": "user", '
                    '"content": "b"}]}}\n')  # fmt: skip
    done = run("nim", "bench", "-p", "stub", "--sweep", "1", "--requests", "3", "--prompts",
               str(file), "--svg", str(picture), home=home)  # fmt: skip
    assert done.code == 0, done.err
    assert "3 prompts of prompts.jsonl" in done.text
    assert "3 (1 failed)" in done.text
    assert "AT ONCE" in done.text
    assert ET.parse(picture).getroot().tag.endswith("svg")
    said = [r.json["messages"][0]["content"] for r in stub.asked()[-4:]]
    assert said == ["a", "plain words", "b", "a"]


def test_the_same_requests_for_another_tool(home: Home, stub: Stub, tmp_path: Path) -> None:
    home.provider("stub", stub.url, default_model="m")
    file, folder = tmp_path / "p.txt", tmp_path / "out"
    file.write_text("one\ntwo\n")
    before = len(stub.asked())
    line = ("nim", "bench", "-p", "stub", "--prompts", str(file), "--export", str(folder))
    done = run(*line, home=home)
    assert done.code == 0, done.err
    assert "aiperf profile" in done.err
    rows = [json.loads(f.read_text()) for f in sorted(folder.iterdir())]
    assert [r["messages"][0]["content"] for r in rows] == ["one", "two"]
    assert all("conversation_id" not in r for r in rows)
    assert len(stub.asked()) == before
    refused = run("nim", "bench", "-p", "stub", "--export", str(folder), home=home)
    assert (refused.code, "--prompts" in refused.err) == (2, True)


def test_a_server_that_answers_nothing_is_a_failure(home: Home, stub: Stub) -> None:
    home.provider("stub", stub.url, default_model="m")
    stub.script(Status(500, {"error": {"message": "no"}}))
    done = run("nim", "bench", "-p", "stub", "--sweep", "2", "--requests", "2", home=home)
    assert done.code == 5
    assert "every request failed" in done.err
    stub.script(Status(401, {"error": {"message": "who?"}}))
    before = len(stub.asked())
    done = run("nim", "bench", "-p", "stub", "--sweep", "1,2,4", "--requests", "9", home=home)
    assert done.code == 4
    assert len(stub.asked()) - before == 1


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("--sweep", "x"), 2),
        (("--slo", "x=1"), 2),
        (("--prompts", "none.txt"), 2),
        (("--prompts", "a", "--run", "b"), 2),
        (("--run", "nowhere"), 2),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_asked(
    home: Home, stub: Stub, args: tuple[str, ...], code: int
) -> None:
    home.provider("stub", stub.url, default_model="m")
    before = len(stub.asked())
    assert run("nim", "bench", "-p", "stub", *args, home=home).code == code
    assert len(stub.asked()) == before


def test_ctrl_c_keeps_what_was_measured(home: Home) -> None:
    with Stub(WORDS) as stub:
        home.provider("stub", stub.url, default_model="m")
        line = ("nim", "bench", "-p", "stub", "--sweep", "1,2", "--requests", "2", "--json")
        with spawn(*line, home=home) as running:
            stub.wait_for(3)
            stub.script(Answer("slow " * 50, gap_s=0.2))
            stub.wait_for(5)
            running.process.send_signal(signal.SIGINT)
            done = running.finish(30)
    assert done.code == 130
    assert [p["concurrency"] for p in done.json()["points"]] == [1]
