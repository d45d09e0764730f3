"""Tools that run on a machine: programs in a folder of their own, functions, addresses, servers."""

from __future__ import annotations

import http.server
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nemocli.eval.grade import gold_world
from nemocli.eval.judge import judge
from nemocli.eval.lint import gold_events, lint
from nemocli.eval.machine import MachineResult
from nemocli.eval.task import Task, TaskError, task_of
from nemocli.eval.world import TaskWorld
from nemocli.io.eval.machine import MOST_SAID, machines
from tests.run import KEY

BUG = "def add(a, b):\n    return a - b\n"
MENDED = "def add(a, b):\n    return a + b\n"
TESTS = "from sums import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n"
WRITE = {
    "name": "write_file", "kind": "write",
    "parameters": {"type": "object", "required": ["path", "text"], "properties": {
        "path": {"type": "string"}, "text": {"type": "string"}}},
    "effects": [{"set": "files[path]", "to": "=text"}],
}  # fmt: skip
RUN = {
    "name": "run_tests", "kind": "write", "backend": "shell",
    "parameters": {"type": "object", "properties": {}},
    "settings": {"argv": ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0"]},
    "effects": [{"set": "tests", "to": "=result.exit"}],
}  # fmt: skip


def coding(**more: Any) -> Task:
    raw: dict[str, Any] = {
        "schema": "nemocli.eval/v1",
        "id": "code-sums",
        "state": {"files": {"sums.py": BUG, "test_sums.py": TESTS}, "tests": 1},
        "tools": [WRITE, RUN],
        "invariants": ["state.files['test_sums.py'] == initial.files['test_sums.py']"],
        "turns": [{"user": "Mend sums.py and run its tests."}],
        "gold": [
            {"name": "write_file", "args": {"path": "sums.py", "text": MENDED}},
            {"name": "run_tests"},
        ],
        "final": {"state": "any", "that": ["state.tests == 0"]},
    }
    return task_of({**raw, **more})


def made(tmp_path: Path, **env: str) -> Any:
    return machines(tmp_path, {"PATH": os.environ["PATH"], **env})


def tool(backend: str, settings: dict[str, Any], kind: str = "read", **more: Any) -> Task:
    one = {"name": "t", "kind": kind, "backend": backend, "settings": settings,
           "parameters": {"type": "object", "additionalProperties": True}, **more}  # fmt: skip
    return task_of(
        {
            "schema": "nemocli.eval/v1",
            "id": "one",
            "state": {"files": {"a.txt": "a"}, "n": 1},
            "tools": [one],
            "turns": [{"user": "go", "check": [{"that": "true"}]}],
        }
    )


def called(task: Task, tmp_path: Path, args: dict[str, Any] | None = None, **env: str) -> Any:
    with made(tmp_path, **env)() as machine:
        world = TaskWorld(task, machine)
        return world.call("t", json.dumps(args or {})), world


@pytest.mark.slow
def test_real_tests_run_on_real_files_and_the_task_passes_its_lint(tmp_path: Path) -> None:
    found = lint(coding(), machines=made(tmp_path))
    assert (found.errors, found.killed, found.mutants) == ((), 2, 2)


def test_what_was_recorded_is_judged_again_without_a_machine(tmp_path: Path) -> None:
    task = coding()
    with made(tmp_path)() as machine:
        events = gold_events(task, machine=machine)
        world = gold_world(task, machine)
    assert any("1 passed" in str(e.get("outside")) for e in events)
    kept = {"type": "gold", "state": world.state, "made_ids": []}
    again = json.loads(json.dumps([kept, *events]))
    assert judge(task, again).cls == "success"
    assert judge(task, [kept, *gold_events(task)]).cls != "success"


def test_a_test_that_is_changed_breaks_its_invariant(tmp_path: Path) -> None:
    task = coding(gold=[])
    with made(tmp_path)() as machine:
        world = TaskWorld(task, machine)
        cheat = json.dumps({"path": "test_sums.py", "text": "def test(): pass\n"})
        assert world.call("write_file", cheat).kind == "ok"
        assert world.call("run_tests", "{}").kind == "ok"
    assert world.state["tests"] == 0
    assert world.broken


def test_a_program_gets_arguments_not_a_shell_and_no_key(tmp_path: Path) -> None:
    show = (
        "import os, sys; print(sys.argv[1:], sorted(os.environ)); open('made.txt', 'w').write('x')"
    )
    task = tool("shell", {"argv": ["python", "-c", show, "{q}", "-{q}"]}, "write")
    result, world = called(task, tmp_path, {"q": "; rm -rf / $(id)"}, OPENROUTER_API_KEY=KEY)
    assert "['; rm -rf / $(id)', '-; rm -rf / $(id)']" in result.value["output"]
    assert "OPENROUTER_API_KEY" not in result.value["output"]
    assert world.state["files"] == {"a.txt": "a", "made.txt": "x"}
    reading, world = called(tool("shell", {"argv": ["python", "-c", show]}), tmp_path)
    assert reading.kind == "ok"
    assert world.state["files"] == {"a.txt": "a"}


def test_a_program_that_does_not_return_is_ended_with_its_children(tmp_path: Path) -> None:
    mark = tmp_path / "alive"
    child = f"import time, pathlib\nwhile 1: pathlib.Path({str(mark)!r}).touch(); time.sleep(0.05)"
    parent = f"import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', {child!r}])\n"
    parent += "time.sleep(600)"
    task = tool("shell", {"argv": ["python", "-c", parent], "timeout_s": 1})
    began = time.monotonic()
    result, _ = called(task, tmp_path)
    assert time.monotonic() - began < 30
    assert result.value["exit"] == 124
    assert "stopped after 1 s" in result.value["output"]
    time.sleep(0.3)
    mark.unlink(missing_ok=True)
    time.sleep(0.3)
    assert not mark.exists()


def test_what_a_program_says_and_leaves_has_a_bound(tmp_path: Path) -> None:
    task = tool("shell", {"argv": ["python", "-c", "print('x' * 10_000_000)"]})
    result, _ = called(task, tmp_path)
    assert len(result.value["output"]) < MOST_SAID + 100
    many = "for n in range(600): open(f'{n}.txt', 'w').close()"
    result, world = called(tool("shell", {"argv": ["python", "-c", many]}, "write"), tmp_path)
    assert (result.kind, "more files" in result.value) == ("error", True)
    assert world.state["files"] == {"a.txt": "a"}


@pytest.mark.parametrize("path", ["/etc/x", "../x", "a/../../x"])
def test_a_path_outside_of_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    task = tool("shell", {"argv": ["python", "-c", "1"]}, "write")
    with made(tmp_path)() as machine:
        world = TaskWorld(task, machine)
        world.state["files"] = {path: "x"}
        result = world.call("t", "{}")
    assert (result.kind, "inside the folder" in result.value) == ("error", True)


def test_a_function_may_change_the_state_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text(
        "def count(state, args):\n    state['n'] += args['by']\n    return {'n': state['n']}\n"
        "def fail(state, args):\n    raise ValueError('no such order')\n"
    )
    result, world = called(tool("python", {"call": "tools.py:count"}, "write"), tmp_path, {"by": 4})
    assert (result.value, world.state["n"]) == ({"n": 5}, 5)
    result, world = called(tool("python", {"call": "tools.py:count"}), tmp_path, {"by": 4})
    assert (result.value, world.state["n"]) == ({"n": 5}, 1)
    result, _ = called(tool("python", {"call": "tools.py:fail"}), tmp_path)
    assert (result.kind, "no such order" in result.value) == ("error", True)
    result, _ = called(tool("python", {"call": "other.py:x"}), tmp_path)
    assert "no other.py" in result.value


@contextmanager
def serving(status: int, body: bytes) -> Iterator[tuple[str, list[bytes]]]:
    seen: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()


def test_an_address_is_asked_and_its_answer_used(tmp_path: Path) -> None:
    with serving(200, b'{"stock": 7}') as (url, seen):
        effects = [{"set": "n", "to": "=result.stock"}]
        settings = {"url": f"{url}/{{sku}}"}
        task = tool("http", settings, "write", effects=effects, returns="=result.stock")
        result, world = called(task, tmp_path, {"sku": "K"})
    assert (result.value, world.state["n"], json.loads(seen[0])) == (7, 7, {"sku": "K"})
    with serving(404, b"no such sku") as (url, _):
        result, _ = called(tool("http", {"url": url}), tmp_path)
    assert (result.kind, result.value) == ("error", "no such sku")
    result, _ = called(tool("http", {"url": "http://127.0.0.1:1/"}), tmp_path)
    assert (result.kind, "cannot run" in result.value) == ("error", True)


SERVER = """
from mcp.server import MCPServer

server = MCPServer("sums")
count = 0

@server.tool()
def add(a: int, b: int) -> str:
    "Add."
    global count
    count += 1
    return str(a + b * 100 + count)

server.run("stdio")
"""


def test_a_tool_server_lives_as_long_as_the_attempt(tmp_path: Path) -> None:
    pytest.importorskip("mcp")
    file = tmp_path / "server.py"
    file.write_text(SERVER)
    task = tool("mcp", {"command": sys.executable, "args": [str(file)], "tool": "add"})
    with made(tmp_path)() as machine:
        world = TaskWorld(task, machine)
        found = [world.call("t", '{"a": 0, "b": 1}').value for _ in range(2)]
    assert found == [101, 102]
    absent = tool("mcp", {"command": "/no/such/program", "tool": "add"})
    result, _ = called(absent, tmp_path)
    assert result.kind == "error"


def test_recorded_results_are_played_and_anything_else_is_named() -> None:
    task = tool("replay", {"results": [{"args": {"q": 1}, "value": {"hits": 3}}]})
    world = TaskWorld(task)
    assert world.call("t", '{"q": 1.0}').value == {"hits": 3}
    assert world.call("t", '{"q": 2}').value == "this call is not in the recording"


def test_without_a_machine_a_tool_says_so() -> None:
    assert "none here" in TaskWorld(tool("shell", {"argv": ["x"]})).call("t", "{}").value
    assert MachineResult(True, 1).event() == {"ok": True, "value": 1}


@pytest.mark.parametrize(
    ("backend", "settings", "said"),
    [
        ("shell", {}, "argv"),
        ("shell", {"argv": [1]}, "argv"),
        ("shell", {"argv": ["x"], "shell": "y"}, "no field 'shell'"),
        ("python", {"call": "os.system"}, "FILE.py:FUNCTION"),
        ("python", {"call": "../x.py:f"}, "FILE.py:FUNCTION"),
        ("http", {"url": "file:///etc/passwd"}, "http://"),
        ("mcp", {}, "command or a url"),
        ("replay", {}, "results"),
        ("declarative", {"argv": ["x"]}, "no field 'argv'"),
    ],
)
def test_settings_that_are_wrong_are_refused_by_name(
    backend: str, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(TaskError, match=said):
        tool(backend, settings)
