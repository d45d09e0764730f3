"""What each command may load: the record of what a start costs."""

from __future__ import annotations

import json

import pytest

from tests.run import Home, run
from tests.servers.answer import Answer
from tests.servers.stub import Stub

SPY = """
import json, os, sys, atexit
atexit.register(lambda: open(os.environ["SPY"], "w").write(json.dumps(sorted(sys.modules))))
sys.argv = ["nemocli", *json.loads(os.environ["ARGS"])]
from nemocli.__main__ import main
main()
"""
HEAVY = {
    "orjson", "httptools", "uvloop", "pyarrow", "jinja2", "ray",
    "typer", "rich", "httpx2", "yaml", "keyring", "sqlite3", "asyncio", "jsonschema", "xllamacpp",
    "platformdirs", "importlib.metadata", "decimal", "dataclasses", "prompt_toolkit", "pydantic",
    "pygments", "mcp", "random",
}  # fmt: skip


def loaded(home: Home, *args: str) -> set[str]:
    """The heavy packages a command loads, once the caches are warm."""
    import sys

    spy = home.root / "modules.json"
    env = {"SPY": str(spy), "ARGS": json.dumps(args)}
    for _ in range(2):
        done = run(home=home, env=env, line=[sys.executable, "-c", SPY])
        assert done.code == 0, done.err
    return HEAVY & set(json.loads(spy.read_text()))


@pytest.mark.parametrize(
    ("args", "allowed"),
    [
        (("--version",), set()),
        (("__complete", "--", "ask", "-p", ""), set()),
        (("--help",), set()),
        (("version",), {"typer", "dataclasses"}),
        (("cost",), {"typer", "dataclasses", "decimal", "sqlite3"}),
        (("cost", "statusline"), {"dataclasses", "decimal", "sqlite3"}),
        (("cost", "budget", "ls"), {"typer", "dataclasses", "decimal", "sqlite3"}),
        (("help", "exit-codes"), {"typer", "dataclasses", "decimal"}),
        (("completion", "bash"), {"typer", "dataclasses", "decimal"}),
        (("models", "ls"), {"typer", "dataclasses", "decimal"}),
        (("models", "info", "ultra"), {"typer", "dataclasses", "decimal"}),
        (("models", "default"), {"typer", "dataclasses", "decimal"}),
        (
            ("doctor",),
            {
                "typer",
                "dataclasses",
                "decimal",
                "sqlite3",
                "asyncio",
                "keyring",
                "importlib.metadata",
                "random",
            },
        ),
        (("weights", "--help"), {"typer", "dataclasses"}),
        (("weights", "ls"), {"typer", "dataclasses", "decimal", "asyncio"}),
        (("weights", "status"), {"typer", "dataclasses", "decimal", "asyncio"}),
        (("batch", "--help"), {"typer", "dataclasses"}),
        (("batch", "ls"), {"typer", "dataclasses", "decimal"}),
        (("config", "path"), {"typer", "dataclasses", "decimal"}),
        (("auth", "status"), {"typer", "dataclasses", "decimal"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_command_loads_only_what_it_needs(home: Home, args, allowed: set[str]) -> None:
    assert loaded(home, *args) <= allowed


def test_a_question_loads_http_and_the_book_and_nothing_else(home: Home) -> None:
    with Stub(Answer("hi")) as stub:
        home.provider("stub", stub.url)
        found = loaded(home, "ask", "-p", "stub", "-m", "x/any", "hi")
    assert found <= {"typer", "dataclasses", "decimal", "sqlite3", "asyncio", "httptools"}


def test_a_batch_loads_its_own_transport_and_no_other_client(home: Home) -> None:
    with Stub(Answer("hi")) as stub:
        home.provider("stub", stub.url)
        (home.cwd / "in.jsonl").write_text('{"prompt": "hi"}\n')
        line = ("batch", "run", "in.jsonl", "-o", "out.jsonl", "-p", "stub", "-m", "x/any")
        found = loaded(home, *line)
    assert found <= {
        "typer", "dataclasses", "decimal", "sqlite3", "asyncio", "orjson", "httptools", "uvloop",
    }  # fmt: skip


def test_the_floors_can_be_used_without_the_face() -> None:
    import subprocess
    import sys

    code = (
        "import nemocli.engine.run, nemocli.wire.chat.request, sys;"
        "print([m for m in ('typer', 'rich', 'httpx2', 'yaml', 'sqlite3') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
