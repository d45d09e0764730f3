"""`nemocli eval` from the folder to the verdict, against models that play a part over real HTTP."""

from __future__ import annotations

import json
import re
import shutil
import signal
import struct
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.batch.batch_case import Each
from tests.run import Done, Home, argv, run, spawn
from tests.servers.agent import Agent
from tests.servers.behaviours import Status
from tests.servers.stub import Stub

ARMS = ("--arm", "new=new:x/m", "--arm", "old=old:x/m")


@pytest.fixture
def suite(home: Home) -> Path:
    assert run("eval", "init", "e", "--from", "quick", home=home).code == 0
    return home.cwd / "e"


class Both:
    """Two servers, each playing a style."""

    def __init__(
        self,
        home: Home,
        suite: Path,
        new: str,
        old: str,
        like: str = "openrouter",
        epochs: int = 7,
        **cost: float,
    ) -> None:
        self.stubs = []
        self._like = like
        for name, style in (("new", new), ("old", old)):
            agent = Agent(suite, style, cost.get(f"{name}_cost", 0.001), epochs=epochs)
            stub = Stub(Each(lambda request, agent=agent: agent(request.json)))
            self.stubs.append(stub)
            self._home = home
            self._name = name
            setattr(self, name, stub)

    def __enter__(self) -> Both:
        for name, stub in zip(("new", "old"), self.stubs, strict=True):
            stub.__enter__()
            self._home.provider(name, stub.url, extends=self._like)
        return self

    def __exit__(self, *error: object) -> None:
        for stub in self.stubs:
            stub.__exit__(*error)


def evaluated(home: Home, *more: str, epochs: int = 3) -> Done:
    return run("eval", "run", "e", *ARMS, "--epochs", str(epochs), *more, "--json", home=home,
               timeout=120)  # fmt: skip


def decided(home: Home, run_: str = "e") -> tuple[int, dict[str, Any]]:
    done = run("eval", "decide", run_, "--json", home=home)
    return done.code, done.json()


def test_from_the_folder_to_the_verdict(home: Home, suite: Path) -> None:
    assert run("eval", "lint", "e", home=home).code == 0
    with Both(home, suite, "gold", "gold", new_cost=0.0005, old_cost=0.002):
        done = evaluated(home, "-j", "8", epochs=5)
    assert done.code == 0, done.err
    assert done.json()["classes"] == {"new": {"success": 25}, "old": {"success": 25}}
    code, verdict = decided(home)
    assert (code, verdict["verdict"]) == (0, "ADOPT"), verdict["reasons"]
    assert verdict["cost_per_completed"]["ratio"]["point"] == pytest.approx(0.25)
    assert verdict["retry_rate"] == {"candidate": 0.0, "baseline": 0.0}
    assert verdict["target"] == "suite"
    spent = run("cost", "--json", home=home).json()["total"]["usd"]
    assert done.json()["cost_usd"] == spent
    report = run("eval", "report", "e", home=home).text
    assert "**ADOPT** (new against old)" in report
    assert "| completed | 25/25" in report
    shown = run("eval", "show", "e", "new/orders-hold.1", home=home).text
    assert '-> {"error": "503 warehouse busy' in shown
    assert run("eval", "status", "e", "--json", home=home).json()["attempts"] == 50


STYLES = {
    "lazy": ("fail.model", {}),
    "forgetful": ("fail.model", {"R6": 2}),
    "repeating": ("fail.model", {}),
    "broken": ("success", {"R1": 1}),
    "leaking": ("fail.serving", {}),
}


@pytest.mark.slow
@pytest.mark.parametrize("like", ["openrouter", "perplexity"], ids=["chat", "responses"])
def test_each_agent_lands_in_its_own_class(home: Home, suite: Path, like: str) -> None:
    for style, (cls, codes) in STYLES.items():
        with Both(home, suite, "gold", style, like):
            done = evaluated(home, "--task", "orders-hold", epochs=1)
        assert done.code == 0, done.err
        found = run("eval", "show", done.json()["run"], "old/orders-hold.1", "--json", home=home)
        measures = found.json()["events"][-1]["measures"]
        if style != "repeating":
            assert measures["cls"] == cls, (style, measures)
        for code, count in codes.items():
            assert measures["retries"].get(code, 0) >= min(1, count), (style, measures["retries"])


@pytest.mark.slow
def test_a_small_real_model_is_tried_beside_a_stub(home: Home, suite: Path) -> None:
    """The embedded model, for what it is: it is asked, judged and not adopted."""
    agent = Agent(suite, "gold")
    with Stub(Each(lambda request: agent(request.json))) as stub:
        home.provider("old", stub.url)
        line = ("eval", "run", "e", "--arm", "new=embedded", "--arm", "old=old:x/m")
        few = ("--epochs", "3", "--max-tokens", "40", "-j", "2", "--json")
        done = run(*line, *few, home=home, timeout=280)
    assert done.code == 0, done.err
    classes = done.json()["classes"]
    assert classes["old"] == {"success": 15}
    assert sum(classes["new"].values()) == 15
    assert not {"infra", "harness"} & classes["new"].keys()
    code, verdict = decided(home)
    assert (code, verdict["verdict"]) == (11, "REJECT"), verdict["reasons"]
    assert verdict["success"]["candidate"] < 0.5


@pytest.mark.slow
def test_refusals_move_waiting_and_nothing_else(home: Home, suite: Path) -> None:
    with Both(home, suite, "gold", "gold") as both:
        calm = evaluated(home, epochs=1).json()
        agent, seen = Agent(suite, "gold"), set[bytes]()

        def stormy(request: Any) -> Any:
            refuse = request.body not in seen  # each is refused once, so none is given up
            seen.add(request.body)
            return Status(429, {"retry-after": "0.01"}) if refuse else agent(request.json)

        both.new.script(Each(stormy))
        storm = evaluated(home, epochs=1).json()
    assert storm["classes"] == calm["classes"]
    report = run("eval", "report", storm["run"], home=home).text
    line = next(x for x in report.splitlines() if x.startswith("| T sent again"))
    assert line.split("|")[2].strip() != "0"
    assert line.split("|")[3].strip() == "0"


def measures_of(folder: Path) -> dict[str, dict[str, Any]]:
    kept = ("cls", "model_turns", "tool_calls", "retries", "probes", "cost_pico")
    return {
        str(p.relative_to(folder)): {
            k: json.loads(p.read_text().splitlines()[-1])["measures"][k] for k in kept
        }
        for p in (folder / "attempts").rglob("*.jsonl")
    }


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_is_the_run_it_would_have_been(
    home: Home, suite: Path
) -> None:
    with Both(home, suite, "gold", "forgetful", epochs=10) as both:
        whole = home.cwd / evaluated(home, epochs=10).json()["run"]
        asked = sum(len(s.requests) for s in both.stubs)
        line = ("eval", "run", "e", *ARMS, "--epochs", "10", "-j", "3")
        resume: tuple[str, ...] = ()
        for calls in (3, 9, 5, 12, 7, 20, 1, 15, 8, 11):
            before = set((suite / "runs").iterdir())
            had = len(both.stubs[0].requests)
            with spawn(*line, *resume, home=home) as running:
                both.stubs[0].wait_for(had + calls, timeout_s=60)
                running.process.send_signal(signal.SIGKILL)
                running.process.wait()
            made = set((suite / "runs").iterdir()) - before
            if made:
                resume = ("--resume", str(made.pop()))
        done = run(*line, *resume, "--json", home=home, timeout=120)
        assert done.code == 0, done.err
        asked = sum(len(s.requests) for s in both.stubs) - asked
    assert measures_of(Path(resume[1])) == measures_of(whole)
    one, other = (decided(home, str(r))[1] for r in (whole, resume[1]))
    kept = ("verdict", "success", "cost_per_completed", "retry_rate", "reasons")
    assert [one[k] for k in kept] == [other[k] for k in kept]
    booked = [row for row in home.attempts() if row["run_id"] == Path(resume[1]).name]
    assert asked - 30 <= len(booked) <= asked, "calls under way at a kill are reserved, not booked"


def test_another_suite_under_resume_is_refused(home: Home, suite: Path) -> None:
    with Both(home, suite, "gold", "gold"):
        made = evaluated(home, "--task", "orders-hold", epochs=1).json()["run"]
        file = suite / "tasks" / "orders-hold.yaml"
        file.write_text(file.read_text().replace("You run the order desk", "You run a desk"))
        again = evaluated(home, "--task", "orders-hold", "--resume", made, epochs=1)
    assert again.code == 3
    assert "was changed since" in again.err
    (suite / "policy.yaml").write_text("margin: 0.5\n")
    assert decided(home)[1]["verdict"] == "INVALID"


def test_a_cap_stops_the_run_and_it_can_be_gone_on_with(home: Home, suite: Path) -> None:
    with Both(home, suite, "gold", "gold") as both:
        price = {"model": "x/m", "valid_from": "2026-01-01", "input": 0.01, "output": 0.01}
        for name, stub in zip(("new", "old"), both.stubs, strict=True):
            home.provider(name, stub.url, prices=[price])
        done = evaluated(home, "--max-cost", "0.02", "-j", "2", "--max-tokens", "100", epochs=1)
        assert done.code == 9, done.err
        spent = float(run("cost", "--json", home=home).json()["total"]["usd"])
        assert 0.01 < spent <= 0.0215
        rest = evaluated(home, "--resume", done.json()["run"], "--max-tokens", "100", epochs=1)
    assert rest.code == 0, rest.err
    assert rest.json()["attempts"] == 10


def test_records_are_judged_anew_without_a_call(home: Home, suite: Path) -> None:
    with Both(home, suite, "gold", "gold") as both:
        evaluated(home, "--task", "orders-hold", epochs=1)
        asked = sum(len(s.requests) for s in both.stubs)
        file = suite / "tasks" / "orders-hold.yaml"
        file.write_text(file.read_text().replace('expect_any: ["65"]', 'expect_any: ["66"]'))
        found = run("eval", "regrade", "e", "--json", home=home).json()
        assert {c["now"] for c in found["changed"]} == {"fail.model"}
        assert sum(len(s.requests) for s in both.stubs) == asked


BASE = "schema: nemocli.eval/v1\nid: x\nturns: [{user: hi}]\nfinal: {that: ['true']}\n"
LAUGHS = "state:\n  a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"  {name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("tasks/x.yaml", "a: [", ("x.yaml:2:1",)),
        ("tasks/x.yaml", "schema: nemocli.eval/v1\nid: x\nturn: []\n", ("x.yaml", "did you mean")),
        ("policy.yaml", "margins: 1\n", ("policy.yaml", "margins")),
        ("suite.yaml", "schema: x\n", ("suite.yaml", "schema")),
        (
            "tasks/x.yaml",
            "schema: nemocli.eval/v1\nid: x\nturns: [{user: hi}]\nfinal: {that: ['true']}\n"
            "tools: [{name: sh, backend: shell, settings: {argv: [ls]}}]\n",
            ("would run on this machine", "--trust"),
        ),
        ("tasks/x.yaml", f"{BASE}state: &a {{x: 1, y: *a}}\n", ("x.yaml:5:21", "inside itself")),
        ("tasks/x.yaml", BASE + LAUGHS, ("x.yaml:", "aliases")),
        ("tasks/x.yaml", f"{BASE}state: {'{a: ' * 300}1{'}' * 300}\n", ("x.yaml:5:", "deep")),
        ("tasks/x.yaml", f"{BASE}state: {{x: '{'y' * 5_000_000}'}}\n", ("x.yaml:1:1", "longer")),
    ],
    ids=range(9),
)
def test_bad_input_is_one_line_with_its_place(
    home: Home, suite: Path, name: str, text: str, words: tuple[str, ...]
) -> None:
    (suite / name).write_text(text)
    done = run("eval", "lint", "e", home=home)
    assert done.code == 3, done.err
    assert "Traceback" not in done.err
    assert all(word in done.err for word in words), done.err


@pytest.mark.slow
def test_a_record_cut_in_half_is_made_again_and_a_full_disk_is_one_line(
    home: Home, suite: Path
) -> None:
    with Both(home, suite, "gold", "gold") as both:
        run_ = evaluated(home, epochs=1).json()["run"]
        file = next((home.cwd / run_ / "attempts").rglob("*.jsonl"))
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        assert run("eval", "status", "e", "--json", home=home).json()["attempts"] == 9
        asked = sum(len(s.requests) for s in both.stubs)
        done = evaluated(home, "--resume", run_, epochs=1)
        assert (done.code, done.json()["attempts"]) == (0, 10)
        again = sum(len(s.requests) for s in both.stubs) - asked
        assert 0 < again < asked / 4
        line = argv("eval", "run", "e", *ARMS, "--epochs", "1")
        full = run(home=home, line=["bash", "-c", 'ulimit -f 6; exec "$@"', "bash", *line])
    assert full.code == 3, full.err
    assert "Traceback" not in full.err
    assert "space" in full.err


def test_a_task_that_fails_its_lint_is_not_run(home: Home, suite: Path) -> None:
    file = suite / "tasks" / "orders-hold.yaml"
    file.write_text(file.read_text().replace("qty: 2, customer", "qty: 2000, customer"))
    with Both(home, suite, "gold", "gold") as both:
        done = evaluated(home, epochs=1)
        assert done.code == 3
        assert "does not pass its lint" in done.err
        assert both.new.requests == both.old.requests == []


@pytest.mark.slow
def test_the_machine_checks_itself(home: Home) -> None:
    done = run("eval", "selfcheck", "--json", home=home, env={"NEMOCLI_OFFLINE": "1"})
    assert done.code == 0, done.text
    rows = done.json()["checks"]
    assert all(row["ok"] for row in rows)
    assert sum("mutation" in row["name"] for row in rows) == 36


def test_the_page_tells_it_all_and_fetches_nothing(home: Home, suite: Path) -> None:
    with Both(home, suite, "gold", "forgetful", new_cost=0.0005, old_cost=0.002):
        assert evaluated(home, "-j", "8", epochs=3).code == 0
    done = run("eval", "report", "e", "-o", "r.html", home=home)
    assert done.code == 0, done.err
    page = (home.cwd / "r.html").read_text()
    for said in ("ADOPT", "15/15", "Coherence over the turns", "What it does not show",
                 "nemocli eval report", "Where the money went", "user, turn 1"):  # fmt: skip
        assert said in page, said
    assert "<script" not in page
    assert not re.findall(r"(?:src|href)=", page)
    assert page.count("<details>") == 30
    assert run("eval", "report", "e", "--html", home=home).text.startswith("<!doctype html>")


@pytest.mark.slow
def test_a_page_of_a_thousand_attempts_is_small_and_soon_there(home: Home, suite: Path) -> None:
    with Both(home, suite, "gold", "forgetful"):
        assert evaluated(home, "-j", "8", epochs=3).code == 0
    attempts = next((suite / "runs").iterdir()) / "attempts"
    for file in list(attempts.glob("*/*.1.jsonl")):
        for epoch in range(4, 104):
            file.with_name(file.name.replace(".1.", f".{epoch}.")).write_bytes(file.read_bytes())
    began = time.monotonic()
    assert run("eval", "report", "e", "-o", "r.html", home=home).code == 0
    assert time.monotonic() - began < 5 * 5
    assert (home.cwd / "r.html").stat().st_size < 3_000_000


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here")
@pytest.mark.parametrize("width", [500, 1280])
def test_a_browser_draws_the_page(home: Home, suite: Path, width: int) -> None:
    with Both(home, suite, "gold", "forgetful", new_cost=0.0005, old_cost=0.002):
        assert evaluated(home, "-j", "8", epochs=3).code == 0
    assert run("eval", "report", "e", "-o", "r.html", home=home).code == 0
    shot = home.cwd / "shot.png"
    line = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={home.root / 'browser'}", f"--window-size={width},3000",
        f"--screenshot={shot}", (home.cwd / "r.html").as_uri(),
    ]  # fmt: skip
    subprocess.run(line, check=True, capture_output=True, timeout=120)
    data = shot.read_bytes()
    assert struct.unpack(">II", data[16:24]) == (width, 3000)
    assert len(data) > 60_000, "an empty page is smaller"
