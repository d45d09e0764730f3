"""Servers another program runs: which one is meant, how it is started, and how programs fail."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.card import ModelCard
from nemocli.core.faults import FaultKind, NemoError
from nemocli.core.plan import Target
from nemocli.core.ports import Endpoint
from nemocli.core.provider import Auth, Provider, Runtime
from nemocli.io.process import run
from nemocli.io.servers.command import CommandRuntime, _named
from tests.run import ROOT

STAND_IN = ROOT / "tests" / "servers" / "anaconda_stand_in.py"
URL = "http://127.0.0.1:1/v1"
WORDS = {
    "models": ["models", "--json"],
    "download": ["download", "{model}", "--json"],
    "launch": ["launch", "{model}", "--detach", "--json"],
    "servers": ["servers", "--json"],
    "server": ["servers", "{server}", "--json"],
    "stop": ["stop", "{server}", "--json"],
}
FIELDS = {
    "model_name": "model",
    "quantization": "method",
    "server_model": "model",
    "server_status": "status",
    "server_url": "openai_url",
}


class Told:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def progress(self, what: str, done: int, total: int | None) -> None: ...

    def finish(self) -> None: ...


class Desk:
    """The stand-in with a state, and a provider that drives it."""

    def __init__(self, folder: Path, **state: Any) -> None:
        self.file = folder / "state.json"
        self.file.write_text(json.dumps({"models": [], "servers": [], "url": URL, **state}))
        self.env = {**os.environ, "STAND_IN_STATE": str(self.file), "A_KEY": "s3cret-of-mine"}
        self.told = Told()

    def provider(self, **settings: Any) -> Provider:
        start = [sys.executable, str(STAND_IN), "ai"]
        commands = {what: [*start, *words] for what, words in WORDS.items()}
        whole = {**commands, "fields": FIELDS, "match": "nemotron", "key": "empty", **settings}
        auth = Auth(env=("A_KEY",), required=False)
        runtime = Runtime("command", whole)
        return Provider("desk", "chat", "", auth=auth, runtime=runtime, start_hint="install it")

    def endpoint(self, model: str = "", card: str | None = None, **settings: Any) -> Endpoint:
        made = ModelCard(card, card) if card else None
        provider = self.provider(**settings)
        runtime = CommandRuntime(provider, self.env, self.told)
        return asyncio.run(runtime.endpoint(Target(provider, model, made)))

    def refused(self, model: str = "", **settings: Any) -> str:
        with pytest.raises(NemoError) as caught:
            self.endpoint(model, **settings)
        assert caught.value.fault.provider in ("desk", None)
        return caught.value.fault.message

    @property
    def launched(self) -> list[str]:
        log = self.file.with_suffix(".log").read_text().splitlines()
        return [line.split()[2] for line in log if line.startswith("ai launch")]

    @property
    def looked_at(self) -> str:
        lines = self.file.with_suffix(".log").read_text().splitlines()
        return lines[-1].split()[2]


def model(name: str, *quants: str, downloaded: bool = True) -> dict[str, Any]:
    rows = [{"method": q, "running": False, "downloaded": downloaded} for q in quants]
    return {"model": name, "quantizations": [{**row, "blocked": False} for row in rows]}


def server(number: str, name: str, status: str = "running") -> dict[str, str]:
    return {"server_id": number, "model": name, "status": status}


def test_a_launch_that_answers_nothing_is_found_among_the_servers(tmp_path: Path) -> None:
    desk = Desk(tmp_path, models=[model("Nemotron-Nano", "Q4_K_M")])
    assert desk.endpoint("Nemotron-Nano/Q4_K_M").base_url == URL
    assert desk.launched == ["Nemotron-Nano/Q4_K_M"]
    assert desk.looked_at == "s-new"
    assert "stop s-new`" in desk.told.lines[-1]


def test_a_running_server_is_used_and_none_is_launched(tmp_path: Path) -> None:
    desk = Desk(tmp_path, servers=[server("s1", "Other_Q8_0.gguf"), server("s2", "A-B_Q6_K.gguf")])
    found = desk.endpoint("author/a-b")
    assert (found.base_url, found.key and found.key.value) == (URL, "empty")
    assert (desk.launched, desk.looked_at) == ([], "s2")


@pytest.mark.parametrize("status", ["starting", "stopped", "errored"])
def test_a_server_that_does_not_run_yet_is_launched(tmp_path: Path, status: str) -> None:
    held = [model("Nemotron-Nano", "Q6_K")]
    desk = Desk(tmp_path, models=held, servers=[server("s1", "Nemotron-Nano_Q6_K.gguf", status)])
    desk.endpoint("Nemotron-Nano")
    assert (desk.launched, desk.looked_at) == (["Nemotron-Nano/Q6_K"], "s-new")


def test_a_model_is_never_taken_for_its_longer_named_sibling(tmp_path: Path) -> None:
    servers = [server("s1", "Qwen-7B-Instruct_Q4_K_M.gguf")]
    desk = Desk(tmp_path, models=[model("Qwen-7B-Instruct", "Q4_K_M")], servers=servers)
    assert "no model like Qwen-7B" in desk.refused("Qwen-7B/Q4_K_M")
    assert desk.launched == []


def test_the_model_of_the_card_goes_before_another_that_runs(tmp_path: Path) -> None:
    held = [model("Nemotron-Mini", "Q6_K"), model("Nemotron-3-Nano-30B", "Q4_K_M")]
    desk = Desk(tmp_path, models=held, servers=[server("s1", "Nemotron-Mini_Q6_K.gguf")])
    desk.endpoint(card="nemotron-3-nano")
    assert desk.launched == ["Nemotron-3-Nano-30B/Q4_K_M"]


def test_another_model_in_its_place_is_said(tmp_path: Path) -> None:
    desk = Desk(tmp_path, servers=[server("s1", "Nemotron-Mini_Q6_K.gguf")])
    desk.endpoint(card="nemotron-3-ultra")
    assert desk.told.lines == ["desk has no nemotron-3-ultra; Nemotron-Mini_Q6_K.gguf answers"]


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9.]{0,6}(-[A-Za-z0-9.]{1,6}){0,2}", fullmatch=True)


@given(NAMES, st.sampled_from(["Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0"]), st.booleans())
def test_every_spelling_of_one_model_finds_it(name: str, quant: str, author: bool) -> None:
    for asked in (name, f"{name}/{quant}", f"{name}_{quant}.gguf"):
        pattern = _named(f"author/{asked}" if author else asked)
        assert pattern.search(f"{name}/{quant}")
        assert pattern.search(f"{name}_{quant}.gguf".lower())
        assert not pattern.search(f"{name}-Instruct/{quant}")
        assert not pattern.search(f"x{name}/{quant}")


def child(body: str) -> list[str]:
    return [sys.executable, "-c", body]


def test_a_complaint_is_passed_on_without_keys(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    tells = child(
        "import os; print('LoginError: bad', os.environ['A_KEY'], '\\nsee --verbose'); 1/0"
    )
    said = desk.refused(servers=tells)
    assert "ZeroDivisionError" in said
    assert "\n" not in said
    quiet = child("import os,sys; print('LoginError: bad ' + os.environ['A_KEY']); sys.exit(1)")
    said = desk.refused(servers=quiet)
    assert "LoginError: bad" in said
    assert "s3cret" not in said.replace(" ".join(quiet), "")


@pytest.mark.parametrize("junk", ["print('hello')", "print('[' * 100000)", "print()"])
def test_an_answer_that_is_no_json_is_one_fault(tmp_path: Path, junk: str) -> None:
    assert "did not answer with JSON" in Desk(tmp_path).refused(servers=child(junk))


def test_colours_around_the_json_do_not_matter(tmp_path: Path) -> None:
    row = json.dumps(server("s1", "Nemotron-Mini_Q6_K.gguf"))
    coloured = child(f"print('\\x1b[?25l\\x1b[1;34m[' + {row!r} + ']\\x1b[0m\\x1b[?25h')")
    desk = Desk(tmp_path, servers=[server("s1", "Nemotron-Mini_Q6_K.gguf")])
    assert desk.endpoint(servers=coloured).base_url == URL


@pytest.mark.parametrize(
    "broken", [{"servers": None}, {"servers": "anaconda ai servers"}, {"match": "("}]
)
def test_settings_of_a_user_that_cannot_work_are_named(tmp_path: Path, broken: dict) -> None:
    with pytest.raises(NemoError) as caught:
        Desk(tmp_path).endpoint(**broken)
    assert caught.value.fault.kind is FaultKind.CONFIG
    assert next(iter(broken)) in caught.value.fault.message


def gone(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def wait_gone(pid: int) -> None:
    until = time.monotonic() + 5
    while not gone(pid):
        assert time.monotonic() < until, "it still runs"
        time.sleep(0.01)


FAMILY = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])
open(sys.argv[1] + '~', 'w').write(f'{os.getpid()} {child.pid}')
os.replace(sys.argv[1] + '~', sys.argv[1])
time.sleep(60)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc who lives")
def test_a_cancelled_program_ends_with_its_children(tmp_path: Path) -> None:
    file = tmp_path / "pids"

    async def go() -> None:
        task = asyncio.create_task(run([*child(FAMILY), str(file)], os.environ, 60))
        while not file.exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(go())
    for pid in file.read_text().split():
        wait_gone(int(pid))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc who lives")
def test_a_program_that_takes_too_long_ends_with_its_children(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    done = asyncio.run(run([*child(FAMILY), str(file)], os.environ, 5))
    assert done.code is None
    for pid in file.read_text().split():
        wait_gone(int(pid))


def test_a_server_left_running_with_our_stdout_is_not_waited_for(tmp_path: Path) -> None:
    body = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c',"
        " 'import time; time.sleep(20)']); print(p.pid)"
    )
    began = time.monotonic()
    done = asyncio.run(run(child(body), os.environ, 15))
    os.kill(int(done.out), 9)
    assert done.code == 0
    assert time.monotonic() - began < 14


def test_a_program_gets_no_stdin_and_cannot_flood() -> None:
    done = asyncio.run(run(child("import sys; print(sys.stdin.read() == '')"), os.environ, 20))
    assert done.out.strip() == b"True"
    flood = "import sys\nwhile True: sys.stdout.write('x' * 65536)"
    done = asyncio.run(run(child(flood), os.environ, 30))
    assert done.code not in (0, None)
    assert len(done.out) == 8 * 1024 * 1024
