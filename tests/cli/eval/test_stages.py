"""Day 1, days 2-3 and week 2, against models that play a part over real HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.batch.batch_case import Each
from tests.run import ROOT, Done, Home, run
from tests.servers.agent import Agent
from tests.servers.stub import Stub

CARD = ROOT / "profiles" / "suites" / "card"


@pytest.fixture
def suite(home: Home) -> Path:
    assert run("eval", "init", "e", "--from", "quick", home=home).code == 0
    return home.cwd / "e"


def acting(home: Home, name: str, suite: Path, style: str, cost: float = 0.001) -> Stub:
    agent = Agent(suite, style, cost, CARD)
    stub = Stub(Each(lambda request: agent(request.json)))
    home.provider(name, stub.url)
    return stub


def stage(home: Home, *args: str) -> Done:
    return run("eval", *args, "--json", home=home, timeout=240)


@pytest.mark.slow
def test_from_day_1_to_week_2(home: Home, suite: Path) -> None:
    with (
        acting(home, "new", suite, "gold", 0.0005) as new,
        acting(home, "old", suite, "gold", 0.004),
        acting(home, "own", suite, "gold", 0.0001) as own,
    ):
        first = stage(home, "day1", "e", "--candidate", "new:x/m", "-j", "8")
        assert first.code == 0, first.err
        said: dict[str, Any] = first.json()
        assert (said["passed"], len(said["card"]), len(said["smoke"])) == (True, 12, 3)
        assert (suite / "nemotron.profile.yaml").is_file()
        asked = len(new.asked())
        assert stage(home, "day1", "e", "--candidate", "new:x/m").json() == said
        assert len(new.asked()) == asked, "what is done is not asked again"
        second = stage(home, "day3", "e", "--candidate", "new:x/m", "--baseline", "old:x/m",
                       "--epochs", "5", "-j", "8")  # fmt: skip
        assert second.code == 0, second.json()
        assert (second.json()["verdict"], second.json()["passed"]) == ("ADOPT", True)
        line = ("week2", "e", "--candidate", "own:x/m", "-j", "8", "--sweep", "1,4")
        third = stage(home, *line, "--gpus", "2", "--gpu-hour", "2.5", "--slo", "ttft=60000")
        assert third.code == 0, third.err
        week = third.json()
        assert week["difference"]["point"] == 0
        assert week["not_measured"] == ["soak"]
        assert [p["concurrency"] for p in week["load"]["points"]] == [1, 4]
        serving = week["serving"]
        assert serving["concurrency"] == 4
        usd = 5 / serving["completed_per_hour"]
        assert float(serving["usd_per_completed"]) == pytest.approx(usd, rel=0.01)
        assert serving["break_even_utilisation"] > 0
        turns = [m for r in own.asked()[-8:] for m in r.json["messages"]]
        assert {m["role"] for m in turns} >= {"user", "assistant", "tool"}
        asked = len(own.asked())
        slow = stage(home, *line, "--no-load")
        assert (slow.json()["load"], len(own.asked())) == (None, asked)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("style", "cause"),
    [("forgetful", "probes of the card are right"), ("leaking", "failed in serving")],
)
def test_a_bad_model_fails_gate_1_with_its_cause(
    home: Home, suite: Path, style: str, cause: str
) -> None:
    with acting(home, "new", suite, style):
        done = stage(home, "day1", "e", "--candidate", "new:x/m", "-j", "8")
    assert done.code == 11, done.err
    assert cause in " ".join(done.json()["reasons"])
    assert not done.json()["passed"]


def test_stages_need_what_comes_before_them(home: Home, suite: Path) -> None:
    assert stage(home, "week2", "e").code == 2
    assert stage(home, "day3", "e").code == 2
    assert stage(home, "day1", "nowhere").code == 3


def test_a_stage_that_was_stopped_goes_on(home: Home, suite: Path) -> None:
    price = {"model": "x/m", "valid_from": "2026-01-01", "input": 0.01, "output": 0.01}
    with acting(home, "new", suite, "gold", 0.01) as new:
        home.provider("new", new.url, prices=[price])
        args = ("day1", "e", "--candidate", "new:x/m", "-j", "4")
        stopped = stage(home, *args, "--max-cost", "0.2")
        assert stopped.code == 9, stopped.err
        before = len(new.asked())
        done = stage(home, *args)
        assert done.code == 0, done.err
        assert before > 10
        runs = list((suite / "stages" / "day1" / "card" / "runs").iterdir())
    assert len(runs) == 2, "patterns and card, each once"
