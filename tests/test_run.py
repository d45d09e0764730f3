"""The runner itself: clean surroundings, honest capture, a terminal that is one."""

from __future__ import annotations

import sys

import pytest

from tests.run import KEY, Home, TookTooLong, run, run_pty, spawn

ENV = "import os, sys; print(chr(10).join(f'{k}={v}' for k, v in os.environ.items()))"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_the_environment_is_only_what_the_test_put_there(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENROUTER_API_KEY", "HF_TOKEN", "HTTPS_PROXY", "COLUMNS"):
        monkeypatch.setenv(name, "leak")
    home.env["STUB_API_KEY"] = KEY
    seen = run(home=home, line=python(ENV), env={"MORE": "1"}).text
    assert "leak" not in seen
    assert f"STUB_API_KEY={KEY}" in seen
    assert f"NEMOCLI_HOME={home.folder}" in seen
    assert "MORE=1" in seen


def test_stdin_is_empty_fed_or_idle(home: Home) -> None:
    count = python("import sys; print(len(sys.stdin.buffer.read()))")
    assert run(home=home, line=count).text == "0\n"
    assert run(home=home, line=count, input="abc").text == "3\n"
    with spawn(home=home, line=count, stdin=-1) as running, pytest.raises(TookTooLong):
        running.finish(0.3)


def test_writes_a_provider_file_as_the_documentation_shows_it(home: Home) -> None:
    home.provider("stub", "http://127.0.0.1:1/v1", timeouts={"idle_s": 1})
    file = home.folder / "profiles" / "providers" / "stub.yaml"
    assert file.read_text().splitlines() == [
        "schema: nemocli.provider/1",
        "name: stub",
        "extends: openrouter",
        "base_url: http://127.0.0.1:1/v1",
        "auth:",
        "  env:",
        "  - STUB_API_KEY",
        "timeouts:",
        "  idle_s: 1",
    ]
    assert home.files_holding(KEY) == []
    assert home.files_holding("extends") == [file]


def test_an_interrupt_reaches_the_program_where_the_test_wants_it(home: Home) -> None:
    code = "import time; print('ready', flush=True); time.sleep(30)"
    with spawn(home=home, line=python(code)) as running:
        running.until("ready")
        assert running.memory_kb() is None or running.memory_kb() > 0
        running.interrupt()
        done = running.finish(10)
    assert done.code != 0
    assert "KeyboardInterrupt" in done.err


def test_a_terminal_is_a_terminal_and_keys_become_signals(home: Home) -> None:
    code = (
        "import os, sys, time\n"
        "print(*(os.isatty(n) for n in range(3)), os.get_terminal_size())\n"
        "print('got', input('name? '), flush=True)\n"
        "time.sleep(30)\n"
    )
    keys = [("name?", b"bob\r"), ("got bob", b"\x03")]
    done = run_pty(home=home, keys=keys, timeout=10, line=python(code))
    assert "True True True os.terminal_size(columns=80, lines=24)" in done.text
    assert "KeyboardInterrupt" in done.text
    assert done.code != 0
