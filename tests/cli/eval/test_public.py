"""A public benchmark: its published figures come out without a model, and a server that plays its
gold paths is right, over real HTTP. The wheels come from the package index; without one it is left
out."""

from __future__ import annotations

import ast
import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.cli.batch.batch_case import Each
from tests.run import Home, run, spawn
from tests.servers.answer import Answer
from tests.servers.behaviours import Status
from tests.servers.stub import Stub

pytestmark = pytest.mark.slow
USAGE = {"prompt_tokens": 100, "completion_tokens": 10}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fetched once for the module, while the figures are checked."""
    home = Home(tmp_path_factory.mktemp("bfcl"))
    done = run("eval", "selfcheck", "--bfcl", "--json", home=home, timeout=120)
    if "cannot be fetched" in done.err:
        pytest.skip("no package index can be reached")
    assert done.code == 0, done.err
    found = {c["name"]: c["measured"] for c in done.json()["checks"] if "BFCL" in c["name"]}
    assert list(found.values()) == [800, 0, 1, 200, 200]
    return home.folder / "cache" / "suites"


@pytest.fixture
def ready(home: Home, wheels: Path) -> Home:
    shutil.copytree(wheels, home.folder / "cache" / "suites")
    for mark in (home.folder / "cache" / "suites").glob(".*.json"):
        mark.unlink()
    return home


class Gold:
    """Plays the gold path of whatever task of a category it is asked."""

    def __init__(self, wheels: Path, category: str = "base") -> None:
        wheel = zipfile.ZipFile(next(wheels.glob("bfcl_eval*.whl")))
        name = f"BFCL_v4_multi_turn_{category}.json"
        gold = {r["id"]: r["ground_truth"] for r in _rows(wheel, f"possible_answer/{name}")}
        self._gold: dict[str, list[list[str]]] = {
            row["question"][0][0]["content"]: gold[row["id"]] for row in _rows(wheel, name)
        }

    def __call__(self, body: Mapping[str, Any]) -> Answer:
        said = [m["content"] for m in body["messages"] if m["role"] == "user"]
        calls = self._gold[said[0]][len(said) - 1]
        if body["messages"][-1]["role"] == "tool" or not calls:
            return Answer("Done.", usage=USAGE, cost=0.001)
        specs = {t["function"]["name"]: t["function"]["parameters"] for t in body["tools"]}
        return Answer(
            "", usage=USAGE, cost=0.001, tool_calls=tuple(_call(each, specs) for each in calls)
        )


def _rows(wheel: zipfile.ZipFile, name: str) -> Iterator[Any]:
    return map(json.loads, wheel.read(f"bfcl_eval/data/{name}").decode().splitlines())


def _call(text: str, specs: Mapping[str, Any]) -> tuple[str, str]:
    node = ast.parse(text, mode="eval").body
    assert isinstance(node, ast.Call)
    assert isinstance(node.func, ast.Name)
    names = list(specs[node.func.id]["properties"])
    given = dict(zip(names, map(ast.literal_eval, node.args), strict=False))
    given |= {str(k.arg): ast.literal_eval(k.value) for k in node.keywords}
    return node.func.id, json.dumps(given)


LINE = ("eval", "suite", "bfcl-mt", "b", "--arm", "new=new:x/m", "--category", "base", "--limit")


def test_gold_is_right_and_silence_is_not(ready: Home, wheels: Path) -> None:
    gold = Gold(wheels)
    with (
        Stub(Each(lambda request: gold(request.json))) as new,
        Stub(Answer("I cannot.", usage=USAGE, cost=0.002)) as old,
    ):
        ready.provider("new", new.url)
        ready.provider("old", old.url)
        two = (*LINE, "12", "--arm", "old=old:x/m")
        done = run(*two, "-j", "6", "--json", home=ready, timeout=120)
        assert done.code == 0, done.err
        rows = {row["arm"]: row for row in done.json()["results"]}
        assert (rows["new"]["right"], rows["new"]["scored"]) == (12, 12), done.err
        assert (rows["old"]["right"], rows["old"]["scored"]) == (0, 12)
        calls = len(new.asked())
        assert Decimal(rows["new"]["cost_usd"]) == calls * Decimal("0.001")
        again = run(*two, "--json", home=ready)
        assert (again.code, len(new.asked())) == (0, calls), "all is made already"
        more = run(*LINE, "13", home=ready)
        assert "1 attempts to make" in more.err
        assert "new base: 13 of 13 right, 100.0%" in more.text
    verdict = run("eval", "decide", "b", "--json", home=ready)
    assert verdict.json()["success"]["candidate"] == 1.0
    assert verdict.json()["success"]["baseline"] == 0.0
    schema = new.asked()[0].json["tools"][0]["function"]["parameters"]
    assert schema["type"] == "object"


def test_functions_that_are_held_out_come_in_their_turn(ready: Home, wheels: Path) -> None:
    gold = Gold(wheels, "miss_func")
    with Stub(Each(lambda request: gold(request.json))) as new:
        ready.provider("new", new.url)
        line = ("eval", "suite", "bfcl-mt", "b", "--arm", "new=new:x/m", "--category", "miss_func")
        done = run(*line, "--limit", "1", "--json", home=ready, timeout=60)
    assert done.code == 0, done.err
    names = [{t["function"]["name"] for t in r.json["tools"]} for r in new.asked()]
    assert "sort" not in names[0]
    assert "sort" in names[-1]
    assert done.json()["results"][0]["right"] == 1


def test_a_cap_is_kept_and_ctrl_c_obeyed(ready: Home) -> None:
    price = {"model": "x/m", "valid_from": "2026-01-01", "input": 1, "output": 4}
    with Stub(Answer("hm", usage=USAGE, cost=0.001)) as new:
        ready.provider("new", new.url, prices=[price])
        capped = run(*LINE, "5", "--max-tokens", "100", "--max-cost", "0.002", home=ready)
        assert (capped.code, "--max-cost" in capped.err) == (9, True)
        assert sum(row["cost_pico"] for row in ready.attempts()) <= 2_000_000_000
        new.script(Answer("hm", gap_s=0.5))
        seen = len(new.requests)
        with spawn(*LINE, "5", "--max-tokens", "100", home=ready) as running:
            new.wait_for(seen + 1, timeout_s=20)
            running.interrupt()
            stopped = running.finish(20)
    assert (stopped.code, "the same command goes on" in stopped.err) == (130, True)


def test_what_stops_a_run_stops_it_and_it_goes_on(ready: Home, wheels: Path) -> None:
    gold = Gold(wheels)
    with Stub(Status(401, {"error": {"message": "no"}})) as new:
        ready.provider("new", new.url)
        done = run(*LINE, "3", home=ready)
        assert done.code == 4, done.err
        new.script(Each(lambda request: gold(request.json)))
        done = run(*LINE, "3", "--json", home=ready)
        assert (done.code, done.json()["results"][0]["right"]) == (0, 3)
        other = run("eval", "suite", "bfcl-mt", "b", "--arm", "new=new:x/other", "--limit", "1",
                    home=ready)  # fmt: skip
        assert (other.code, "--new" in other.err) == (3, True)
    unknown = run("eval", "suite", "tau9", "b", "--arm", "new=new:x/m", home=ready)
    assert (unknown.code, "bfcl-mt" in unknown.err) == (2, True)
    bare = Home(ready.root.parent / "bare")
    bare.provider("new", "http://127.0.0.1:9/v1")
    offline = run("--offline", "eval", "suite", "bfcl-mt", "b", "--arm", "new=new:x/m", home=bare)
    assert (offline.code, "--offline" in offline.err) == (7, True), offline.err
